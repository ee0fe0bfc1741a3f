"""Answers that are appended to a file: a chunk of rows all or none, and what a kill left of a last row.

Owns durability of the formats that grow at their end, JSON lines and CSV, and the check that a file is
one of answers before anything in it is changed. What a row looks like is in
``graphs.answers``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from preceptor.core.errors import InputError, StoreError
from preceptor.core.files import store_error
from preceptor.graphs import answers

BLOCK = 1 << 16


def append(
    path: Path, rows: Sequence[answers.Row], fields: Sequence[str], *, exact: bool = False
) -> None:
    """Append the rows of a chunk durably, all of them or none; a new CSV file begins with its header.

    Raises:
        StoreError: If the disk is full or read-only; the file is as it was then.
    """
    try:
        with path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            head = b"" if size else answers.head(path, fields)
            try:
                left = memoryview(head + answers.packed(path, rows, fields, exact=exact))
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
    except OSError as cause:
        raise store_error("append to", path, cause) from cause


def whole(path: Path) -> int:
    """Return how many bytes the whole rows take; what follows is what a kill left of a last one."""
    try:
        with path.open("rb") as file:
            return _whole_lines(file) if answers.delimiter(path) is None else _whole_csv(file)
    except OSError as cause:
        raise store_error("read", path, cause) from cause


def check_ours(path: Path, begun: bool) -> None:
    """Refuse to write into a file that holds something else than answers. Nothing is changed.

    Args:
        path: The file; it need not be there.
        begun: Whether an extraction into it left a trace, so that a torn first row may be its.

    Raises:
        InputError: If it begins with no answer.
    """
    if not path.exists():
        return
    said, hint = f"--out {str(path)!r} is there and holds no answers", "choose another --out"
    if not path.is_file():
        raise InputError(said, hint)
    if not path.stat().st_size:
        return
    try:
        end = whole(path) if answers.appendable(path) else 0
        first = next(answers.read(path, end), None)
        ours = first is not None or answers.headed(path, end)
    except InputError as cause:
        if isinstance(cause, StoreError):
            raise
        raise InputError(f"{said}: {cause.message}", hint) from cause
    if not ours and not (begun and answers.appendable(path)):
        raise InputError(said, hint)


def _whole_lines(file: BinaryIO) -> int:
    """Return where the last whole line ends, read from the end."""
    at = file.seek(0, os.SEEK_END)
    while at > 0:
        start = max(0, at - BLOCK)
        file.seek(start)
        found = file.read(at - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _whole_csv(file: BinaryIO) -> int:
    """Return where the last whole row ends: at a line break outside of quotes."""
    whole = at = 0
    quoted = False
    for line in file:
        at += len(line)
        quoted ^= line.count(b'"') % 2 == 1
        if not quoted and line.endswith(b"\n"):
            whole = at
    return whole
