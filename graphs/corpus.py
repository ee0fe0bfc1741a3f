"""The notes of a file that is to be extracted, in any format that task data have, one row at a time.

Owns which rows are notes, in which shard a note belongs, one error with file and row for whatever
is none, and the copy of notes that come through a pipe, which can be read only once. Memory does not
grow with the file, but for a JSON array. Leaves decoding lines and cells to ``evals.data``.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from preceptor.core.errors import InputError, TaskError
from preceptor.core.files import store_error
from preceptor.core.records import Example
from preceptor.evals import data
from preceptor.evals.data import parquet_rows as parquet_rows
from preceptor.evals.data import pyarrow as pyarrow

ENDINGS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
"""What can be read and written."""

IN_ENDINGS = tuple(data.ENDINGS)
"""What can be read."""

PIPE = Path("-")
"""What ``--in`` says for standard input."""


def kind(path: Path, option: str) -> str:
    """Return the ending of a file that can be read (``--in``) or written.

    Raises:
        InputError: If it is another one.
    """
    ending = path.suffix.casefold()
    known = IN_ENDINGS if option == "--in" else ENDINGS
    if ending not in known:
        raise InputError(
            f"{option} {str(path)!r}: cannot tell its format", f"name it {', '.join(known)}"
        )
    return ending


def notes(path: Path, columns: data.Columns, said: str = "") -> Iterator[tuple[int, Example]]:
    """Yield (row or line number from 1, note).

    Args:
        path: The file.
        columns: Which column holds id, text (or a template of it) and the group; a column ``group``
            need not be named.
        said: Who says what the text is made of, for an error: nobody, or a bundle.

    Raises:
        InputError: With file and row, if a row is no note, or has a column ``group`` while the first
            row has none, or the other way round.
    """
    kind(path, "--in")
    layout: _Layout | None = None

    def needed(names: list[str]) -> frozenset[str]:
        nonlocal layout
        layout = _Layout(columns, names, str(path), said)
        return layout.needed

    try:
        for number, row in data.rows(path, data.format_of(path), choose=needed):
            where = f"{path}, row {number}"
            layout = layout or _Layout(columns, [*row], where, said)
            yield number, layout.note(row, where)
    except TaskError as cause:
        raise InputError(cause.message, cause.hint) from cause


class _Layout:
    """Which column holds what in one file."""

    def __init__(self, columns: data.Columns, names: list[str], where: str, said: str) -> None:
        self._group = columns.group or "group"
        self._grouped = columns.group is not None or self._group in names
        self._id = columns.id or "id"
        self._check([self._id], names, where)
        try:
            self._text = data.text_of(columns.text, names, where)
        except TaskError as cause:
            by = f"; {said} puts texts together from {columns.text!r}: say --text" if said else ""
            say = "" if said else "; say which is which: --columns id=COLUMN,text=COLUMN or --text"
            raise InputError(cause.message, f"{cause.hint}{by}{say}") from cause
        self._named = [self._id, *self._text.columns, *([self._group] if self._grouped else [])]
        self._check(self._named, names, where)
        self.needed = frozenset(self._named)

    def _check(self, wanted: list[str], names: list[str], where: str) -> None:
        for name in wanted:
            if name not in names:
                raise data.missing(
                    name, names, where, "; say which is which: --columns id=COLUMN,text=COLUMN"
                )

    def note(self, row: data.Row, where: str) -> Example:
        """Return the note of a row."""
        if not self._grouped and self._group in row:
            raise InputError(
                f"{where}: a column {self._group!r}, which the first row does not have",
                "give every row one; null or empty where a note has no group",
            )
        self._check(self._named, [*row], where)
        name = data.key_of(row[self._id], self._id, where)
        text = self._text.of(row, where)
        data.check_text(text, where, "the text")
        patient = row.get(self._group)
        owner = name if data.empty(patient) else data.key_of(patient, self._group, where)
        return Example(id=name, group=owner, text=text)


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
        format: What an ending would say: ``jsonl``, ``json``, ``csv``, ``tsv`` or ``parquet``.
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
