"""Which Python objects a file may name: code runs when a person named it, not when a file did.

Owns the permission and the seal. A task file may say ``metric: pkg.mod:function``, and a run says
in its ``run.json`` which object its task came from. Whoever typed such a name on a command line wanted
it run; who opens a file of somebody else did not. A run carries a seal, made with a key that never
leaves this user's data folder, so that one's own runs go on without a word. What has no seal needs
``PRECEPTOR_RUN_CODE``. That is no setting: a settings file in a foreign folder could grant it.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

from preceptor.core import model_home
from preceptor.core.errors import InputError, PreceptorError
from preceptor.core.record import canonical
from preceptor.core.spelling import shown

VARIABLE = "PRECEPTOR_RUN_CODE"
"""The objects that files may name, with commas between them."""

KEY = "run-key"
_KEY_BYTES = 32


def is_code(spec: str) -> bool:
    """Return whether a task or metric is named as ``pkg.mod:attr``; a task file is none."""
    return ":" in spec and not spec.endswith((".yaml", ".yml"))


def require(
    specs: Sequence[str],
    where: str,
    otherwise: str = "",
    error: type[PreceptorError] = InputError,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Refuse objects that a file names, unless a person named them too.

    Args:
        specs: What the file names; anything that is no ``pkg.mod:attr`` passes.
        where: The file.
        otherwise: What else could be done about it.
        error: What to raise.
        environ: The environment.

    Raises:
        PreceptorError: ``error``, if ``PRECEPTOR_RUN_CODE`` does not name them all.
    """
    named = [spec for spec in dict.fromkeys(specs) if is_code(spec)]
    granted = [one.strip() for one in environ.get(VARIABLE, "").split(",")]
    if all(spec in granted for spec in named):
        return
    hint = f"if you trust it: {VARIABLE}={','.join(named)}"
    told = ", ".join(map(shown, named))
    raise error(
        f"{where} names Python code, {told}, and code that a file names is not run",
        "; ".join(filter(None, (hint if hint.isprintable() else "", otherwise))),
    )


def seal(specs: Sequence[str], home: Path | None = None) -> str:
    """Return the mark that this user named these objects; empty without any, or without a key.

    Args:
        specs: The names; what is no code does not count.
        home: The folder of the key; the user's own by default.
    """
    named = sorted({spec for spec in specs if is_code(spec)})
    key = _key(home or model_home.default().parent) if named else b""
    if not key:
        return ""
    said = canonical([[spec, _origin(spec)] for spec in named])
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


def check(specs: Sequence[str], sealed: object, where: str, home: Path | None = None) -> None:
    """Refuse what a run names, unless it was begun here or a person names it too.

    Args:
        specs: What it names.
        sealed: The seal that it carries.
        where: The run.
        home: The folder of the key; the user's own by default.

    Raises:
        InputError: Naming the object.
    """
    wanted = seal(specs, home)
    if wanted and isinstance(sealed, str) and hmac.compare_digest(wanted, sealed):
        return
    require(specs, where)


def _origin(spec: str) -> str:
    """Return where the outermost package of an object lies; nothing is imported for it."""
    top = spec.partition(":")[0].partition(".")[0]
    found = None
    with suppress(ValueError, ImportError):
        found = importlib.util.find_spec(top) if top.isidentifier() else None
    found = found or PathFinder.find_spec(top, [str(Path.cwd())])
    if found is None:
        return ""
    if found.origin and found.has_location:
        return str(Path(found.origin).resolve())
    return "\n".join(sorted({str(Path(p).resolve()) for p in found.submodule_search_locations or ()}))


def _key(home: Path) -> bytes:
    """Return this user's key, made at first use; empty if none can be kept here."""
    file = home / KEY
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            fresh = home / f".{KEY}-{os.getpid()}-{secrets.token_hex(4)}"
            fresh.touch(0o600, exist_ok=False)
            fresh.write_bytes(secrets.token_bytes(_KEY_BYTES))
            try:
                os.link(fresh, file)  # whole or not at all, and never over one that is there
            finally:
                fresh.unlink()
    with suppress(OSError):
        found = file.read_bytes()
        return found if len(found) == _KEY_BYTES else b""
    return b""
