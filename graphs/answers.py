"""Files of answers: one row per note, as JSON lines, CSV or Parquet, and the slip beside them.

Owns the shape of a row, reading and writing the three formats row by row, and the slip
(``FILE.extract.json``) that says what a finished file answers. Leaves asking to ``graphs.extracting``,
and files that grow at their end to ``graphs.appending``.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue, ValidationError

from preceptor.core.errors import InputError
from preceptor.core.files import store_error, sync_folder, write_whole
from preceptor.core.formulas import escaped
from preceptor.core.reading import loads
from preceptor.core.record import Record
from preceptor.core.records import Gold, Status
from preceptor.graphs import corpus

VERSION = 1
COLUMNS = ("id", "status", "record", "problems", "evidence", "confidence", "key")
ROWS_AT_ONCE = 512


class Row(Record):
    """The answer to one note.

    Attributes:
        id: The note.
        status: The worst status among its fields.
        record: One value per field that could be read; None if nothing could.
        problems: Why a field has no value.
        evidence: Per field, the sentences where its value can be checked.
        confidence: Per field, the probability that the student gave its answer; None where the
            backend tells none.
        key: The content hash of the note and of who answered it.
    """

    id: str
    status: Status
    record: Gold | None
    problems: dict[str, Status] = Field(default_factory=dict)
    evidence: dict[str, list[str]] = Field(default_factory=dict)
    confidence: dict[str, float] | None = None
    key: str = ""


class Slip(Record):
    """What a finished file of answers says about itself.

    Attributes:
        version: Of this slip.
        task: What was asked.
        recipe: The fingerprint of who answered.
        fields: The asked fields, in order.
        corpus: The content hash of all notes of the input.
        notes: How many those are.
        shards: Into how many shards they were cut.
        shard_index: Which one this is, from 0.
        rows: How many rows the file has.
        statuses: How many of this shard's notes have which status.
    """

    version: int = VERSION
    task: str
    recipe: str
    fields: tuple[str, ...]
    corpus: str
    notes: int
    shards: int
    shard_index: int
    rows: int
    statuses: dict[str, int]


def slip_path(path: Path) -> Path:
    """Return where the slip of a file of answers lies."""
    return path.with_name(f"{path.name}.extract.json")


def write_slip(path: Path, slip: Slip) -> None:
    """Write the slip of a finished file."""
    write_whole(slip_path(path), f"{json.dumps(slip.model_dump(mode='json'), indent=2)}\n".encode())


def read_slip(path: Path) -> Slip:
    """Return the slip of a finished file.

    Raises:
        InputError: If the file is missing or unfinished, or the slip is of another version.
    """
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}", "name the --out of an extract")
    try:
        raw = loads(slip_path(path).read_text("utf-8"))
        if raw.get("version", 0) > VERSION:
            raise InputError(f"{str(slip_path(path))!r} is of a newer version", "update preceptor")
        return Slip.model_validate(raw)
    except FileNotFoundError as cause:
        raise InputError(
            f"{str(path)!r} is not finished: it has no {slip_path(path).name}",
            "finish it: give its extract command again",
        ) from cause
    except (ValueError, AttributeError, OSError) as cause:
        raise InputError(f"{str(slip_path(path))!r} cannot be read", "extract again") from cause


def line(row: Row) -> bytes:
    """Return a row as a line of JSON."""
    return (json.dumps(row.model_dump(mode="json"), ensure_ascii=False) + "\n").encode("utf-8")


def read(path: Path, end: int | None = None) -> Iterator[Row]:
    """Yield the rows of a file of answers, in order.

    Args:
        path: The file.
        end: How many of its bytes are read, of a file that can grow; None for all.

    Raises:
        InputError: If it is none, with the row.
    """
    ending = corpus.kind(path, "answers")
    rows = {".parquet": _packed_parquet, ".csv": _packed_csv, ".tsv": _packed_csv}.get(ending, _lines)
    for number, found in enumerate(rows(path, end), 1):
        try:
            yield Row.model_validate(found)
        except ValidationError as cause:
            raise InputError(
                f"{path}, row {number}: not an answer of preceptor extract", "name another file"
            ) from cause


def headed(path: Path, end: int) -> bool:
    """Return whether a file without rows has the columns of answers; JSON lines have none.

    Raises:
        InputError: If it cannot be read.
    """
    if not appendable(path):
        names = corpus.pyarrow("pyarrow.parquet").read_schema(path).names
    elif delimiter(path) is None:
        return False
    else:
        with _table(path, end) as file:
            names = next(csv.reader(file, delimiter=delimiter(path) or ","), [])
    return {*COLUMNS} <= {*names}


class _Until(io.RawIOBase):
    """A file as far as its whole rows go."""

    def __init__(self, path: Path, end: int) -> None:
        self._file, self._left = path.open("rb"), end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(min(len(buffer), self._left))
        buffer[: len(found)] = found
        self._left -= len(found)
        return len(found)

    def close(self) -> None:
        self._file.close()
        super().close()


def _opened(path: Path, end: int | None) -> io.BufferedReader:
    return path.open("rb") if end is None else io.BufferedReader(_Until(path, end))


def _lines(path: Path, end: int | None) -> Iterator[JsonValue]:
    with _opened(path, end) as file:
        for number, raw in enumerate(file, 1):
            try:
                yield loads(raw)
            except ValueError as cause:
                raise InputError(f"{path}, line {number}: not JSON", "name another file") from cause


def _unpacked(row: dict[str, JsonValue], path: Path) -> JsonValue:
    try:
        return {name: loads(str(row[name])) if name in COLUMNS[2:6] else row[name] for name in COLUMNS}
    except (KeyError, ValueError) as cause:
        raise InputError(
            f"{str(path)!r} holds no answers of preceptor extract", "name another file"
        ) from cause


def _packed_csv(path: Path, end: int | None) -> Iterator[JsonValue]:
    with _table(path, end) as file:
        for row in csv.DictReader(file, delimiter=delimiter(path) or ",", strict=True):
            yield _unpacked({**row}, path)


@contextmanager
def _table(path: Path, end: int | None) -> Iterator[io.TextIOWrapper]:
    try:
        # A spreadsheet program that saved the file may have put a byte order mark before it.
        with io.TextIOWrapper(_opened(path, end), encoding="utf-8-sig", newline="") as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as cause:
        raise InputError(
            f"{str(path)!r} holds no answers of preceptor extract", "name another file"
        ) from cause


def _packed_parquet(path: Path, _: int | None) -> Iterator[JsonValue]:
    return (_unpacked(row, path) for _, row in corpus.parquet_rows(path))


def delimiter(path: Path) -> str | None:
    """Return what stands between the cells of a CSV file, None for another format."""
    return {".csv": ",", ".tsv": "\t"}.get(path.suffix.casefold())


def appendable(path: Path) -> bool:
    """Return whether a file of this format can grow at its end."""
    return path.suffix.casefold() != ".parquet"


def head(path: Path, fields: Sequence[str]) -> bytes:
    """Return what a file that can grow begins with: the header of a CSV file, else nothing."""
    between = delimiter(path)
    return _csv_rows([_names(fields)], between) if between else b""


def packed(path: Path, rows: Iterable[Row], fields: Sequence[str], *, exact: bool = False) -> bytes:
    """Return rows as they are appended to a file that can grow; ``exact`` as in ``write``."""
    between = delimiter(path)
    if between is None:
        return b"".join(map(line, rows))
    return _csv_rows((_cells(row, fields, safe=not exact) for row in rows), between)


def write(path: Path, rows: Iterable[Row], fields: Sequence[str], *, exact: bool = False) -> int:
    """Write a file of answers, whole or not at all; return how many rows it has.

    Args:
        path: The file; its ending says the format.
        rows: Its rows, read one at a time.
        fields: The asked fields: CSV and Parquet have a column ``record.FIELD`` for each.
        exact: Whether CSV has values of a model as they are, also those that a spreadsheet program
            would run as a formula.

    Raises:
        StoreError: If the disk is full or read-only; a file that was there is untouched then.
    """
    ending = corpus.kind(path, "--out")
    cells = partial(_write_csv, exact=exact)
    writers: dict[str, _Writer] = {".csv": cells, ".tsv": cells, ".parquet": _write_parquet}
    fresh = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        count = writers.get(ending, _write_lines)(fresh, rows, fields)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as cause:
        raise store_error("write", path, cause) from cause
    finally:
        fresh.unlink(missing_ok=True)
    return count


_Writer = Callable[[Path, Iterable[Row], Sequence[str]], int]


def _write_lines(path: Path, rows: Iterable[Row], fields: Sequence[str]) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            file.write(line(row))
            count += 1
    return count


def _packed(row: Row) -> list[str]:
    said = row.model_dump(mode="json")
    return [
        json.dumps(said[name], ensure_ascii=False) if name in COLUMNS[2:6] else str(said[name])
        for name in COLUMNS
    ]


def _cell(row: Row, field: str) -> str | None:
    value = (row.record or {}).get(field)
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _names(fields: Sequence[str]) -> list[str]:
    return [*COLUMNS, *(f"record.{name}" for name in fields)]


def _cells(row: Row, fields: Sequence[str], *, safe: bool = False) -> list[str | None]:
    values = [_cell(row, name) for name in fields]
    return [*_packed(row), *(escaped(v) if safe and v is not None else v for v in values)]


def _csv_rows(rows: Iterable[Sequence[str | None]], between: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=between).writerows(rows)
    return text.getvalue().encode("utf-8")


def _write_csv(path: Path, rows: Iterable[Row], fields: Sequence[str], *, exact: bool = False) -> int:
    count = 0
    with path.open("wb") as file:
        file.write(head(path, fields))
        for row in rows:
            file.write(packed(path, [row], fields, exact=exact))
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterable[Row], fields: Sequence[str]) -> int:
    arrow, parquet = corpus.pyarrow(), corpus.pyarrow("pyarrow.parquet")
    schema: Any = arrow.schema([(name, arrow.string()) for name in _names(fields)])
    count = 0
    left = iter(rows)
    with parquet.ParquetWriter(str(path), schema) as out:
        while batch := list(islice(left, ROWS_AT_ONCE)):
            cells = [_cells(row, fields) for row in batch]
            columns = [list(column) for column in zip(*cells, strict=True)]
            out.write_batch(arrow.record_batch(columns, schema=schema))
            count += len(batch)
    return count
