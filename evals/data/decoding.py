"""The lines of a text file: UTF-8, or one line that says how to make it so.

Owns the advice about encodings. It never recommends a conversion that would lose characters without a
word: cp1252, not latin1, for a file of Windows (latin1 turns its dashes and quotes into control
characters), and none for a file that is UTF-8 in most of its lines.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from preceptor.core.errors import TaskError

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP file (an Excel workbook?)", "save it as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save it as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it: gunzip"),
    (b"PAR1", "a Parquet file", "name it .parquet, or say 'format: parquet'"),
)
_NO_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
"""Bytes that mean nothing in cp1252."""


def decoded(path: Path, file: BinaryIO) -> Iterator[str]:
    """Yield the lines of a file, without a byte order mark.

    Raises:
        TaskError: With line and byte, if it is not UTF-8, or no text at all.
    """
    at = 0
    for number, raw in enumerate(file, 1):
        if number == 1:
            _check_begin(path, raw)
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as cause:
            raise TaskError(
                f"{path}, line {number}: not UTF-8 at byte {at + cause.start}", _advice(path)
            ) from cause
        if "\x00" in line:
            raise TaskError(
                f"{path}, line {number}: a NUL character", "save it as text: CSV or JSON lines in UTF-8"
            )
        at += len(raw)
        yield line


def _check_begin(path: Path, raw: bytes) -> None:
    for mark, name in _BOMS:
        if raw.startswith(mark):
            raise TaskError(f"{path}, line 1: {name.upper()}, not UTF-8 at byte 0", _convert(name))
    for mark, what, hint in _FOREIGN:
        if raw.startswith(mark):
            raise TaskError(f"{path} is {what}", hint)
    for start, name in ((1, "utf-16le"), (0, "utf-16be")):
        half = raw[start:400:2]
        if len(half) > 1 and not any(half.rstrip(b"\n\r")) and any(raw[1 - start : 400 : 2]):
            raise TaskError(f"{path}, line 1: a NUL character: UTF-16, not UTF-8", _convert(name))


def _convert(encoding: str) -> str:
    return f"convert the file, e.g. with: iconv -f {encoding} -t utf-8"


def _advice(path: Path) -> str:
    """Look at the whole file, line by line; return what to do about it."""
    good = bad = 0
    seen: set[int] = set()
    with path.open("rb") as file:
        for raw in file:
            if raw.isascii():
                continue
            try:
                raw.decode("utf-8-sig")
                good += 1
            except UnicodeDecodeError:
                bad += 1
                seen.update(raw)
    if good:
        lines = f"{bad} line{'s' * (bad > 1)} of {good + bad} with letters beyond ASCII"
        return f"the file mixes encodings: {lines}; write them anew in UTF-8, do not convert the rest"
    if seen & _NO_CP1252:
        return "convert the file with iconv from what it was written in (not cp1252; cp850, macintosh?)"
    return _convert("cp1252")
