"""Reads Label Studio's JSON: tasks with ``data``, ``annotations`` and ``predictions``.

Owns choices, ratings, numbers, taxonomies, texts and spans of texts. Predictions are no gold, cancelled
annotations neither; where a note has a ground truth, that alone counts. Leaves JSON-MIN and CSV, which
have one flat row per annotation, to ``evals.exports.flat``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.evals import cells
from preceptor.evals.exports.record import (
    Answer,
    Export,
    Span,
    as_text,
    by_utf16,
    covered,
    plain,
)

TOOL = "Label Studio"
_SPANS = ("labels", "hypertextlabels")
_NUMBERS = ("rating", "number")
Object = Mapping[str, JsonValue]


def is_export(rows: Sequence[JsonValue]) -> bool:
    """Return whether these are tasks of Label Studio."""
    first = rows[0] if rows else None
    return (
        isinstance(first, dict)
        and isinstance(first.get("data"), dict)
        and "annotations" in {"annotations" if name == "completions" else name for name in first}
    )


def read(path: Path, rows: Sequence[JsonValue]) -> Export:
    """Return the answers of an export.

    Raises:
        TaskError: If a task has no text, or offsets do not fit it.
    """
    tasks = [row for row in rows if isinstance(row, dict)]
    inputs = [data if isinstance(data := task.get("data"), dict) else {} for task in tasks]
    table = cells.table([{k: v for k, v in i.items() if isinstance(v, str)} for i in inputs])
    column = cells.note_column(table) if table else None
    if column is None:
        raise TaskError(f"{path}: the tasks have no text", "name it 'text' under data")
    left: Counter[str] = Counter()
    answers: list[Answer] = []
    marks = any(_kind(r) in _SPANS for task in tasks for a in _annotations(task) for r in _results(a))
    for number, (task, data) in enumerate(zip(tasks, inputs, strict=True), 1):
        where = f"{path}, task {as_text(task.get('id')) or number}"
        text = data.get(column)
        if not isinstance(text, str) or not text.strip():
            raise TaskError(f"{where}: no text under data.{column}", "fill it or drop the task")
        meta = plain({k: v for k, v in data.items() if k != column})
        meta |= plain({k: v for k, v in task.items() if k == "meta"})
        name = as_text(task.get("id"))
        blank = Answer(name or text, text, where, id=name, done=False, meta=meta)
        found = [_answer(blank, n, a, marks, left) for n, a in _counting(task)]
        answers += found or [blank]
    return Export(TOOL, tuple(answers), tuple(_remarks(tasks, left)))


def _annotations(task: Object) -> list[Object]:
    found = task.get("annotations", task.get("completions"))
    return [a for a in found if isinstance(a, dict)] if isinstance(found, list) else []


def _counting(task: Object) -> Iterator[tuple[int, Object]]:
    """Yield the annotations that count, with their numbers."""
    live = [
        (n, a)
        for n, a in enumerate(_annotations(task), 1)
        if not (a.get("was_cancelled") or a.get("skipped"))
    ]
    live.sort(key=lambda pair: as_text(pair[1].get("updated_at")))
    yield from [pair for pair in live if pair[1].get("ground_truth")] or live


def _results(annotation: Object) -> list[Object]:
    found = annotation.get("result")
    return [r for r in found if isinstance(r, dict)] if isinstance(found, list) else []


def _kind(result: Object) -> str:
    return as_text(result.get("type"))


def person(value: JsonValue, number: int) -> str:
    """Return who annotated: a number, or what is known of the person; else which annotation it is."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("username") or value.get("id")
    return as_text(value) or f"annotation {number}"


def _answer(blank: Answer, number: int, annotation: Object, marks: bool, left: Counter[str]) -> Answer:
    choices: dict[str, tuple[str, ...]] = {}
    texts: dict[str, tuple[str, ...]] = {}
    spans: list[Span] = []
    for result in _results(annotation):
        value, kind = result.get("value"), _kind(result)
        if not isinstance(value, dict):
            if kind:
                left[kind] += 1
            continue
        field = as_text(result.get("from_name")) or "label"
        if kind in _SPANS:
            spans += _spans(blank, value, kind)
        elif kind == "textarea" and "start" not in value:
            texts[field] = (*texts.get(field, ()), *_strings(value.get("text")))
        elif (items := _items(kind, value)) is not None and "start" not in value:
            choices[field] = tuple(dict.fromkeys((*choices.get(field, ()), *items)))
        else:
            left[f"{kind} of a span" if "start" in value else kind] += 1
    return Answer(
        blank.note,
        blank.text,
        blank.where,
        id=blank.id,
        annotator=person(annotation.get("completed_by"), number),
        choices=choices,
        texts=texts,
        spans=tuple(spans) if marks else None,
        meta=blank.meta,
    )


def _items(kind: str, value: Object) -> list[str] | None:
    """Return what was chosen, None if a result is no choice."""
    if kind in _NUMBERS:
        return _strings(value.get(kind))
    if kind == "choices":
        return _strings(value.get("choices"))
    return paths(value.get("taxonomy")) if kind == "taxonomy" else None


def paths(value: JsonValue) -> list[str]:
    """Return the paths of a taxonomy as texts."""
    found = value if isinstance(value, list) else []
    return [" > ".join(_strings(path)) for path in found if isinstance(path, list)]


def _strings(value: JsonValue) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [text for item in found if (text := as_text(item))]


def _spans(note: Answer, value: Object, kind: str) -> Iterator[Span]:
    start, end, said = value.get("start"), value.get("end"), as_text(value.get("text"))
    if kind == "hypertextlabels" and isinstance(offsets := value.get("globalOffsets"), dict):
        start, end = offsets.get("start"), offsets.get("end")
    for label in _strings(value.get(kind)):
        yield marked(note, label, (start, end), said)


def marked(note: Answer, label: str, at: tuple[JsonValue, JsonValue], said: str) -> Span:
    """Return a span whose offsets count characters or, as browsers do, UTF-16 units.

    Raises:
        TaskError: If they fit neither way.
    """
    start, end = at
    if not isinstance(start, int) or not isinstance(end, int):
        raise TaskError(
            f"{note.where}: a span without offsets", "HTML cannot be read: export notes as plain text"
        )
    wide = (by_utf16(note.text, start), by_utf16(note.text, end))
    if wide != (start, end) and "".join(note.text[slice(*wide)].split()) == "".join(said.split()):
        start, end = wide
    return covered(note.where, note.text, label, [(start, end)], said)


def _remarks(tasks: Sequence[Object], left: Counter[str]) -> Iterator[str]:
    everything = [a for task in tasks for a in _annotations(task)]
    truths = sum(any(a.get("ground_truth") for a in _annotations(task)) for task in tasks)
    if 0 < truths < len(everything):
        yield f"{truths} notes have a ground truth, which alone counts there"
    guesses = sum(bool(task.get("predictions")) for task in tasks)
    if guesses:
        yield f"predictions of {guesses} notes are no gold and left out"
    if left:
        shown = ", ".join(f"{kind} ({n})" for kind, n in left.most_common())
        yield f"left out, as no field is like it: {shown}"
