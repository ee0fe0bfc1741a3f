"""From the answers of several annotators to one row per note.

Owns whose word counts: the majority's, or one annotator's. Several annotators of a note are never two
notes, and what they cannot agree on is not scored. Leaves the formats to the readers, and the task file
to ``evals.draft``.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from preceptor.core.errors import InputError, TaskError
from preceptor.core.spelling import shown
from preceptor.evals import data
from preceptor.evals.exports import remarks
from preceptor.evals.exports.record import Answer, Export, Span
from preceptor.evals.exports.shape import Shape, shape_of


@dataclass(frozen=True, slots=True)
class Note:
    """One note with what counts as its gold.

    Attributes:
        answer: The first answer about it: text, id and meta.
        labels: The label of each label field that has one.
        lists: The items of each list field that is scored.
    """

    answer: Answer
    labels: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Merged:
    """All notes, and what is asked of them.

    Attributes:
        notes: In the order of the export.
        labels: The labels of each label field, most frequent first.
        lists: The list fields.
        options: The choices of those list fields that have a closed set.
        copied: The list fields whose items are whole words of their notes.
        remarks: What was decided, one line each.
    """

    notes: tuple[Note, ...]
    labels: Mapping[str, tuple[str, ...]]
    lists: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]
    copied: tuple[str, ...]
    remarks: tuple[str, ...]


def merge(export: Export, path: Path, annotator: str | None) -> Merged:
    """Return one row per note.

    Args:
        export: The answers.
        path: The export, for errors.
        annotator: Whose answers count; the majority's if None.

    Raises:
        InputError: If there is no such annotator.
        TaskError: If no gold is left.
    """
    for answer in export.answers:
        data.check_text(answer.text, answer.where, "the text")
    if not export.answers:
        raise TaskError(f"{path}: no notes in it", "export the annotated notes")
    done = [a for a in export.answers if a.done]
    if not done:
        raise TaskError(
            f"{path}: none of its {len(_by_note(export.answers))} notes is annotated",
            "export after annotating; skipped and rejected notes have no gold",
        )
    everyone = sorted({a.annotator for a in done if a.annotator})
    wholly, _ = _latest(done)
    if annotator is not None:
        if annotator not in everyone:
            names = ", ".join(everyone[: remarks.SHOWN]) or "the export names none"
            raise InputError(f"{path}: no annotator {annotator!r}", f"there are: {names}")
        done = [a for a in done if a.annotator == annotator]
    done, twice = _latest(done)
    shape = shape_of(done, export.wide)
    answers = _by_note(done)
    notes, ties = _decide(export.answers, answers, shape)
    labels = _labels(notes, shape)
    lists = [shape.names["text", f] for f in shape.texts]
    lists += [shape.names["choice", f] for f in shape.multiple]
    lists += [shape.names["span", k] for k in shape.kinds]
    filled = tuple(f for f in lists if any(n.lists.get(f) for n in notes))
    scored = {f: values for f, values in labels.items() if len(values) > 1}
    if not scored and not filled:
        raise _nothing(path, labels, ties, everyone, any(map(_says, done)))
    _same_text(answers.values())
    multiple = [shape.names["choice", f] for f in shape.multiple]
    options = {f: _options(notes, f) for f in multiple if f in filled}
    kept = tuple(_keep(n, scored, filled) for n in notes)
    return Merged(
        notes=kept,
        labels=scored,
        lists=filled,
        options=options,
        copied=_copied(done, shape, filled),
        remarks=(
            *remarks.agreements(_by_note(wholly), shape_of(wholly, export.wide), ties, annotator),
            *remarks.left(export.answers, [(n.labels, n.lists) for n in kept], twice),
            *remarks.spans(done),
            *remarks.fields(shape, labels, options),
            *export.remarks,
        ),
    )


def _by_note(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        found.setdefault(answer.note, []).append(answer)
    return found


def _latest(done: Sequence[Answer]) -> tuple[list[Answer], int]:
    """Return the last answer of each annotator to each note, and how many were overtaken."""
    said: dict[tuple[str, str], list[Answer]] = {}
    for answer in done:
        said.setdefault((answer.note, answer.annotator), []).append(answer)
    _same_text(said.values())
    return [answers[-1] for answers in said.values()], len(done) - len(said)


def _same_text(notes: Iterable[list[Answer]]) -> None:
    """Raise a TaskError if two answers to a note are about different texts."""
    for first, *more in notes:
        for other in more:
            if other.text.split() != first.text.split():
                raise TaskError(
                    f"{first.where} and {other.where}: one id, but two texts",
                    "give every note its own id, or take one annotator with --annotator NAME",
                )


def _decide(
    everything: Sequence[Answer], answers: Mapping[str, list[Answer]], shape: Shape
) -> tuple[list[Note], Counter[str]]:
    """Return each note with the majority's word, and how often each field is tied."""
    ties: Counter[str] = Counter()
    notes = []
    single = {shape.names["choice", f] for f in shape.single}
    for key, said in _by_note(everything).items():
        values = [shape.value(a) for a in answers.get(key, ())]
        labels: dict[str, str] = {}
        lists: dict[str, tuple[str, ...]] = {}
        for field in dict.fromkeys(f for value in values for f in value):
            given = [value[field] for value in values if field in value]
            if field in single:
                label = _top([items[0] for items in given])
                if label is not None:
                    labels[field] = label
            else:
                items = _common(given)
                if items is not None:
                    lists[field] = items
            ties[field] += field not in labels and field not in lists
        first = (answers.get(key) or said)[0]
        notes.append(Note(first, labels, lists))
    return notes, ties


