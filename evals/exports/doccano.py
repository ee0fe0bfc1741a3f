"""Reads doccano's JSON, JSON lines and CSV: text classification, sequence labelling, both at once.

Owns the forms that ``label`` has: texts, ``[start, end, type]``, entities with offsets, and in CSV
labels joined by ``#``. Where annotators do not share their work, doccano writes one file for each; the
folder of these files is one export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.evals import cells
from preceptor.evals.exports.record import Answer, Export, Span, as_text, covered, plain

TOOL = "doccano"
_LABELS = ("label", "labels", "cats", "annotations")
_OWN = frozenset(
    ("id", "text", "data", "entities", "relations", "comments", "Comments", "annotation_approver")
)
Row = Mapping[str, JsonValue]


def is_export(rows: Sequence[JsonValue]) -> bool:
    """Return whether these are rows of doccano's JSON."""
    found = [row for row in rows if isinstance(row, dict)]
    if not found or not all(_text(row) for row in found):
        return False
    if any(_is_entity(e) for row in found for e in _list(row, "entities")):
        return True
    if any(_is_entity(e) for row in found for n in _LABELS for e in _list(row, n)):
        return True
    if not all(any(isinstance(row.get(n), list) for n in _LABELS) for row in found):
        return False
    known = {*_OWN, *_LABELS}
    return "Comments" in found[0] or all(set(row) <= known for row in found)


def is_table(columns: Mapping[str, Sequence[str]]) -> bool:
    """Return whether this is doccano's CSV: it has several labels in a cell, or comments."""
    if not {"label"} <= set(columns) or not {"text", "data"} & set(columns):
        return False
    if not set(columns) <= {"id", "text", "data", "label", "Comments"}:
        return False
    joined = [cell.split("#") for cell in columns["label"] if "#" in cell]
    single = {cell for cell in columns["label"] if "#" not in cell}
    apart = all(len(part) <= cells.MOST_LABEL_CHARS and part for parts in joined for part in parts)
    return "Comments" in columns or (apart and any(p in single for parts in joined for p in parts))


def read(files: Sequence[tuple[str, Sequence[tuple[str, Row]]]]) -> Export:
    """Return the answers of an export.

    Args:
        files: The annotator (empty if the file is nobody's own), and where a row stands and the row.

    Raises:
        TaskError: If a row has no text, or offsets do not fit it.
    """
    flat = [row for _, rows in files for _, row in rows]
    marks = any(_is_entity(e) for row in flat for e in _entities(row))
    related = sum(bool(_list(row, "relations")) for row in flat)
    answers: list[Answer] = []
    for annotator, rows in files:
        for where, row in rows:
            answers.append(_answer(where, row, annotator, marks))
    left = (f"relations of {related} notes are left out",) if related else ()
    return Export(TOOL, tuple(answers), left)


def _answer(where: str, row: Row, annotator: str, marks: bool) -> Answer:
    text, name = _text(row), as_text(row.get("id"))
    if not text.strip():
        raise TaskError(f"{where}: no text", "fill it or drop the row")
    chosen: dict[str, tuple[str, ...]] = {}
    for field in _LABELS:
        value = row.get(field)
        if isinstance(value, str):
            chosen["label"] = tuple(part for part in value.split("#") if part)
        elif isinstance(value, list) and not any(map(_is_entity, value)):
            items = [_label(item) for item in value]
            if items or not marks:
                chosen["label"] = tuple(dict.fromkeys(item for item in items if item))
    spans = [_span(where, text, entity) for entity in _entities(row) if _is_entity(entity)]
    meta = {k: v for k, v in row.items() if k not in _OWN and k not in _LABELS}
    return Answer(
        name or text,
        text,
        where,
        id=name,
        annotator=annotator,
        choices=chosen,
        spans=tuple(spans) if marks else None,
        meta=plain(meta),
    )


def _label(item: JsonValue) -> str:
    return as_text(item.get("label")) if isinstance(item, dict) else as_text(item)


def _text(row: Row) -> str:
    found = row.get("text", row.get("data"))
    return found if isinstance(found, str) else ""


def _list(row: Row, name: str) -> list[JsonValue]:
    found = row.get(name)
    return found if isinstance(found, list) else []


def _entities(row: Row) -> list[JsonValue]:
    return [e for name in ("entities", *_LABELS) for e in _list(row, name)]


def _is_entity(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return "start_offset" in value and "end_offset" in value
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, int) for v in value[:2])
        and isinstance(value[2], str)
    )


def _span(where: str, text: str, entity: JsonValue) -> Span:
    if isinstance(entity, dict):
        start, end, kind = entity["start_offset"], entity["end_offset"], entity.get("label")
    else:
        start, end, kind = entity if isinstance(entity, list) else (None, None, None)
    if not isinstance(start, int) or not isinstance(end, int):
        raise TaskError(f"{where}: a span without offsets", "export it once more")
    return covered(where, text, as_text(kind) or "entity", [(start, end)])
