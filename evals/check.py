"""What ``tasks check`` prints: is this task ready to be taught, and what is odd about it?

Owns the figures (sizes, labels, lengths, splits, near-duplicates across them) and the warnings drawn
from them. Never shows a text. Leaves errors, which stop the loading, to ``evals.data`` and
``evals.task``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from preceptor.core.fields import LabelField
from preceptor.core.record import Record, canonical
from preceptor.core.records import Split
from preceptor.evals import duplicates, enough, splits
from preceptor.evals.strata import strata
from preceptor.evals.task import Task

RARE = 5
"""A label with fewer examples in a part than this has hardly any weight in a decision."""

LOPSIDED = 0.9
"""From this share on, one label says nearly everything about a field."""

_SHOWN = 8
_FILLED = ("none", "some")


class FieldCheck(Record):
    """One field: how many examples have a value, and how often each label or value occurs.

    ``majority`` is the share of the most frequent answer; that of a closed list is all its values.
    """

    name: str
    labelled: int
    labels: dict[str, int]
    majority: float


class PartCheck(Record):
    """One part of the split."""

    examples: int
    groups: int
    seal: str


class Check(Record):
    """All figures about a task.

    Attributes:
        task: Its name.
        synthetic: Whether its notes are invented.
        examples: All of them.
        groups: All of them.
        unlabelled: Examples without gold.
        unused: Labelled examples that stand in no part.
        words: Shortest, median, 95th percentile and longest text, in words.
        fields: Per field.
        parts: Per part of the split.
        near_duplicates: Pairs across parts, as (id, id, similarity).
        warnings: What is odd, one line each.
        refused: Why ``refine`` refuses the task as it is; empty if it does not.
    """

    task: str
    synthetic: bool
    examples: int
    groups: int
    unlabelled: int
    unused: int
    words: tuple[int, int, int, int]
    fields: tuple[FieldCheck, ...]
    parts: dict[Split, PartCheck]
    near_duplicates: tuple[tuple[str, str, float], ...]
    warnings: tuple[str, ...]
    refused: str = ""


def check(task: Task, seed: int | None = None) -> Check:
    """Return the figures of a task under one draw of its split.

    Raises:
        TaskError: If the split cannot be drawn.
    """
    made = splits.make(task, seed)
    twins = duplicates.across(task.examples, made)
    fields = tuple(_field(task, i) for i in range(len(task.fields)))
    unlabelled = sum(e.gold is None for e in task.examples)
    used = sum(len(made.ids(p)) for p in splits.PARTS)
    lengths = sorted(len(e.text.split()) for e in task.examples)
    parts: dict[Split, PartCheck] = {p: _part(task, made, p) for p in splits.PARTS}
    return Check(
        task=task.name,
        synthetic=task.synthetic,
        examples=len(task.examples),
        groups=len({e.group for e in task.examples}),
        unlabelled=unlabelled,
        unused=len(task.examples) - unlabelled - used,
        words=(lengths[0], _at(lengths, 0.5), _at(lengths, 0.95), lengths[-1]),
        fields=fields,
        parts=parts,
        near_duplicates=tuple((t.first, t.second, round(t.similarity, 3)) for t in twins),
        warnings=tuple(_warnings(task, made, fields, len(twins))),
        refused=_refused(task, made),
    )


def _at(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _field(task: Task, place: int) -> FieldCheck:
    field = task.fields[place]
    values = [e.gold[field.name] for e in task.examples if e.gold and field.name in e.gold]
    seen = Counter(stratum for value in values for stratum in strata(field, value))
    known = field.values or _FILLED
    labels = {label: seen[label] for label in known}
    whole = max(Counter(map(canonical, values)).values(), default=0)
    if field.kind == "list" and field.values:
        labels = {"[]": seen[""], **labels}
    else:
        whole = max(labels.values())
    return FieldCheck(
        name=field.name,
        labelled=len(values),
        labels=labels,
        majority=whole / len(values) if values else 0.0,
    )


def _part(task: Task, made: splits.Splits, part: Split) -> PartCheck:
    members = made.examples(task, part)
    return PartCheck(
        examples=len(members), groups=len({e.group for e in members}), seal=made.digest(part)
    )


def _warnings(
    task: Task, made: splits.Splits, fields: tuple[FieldCheck, ...], twins: int
) -> Iterator[str]:
    if twins:
        yield f"{twins} near-duplicates stand in different parts: give them one group"
    if refused := _refused(task, made):
        yield refused
    for field in fields:
        if not field.labelled:
            yield f"field {field.name!r}: no example has a value"
        elif field.majority >= LOPSIDED and not _mostly_some(field):
            yield f"field {field.name!r}: {field.majority:.0%} of the examples have one label"
    yield from _elsewhere(task)
    for part in splits.PARTS:
        yield from _rare(task, made, part)


def _refused(task: Task, made: splits.Splits) -> str:
    short = enough.shortage(task, made)
    return f"{short[0]}, and refine refuses the task; {short[1]}" if short else ""


def _mostly_some(field: FieldCheck) -> bool:
    """Return whether this is a list that is seldom empty: what it holds can still differ."""
    return tuple(field.labels) == _FILLED and field.labels["some"] > field.labels["none"]


def _elsewhere(task: Task) -> Iterator[str]:
    """Warn of gold items that a student which copies cannot say."""
    for field in task.fields:
        if field.kind != "list" or not field.copied:
            continue
        count = 0
        for example in task.examples:
            items = (example.gold or {}).get(field.name)
            if isinstance(items, list):
                count += sum(str(item) not in example.text for item in items)
        if count:
            yield f"field {field.name!r}: {count} items are copied but do not stand in their text"


def _rare(task: Task, made: splits.Splits, part: Split) -> Iterator[str]:
    members = made.examples(task, part)
    for field in task.fields:
        if not isinstance(field, LabelField):
            continue
        seen = Counter(str(e.gold[field.name]) for e in members if e.gold and field.name in e.gold)
        rare = [f"{v} ({seen[v]})" for v in field.values if seen[v] < RARE]
        if rare:
            yield f"{part}, field {field.name!r}: few examples of {', '.join(rare)}"


def text(found: Check) -> str:
    """Return the figures as lines for a terminal."""
    kind = "SYNTHETIC, " if found.synthetic else ""
    short, median, most, longest = found.words
    lines = [
        f"{found.task}: {kind}{found.examples} examples of {found.groups} groups, "
        f"{found.unlabelled} unlabelled, {found.unused} in no part",
        f"words per text: {short} to {longest}, median {median}, 95 % up to {most}",
    ]
    for part, p in found.parts.items():
        lines.append(f"{part:<6} {p.examples:>6} examples {p.groups:>6} groups  seal {p.seal}")
    for field in found.fields:
        labels = ", ".join(f"{label} {n}" for label, n in field.labels.items())
        lines.append(f"{field.name}: {labels} (most frequent {field.majority:.0%})")
    for first, second, similarity in found.near_duplicates[:_SHOWN]:
        lines.append(f"near-duplicate across parts: {first} and {second} ({similarity:.2f})")
    lines += [f"warning: {line}" for line in found.warnings]
    return "\n".join([*lines, "ok" if not found.warnings else f"{len(found.warnings)} warnings"])
