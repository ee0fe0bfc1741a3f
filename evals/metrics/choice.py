"""Which metric a task is judged by: what it says, or what its data call for.

Owns the rule and the door for a person's own function. docs/adr/0015 says why the rule is what it is:

1. What ``--metric`` or the task's ``metric`` names.
2. Tasks of nothing but ordered labels: ``kappa``.
3. Tasks of nothing but lists: ``list_f1``.
4. ``accuracy`` where no field's commonest value holds more than two thirds of train.
5. Else ``macro_f1``: a student that says nothing would be right most of the time.

In F1 one label per field does not count: the one that holds more than two thirds of train, if one does,
else the default. It is what a student that finds nothing would say.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.record import canonical
from preceptor.core.records import Answer, Example, Scored
from preceptor.evals.metrics import own, statistic
from preceptor.evals.metrics.statistic import Statistic
from preceptor.evals.scorers import OwnMetric, score_answer

Name = Literal[
    "accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "exact_match", "kappa", "list_f1"
]
NAMES: tuple[Name, ...] = get_args(Name)

DOMINANT = 2 / 3
"""A value that more than this share of train has dominates its field."""


@dataclass(frozen=True)
class Metric:
    """The metric of one run.

    Attributes:
        name: One of ``NAMES``, or ``pkg.mod:function``.
        why: Why this one, in half a sentence.
        statistic: What computes it.
        recall: The recall of what was to be found, which no gain may cost; None if it is not looked at.
        labels: Per label field, the labels that count in F1 and recall.
        function: The person's own function, if it is that.
    """

    name: str
    why: str
    statistic: Statistic
    recall: Statistic | None = None
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    function: OwnMetric | None = None

    @property
    def words(self) -> str:
        """Its name for a reader."""
        return words(self.name)


def words(name: str) -> str:
    """Return the name of a metric for a reader."""
    return name.replace("_f1", " F1").replace("_", " ") if name in NAMES else name


def commonest(field: FieldSpec, train: Sequence[Example]) -> tuple[str, float]:
    """Return the commonest value of a field (a list as JSON) and its share of train."""
    values = [_text(e.gold[field.name]) for e in train if e.gold and field.name in e.gold]
    seen = Counter(values)
    if not seen:
        return "", 0.0
    value, count = seen.most_common(1)[0]
    return value, count / len(values)


def _text(value: JsonValue) -> str:
    return canonical(sorted(map(str, value))) if isinstance(value, list) else str(value)


def counted(fields: Sequence[FieldSpec], train: Sequence[Example]) -> dict[str, tuple[str, ...]]:
    """Return, per label field, the labels that count as something found.

    All but one: the label that a student which finds nothing would give. That is the one that dominates
    train, if one does, else the default.
    """
    found = {}
    for field in fields:
        if isinstance(field, LabelField):
            label, share = commonest(field, train)
            usual = label if share > DOMINANT else field.default
            found[field.name] = tuple(v for v in field.values if v != usual)
    return found


def choose(fields: Sequence[FieldSpec], train: Sequence[Example], asked: str = "") -> Metric:
    """Return the metric of a task.

    Args:
        fields: The task's fields.
        train: Its labelled train notes; nothing else is looked at.
        asked: What the task or the command line names; the rule decides if empty.

    Raises:
        TaskError: If there is no such metric, or it does not go with these fields.
    """
    name, why = (asked, "the task or the command names it") if asked else _by_rule(fields, train)
    labels = counted(fields, train)
    function = own.load(name, train) if ":" in name else None
    return Metric(
        name=name,
        why=why,
        statistic=_own(fields) if function else make(name, fields, labels),
        recall=statistic.Recall(fields, labels) if fields else None,
        labels=tuple(labels.items()),
        function=function,
    )


def _by_rule(fields: Sequence[FieldSpec], train: Sequence[Example]) -> tuple[Name, str]:
    labels = [f for f in fields if isinstance(f, LabelField)]
    if labels and len(labels) == len(fields) and all(f.ordered for f in labels):
        return "kappa", "its labels are ordered: the distance between them counts"
    if not labels:
        return "list_f1", "it asks for lists: items count, not notes"
    shares = [(commonest(f, train), f.name) for f in fields]
    (_, share), name = max(shares, key=lambda found: found[0][1])
    if share > DOMINANT:
        return (
            "macro_f1",
            f"one value holds {share:.0%} of train in field {name!r}: "
            "accuracy would reward an answer that never varies",
        )
    return "accuracy", f"no value holds more than two thirds of train (most: {share:.0%}, {name!r})"


def make(name: str, fields: Sequence[FieldSpec], labels: dict[str, tuple[str, ...]]) -> Statistic:
    """Return what computes a metric.

    Args:
        name: One of ``NAMES``.
        fields: The task's fields.
        labels: The labels that count as something found, per label field.

    Raises:
        TaskError: If there is no such metric, or it does not go with these fields.
    """
    lists = [f for f in fields if not isinstance(f, LabelField)]
    if name == "list_f1" and not lists:
        raise TaskError("metric 'list_f1' needs a list field", "take macro_f1 or accuracy for labels")
    if name in ("kappa", "balanced_accuracy") and len(lists) == len(fields):
        raise TaskError(f"metric {name!r} needs a label field", "take list_f1 for lists")
    names = tuple(f.name for f in fields)
    made: dict[str, Callable[[], Statistic]] = {
        "accuracy": lambda: statistic.Mean(names, lambda note: note.score),
        "exact_match": lambda: statistic.Mean(names, _exact),
        "balanced_accuracy": lambda: statistic.BalancedAccuracy(fields),
        "macro_f1": lambda: statistic.MacroF1(fields, labels),
        "micro_f1": lambda: statistic.MicroF1(fields, labels),
        "kappa": lambda: statistic.Kappa(fields),
        "list_f1": lambda: statistic.MicroF1(lists),
    }
    if name not in made:
        raise TaskError(
            f"there is no metric {name!r}",
            f"one of {', '.join(NAMES)}, or your own as pkg.mod:function",
        )
    return made[name]()


def accuracy(scored: Sequence[Scored]) -> Metric:
    """Return plain accuracy of the fields that are scored, as runs had it before this choice."""
    names = dict.fromkeys(name for note in scored for name in note.fields)
    return Metric("accuracy", "", statistic.Mean(tuple(names), lambda note: note.score))


def _exact(note: Scored) -> float:
    return float(all(v == 1.0 for v in note.fields.values()))


def _own(fields: Sequence[FieldSpec]) -> statistic.Mean:
    return statistic.Mean(tuple(f.name for f in fields), lambda note: note.own or 0.0)


def applicable(fields: Sequence[FieldSpec]) -> tuple[Name, ...]:
    """Return the metrics that go with these fields, in the order of ``NAMES``."""
    labels = any(isinstance(f, LabelField) for f in fields)
    lists = any(not isinstance(f, LabelField) for f in fields)
    needs: dict[str, bool] = {"balanced_accuracy": labels, "kappa": labels, "list_f1": lists}
    return tuple(name for name in NAMES if needs.get(name, True))


def check_part(
    metric: Metric, fields: Sequence[FieldSpec], examples: Sequence[Example], part: str
) -> None:
    """Refuse a part on which even a perfect student has no value of the metric.

    Raises:
        TaskError: If nothing that counts occurs in the part's gold.
    """
    perfect = [
        score_answer(e, Answer(example_id=e.id, record=e.gold), fields, metric.function)
        for e in examples
        if e.gold
    ]
    value = metric.statistic.value(metric.statistic.count(perfect).sum(0))
    if not math.isfinite(float(value)):
        raise TaskError(
            f"metric {metric.name!r} cannot be computed on {part}: its gold has nothing that counts",
            "give it more labelled notes with something to find, another seed, or another metric",
        )
