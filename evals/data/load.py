"""From the rows of a data file to examples.

Owns which column is what in one file, and an error with file and line for each row that is no example.
Memory grows with the examples kept, not with the file (but for a JSON array). Leaves reading files to
``evals.data.rows``, and what a task file says to ``evals.taskfile``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec
from preceptor.core.records import Example
from preceptor.core.spelling import as_key, shown
from preceptor.evals.data.columns import USUAL, Columns, Source
from preceptor.evals.data.gold import GoldReader, cell, empty
from preceptor.evals.data.keys import check_text, key_of
from preceptor.evals.data.rows import Row, format_of, rows, unit
from preceptor.evals.data.template import Text, missing, text_of
from preceptor.evals.splits import PARTS, SPLIT_KEY


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
    kind = format_of(path, source.format)
    counted = unit(kind)
    seen: dict[str, int] = {}
    groups: dict[str, tuple[JsonValue, int]] = {}
    out = []
    layout: _Layout | None = None

    def needed(names: list[str]) -> frozenset[str]:
        nonlocal layout
        layout = _Layout(source.columns, fields, names, str(path))
        return layout.needed

    for line, row in rows(path, kind, source.delimiter, needed):
        where = f"{path}, {counted} {line}"
        layout = layout or _Layout(source.columns, fields, row, where)
        layout.check(row, where)
        example = _example(row, layout, where, GoldReader(fields, layout.columns, source.items))
        first = seen.setdefault(example.id, line)
        if first != line:
            raise TaskError(
                f"{path}: id {shown(example.id)} stands in {counted}s {first} and {line}",
                "give every example its own id",
            )
        _same_part(path, line, example, groups)
        out.append(example)
    if layout is None or not out:
        raise TaskError(f"{path}: no examples in it", "give it at least one row")
    layout.close()
    return tuple(out)


class _Layout:
    """Which column holds what in one file: what the task file says, and what the first row shows."""

    def __init__(
        self, said: Columns, fields: tuple[FieldSpec, ...], names: Iterable[str], where: str
    ) -> None:
        self._names = list(names)
        own = {said.fields.get(f.name, f.name) for f in fields}
        taken = own | {said.id, as_key(said.text), said.group, said.split, said.gold}
        free = {n for n in USUAL if n not in said.model_fields_set and n not in taken}
        if said.fields or own <= set(self._names):
            free.discard("gold")
        self.text: Text = text_of(said.text, self._names, where)
        self.columns = said.model_copy(update={n: n for n in free if n in self._names})
        self._free = free
        self._where = where
        self._unseen = set() if self.columns.gold else own
        used = (self.columns.id, self.columns.group, self.columns.split, self.columns.gold)
        named = [name for name in used if name]
        for name in named:
            if name not in self._names:
                raise missing(name, self._names, where)
        self.needed = frozenset([*self.text.columns, *named, *self._unseen])

    def check(self, row: Row, where: str) -> None:
        """Raise a TaskError if a column that was not named is there in some rows only."""
        self._unseen -= row.keys()
        for name in sorted(self._free):
            if name in row and name not in self._names:
                raise TaskError(
                    f"{where}: a column {shown(name)}, which the first row does not have",
                    f"give every row one, or say 'columns: {{{name}: null}}' to leave it alone",
                )
            if name in self._names and name != "gold" and empty(row.get(name)):
                raise TaskError(
                    f"{where}: column {name!r} is empty or not there",
                    f"fill it in every row, or say 'columns: {{{name}: null}}' to leave it alone",
                )

    def close(self) -> None:
        """Raise a TaskError if no row has a column for some field."""
        if self._unseen:
            raise missing(min(self._unseen), self._names, self._where)


def _same_part(
    path: Path, line: int, example: Example, groups: dict[str, tuple[JsonValue, int]]
) -> None:
    part = example.meta.get(SPLIT_KEY)
    if part is None:
        return
    other, first = groups.setdefault(example.group, (part, line))
    if other != part:
        raise TaskError(
            f"{path}: group {shown(example.group)} stands in two splits ({other} in line {first}, "
            f"{part} in line {line})",
            "put all examples of a group into one split",
        )


def _example(row: Row, layout: _Layout, where: str, gold: GoldReader) -> Example:
    columns = layout.columns
    text = layout.text.of(row, where)
    check_text(text, where, "the text")
    name = columns.id and key_of(cell(row, columns.id, where), columns.id, where)
    group = columns.group and key_of(cell(row, columns.group, where), columns.group, where)
    name = name or f"row-{where.rpartition(' ')[2]}"
    known = gold.read(row, where)
    part = cell(row, columns.split, where) if columns.split else None
    part = as_key(part) if isinstance(part, str) else part
    if part and part not in PARTS:
        raise TaskError(f"{where}: split {shown(part)}", f"one of {', '.join(PARTS)}, or empty")
    return Example(
        id=name, group=group or name, text=text, gold=known, meta={SPLIT_KEY: part} if part else {}
    )
