"""Reads tables with one row per annotation: Label Studio's CSV and JSON-MIN, and any like them.

Owns telling annotations from data in rows that hold both: structured cells are annotations, so is what
annotators of one note say differently, and so are columns that look like labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.evals import cells, owners
from preceptor.evals.cells import Table
from preceptor.evals.exports.label_studio import Object, marked, paths, person
from preceptor.evals.exports.record import Answer, Export, Span, as_text, plain

_SIGNATURE = ("annotation_id", "lead_time", "created_at", "updated_at")
_NOTES = ("id", "note_id", "noteid", "task_id", "document_id", "doc_id", "text_id", "item_id")
_NEVER = (*cells.ANNOTATORS, *cells.MACHINERY)


def is_label_studio(columns: Sequence[str]) -> bool:
    """Return whether these are the columns of Label Studio's CSV or JSON-MIN."""
    return len(cells.named(columns, _SIGNATURE)) >= 3 or (
        {"annotation_id", "annotator"} <= set(columns)
    )


def has_annotators(columns: Table) -> bool:
    """Return whether a column says who annotated a row, and notes stand in it several times."""
    who = cells.named(columns, cells.ANNOTATORS)
    if not who or len(set(columns[who[0]])) < 2:
        return False
    text = cells.note_column({c: v for c, v in columns.items() if c not in who})
    key = _key(columns, text, who[0])
    return key is not None and len(set(columns[key])) < len(columns[key])


def read(path: Path, rows: Sequence[tuple[str, Mapping[str, JsonValue]]], tool: str) -> Export:
    """Return the answers of a table.

    Args:
        path: The file, for errors.
        rows: Where a row stands, and the row.
        tool: Whose export this is.

    Raises:
        TaskError: If no column is a text, or offsets do not fit it.
    """
    table = cells.table([row for _, row in rows])
    machinery = cells.named(table, _NEVER)
    who = next(iter(cells.named(table, cells.ANNOTATORS)), None)
    rest = {c: v for c, v in table.items() if c not in machinery}
    plainly = {c: v for c, v in rest.items() if not any(map(_parsed, v))}
    text = cells.note_column(plainly)
    if text is None:
        raise TaskError(f"{path}: no column looks like notes", "name the column of the notes 'text'")
    key = _key(rest, text, who) or text
    shape = _Columns(rest, text, key)
    answers = []
    for i, (where, row) in enumerate(rows):
        if not table[text][i].strip():
            raise TaskError(f"{where}: column {text!r} holds no text", "fill it or drop the row")
        blank = Answer(
            table[key][i] or table[text][i],
            table[text][i],
            where,
            id=table[key][i] if key != text else "",
            annotator=person(row.get(who) if who else None, i + 1) if who else "",
            meta=plain({c: table[c][i] for c in shape.meta if table[c][i]}),
        )
        answers.append(shape.answer(blank, {c: table[c][i] for c in rest}))
    left = f"not used, as no field is like it: {', '.join(shape.left)}"
    return Export(tool, tuple(answers), (left,) if shape.left else (), frozenset(shape.lists))


def _key(columns: Table, text: str | None, who: str | None) -> str | None:
    """Return the column that says which note a row is about."""
    known = [c for c in cells.named(columns, _NOTES) if not cells.unique(columns[c])]
    if known and all(columns[known[0]]):
        return known[0]
    if text is not None and who is not None and len(set(columns[text])) < len(columns[text]):
        return text
    return next(iter(cells.named(columns, _NOTES)), text)


def _parsed(cell: str) -> JsonValue:
    """Return a cell that is a JSON object or a list of objects or lists, None otherwise."""
    value = cells.read(cell) if cell.lstrip()[:1] in ("[", "{") else None
    if isinstance(value, dict):
        return value
    deep = isinstance(value, list) and any(isinstance(item, dict | list) for item in value)
    return value if deep else None


class _Columns:
    """Which column is what in one table."""

    def __init__(self, columns: Table, text: str, key: str) -> None:
        self.structured: list[str] = []
        self.lists: list[str] = []
        self.labels: list[str] = []
        self.meta: list[str] = []
        self.left: list[str] = []
        for column, found in columns.items():
            if column not in (text, key):
                self._place(column, found, columns[key])
        self._marks = any(
            isinstance(v, list) and any(isinstance(item, dict) and "start" in item for item in v)
            for c in self.structured
            for v in map(_parsed, columns[c])
        )

    def _place(self, column: str, found: list[str], keys: list[str]) -> None:
        differs = len(set(zip(keys, found, strict=True))) > len(set(keys))
        if any(map(_parsed, found)):
            self.structured.append(column)
        elif cells.is_list(found):
            self.lists.append(column)
        elif owners.level(column) is not None and not differs:
            self.meta.append(column)
        elif cells.labels(found) or (differs and max(map(len, found)) <= cells.MOST_LABEL_CHARS):
            self.labels.append(column)
        elif differs:
            self.left.append(column)
        else:
            self.meta.append(column)

    def answer(self, blank: Answer, row: Mapping[str, str]) -> Answer:
        """Return what a row says about its note."""
        choices: dict[str, tuple[str, ...]] = {
            c: (row[c].strip(),) for c in self.labels if row[c].strip()
        }
        for column in self.lists:
            value = cells.read(row[column])
            if isinstance(value, list):
                choices[column] = tuple(dict.fromkeys(map(str, value)))
        texts: dict[str, tuple[str, ...]] = {}
        spans: list[Span] = []
        for column in self.structured:
            for item in _objects(row[column]):
                spans += _spans(blank, item)
                picked = _picked(item)
                if picked:
                    choices[column] = tuple(dict.fromkeys((*choices.get(column, ()), *picked)))
                elif "start" not in item and isinstance(written := item.get("text"), list):
                    texts[column] = tuple(t for w in written if (t := as_text(w)))
        return Answer(
            blank.note,
            blank.text,
            blank.where,
            id=blank.id,
            annotator=blank.annotator,
            choices=choices,
            texts=texts,
            spans=tuple(spans) if self._marks else None,
            meta=blank.meta,
        )


def _objects(cell: str) -> list[Object]:
    value = _parsed(cell)
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and any(isinstance(item, list) for item in value):
        return [{"taxonomy": value}]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict)]
    return [{"choices": [cell.strip()]}] if cell.strip() and cell.strip() != "[]" else []


def _picked(item: Object) -> list[str]:
    if "start" in item:
        return []
    chosen = item.get("choices")
    found = [t for c in chosen if (t := as_text(c))] if isinstance(chosen, list) else []
    return found or paths(item.get("taxonomy"))


def _spans(note: Answer, item: Object) -> list[Span]:
    names = item.get("labels", item.get("hypertextlabels"))
    if "start" not in item or not isinstance(names, list):
        return []
    at = (item.get("start"), item.get("end"))
    said = as_text(item.get("text"))
    return [marked(note, label, at, said) for name in names if (label := as_text(name))]
