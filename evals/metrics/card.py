"""What each metric is, in words: the metric card of a report.

Owns the definitions and what happens where nothing can be counted. Leaves the arithmetic to
``evals.metrics.statistic``; tests hold the two together, against scikit-learn.
"""

from __future__ import annotations

from pydantic import Field

from preceptor.core.record import Record
from preceptor.evals.metrics.choice import Metric, words

_EMPTY_F1 = (
    "a label or list that gold never has on the notes at hand is left out, so that inventing it costs "
    "nothing by itself; never said though gold has it: 0; an unreadable answer finds nothing"
)
_DEFINITIONS: dict[str, tuple[str, str]] = {
    "accuracy": (
        "the mean over notes of the share of a note's fields that are right; a list counts with its F1 "
        "in that note",
        "a list that is empty in gold and answer is right; an unreadable answer is wrong",
    ),
    "balanced_accuracy": (
        "the mean over fields of the mean recall of their labels (of a list: of its items); always "
        "giving one answer scores 1 / the number of labels",
        "a label that gold never has is left out; an unreadable answer finds nothing",
    ),
    "macro_f1": (
        'the mean over fields of the mean F1 of their labels other than "nothing found", where F1 = '
        "2·hits / (in gold + said); of a list: the F1 of all its items",
        _EMPTY_F1,
    ),
    "micro_f1": (
        'F1 = 2·hits / (in gold + said) of all labels other than "nothing found" and all items of '
        "lists, pooled over fields and notes",
        "nothing in gold at all: not defined; a label or item that gold never has counts against it",
    ),
    "exact_match": (
        "the share of notes of which every field is right, lists item by item",
        "lists that are empty in gold and answer are right; an unreadable answer is wrong",
    ),
    "kappa": (
        "the mean over label fields of Cohen's kappa, agreement beyond chance (1 is perfect, 0 what "
        "chance gives); where labels are ordered, errors count by the square of their distance",
        "a field of which gold has one label only is left out; an unreadable answer is as far off as "
        "can be",
    ),
    "list_f1": (
        "F1 = 2·hits / (in gold + said) of all items of all lists, pooled over notes; items are "
        "compared without case and blanks",
        "lists that are empty in gold and answer count for nothing; all empty in gold: not defined",
    ),
    "recall": (
        'the share of what was to be found (labels other than "nothing found", items) that was found',
        "nothing in gold: not defined",
    ),
}


class Card(Record):
    """One metric in words.

    Attributes:
        name: As a task names it.
        definition: What it is.
        empty: What counts where gold or answers have nothing.
        why: Why a run was judged by it; empty for those beside it.
        labels: The labels that count per label field, where the metric asks for that.
    """

    name: str
    definition: str
    empty: str = ""
    why: str = ""
    labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)


def card(name: str, metric: Metric | None = None) -> Card:
    """Return the card of a metric; ``metric`` is the run's own, if it is that one."""
    definition, empty = _DEFINITIONS.get(
        name, ("the mean over notes of what this function of (gold, answer) returns", "")
    )
    counts = metric is not None and name in ("macro_f1", "micro_f1", "recall")
    return Card(
        name=name,
        definition=definition,
        empty=empty,
        why=metric.why if metric is not None else "",
        labels=dict(metric.labels) if metric is not None and counts else {},
    )


def lines(found: Card) -> list[str]:
    """Return a card for a reader."""
    out = [f"  {words(found.name)}: {found.definition}"]
    if found.empty:
        out.append(f"    empty cases: {found.empty}")
    if found.why:
        out.append(f"    why this one: {found.why}")
    shown = [f"{name}: {', '.join(labels)}" for name, labels in found.labels.items()]
    if shown:
        more = f"; and {len(shown) - 8} more fields" if len(shown) > 8 else ""
        out.append(f"    counts as found: {'; '.join(shown[:8])}{more}")
    return out
