"""A folder that takes another's place in one step: a crash leaves the old one or the new one, whole.

Owns the exchange of two names, where the system has one (Linux: ``renameat2`` with RENAME_EXCHANGE;
macOS: ``renamex_np`` with RENAME_SWAP). Elsewhere it takes two renames, and only a crash between them
leaves none under its name.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from preceptor.core.files import sync_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = _RENAME_SWAP = 2


def put_in_place(fresh: Path, target: Path) -> None:
    """Give a finished folder its name; what had that name before is deleted.

    Args:
        fresh: The folder, beside ``target``.
        target: Its name; nothing, or a folder, is there.

    Raises:
        OSError: If it cannot be done; what was at ``target`` is still there then.
    """
    if not target.exists():
        fresh.rename(target)
    elif exchanged(fresh, target):
        shutil.rmtree(fresh, ignore_errors=True)
    else:
        old = fresh.with_name(f"{fresh.name}-old")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    sync_folder(target.parent)


def exchanged(one: Path, other: Path) -> bool:
    """Exchange the names of two folders; return whether this system can."""
    import ctypes

    names = os.fsencode(one), os.fsencode(other)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(*names, _RENAME_SWAP) == 0)
        done = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    except (OSError, AttributeError, TypeError):
        return False
    return bool(done == 0)
