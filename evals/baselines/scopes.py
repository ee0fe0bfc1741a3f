"""What a sentence says of a phrase in it: triggers and scopes in the manner of NegEx and ConText.

Owns the triggers (Chapman et al. 2001, J Biomed Inform 34:301; Harkema et al. 2009, J Biomed Inform
42:839): a trigger reaches to the end of its sentence or to a termination term; pseudo-triggers are
taken out first. Leaves what is looked for to ``rules`` and ``dictionary``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

Status = Literal["affirmed", "negated", "other"]

Reader = Callable[[str, int, int], Status]
"""(sentence in lower case, start, end of the phrase) -> what is said of it."""


def any_of(*phrases: str) -> re.Pattern[str]:
    """Return a pattern that finds any of the phrases (regular expressions), as whole words."""
    words = "|".join(sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])")


PSEUDO = any_of(
    "no change", "no increase", "no improvement", "not only", "not resolved", "without relief",
    "no better", "not improved", "gram negative", "not certain whether", "without difficulty",
)  # fmt: skip
BEFORE = any_of(
    "no", "not", "without", "w/o", "denies", "denied", "deny", "negative for", "neg for", "free of",
    "absence of", "never", "no evidence of", "no signs of", "no complaints of", "no longer", "none of",
    "nothing to suggest", "rules out", "ruled out", "resolved",
)  # fmt: skip
AFTER = any_of(
    "denied", "negative", "absent", "none", "nil", "resolved", "ruled out", "not present", "not seen",
    "cleared", "settled", "gone", "is unlikely", "stopped",
)  # fmt: skip
HISTORY = any_of(
    "history of", "hx of", "h/o", "previous", "previously", "prior to", "before rt", "before treatment",
    "in the past", "remote", "pmh", "past hx", "past medical", "as a young man", "used to",
    r"(?:19|20)\d\d",
)  # fmt: skip
FAMILY = any_of(
    "father", "mother", "brother", "sister", "uncle", "aunt", "cousin", "neighbor", "family history",
    "fhx", "famhx", "wife", "husband", "son", "daughter", "his brother", "grandfather",
)  # fmt: skip
HYPOTHETICAL = any_of(
    "if", "return", "should", "call for", "warned", "counseled", "risk of", "watch for", "possible",
    "discussed", "will", "plan to", "in case", "handout", "questionnaire", "not assessed",
)  # fmt: skip
END = any_of(
    "but", "however", "though", "although", "except", "apart from", "other than", "despite", "still",
    "yet", "which", "because", "secondary to", "aside from",
)  # fmt: skip

SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")


def affirmed(sentence: str, start: int, end: int) -> Status:
    """Return that the phrase is there, whatever stands around it."""
    return "affirmed"


def status(sentence: str, start: int, end: int) -> Status:
    """Return what a sentence says of the phrase at ``start:end``, after NegEx and ConText."""
    before, after = sentence[:start], sentence[end:]
    pseudo = [m.end() for m in PSEUDO.finditer(before)]
    before = before[max([0, *pseudo, *(m.end() for m in END.finditer(before))]) :]
    after_end = END.search(after)
    after = PSEUDO.sub(" ", after[: after_end.start()] if after_end else after)
    whole = f"{before} {after}"
    if HYPOTHETICAL.search(before) or FAMILY.search(whole) or HISTORY.search(whole):
        return "other"
    return "negated" if BEFORE.search(before) or AFTER.search(after) else "affirmed"
