"""What a task file says about its data: the file, its format, and which column holds what.

Owns ``Source`` and ``Columns``. Names of columns are compared as keys are (``core.spelling``).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from preceptor.core.record import Record
from preceptor.core.spelling import as_key, nfc

Format = Literal["jsonl", "csv", "json", "parquet"]

USUAL = ("group", "split", "gold")
"""Columns that are understood by their names alone."""


class Columns(Record):
    r"""Which column holds what.

    Attributes:
        id: The example's id; null: the row number.
        text: The note: a column, or a template over several (``{title}\n{body}``).
        group: The patient. If not given: the column ``group`` if there is one. Null: every example is
            its own group.
        split: The part that the data prescribe (train, dev or test). If not given: the column
            ``split`` if there is one. Null: the data prescribe none.
        gold: An object of gold values by field name (in CSV its JSON text). If not given: the
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

    @field_validator("id", "group", "split", "gold")
    @classmethod
    def _key(cls, name: str | None) -> str | None:
        return name if name is None else as_key(name)

    @field_validator("text")
    @classmethod
    def _composed(cls, text: str) -> str:
        return nfc(text)

    @field_validator("fields")
    @classmethod
    def _keys(cls, fields: dict[str, str]) -> dict[str, str]:
        return {as_key(name): as_key(column) for name, column in fields.items()}


class Source(Record):
    """A data file and how it is read.

    Attributes:
        path: The file; in a task file relative to it.
        format: ``jsonl``, ``csv``, ``json`` or ``parquet``; by the file's ending if not given.
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
