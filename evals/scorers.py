"""From an answer to numbers: what one field is worth, what one note is worth, and counts per label.

Owns the scorer of each kind of field and the note's endpoint. Leaves intervals and tests to
``evals.stats``, and what went wrong to ``evals.findings``. A value that could not be read scores 0; it
is never left out of a mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.ports import Scorer
from preceptor.core.record import Record
from preceptor.core.records import Answer, Example, Gold, Scored
from preceptor.core.spelling import folded

OwnMetric = Callable[[Gold, Gold], tuple[float, str]]
"""A task's own metric: (gold, answer) to (score in [0, 1], feedback in words)."""


class ExactLabel:
    """1 if the label is the gold label, else 0; ordered labels get no part marks."""

    def score(self, gold: JsonValue, said: JsonValue | None) -> float:
        """Return 0.0 or 1.0."""
        return float(said is not None and said == gold)


def _items(value: JsonValue | None) -> set[str]:
    found = value if isinstance(value, list) else []
    return {folded(str(item)) for item in found} - {""}


class ItemF1:
    """F1 of the items, compared without case and with single spaces; both empty is 1."""

    def score(self, gold: JsonValue, said: JsonValue | None) -> float:
        """Return 2·hits / (items in gold + items said), in [0, 1]."""
        if said is None:
            return 0.0
        wanted, given = _items(gold), _items(said)
        both = len(wanted) + len(given)
        return 2 * len(wanted & given) / both if both else 1.0


_LABEL, _LIST = ExactLabel(), ItemF1()


def scorer_for(field: FieldSpec) -> Scorer:
    """Return the scorer of a field's kind."""
    return _LABEL if isinstance(field, LabelField) else _LIST


def outcome(field: FieldSpec, gold: JsonValue, said: JsonValue | None) -> tuple[int, ...]:
    """Return what metrics count of one value: see ``Scored.outcomes``."""
    if isinstance(field, LabelField):
        place = {value: at for at, value in enumerate(field.values)}
        return place[str(gold)], -1 if said is None else place.get(str(said), -1)
    wanted, given = _items(gold), _items(said)
    return len(wanted), len(given), len(wanted & given)


def score_answer(
    example: Example, answer: Answer, fields: Sequence[FieldSpec], own: OwnMetric | None = None
) -> Scored:
    """Return the scores of one note.

    Args:
        example: The note, with a gold value for at least one field.
        answer: What the student said about it.
        fields: The task's fields, with their weights.
        own: The task's own metric function, if it has one.

    Raises:
        InputError: If the note has no gold value for any field, or ``own`` fails on it.
    """
    gold, said, problems = example.gold or {}, answer.record or {}, answer.problems
    scores: dict[str, float] = {}
    outcomes: dict[str, tuple[int, ...]] = {}
    total = weights = 0.0
    for field in fields:
        name = field.name
        if name not in gold:
            continue
        value = None if name in problems else said.get(name)
        scores[name] = scorer_for(field).score(gold[name], value)
        outcomes[name] = outcome(field, gold[name], value)
        total += field.weight * scores[name]
        weights += field.weight
    if not weights:
        raise InputError(
            f"note {example.id!r} has no gold answer", "score only notes that are labelled"
        )
    tokens = (answer.prompt_tokens, answer.completion_tokens)
    read = {name: value for name, value in said.items() if name not in problems}
    mark, feedback = own(gold, read) if own else (None, "")
    return Scored(
        example_id=example.id,
        group=example.group,
        fields=scores,
        score=total / weights,
        valid=not problems and answer.status == "ok",
        cost=None if tokens[0] is None or tokens[1] is None else tokens[0] + tokens[1],
        outcomes=outcomes,
        own=mark,
        feedback=feedback,
    )


class LabelCounts(Record):
    """How often one label (or, for a list, an item) was right.

    ``precision``, ``recall`` and ``f1`` are None where they are not defined (nothing said, nothing in
    gold, neither).
    """

    gold: int
    said: int
    hits: int

    @property
    def precision(self) -> float | None:
        """Hits out of those said."""
        return self.hits / self.said if self.said else None

    @property
    def recall(self) -> float | None:
        """Hits out of those in gold."""
        return self.hits / self.gold if self.gold else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        both = self.gold + self.said
        return 2 * self.hits / both if both else None


class FieldMetrics(Record):
    """One field over many notes.

    Attributes:
        field: Its name.
        notes: Notes with a gold value for it.
        score: The mean score, in [0, 1].
        unread: Notes whose value could not be read.
        labels: Counts per label, or per value of a closed list; empty for an open one.
        positive: Pooled counts of the labels that count as found, or of a list's items.
        macro_f1: The mean F1 over labels (or values) that occur in gold; None for an open list.
    """

    field: str
    notes: int
    score: float
    unread: int
    labels: dict[str, LabelCounts]
    positive: LabelCounts
    macro_f1: float | None


