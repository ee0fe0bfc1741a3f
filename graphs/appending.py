"""Answers that are appended to a file: a chunk of rows all or none, and what a kill left of a last row.

Owns durability of the formats that grow at their end, JSON lines and CSV. What a row looks like is in
``graphs.answers``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from preceptor.core.files import store_error
from preceptor.graphs import answers

BLOCK = 1 << 16


def append(path: Path, rows: Sequence[answers.Row], fields: Sequence[str]) -> None:
    """Append the rows of a chunk durably, all of them or none; a new CSV file begins with its header.

    Raises:
        StoreError: If the disk is full or read-only; the file is as it was then.
    """
    try:
        with path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            head = b"" if size else answers.head(path, fields)
            try:
                left = memoryview(head + answers.packed(path, rows, fields))
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
    except OSError as cause:
        raise store_error("append to", path, cause) from cause


def cut_torn_row(path: Path) -> None:
    """Cut off what a kill left of a last row."""
    try:
        with path.open("r+b") as file:
            whole = _whole_lines(file) if answers.delimiter(path) is None else _whole_csv(file)
            if whole < file.seek(0, os.SEEK_END):
                file.truncate(whole)
    except OSError as cause:
        raise store_error("read", path, cause) from cause


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
