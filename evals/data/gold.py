"""The right answers of a row: in columns of their own, or in one object.

Owns what a cell is to its field: an empty one, and null, is a value that is not known. Leaves what
fits a field to the field itself (``evals.task.read_gold``).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec, ListField
from preceptor.core.records import Gold
from preceptor.core.spelling import as_key, shown
from preceptor.evals.data.columns import Columns
from preceptor.evals.data.keys import check_text
from preceptor.evals.data.rows import Row, parsed
from preceptor.evals.data.template import missing
from preceptor.evals.task import read_gold


def cell(row: Row, column: str, where: str) -> JsonValue:
    """Return a row's cell.

    Raises:
        TaskError: If there is no such column.
    """
    if column not in row:
        raise missing(column, row, where)
    return row[column]


def empty(value: JsonValue) -> bool:
    """Return whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


@dataclass(frozen=True)
class GoldReader:
    """Reads the gold values of rows.

    Attributes:
        fields: The task's fields.
        columns: Which column holds what.
        items: Between the items of a list that is written as a text.
    """

    fields: tuple[FieldSpec, ...]
    columns: Columns
    items: str | None

    def read(self, row: Row, where: str) -> Gold | None:
        """Return the gold values of a row, None if it has none.

        An empty cell, null, or in JSON lines a column that this row leaves out, is a missing value.
        """
        if self.columns.gold:
            found = self._object(cell(row, self.columns.gold, where), where)
        else:
            own = ((f, row.get(self.columns.fields.get(f.name, f.name))) for f in self.fields)
            found = {f.name: value for f, value in own if not empty(value)}
            found = {
                f.name: self._value(f, found[f.name], where) for f in self.fields if f.name in found
            }
        check_text(found, where, "a gold value")
        return (read_gold(self.fields, found, where) or None) if found else None

    def _object(self, raw: JsonValue, where: str) -> Gold:
        column = self.columns.gold
        if isinstance(raw, str):
            raw = _json(raw, f"{where}, column {column!r}") if raw.strip() else None
        if raw is not None and not isinstance(raw, dict):
            raise TaskError(f"{where}: column {column!r} is no object", 'e.g. {"pain": "absent"}')
        found: Gold = {}
        for name, value in (raw or {}).items():
            if as_key(name) in found:
                raise TaskError(f"{where}: field {shown(name)} stands twice in column {column!r}")
            found[as_key(name)] = value
        return found

    def _value(self, field: FieldSpec, value: JsonValue, where: str) -> JsonValue:
        """Return a cell as its field wants it: a list that is written as a text is cut, or is JSON."""
        if isinstance(field, ListField) and isinstance(value, str):
            if self.items and not value.lstrip().startswith("["):
                return [*value.split(self.items)]
            return _json(value, f"{where}, field {field.name!r}")
        return value


def _json(text: str, where: str) -> JsonValue:
    try:
        return parsed(text)
    except ValueError as cause:
        raise TaskError(
            f"{where}: not JSON",
            'write lists as ["a", "b"], or say what parts them: "items: \';\'" under data',
        ) from cause