def _top(labels: Sequence[str]) -> str | None:
    """Return the label that most say, None if two are said as often."""
    best = Counter(labels).most_common(2)
    return None if len(best) > 1 and best[0][1] == best[1][1] else best[0][0]


def _common(lists: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """Return the items that more than half have, None if half of them have one."""
    votes = Counter(item for items in lists for item in dict.fromkeys(items))
    if any(2 * n == len(lists) for n in votes.values()):
        return None
    return tuple(item for item, n in votes.items() if 2 * n > len(lists))


def _labels(notes: Sequence[Note], shape: Shape) -> dict[str, tuple[str, ...]]:
    fields = [shape.names["choice", f] for f in shape.single]
    counts = {f: Counter(n.labels[f] for n in notes if f in n.labels) for f in fields}
    return {f: tuple(label for label, _ in count.most_common()) for f, count in counts.items()}


def _options(notes: Sequence[Note], field: str) -> tuple[str, ...]:
    counts = Counter(item for n in notes for item in n.lists.get(field, ()))
    return tuple(item for item, _ in counts.most_common())


def _keep(note: Note, labels: Mapping[str, object], lists: Sequence[str]) -> Note:
    return replace(
        note,
        labels={f: v for f, v in note.labels.items() if f in labels},
        lists={f: v for f, v in note.lists.items() if f in lists},
    )


def _says(answer: Answer) -> bool:
    """Return whether an answer holds anything at all."""
    return bool(answer.spans) or any([*answer.choices.values(), *answer.texts.values()])


def _nothing(
    path: Path,
    labels: Mapping[str, tuple[str, ...]],
    ties: Counter[str],
    everyone: Sequence[str],
    asked: bool,
) -> TaskError:
    if ties.total():
        names = ", ".join(everyone[: remarks.SHOWN])
        return TaskError(
            f"{path}: annotators {names} disagree in every note, so no gold is left",
            f"say whose annotations count, e.g. --annotator {shlex.quote(everyone[0])}",
        )
    if not asked:
        return TaskError(f"{path}: no annotation in it", "export after annotating")
    alone = [f"{field!r} ({shown(values[0])})" for field, values in labels.items() if values]
    return TaskError(
        f"{path}: only one label was ever chosen: {', '.join(alone) or 'none'}",
        "a field needs two labels or more: annotate more notes",
    )


def _copied(done: Sequence[Answer], shape: Shape, lists: Sequence[str]) -> tuple[str, ...]:
    """Return the fields whose items are all whole words of their notes."""
    torn = {s.kind for a in done for s in a.spans or () if not _is_whole(a.text, s)}
    whole = [shape.names["span", k] for k in shape.kinds if k not in torn]
    return tuple(f for f in whole if f in lists)


def _is_whole(text: str, span: Span) -> bool:
    start, end = span.pieces[0]
    inside = text[start:end].strip()
    if len(span.pieces) > 1 or span.text not in text:
        return False
    return (
        bool(inside)
        and not (re.search(r"\w\Z", text[:start]) and re.match(r"\w", text[start:end]))
        and not (re.search(r"\w\Z", text[start:end]) and re.match(r"\w", text[end:]))
    )
