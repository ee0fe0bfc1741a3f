"""What a measurement says: the scores of notes, of a recipe on a split, and a number with its interval.

Owns these frozen values; how they are made is in ``evals``.
"""

from __future__ import annotations

from pydantic import Field

from preceptor.core.record import Record


class Interval(Record):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


class Scored(Record):
    """The scores of one note.

    Attributes:
        example_id: The note.
        group: Its patient.
        fields: Score in [0, 1] per field that has a gold value.
        score: The note's endpoint in [0, 1]: the weighted mean of ``fields``.
        valid: Whether every field could be read.
        cost: Prompt and completion tokens, or None where the backend does not say.
        outcomes: What metrics count, per field of ``fields``. Of a label: the places of the gold and of
            the said label among the field's, -1 for one that could not be read. Of a list: how many
            items are in gold, were said, and both.
        own: What the task's own metric function says of the note, in [0, 1]; None if it has none.
        feedback: What that function says in words, for the teacher.
    """

    example_id: str
    group: str
    fields: dict[str, float]
    score: float
    valid: bool
    cost: int | None = None
    outcomes: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    own: float | None = None
    feedback: str = ""


class Evaluation(Record):
    """A recipe's scores on some notes, in the notes' order."""

    recipe: str
    split: str
    scored: tuple[Scored, ...]

    @property
    def mean(self) -> float:
        """The mean endpoint over notes, in [0, 1]; 0 for no notes."""
        return sum(s.score for s in self.scored) / len(self.scored) if self.scored else 0.0
