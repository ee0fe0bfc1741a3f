"""The rows of a CSV file, whatever program wrote it.

Owns which sign parts its cells, a first line ``sep=;``, blanks after the delimiter, columns without a
name, and rows that hold nothing. Leaves encodings to ``evals.data.decoding``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from preceptor.core.errors import TaskError
from preceptor.core.spelling import as_key, shown
from preceptor.evals.data.decoding import decoded

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between the cells of a CSV file; the first one if nothing speaks for another."""

HEAD_LINES, HEAD_CHARS = 500, 200_000
"""How much of a CSV file is looked at to tell its delimiter."""

TABBED = (".tsv", ".tab")
"""Endings that say what stands between the cells."""

_SAID = re.compile(r'"?sep=(.)"?[,;\t|]*\s*', re.IGNORECASE)

csv.field_size_limit(2**30)  # a note may be longer than the library's default of 128 KiB


def delimiter(path: Path) -> str:
    """Return what stands between the cells of a CSV file: what cuts its first rows into equal numbers.

    Spreadsheet programs write semicolons where the comma is the decimal sign, and some say so in a
    first line ``sep=;``.

    Raises:
        TaskError: If the file's beginning is not UTF-8.
    """
    with path.open("rb") as file:
        begin = _begin(decoded(path, file))
        return _said(begin) or _told(path, begin)


def table(
    path: Path, lines: Iterator[str], between: str | None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, cells by column) of a CSV file; of a row of several lines the last one.

    Args:
        path: The file, for errors.
        lines: Its lines.
        between: What stands between cells; told by the first rows if None.

    Raises:
        TaskError: With the line, for a row that cannot be read.
    """
    begin = _begin(lines)
    said = _said(begin)
    before = 1 if said else 0
    between = between or said or _told(path, begin[before:])
    spaced = _spaced(begin[before:], between)
    reader = csv.reader(
        chain(begin[before:], lines), delimiter=between, strict=True, skipinitialspace=spaced
    )
    try:
        header = next(_filled(reader), [])
        width, named = _named(header, f"{path}, line {reader.line_num + before}")
        for row in _filled(reader):
            where = f"{path}, line {reader.line_num + before}"
            if len(row) < width or any(cell.strip() for cell in row[width:]):
                raise TaskError(
                    f"{where}: {len(row)} cells, the header has {width}",
                    "quote texts that hold the delimiter or line breaks",
                )
            yield reader.line_num + before, {name: row[i] for i, name in named}
    except csv.Error as cause:
        macs = "new-line character" in str(cause)
        raise TaskError(
            f"{path}, line {reader.line_num + before}: broken CSV "
            f"({'a carriage return inside a row' if macs else cause})",
            "save it with the line ends of Unix or Windows, and quote cells of several lines"
            if macs
            else "quote cells that hold quotes, and double those",
        ) from cause


def _filled(reader: Iterable[list[str]]) -> Iterator[list[str]]:
    """Leave out rows that hold nothing but delimiters and blanks."""
    return (row for row in reader if any(cell.strip() for cell in row))


def _named(header: list[str], where: str) -> tuple[int, list[tuple[int, str]]]:
    """Return how many cells a row has, and which of them have a name."""
    named = [(i, name) for i, cell in enumerate(header) if (name := as_key(cell))]
    seen: set[str] = set()
    for _, name in named:
        if name in seen:
            raise TaskError(f"{where}: a column name occurs twice: {shown(name)}", "rename one of them")
        seen.add(name)
    return (named[-1][0] + 1 if named else 0), named


def _begin(lines: Iterator[str]) -> list[str]:
    begin: list[str] = []
    size = 0
    while len(begin) < HEAD_LINES and size < HEAD_CHARS and (line := next(lines, "")):
        begin.append(line)
        size += len(line)
    return begin


def _said(begin: list[str]) -> str | None:
    """Return the delimiter that a first line ``sep=;`` names, None if there is no such line."""
    found = _SAID.fullmatch(begin[0]) if begin else None
    return found.group(1) if found else None


def _told(path: Path, begin: list[str]) -> str:
    if path.suffix.casefold() in TABBED:
        return "\t"
    return max(DELIMITERS, key=lambda between: _evenness(begin, between))


def _spaced(begin: list[str], between: str) -> bool:
    """Return whether the header has blanks after its delimiters: then they are no part of any cell."""
    header = next((line for line in begin if line.strip(between + " \t\r\n")), "")
    return f"{between} " in header and between != " "


def _evenness(begin: list[str], between: str) -> tuple[float, int]:
    """Return the share of the first rows that have as many cells as the header, and that number."""
    spaced = _spaced(begin, between)
    reader = csv.reader(begin, delimiter=between, strict=True, skipinitialspace=spaced)
    counts: list[int] = []
    try:
        counts.extend(len(row) for row in reader if row)
    except csv.Error:  # a cell that goes on behind the beginning, or a quote that is none
        counts.append(0)
    if not counts or counts[0] < 2:
        return 0.0, 0
    return sum(n == counts[0] for n in counts) / len(counts), counts[0]
