"""How many of a student's answers can be read, why the others cannot, and what to do about it.

Owns the counts, the two shares from which they matter, and their words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from preceptor.core.record import Record
from preceptor.core.records import Answer, Recipe

UNUSABLE = 0.05
"""With at most this share of readable answers a student cannot be refined."""

WORRYING = 0.5
"""With at most this share of readable answers a reader is warned."""

_Why = Literal["cut", "overlong", "invalid", "failed"]


class Readable(Record):
    """The answers to some notes; a note counts once, by the worst of its fields.

    Attributes:
        notes: How many there are.
        valid: Those of which every field could be read.
        cut: Those that were cut off at the answer limit.
        overlong: Those whose prompt, or prompt and answer, did not fit the context.
        invalid: Those that held no value of the schema.
        failed: Those that never came.
        max_tokens: The answer limit, in tokens.
        mode: Whether one call asked for one field or for all.
        constrained: Whether the schema was asked to be forced.
    """

    notes: int
    valid: int
    cut: int = 0
    overlong: int = 0
    invalid: int = 0
    failed: int = 0
    max_tokens: int
    mode: Literal["per_field", "joint"]
    constrained: bool

    @property
    def share(self) -> float:
        """The share of answers that can be read; 1 for no notes."""
        return self.valid / self.notes if self.notes else 1.0

    @property
    def unusable(self) -> bool:
        """Whether there is next to nothing to learn from."""
        return self.share <= UNUSABLE

    @property
    def worrying(self) -> bool:
        """Whether half of the answers or more say nothing."""
        return self.share <= WORRYING

    def counts(self) -> str:
        """Return how many answers can be read, and what became of the others."""
        parts = {
            f"cut off at the answer limit of {self.max_tokens} tokens": self.cut,
            "too long for the student's context": self.overlong,
            "not in the asked form": self.invalid,
            "failed": self.failed,
        }
        told = ", ".join(f"{count} {words}" for words, count in parts.items() if count)
        return f"{self.valid} of {self.notes} answers can be read" + (f": {told}" if told else "")

    def advice(self) -> str:
        """Return what to change."""
        steps = []
        if self.cut:
            steps.append("a longer answer limit (--max-tokens)")
        if self.overlong:
            steps.append("a student with a longer context, or shorter notes")
        if self.mode == "joint" and (self.cut or self.overlong or self.invalid):
            steps.append("one field per call (--mode per_field)")
        if self.invalid and not self.constrained:
            steps.append("constrained decoding (without --unconstrained)")
        elif self.invalid:
            steps.append("a server that forces the schema (preceptor doctor)")
        if self.failed:
            steps.append("a look at the student's server")
        return f"try {', '.join([*steps, 'another student'])}"


def count(answers: Iterable[Answer], recipe: Recipe) -> Readable:
    """Count the answers that a recipe gave."""
    given = list(answers)
    why = Counter(_why(answer, recipe.decoding.max_tokens) for answer in given if not _read(answer))
    return Readable(
        notes=len(given),
        valid=sum(map(_read, given)),
        cut=why["cut"],
        overlong=why["overlong"],
        invalid=why["invalid"],
        failed=why["failed"],
        max_tokens=recipe.decoding.max_tokens,
        mode=recipe.mode,
        constrained=recipe.decoding.constrained,
    )


def _read(answer: Answer) -> bool:
    return not answer.problems and answer.status == "ok"


def _why(answer: Answer, limit: int) -> _Why:
    """Return why an answer cannot be read.

    One that was cut before it began, or in a single call short of the answer limit, met the end of
    the context.
    """
    if answer.status == "failed":
        return "failed"
    if answer.status != "truncated":
        return "invalid"
    written = answer.completion_tokens
    short = answer.calls == 1 and written is not None and written < limit
    return "overlong" if short or not any(answer.raw) else "cut"
