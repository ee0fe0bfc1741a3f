"""Files that only their owner may read: what a run, a bundle or an export holds comes from notes.

Owns the modes (folders 0700, files 0600), whatever the umask, and finding what is more open than that.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
_OTHERS = 0o077


@contextmanager
def owner_only() -> Iterator[None]:
    """Let nobody else read what this process, and those that it starts, make inside."""
    before = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def make_folder(path: Path, *, parents: bool = False, exist_ok: bool = False) -> None:
    """Make a folder that only its owner may enter; one that is there keeps its mode.

    Raises:
        OSError: As ``Path.mkdir`` does.
    """
    there = path.is_dir()
    path.mkdir(FOLDER, parents=parents, exist_ok=exist_ok)
    if not there:
        path.chmod(FOLDER)


def close(folder: Path) -> None:
    """Take from everybody else what is in a folder, and the folder itself; links are not followed.

    Raises:
        OSError: If it is not ours.
    """
    folder.chmod(FOLDER)
    for place, folders, files in os.walk(folder):
        for name in folders:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(FOLDER)
        for name in files:
            path = Path(place, name)
            if not path.is_symlink():
                # Scripts stay scripts, for their owner.
                path.chmod(FILE | (stat.S_IMODE(path.stat().st_mode) & stat.S_IXUSR))


def open_to_others(folder: Path) -> Iterator[Path]:
    """Yield what in a folder, itself included, somebody else may read or change.

    What lies in a folder that nobody else may enter is safe, and is not looked at again.
    """
    try:
        if folder.is_symlink() or not _is_open(folder):
            return
        yield folder
        for entry in sorted(folder.iterdir()):
            if entry.is_dir():
                yield from open_to_others(entry)
            elif not entry.is_symlink() and _is_open(entry):
                yield entry
    except OSError:
        return  # not ours to look at


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)
