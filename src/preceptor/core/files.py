"""Bytes on disk that survive a crash: whole files by rename, and append-only lines of JSON.

Owns durability (fsync, rename, torn last lines, a disk that is full) and the exclusion of several
writers of one file. Leaves what the lines and files mean to trace, runs and egress.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue

from preceptor.core import private
from preceptor.core.errors import StoreError
from preceptor.core.record import canonical

_HINTS = {
    errno.ENOSPC: "the disk is full: make room, then resume",
    errno.EDQUOT: "the disk quota is used up: make room, then resume",
    errno.EFBIG: "the file may not grow further: raise the file size limit, then resume",
    errno.EROFS: "the disk is read-only: choose another folder with runs_dir",
    errno.EACCES: "no permission: choose another folder with runs_dir, or change its owner",
    errno.EPERM: "no permission: choose another folder with runs_dir, or change its owner",
}


def store_error(what: str, path: Path, cause: OSError) -> StoreError:
    """Return the error that says what could not be done with ``path``, and what to do about it."""
    reason = os.strerror(cause.errno) if cause.errno else type(cause).__name__
    hint = _HINTS.get(cause.errno or 0, "check that the folder exists and can be written")
    return StoreError(f"cannot {what} {str(path)!r}: {reason}", hint)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, data: bytes, *, public: bool = False) -> None:
    """Write a file so that a reader, or a crash, sees all of it or nothing.

    Only its owner may read it, unless it is ``public``: then the umask says.

    Raises:
        StoreError: If the disk is full, read-only or not ours; nothing is left behind then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb", opener=None if public else _for_owner) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as cause:
        raise store_error("write", path, cause) from cause
    finally:
        temporary.unlink(missing_ok=True)


def _for_owner(path: str, flags: int) -> int:
    fd = os.open(path, flags, private.FILE)
    os.fchmod(fd, private.FILE)
    return fd


def parse_line(line: bytes) -> dict[str, JsonValue] | None:
    """Return the JSON object on a line; None for an empty or torn one.

    A torn line is a proper prefix of an object, so it is never an object itself.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class JsonLines:
    """An append-only file of JSON objects, one per line; safe for several threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen = 0

    def read(self) -> Iterator[tuple[int, dict[str, JsonValue]]]:
        """Yield (line number from 1, object) for every whole line; no file is no lines.

        Raises:
            StoreError: If the file is there but cannot be read.
        """
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        except OSError as cause:
            raise store_error("read", self.path, cause) from cause
        with file:
            for number, line in enumerate(file, 1):
                value = parse_line(line)
                if value is not None:
                    yield number, value

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Hold the file alone, against threads and processes, and hand out its writer.

        Raises:
            StoreError: If the file cannot be opened.
        """
        with self._lock:
            try:
                is_new = not self.path.exists()
                fd = os.open(
                    self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, private.FILE
                )
            except OSError as cause:
                raise store_error("open", self.path, cause) from cause
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if is_new:
                    os.fchmod(fd, private.FILE)
                    sync_folder(self.path.parent)
                yield Writer(self, fd)
            finally:
                os.close(fd)

    def append(self, value: Mapping[str, JsonValue]) -> None:
        """Append one object durably."""
        with self.writing() as writer:
            writer.append(value)


class Writer:
    """The right to append to a ``JsonLines`` that nobody else is writing."""

    def __init__(self, log: JsonLines, fd: int) -> None:
        self._log = log
        self._fd = fd

    def unseen(self) -> list[dict[str, JsonValue]]:
        """Return the objects that this ``JsonLines`` has not met yet, whoever wrote them."""
        start = self._log._seen
        data = _read_from(self._fd, start)
        self._log._seen = start + len(data)
        return [value for line in data.split(b"\n") if (value := parse_line(line)) is not None]

    def append(self, value: Mapping[str, JsonValue]) -> None:
        """Append one object and wait until it is on the disk.

        Raises:
            StoreError: If it could not be written; the file is as it was before.
            ValueError: If the object is not JSON (a NaN).
        """
        line = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        size = os.fstat(self._fd).st_size
        torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
        data = b"\n" * torn + line.encode("ascii") + b"\n"
        seen_all = self._log._seen == size
        try:
            _write_all(self._fd, data)
            os.fsync(self._fd)
        except OSError as cause:
            os.ftruncate(self._fd, size)
            raise store_error("append to", self._log.path, cause) from cause
        if seen_all:
            self._log._seen = size + len(data)


def _read_from(fd: int, start: int) -> bytes:
    size = os.fstat(fd).st_size
    parts = []
    while start < size:
        part = os.pread(fd, min(size - start, 1 << 24), start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def compact(value: JsonValue) -> bytes:
    """Return the canonical JSON text of a file's content, with a last newline."""
    return (canonical(value) + "\n").encode("utf-8", "surrogatepass")
