"""Reads examples from JSONL and CSV files, one row at a time.

Owns rows to ``Example``: encodings, columns, gold values, and an error with file and line for each
thing that can be wrong. Memory grows with the examples kept, not with the file. Leaves what a task
file says to ``evals.taskfile``.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import Field, JsonValue

from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec, ListField
from preceptor.core.record import Record
from preceptor.core.records import Example, Gold
from preceptor.evals.splits import PARTS, SPLIT_KEY
from preceptor.evals.task import read_gold

Format = Literal["jsonl", "csv"]
Row = dict[str, JsonValue]

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between the cells of a CSV file; the first one if nothing speaks for another."""

HEAD_LINES, HEAD_CHARS = 500, 200_000
"""How much of a CSV file is looked at to tell its delimiter."""

USUAL = ("group", "split", "gold")
"""Columns that are understood by their names alone."""

csv.field_size_limit(2**30)  # a note may be longer than the library's default of 128 KiB


class Columns(Record):
    """Which column holds what.

    Attributes:
        id: The example's id; the row number if the data have none.
        text: The note.
        group: The patient. If not given: the column ``group`` if there is one. Null: every example is
            its own group.
        split: The part that the data prescribe (train, dev or test). If not given: the column
            ``split`` if there is one. Null: the data prescribe none.
        gold: An object of gold values by field name (JSONL; in CSV its JSON text). If not given: the
            column ``gold`` if there is one and the fields have no columns. Null: each field is looked
            for in a column of its own.
        fields: The column of a field, where it is not named like the field.
    """

    id: str | None = "id"
    text: str = "text"
    group: str | None = None
    split: str | None = None
    gold: str | None = None
    fields: dict[str, str] = Field(default_factory=dict)


class Source(Record):
    """A data file and how it is read.

    Attributes:
        path: The file; in a task file relative to it.
        format: ``jsonl`` or ``csv``; by the file's ending if not given.
        columns: Which column holds what.
        delimiter: Between the columns of a CSV file; told by its first rows if not given.
        items: Between the items of a list that is written as a text («cane; walker»). A text that
            begins with ``[`` is JSON all the same, and each is if this is not given.
    """

    path: str
    format: Format | None = None
    columns: Columns = Columns()
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    items: str | None = Field(default=None, min_length=1, max_length=1)


def load(source: Source, fields: tuple[FieldSpec, ...], folder: Path = Path()) -> tuple[Example, ...]:
    """Return the examples of a file.

    Args:
        source: The file, and its columns.
        fields: The task's fields.
        folder: What a relative path is relative to.

    Raises:
        TaskError: With file and line, for anything that is wrong.
    """
    path = folder / source.path
    seen: dict[str, int] = {}
    groups: dict[str, tuple[JsonValue, int]] = {}
    out = []
    layout: _Layout | None = None
    for line, row in rows(path, _format(source, path), source.delimiter):
        where = f"{path}, line {line}"
        layout = layout or _Layout(source.columns, fields, row, where)
        layout.check(row, where)
        example = _example(row, layout.columns, fields, where, source.items)
        first = seen.setdefault(example.id, line)
        if first != line:
            raise TaskError(
                f"{path}: id {example.id!r} stands in lines {first} and {line}",
                "give every example its own id",
            )
        _same_part(path, line, example, groups)
        out.append(example)
    if layout is None:
        raise TaskError(f"{path}: no examples in it", "give it at least one row")
    layout.close()
    return tuple(out)


