"""One finding as a line: owns its words, which a teacher and a person read alike."""

from __future__ import annotations

from preceptor.core.records import Finding
from preceptor.core.render import quote

HELPS = "what helps: retrieved examples with other answers (index_examples), or training (fine_tune)"
MOST_CUE = 60


def constant(found: Finding) -> str:
    """Return what a constant answer is: ``nearly always 'no': 98 % of answers, 61 % in gold``."""
    what = f"{quote(found.cue)[:MOST_CUE]!r}" if found.cue else "the same"
    shares = ""
    if found.said_share is not None and found.gold_share is not None:
        shares = (
            f": the commonest answer is {_percent(found.said_share)} of all, "
            f"gold's commonest {_percent(found.gold_share)}"
        )
    return f"nearly always {what}{shares}"


def brief_constant(found: Finding) -> str:
    """Return the same in a few words: ``'no' in 98 % of answers (gold's commonest: 61 %)``."""
    what = f"{quote(found.cue)[:MOST_CUE]!r}" if found.cue else "the same"
    if found.said_share is None or found.gold_share is None:
        return f"nearly always {what}"
    gold = f"(gold's commonest: {_percent(found.gold_share)})"
    return f"{what} in {_percent(found.said_share)} of answers {gold}"


def _percent(share: float) -> str:
    # A student that is nearly constant is not constant.
    return "over 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"
