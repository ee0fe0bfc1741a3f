"""What ``tasks check`` prints: is this task ready to be taught, and what is odd about it?

Owns the figures: sizes, labels, lengths, splits, near-duplicates across them. Never shows a text.
Leaves the warnings drawn from them to ``evals.warnings``, and errors, which stop the loading, to
``evals.data`` and ``evals.task``.
"""

from __future__ import annotations

from collections import Counter

from preceptor.core.errors import TaskError
from preceptor.core.record import Record, canonical
from preceptor.core.records import Split
from preceptor.evals import data, duplicates, enough, splits, warnings
from preceptor.evals.cells import MOST_LABELS, Table
from preceptor.evals.metrics import choice
from preceptor.evals.strata import strata
from preceptor.evals.task import Task

_SHOWN = 3
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
        metric: What a run would be judged by.
        metric_why: Why.
        refused: Why ``refine`` refuses the task as it is; empty if it does not.
        warnings: What is odd, one line each, the worst first.
        brief: The same, each with the first few names only.
        contradictory: Pairs of ids of duplicates whose gold differs.
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
    metric: str
    metric_why: str
    refused: str = ""
    brief: tuple[str, ...] = ()
    contradictory: tuple[tuple[str, str], ...] = ()


def check(
    task: Task,
    seed: int | None = None,
    group: str | None = None,
    others: Table | None = None,
    max_tokens: int | None = None,
) -> Check:
    """Return the figures of a task under one draw of its split.

    Args:
        task: The task.
        seed: The draw; the task's own if None.
        group: The column of groups, if the data have one.
        others: The columns of the data that the task does not use, in the order of its examples.
        max_tokens: The answer limit that is set; what the schema asks for if None.

    Raises:
        TaskError: If the split cannot be drawn.
    """
    made = splits.make(task, seed)
    metric = choice.choose(task.fields, made.examples(task, "train"), task.metric)
    pairs = duplicates.alike(task.examples)
    twins = duplicates.parted(pairs, made)
    same, nearly = duplicates.contradictory(pairs)
    fields = tuple(_field(task, i) for i in range(len(task.fields)))
    unlabelled = sum(e.gold is None for e in task.examples)
    used = sum(len(made.ids(p)) for p in splits.PARTS)
    lengths = sorted(len(e.text.split()) for e in task.examples)
    parts: dict[Split, PartCheck] = {p: _part(task, made, p) for p in splits.PARTS}
    found = [
        *warnings.leaks(task, made, twins, group, others or {}),
        *warnings.gate(task, made),
        *warnings.contradictions(same, nearly),
        *warnings.lopsided([(f.name, f.labelled, f.majority, _mostly_some(f)) for f in fields]),
        *warnings.unanswered(task),
        *warnings.elsewhere(task),
        *warnings.tight(task, max_tokens),
        *(warnings.warn(warnings.DATA, line) for line in data.remarks(task.examples)),
        *warnings.rare(task, made),
    ]
    found.sort(key=lambda w: w.rank)
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
        warnings=tuple(w.line for w in found),
        brief=tuple(w.brief for w in found),
        contradictory=tuple(same),
        metric=metric.name,
        metric_why=metric.why,
        refused=_refused(task, made, metric),
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


def _refused(task: Task, made: splits.Splits, metric: choice.Metric) -> str:
    """Return why no run of the task is begun, empty if one is."""
    short = enough.shortage(task, made)
    if short:
        return f"{short[0]}, and refine refuses the task; {short[1]}"
    for part in ("dev", "test"):
        try:
            choice.check_part(metric, task.fields, made.examples(task, part), part)
        except TaskError as error:
            return f"{error.message}, and refine refuses the task; {error.hint}"
    return ""


def _mostly_some(field: FieldCheck) -> bool:
    """Return whether this is a list that is seldom empty: what it holds can still differ."""
    return tuple(field.labels) == _FILLED and field.labels["some"] > field.labels["none"]


def _counts(field: FieldCheck, everything: bool) -> str:
    if tuple(field.labels) == _FILLED:
        return f"{field.name}: empty {field.labels['none']}, with items {field.labels['some']}"
    counts = list(field.labels.items())
    more = len(counts) - MOST_LABELS
    if more > 1 and not everything:
        counts = sorted(counts, key=lambda one: -one[1])[:MOST_LABELS]
    labels = ", ".join(f"{label} {n}" for label, n in counts)
    rest = f", and {more} rarer ones: --all" if more > 1 and not everything else ""
    return f"{field.name}: {labels}{rest} (most frequent {field.majority:.0%})"


def text(found: Check, everything: bool = False) -> str:
    """Return the figures as lines for a terminal; all warnings in full if ``everything``."""
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
        lines.append(_counts(field, everything))
    pairs = found.near_duplicates if everything else found.near_duplicates[:_SHOWN]
    for first, second, similarity in pairs:
        lines.append(f"near-duplicate across parts: {first} and {second} ({similarity:.2f})")
    if len(found.near_duplicates) > len(pairs):
        lines.append(
            f"near-duplicates across parts: {len(found.near_duplicates) - len(pairs)} more (--all)"
        )
    lines.append(f"judged by {choice.words(found.metric)}: {found.metric_why}")
    said = found.warnings if everything else found.brief
    for number, line in enumerate(warnings.shorten(said, everything), 1):
        is_rest = not everything and number == warnings.SHOWN and len(said) > warnings.SHOWN
        lines.append(line if is_rest else f"warning: {line}")
    count = len(found.warnings)
    return "\n".join([*lines, f"{count} warning{'s' * (count > 1)}" if count else "ok"])