class _Layout:
    """Which column holds what in one file: what the task file says, and what the first row shows."""

    def __init__(self, said: Columns, fields: tuple[FieldSpec, ...], first: Row, where: str) -> None:
        own = {said.fields.get(f.name, f.name) for f in fields}
        taken = own | {said.id, said.text, said.group, said.split, said.gold}
        free = {n for n in USUAL if n not in said.model_fields_set and n not in taken}
        if said.fields or own <= first.keys():
            free.discard("gold")
        self.columns = said.model_copy(update={n: n for n in free if n in first})
        self._free = free
        self._first, self._where = first, where
        self._unseen = set() if self.columns.gold else own

    def check(self, row: Row, where: str) -> None:
        """Raise a TaskError if a column that was not named is there in some rows only."""
        self._unseen -= row.keys()
        for name in sorted(self._free):
            if name in row and name not in self._first:
                raise TaskError(
                    f"{where}: a column {name!r}, which the first row does not have",
                    f"give every row one, or say 'columns: {{{name}: null}}' to leave it alone",
                )
            if name in self._first and name != "gold" and row.get(name) in (None, ""):
                raise TaskError(
                    f"{where}: column {name!r} is empty or not there",
                    f"fill it in every row, or say 'columns: {{{name}: null}}' to leave it alone",
                )

    def close(self) -> None:
        """Raise a TaskError if no row has a column for some field."""
        if self._unseen:
            raise TaskError(
                f"{self._where}: no column {min(self._unseen)!r}",
                f"there are: {', '.join(self._first)}",
            )


def _same_part(
    path: Path, line: int, example: Example, groups: dict[str, tuple[JsonValue, int]]
) -> None:
    part = example.meta.get(SPLIT_KEY)
    if part is None:
        return
    other, first = groups.setdefault(example.group, (part, line))
    if other != part:
        raise TaskError(
            f"{path}: group {example.group!r} stands in two splits ({other} in line {first}, "
            f"{part} in line {line})",
            "put all examples of a group into one split",
        )


def _format(source: Source, path: Path) -> Format:
    if source.format:
        return source.format
    ending = path.suffix.casefold().lstrip(".")
    if ending in ("jsonl", "ndjson"):
        return "jsonl"
    if ending in ("csv", "tsv"):
        return "csv"
    raise TaskError(f"{path}: cannot tell its format", "say 'format: jsonl' or 'format: csv'")


def rows(path: Path, kind: Format, between: str | None = None) -> Iterator[tuple[int, Row]]:
    """Yield (line, row) of a file, line from 1; for a CSV row of several lines its last one.

    Args:
        path: The file.
        kind: How it is written.
        between: What stands between the cells of a CSV file; told by its first rows if None.

    Raises:
        TaskError: With file and line, for a row that cannot be read.
    """
    try:
        with path.open("rb") as file:
            lines = _decoded(path, file)
            if kind == "jsonl":
                yield from _jsonl(path, lines)
                return
            begin = [] if between else _begin(lines)
            yield from _csv(path, chain(begin, lines), between or _delimiter(path, begin))
    except FileNotFoundError as cause:
        raise TaskError(f"{path}: no such file", "paths are relative to the task file") from cause
    except OSError as cause:
        raise TaskError(f"{path}: cannot be read: {cause.strerror}") from cause


def delimiter(path: Path) -> str:
    """Return what stands between the cells of a CSV file: what cuts its first rows into equal numbers.

    Spreadsheet programs write semicolons where the comma is the decimal sign.

    Raises:
        TaskError: If the file's beginning is not UTF-8.
    """
    with path.open("rb") as file:
        return _delimiter(path, _begin(_decoded(path, file)))


def _begin(lines: Iterator[str]) -> list[str]:
    begin: list[str] = []
    size = 0
    while len(begin) < HEAD_LINES and size < HEAD_CHARS and (line := next(lines, "")):
        begin.append(line)
        size += len(line)
    return begin


def _delimiter(path: Path, begin: list[str]) -> str:
    if path.suffix.casefold() == ".tsv":
        return "\t"
    return max(DELIMITERS, key=lambda between: _evenness(begin, between))


def _evenness(begin: list[str], between: str) -> tuple[float, int]:
    """Return the share of the first rows that have as many cells as the header, and that number."""
    reader = csv.reader(begin, delimiter=between, strict=True)
    counts: list[int] = []
    try:
        counts.extend(len(row) for row in reader if row)
    except csv.Error:  # a cell that goes on behind the beginning, or a quote that is none
        counts.append(0)
    if not counts or counts[0] < 2:
        return 0.0, 0
    return sum(n == counts[0] for n in counts) / len(counts), counts[0]


