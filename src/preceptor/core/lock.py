"""One process per run: a lock that a dead process does not hold.

Owns the lock file. The kernel gives an ``flock`` back when its process ends, however it ends; children
made by fork give up their share at once, so that they cannot keep a dead parent's lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preceptor.core import private
from preceptor.core.errors import StoreError
from preceptor.core.files import parse_line, store_error

LOCK_FILE = "lock"
_TRIES = 5

_held: set[int] = set()


def _forget_in_child() -> None:
    for fd in _held:
        os.close(fd)  # LOCK_UN here would take the lock from the parent
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def _take(fd: int) -> bool:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if left:
                time.sleep(0.02)  # ``holder`` holds it for a moment to look
    return False


def _who(fd: int) -> str:
    said = parse_line(os.pread(fd, 4096, 0)) or {}
    return f"process {said.get('pid', 'unknown')} on {said.get('host', 'an unknown host')}"


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a run folder alone until the block, or the process, ends.

    Raises:
        StoreError: If another process (or another place in this one) holds it.
    """
    path = folder / LOCK_FILE
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
    except OSError as cause:
        raise store_error("lock", path, cause) from cause
    _held.add(fd)
    try:
        if not _take(fd):
            raise StoreError(
                f"run {folder.name!r} is in use by {_who(fd)}", "wait until it ends, or stop it"
            )
        mine = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
        os.ftruncate(fd, 0)
        os.pwrite(fd, mine.encode(), 0)
        yield
    finally:
        if fd in _held:  # a forked child that leaves this block has closed it already
            _held.discard(fd)
            os.close(fd)


def holder(folder: Path) -> str | None:
    """Return who holds a run folder (process and host), None if nobody does."""
    try:
        fd = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _who(fd)
    finally:
        os.close(fd)
