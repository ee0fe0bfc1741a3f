"""What is told about a converted export: agreement, notes without gold, odd spans, left-out fields."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from preceptor.core.spelling import named, shown
from preceptor.evals.exports.agreement import Items, agreement
from preceptor.evals.exports.record import Answer
from preceptor.evals.exports.shape import Shape

SHOWN = 6
"""How many names a line gives."""


def agreements(
    answers: Mapping[str, list[Answer]],
    shape: Shape,
    ties: Counter[str],
    annotator: str | None,
) -> Iterator[str]:
    """Yield how far annotators agree about each field, if notes have several."""
    said: dict[str, dict[str, dict[str, Items]]] = {}
    for note, group in answers.items():
        for answer in group if len(group) > 1 else ():
            for field, items in shape.value(answer).items():
                said.setdefault(field, {}).setdefault(answer.annotator, {})[note] = frozenset(items)
    if not said:
        return
    closed: dict[str, set[str]] = {}
    for answer in (a for group in answers.values() for a in group):
        for field, items in answer.choices.items():
            closed.setdefault(shape.names["choice", field], set()).update(items)
    everyone = sorted({name for by_annotator in said.values() for name in by_annotator})
    rule = "the majority counts, and ties are not scored; --annotator NAME takes one's word"
    rule = rule if annotator is None else f"only what {annotator} said counts"
    yield f"{len(everyone)} annotators ({_few(everyone)}): {rule}"
    for field, by_annotator in said.items():
        found = agreement(by_annotator, sorted(closed.get(field, ())))
        if found is not None:
            tied = f"; tied and not scored: {ties[field]}" if ties[field] else ""
            yield f"agreement on {field!r}: {found.words()}{tied}"


def left(
    everything: Sequence[Answer],
    gold: Sequence[tuple[Mapping[str, str], Mapping[str, tuple[str, ...]]]],
    twice: int,
) -> Iterator[str]:
    """Yield what became of notes without gold, and of answers that do not count."""
    bare = sum(not labels and not lists for labels, lists in gold)
    if bare:
        idle = sum(not a.done for a in everything)
        why = f"; {idle} answers were skipped, rejected or not given" if idle else ""
        yield f"{bare} of {len(gold)} notes have no gold and are kept without{why}"
    if twice:
        yield f"{twice} notes were annotated twice by one annotator: the last time counts"
    empty = sum(not labels and bool(lists) and not any(lists.values()) for labels, lists in gold)
    if empty:
        yield f"{empty} notes have no item at all, which counts as «none»: drop those nobody looked at"


def spans(done: Sequence[Answer]) -> Iterator[str]:
    """Yield what became of spans that overlap, nest or come in pieces."""
    overlapping, torn = Counter[str](), Counter[str]()
    for answer in done:
        torn.update({s.kind for s in answer.spans or () if len(s.pieces) > 1})
        for kind in {s.kind for s in answer.spans or ()}:
            pieces = sorted(p for s in answer.spans or () if s.kind == kind for p in s.pieces)
            overlapping[kind] += any(a[1] > b[0] for a, b in itertools.pairwise(pieces))
    nested = [f"{kind} ({n} notes)" for kind, n in overlapping.most_common() if n]
    if nested:
        yield f"spans of one type overlap or nest, and each is an item of its own: {_few(nested)}"
    parts = [f"{kind} ({n} notes)" for kind, n in torn.most_common()]
    if parts:
        yield f"spans in several pieces are joined by a space, so no copies of the note: {_few(parts)}"


def _few(names: Sequence[str]) -> str:
    """Return names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def fields(
    shape: Shape,
    labels: Mapping[str, tuple[str, ...]],
    options: Mapping[str, tuple[str, ...]],
) -> Iterator[str]:
    """Yield what became of spans and choices."""
    if shape.kinds:
        yield f"spans become one list for each type ({_few(shape.kinds)}): the texts covered, each once"
    for field, values in options.items():
        told = _few([*map(named, values)])
        yield f"{field!r} may have several choices in a note, so it is a list: {told}"
    for field, values in labels.items():
        if len(values) == 1:
            yield f"{field!r} is left out: {shown(values[0])} is its only label"
    changed = [f"{key[1]!r} as {name!r}" for key, name in shape.names.items() if key[1] != name]
    if changed:
        yield f"renamed, for the rules of field names: {_few(changed)}"