def _decoded(path: Path, file: BinaryIO) -> Iterator[str]:
    at = 0
    for number, raw in enumerate(file, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as cause:
            wide = number == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            raise TaskError(
                f"{path}, line {number}: not UTF-8 at byte {at + cause.start}",
                f"convert the file, e.g. with: iconv -f {'utf-16' if wide else 'latin1'} -t utf-8",
            ) from cause
        if "\x00" in line:
            raise TaskError(
                f"{path}, line {number}: a NUL character", "save it as text: CSV or JSON lines in UTF-8"
            )
        at += len(raw)
        yield line


def _jsonl(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as cause:
            raise TaskError(
                f"{path}, line {number}: not JSON ({getattr(cause, 'msg', 'nested too deep')})",
                "every line is one JSON object",
            ) from cause
        if not isinstance(row, dict):
            raise TaskError(f"{path}, line {number}: not a JSON object", "write {...} on every line")
        yield number, row


def _csv(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) != len(header):
            raise TaskError(f"{path}, line 1: a column name occurs twice")
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise TaskError(
                    f"{path}, line {reader.line_num}: {len(row)} cells, the header has {len(header)}",
                    "quote texts that hold the delimiter or line breaks",
                )
            yield reader.line_num, {**dict(zip(header, row, strict=True))}
    except csv.Error as cause:
        raise TaskError(f"{path}, line {reader.line_num}: broken CSV ({cause})") from cause


def _cell(row: Row, column: str, where: str) -> JsonValue:
    if column not in row:
        raise TaskError(f"{where}: no column {column!r}", f"there are: {', '.join(row)}")
    return row[column]


def _example(
    row: Row, columns: Columns, fields: tuple[FieldSpec, ...], where: str, items: str | None
) -> Example:
    text = _cell(row, columns.text, where)
    if not isinstance(text, str) or not text.strip():
        raise TaskError(f"{where}: column {columns.text!r} holds no text", "fill it or drop the row")
    name = columns.id and _text(_cell(row, columns.id, where), columns.id, where)
    group = columns.group and _text(_cell(row, columns.group, where), columns.group, where)
    name = name or f"row-{where.rpartition(' ')[2]}"
    gold = _gold(row, columns, fields, where, items)
    part = _cell(row, columns.split, where) if columns.split else None
    if part and part not in PARTS:
        raise TaskError(f"{where}: split {part!r}", f"one of {', '.join(PARTS)}, or empty")
    return Example(
        id=name,
        group=group or name,
        text=text,
        gold=gold,
        meta={SPLIT_KEY: part} if part else {},
    )


def _text(value: JsonValue, column: str, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise TaskError(f"{where}: column {column!r} holds no id", "fill it with a text or a number")
    return str(value)


def _gold(
    row: Row, columns: Columns, fields: tuple[FieldSpec, ...], where: str, items: str | None
) -> Gold | None:
    """Return the gold values of a row, None if it has none.

    An empty cell, or in JSON lines a column that this row leaves out, is a missing value.
    """
    if columns.gold:
        raw = _cell(row, columns.gold, where)
        raw = _json(raw, f"{where}, column {columns.gold!r}") if isinstance(raw, str) and raw else raw
        if raw is not None and raw != "" and not isinstance(raw, dict):
            raise TaskError(f"{where}: column {columns.gold!r} is no object", 'e.g. {"pain": "absent"}')
        found = raw if isinstance(raw, dict) else {}
    else:
        cells = ((f, row.get(columns.fields.get(f.name, f.name))) for f in fields)
        found = {f.name: _value(f, cell, where, items) for f, cell in cells if cell not in (None, "")}
    return read_gold(fields, found, where) if found else None


def _value(field: FieldSpec, cell: JsonValue, where: str, items: str | None) -> JsonValue:
    """Return a cell as its field wants it: a list that is written as a text is cut, or read as JSON."""
    if isinstance(field, ListField) and isinstance(cell, str):
        if items and not cell.lstrip().startswith("["):
            return [*cell.split(items)]
        return _json(cell, f"{where}, field {field.name!r}")
    return cell


def _json(text: str, where: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as cause:
        raise TaskError(
            f"{where}: not JSON",
            'write lists as ["a", "b"], or say what parts them: "items: \';\'" under data',
        ) from cause
    return value