Pair = tuple[JsonValue, JsonValue | None]


def _label_metrics(field: LabelField, pairs: list[Pair]) -> dict[str, LabelCounts]:
    gold = Counter(str(g) for g, _ in pairs)
    said = Counter(str(s) for _, s in pairs if s is not None)
    hits = Counter(str(g) for g, s in pairs if s is not None and s == g)
    return {v: LabelCounts(gold=gold[v], said=said[v], hits=hits[v]) for v in field.values}


def _value_metrics(field: ListField, pairs: list[Pair]) -> dict[str, LabelCounts]:
    sets = [(_items(gold), _items(said)) for gold, said in pairs]
    keys = {value: min(_items([value])) for value in field.values}
    return {
        value: LabelCounts(
            gold=sum(key in g for g, _ in sets),
            said=sum(key in s for _, s in sets),
            hits=sum(key in g & s for g, s in sets),
        )
        for value, key in keys.items()
    }


def _pooled(counts: Sequence[LabelCounts]) -> LabelCounts:
    return LabelCounts(
        gold=sum(c.gold for c in counts),
        said=sum(c.said for c in counts),
        hits=sum(c.hits for c in counts),
    )


def _list_counts(pairs: list[Pair]) -> LabelCounts:
    sets = [(_items(gold), _items(said)) for gold, said in pairs]
    return LabelCounts(
        gold=sum(len(g) for g, _ in sets),
        said=sum(len(s) for _, s in sets),
        hits=sum(len(g & s) for g, s in sets),
    )


def _metrics(field: FieldSpec, pairs: list[Pair], found: Sequence[str] | None) -> FieldMetrics:
    scorer = scorer_for(field)
    labels: dict[str, LabelCounts] = {}
    positive, macro = _list_counts(pairs), None
    if isinstance(field, LabelField):
        labels = _label_metrics(field, pairs)
        found = [v for v in field.values if v != field.default] if found is None else found
        positive = _pooled([c for v, c in labels.items() if v in found])
    elif field.values:
        labels = _value_metrics(field, pairs)
    if labels:
        known = [c.f1 or 0.0 for c in labels.values() if c.gold]
        macro = sum(known) / len(known) if known else None
    return FieldMetrics(
        field=field.name,
        notes=len(pairs),
        score=sum(scorer.score(g, s) for g, s in pairs) / len(pairs) if pairs else 0.0,
        unread=sum(s is None for _, s in pairs),
        labels=labels,
        positive=positive,
        macro_f1=macro,
    )


def field_metrics(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    fields: Sequence[FieldSpec],
    found: Mapping[str, Sequence[str]] | None = None,
) -> tuple[FieldMetrics, ...]:
    """Return one FieldMetrics per field.

    Args:
        examples: The notes, with gold.
        answers: What was said, in the same order.
        fields: The task's fields.
        found: The labels that count as found, per label field; all but the default if not named.
    """
    pairs: dict[str, list[Pair]] = {f.name: [] for f in fields}
    for example, answer in zip(examples, answers, strict=True):
        said = answer.record or {}
        for name, gold in (example.gold or {}).items():
            if name in pairs:
                read = None if name in answer.problems else said.get(name)
                pairs[name].append((gold, read))
    return tuple(_metrics(f, pairs[f.name], (found or {}).get(f.name)) for f in fields)


def exact_match(scored: Sequence[Scored]) -> float:
    """Return the share of notes of which every scored field is fully right; 0 for no notes."""
    whole = sum(all(v == 1.0 for v in s.fields.values()) for s in scored)
    return whole / len(scored) if scored else 0.0


def valid_rate(scored: Sequence[Scored]) -> float:
    """Return the share of notes of which every field could be read; 0 for no notes."""
    return sum(s.valid for s in scored) / len(scored) if scored else 0.0


def mean_cost(scored: Sequence[Scored]) -> float | None:
    """Return the mean tokens per note; None if any is unknown or there are no notes."""
    known = [s.cost for s in scored if s.cost is not None]
    return sum(known) / len(known) if known and len(known) == len(scored) else None


def field_scores(scored: Sequence[Scored]) -> dict[str, float]:
    """Return the mean score per field, over the notes with a gold value for it."""
    names = dict.fromkeys(chain.from_iterable(s.fields for s in scored))
    means = {}
    for name in names:
        values = [s.fields[name] for s in scored if name in s.fields]
        means[name] = sum(values) / len(values)
    return means
