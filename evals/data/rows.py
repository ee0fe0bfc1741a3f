"""The rows of a data file in any format: one dict per row, its columns' names as keys.

Owns which format a file has, JSON lines and JSON arrays. Leaves CSV to ``evals.data.table``, Parquet to
``evals.data.parquet``, and what the columns mean to ``evals.data.load``. Only a JSON array, and a
Parquet page, is in memory as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.core.spelling import as_key, is_text, shown
from preceptor.evals.data.columns import Format
from preceptor.evals.data.decoding import decoded
from preceptor.evals.data.parquet import Choose, parquet_rows
from preceptor.evals.data.table import table

Row = dict[str, JsonValue]

ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv",
    ".tab": "csv", ".txt": "csv", ".parquet": "parquet",
}  # fmt: skip
"""The format that a file's ending says. A ``.txt`` may hold JSON all the same, a ``.json`` lines."""


def format_of(path: Path, said: Format | None = None) -> Format:
    """Return how a file is written: as ``said``, by its ending, and for JSON by how it begins.

    Raises:
        TaskError: If its ending says nothing.
    """
    ending = path.suffix.casefold()
    found = said or ENDINGS.get(ending)
    if found is None:
        raise TaskError(
            f"{path}: cannot tell its format", "say 'format: jsonl', or csv, json or parquet"
        )
    if found == "json" or (ending == ".txt" and said is None):
        return _sniffed(path, found)
    return found


def unit(kind: Format) -> str:
    """Return what the numbers of ``rows`` count: lines of a file, or rows."""
    return "row" if kind in ("json", "parquet") else "line"


def _sniffed(path: Path, kind: Format) -> Format:
    try:
        with path.open("rb") as file:
            begin = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
            if begin.startswith(b"["):
                return "json"
            if not begin.startswith(b"{"):
                return kind
            file.seek(0)
            filled = (line for raw in file if (line := raw.removeprefix(b"\xef\xbb\xbf").strip()))
            first, second = next(filled, b""), next(filled, b"")
            return "jsonl" if second and first.endswith(b"}") and second.startswith(b"{") else "json"
    except OSError:  # reading it says what is wrong
        return kind


def rows(
    path: Path, kind: Format, between: str | None = None, choose: Choose | None = None
) -> Iterator[tuple[int, Row]]:
    """Yield (number, row) of a file: the line from 1, of several lines the last; else the row's number.

    Names of columns are as keys are (``core.spelling.as_key``), and each stands once.

    Args:
        path: The file.
        kind: How it is written.
        between: What stands between the cells of a CSV file; told by its first rows if None.
        choose: Which columns of a Parquet file are needed; all if None.

    Raises:
        TaskError: With file and line, for a row that cannot be read.
    """
    try:
        if kind == "parquet":
            with path.open("rb"):
                pass
            yield from parquet_rows(path, choose)
            return
        with path.open("rb") as file:
            lines = decoded(path, file)
            if kind == "csv":
                for line, cells in table(path, lines, between):
                    yield line, {**cells}
            elif kind == "json":
                yield from _array(path, "".join(lines))
            else:
                yield from _lines(path, lines)
    except FileNotFoundError as cause:
        raise TaskError(f"{path}: no such file", "paths are relative to the task file") from cause
    except OSError as cause:
        raise TaskError(f"{path}: cannot be read: {cause.strerror}") from cause


def parsed(text: str) -> JsonValue:
    """Return what a JSON text holds; NaN, which is no JSON, as null.

    Raises:
        ValueError: If it is no JSON, or nested too deep; the message never quotes it.
    """
    try:
        value: JsonValue = json.loads(text, parse_constant=_constant)
    except json.JSONDecodeError as cause:
        raise ValueError(cause.msg) from cause
    except RecursionError as cause:
        raise ValueError("nested too deep") from cause
    except ValueError as cause:
        raise ValueError("a number that cannot be read") from cause
    return value


def _constant(name: str) -> None:
    if name != "NaN":
        raise ValueError(name)


def _lines(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = parsed(line)
        except ValueError as cause:
            raise TaskError(f"{where}: not JSON ({cause})", "every line is one JSON object") from cause
        hint = "for one array of rows say 'format: json'" if isinstance(row, list) else ""
        yield number, _keyed(row, where, hint or "write {...} on every line")


def _array(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    if not text.strip():
        return
    try:
        found = parsed(text)
    except ValueError as cause:
        raise TaskError(
            f"{path}: not JSON ({cause})", "write a list of objects, or one object per line"
        ) from cause
    if isinstance(found, dict):
        lists = [name for name, held in found.items() if _is_table(held)]
        if lists:
            inside = f"its rows seem to be under {shown(lists[0])}: write that list alone into the file"
            raise TaskError(
                f"{path}: one JSON object, not a list of rows",
                inside if len(lists) == 1 else "write a list of objects, one per note: [{...}, {...}]",
            )
        found = [found]
    if not isinstance(found, list):
        raise TaskError(f"{path}: no list of rows", "write a list of objects: [{...}, {...}]")
    for number, row in enumerate(found, 1):
        yield number, _keyed(row, f"{path}, row {number}", "write a list of objects: [{...}, {...}]")


def _is_table(value: JsonValue) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _keyed(row: JsonValue, where: str, hint: str) -> Row:
    if not isinstance(row, dict):
        raise TaskError(f"{where}: not a JSON object", hint)
    made = {as_key(name): value for name, value in row.items()}
    if len(made) != len(row):
        raise TaskError(f"{where}: a column name occurs twice", "blanks around a name do not count")
    for name in made:
        if not is_text(name):
            raise TaskError(f"{where}: half a character in a column's name", "repair that name")
    return made
