"""The notes of a file that is to be extracted: JSON lines, CSV or Parquet, one row at a time.

Owns which rows are notes, in which shard a note belongs, one error with file and row for whatever
is none, and the copy of notes that come through a pipe, which can be read only once. Memory does not
grow with the file. Leaves decoding lines and cells to ``evals.data``.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from pydantic import JsonValue

from preceptor.core.errors import InputError, TaskError, boundary
from preceptor.core.files import store_error
from preceptor.core.records import Example
from preceptor.evals import data

ENDINGS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
BATCH = 512

READ_BYTES = 65_536
"""Of a Parquet file, read at once of each column."""

PIPE = Path("-")
"""What ``--in`` says for standard input."""

PYARROW_HINT = "install it: pip install pyarrow, or use .jsonl"


def kind(path: Path, option: str) -> str:
    """Return the ending of a file that can be read or written.

    Raises:
        InputError: If it is another one.
    """
    ending = path.suffix.casefold()
    if ending not in ENDINGS:
        raise InputError(
            f"{option} {str(path)!r}: cannot tell its format", f"name it {', '.join(ENDINGS)}"
        )
    return ending


def pyarrow(module: str = "pyarrow") -> ModuleType:
    """Import pyarrow, or one of its modules, late.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise InputError("Parquet files need the package pyarrow", PYARROW_HINT) from cause


def notes(path: Path, columns: data.Columns) -> Iterator[tuple[int, Example]]:
    """Yield (row or line number from 1, note).

    Args:
        path: The file.
        columns: Which column holds id, text and the group; a column ``group`` need not be named.

    Raises:
        InputError: With file and row, if a row is no note, or has a column ``group`` while the first
            row has none, or the other way round.
    """
    group = columns.group or "group"
    grouped: bool | None = None if columns.group is None else True
    for number, row in _rows(path):
        where = f"{path}, row {number}"
        if grouped is None:
            grouped = group in row
        if not grouped and group in row:
            raise InputError(
                f"{where}: a column {group!r}, which the first row does not have",
                "give every row one; null or empty where a note has no group",
            )
        wanted = [columns.id or "id", columns.text, *([group] if grouped else [])]
        missing = [name for name in wanted if name not in row]
        if missing:
            raise InputError(
                f"{where}: no column {missing[0]!r}",
                f"there are: {', '.join(map(str, row))}; say which is which with --columns",
            )
        name = _name(row[columns.id or "id"], where, columns.id or "id")
        text = row[columns.text]
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                f"{where}: column {columns.text!r} holds no text", "fill it or drop the row"
            )
        patient = row.get(group)
        owner = name if patient in (None, "") else _name(patient, where, group)
        try:
            f"{name}{owner}{text}".encode()
        except UnicodeEncodeError as cause:
            raise InputError(
                f"{where}: half a character, no valid Unicode", "repair that row"
            ) from cause
        yield number, Example(id=name, group=owner, text=text)


def _name(value: JsonValue, where: str, column: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise InputError(f"{where}: column {column!r} holds no id", "fill it with a text or a number")
    return str(value)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, JsonValue]]]:
    ending = kind(path, "--in")
    if ending == ".parquet":
        yield from parquet_rows(path)
        return
    try:
        yield from data.rows(path, "csv" if ending in (".csv", ".tsv") else "jsonl")
    except TaskError as cause:
        raise InputError(cause.message, cause.hint) from cause


def parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, JsonValue]]]:
    """Yield (row number from 1, row) of a Parquet file, batch by batch.

    Pages are read as they are needed: of a row group of any size, a few of each column are in memory.
    """
    parquet = pyarrow("pyarrow.parquet")
    number = 0
    with boundary(InputError, f"{path} cannot be read as Parquet", "check the file"):
        with path.open("rb") as opened:
            file = parquet.ParquetFile(opened, buffer_size=READ_BYTES, pre_buffer=False)
            for batch in file.iter_batches(BATCH, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row


def shard_of(note_id: str, shards: int) -> int:
    """Return the shard of a note, from its id alone, the same on every machine."""
    if shards == 1:
        return 0
    return int.from_bytes(hashlib.sha256(note_id.encode("utf-8")).digest()[:8], "big") % shards


@dataclass(frozen=True)
class Pipe:
    """Notes that come through a pipe.

    Attributes:
        stream: Where they come from.
        format: What an ending would say: ``jsonl``, ``csv``, ``tsv`` or ``parquet``.
    """

    stream: BinaryIO
    format: str = "jsonl"

    @contextmanager
    def spooled(self, folder: Path) -> Iterator[Path]:
        """Copy all of it into a file that goes when the block ends; errors tell of the pipe.

        Raises:
            StoreError: If the disk is full or read-only.
        """
        path = folder / f"input.{self.format}"
        try:
            try:
                with path.open("wb") as file:
                    shutil.copyfileobj(self.stream, file)
            except OSError as cause:
                raise store_error("copy standard input to", path, cause) from cause
            yield path
        except InputError as error:
            error.message = error.message.replace(repr(str(path)), "standard input")
            error.message = error.message.replace(str(path), "standard input")
            raise
        finally:
            path.unlink(missing_ok=True)
