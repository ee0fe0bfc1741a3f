"""How a student stands: against the untouched one, the best answerer without a model, and the target.

Owns the three comparisons of a headline, each with its interval, and what may be said of each. Leaves
the words to ``evals.headline``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from preceptor.core.record import Record
from preceptor.core.records import Interval
from preceptor.evals.enough import LEAST_GROUPS

SURE = 0.025
"""The one-sided p value at which "better" may be said, beside an interval that lies above 0."""

Finding = Literal["better", "worse", "no_gain", "unchanged", "not_measured"]
"""What the sealed test says: "no_gain" is one that is not sure, "unchanged" the same recipe."""

Ahead = Literal["better", "no_better", "worse"]
"""Against a baseline: "no_better" is not surely ahead, "worse" an interval below 0."""

Reached = Literal["reached", "open", "missed"]
"""Against the target: "open" is an interval that includes it, or too few patients."""


def surely_better(gain: Interval, p_value: float | None) -> bool:
    """Tell whether a gain on the sealed test may be called one.

    Its interval must lie above 0, and the gate's tests must agree: resampled intervals are too short
    for few patients, for one patient with most notes, and for the F1 of something rare.
    """
    return gain.low > 0 and (p_value is None or p_value <= SURE)


class RuleRow(Record):
    """An answerer without a language model on the sealed test, and how far the final student is ahead.

    Attributes:
        name: Which.
        score: Its value of the run's metric.
        final_ahead: The final student's minus that, paired.
        trivial: Whether it gives every note the same answer.
        p_value: Of "the final student is better", one-sided; None in reports from before.
    """

    name: str
    score: Interval
    final_ahead: Interval
    trivial: bool = False
    p_value: float | None = None

    @property
    def ahead(self) -> Ahead:
        """What may be said of the final student against it."""
        if surely_better(self.final_ahead, self.p_value):
            return "better"
        return "worse" if self.final_ahead.high < 0 else "no_better"


class Standing(Record):
    """The three comparisons of the final student on the sealed test.

    Attributes:
        untouched: Against the student as it came.
        baseline: Against the best answerer without a language model; None if there is none.
        best: That answerer.
        trivial: Against the best one that gives every note the same answer.
        best_trivial: That one.
        target: What would be good enough, if the task says.
        reached: Whether it is.
    """

    untouched: Finding
    baseline: Ahead | None = None
    best: RuleRow | None = None
    trivial: Ahead | None = None
    best_trivial: RuleRow | None = None
    target: float | None = None
    reached: Reached | None = None

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against use: surely better than answering the same to every note."""
        return self.trivial in (None, "better") and self.untouched != "not_measured"


def standing(
    untouched: Finding,
    score: Interval | None,
    rules: Sequence[RuleRow],
    target: float | None,
    patients: int,
) -> Standing:
    """Return how the final student stands.

    Args:
        untouched: What the sealed test says against the untouched student.
        score: The final student's on the sealed test; None if that was not opened.
        rules: The baselines on the same notes.
        target: What would be good enough.
        patients: Of how many the sealed test has notes.
    """
    if score is None:
        return Standing(untouched=untouched, target=target)
    best = _hardest(rules)
    plain = _hardest([r for r in rules if r.trivial])
    return Standing(
        untouched=untouched,
        baseline=best.ahead if best else None,
        best=best,
        trivial=plain.ahead if plain else None,
        best_trivial=plain,
        target=target,
        reached=None if target is None else _reached(score, target, patients),
    )


def _hardest(rules: Sequence[RuleRow]) -> RuleRow | None:
    return max(rules, key=lambda r: (r.score.value, r.trivial, r.name == "majority"), default=None)


def _reached(score: Interval, target: float, patients: int) -> Reached:
    if patients < LEAST_GROUPS:
        return "open"  # resampled intervals of few patients are too short
    if score.low >= target:
        return "reached"
    return "missed" if score.high < target else "open"
