"""The arguments of the move ``index_examples``, as a teacher gives them.

Owns their shape only; what is refused is said in ``rag.index``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from preceptor.core.record import Record
from preceptor.tools.rag.artefact import Granularity
from preceptor.tools.rag.retriever import Mode, RetrievalSettings, Show
from preceptor.tools.rag.searching import Fusion

MAX_K = 8
MAX_GIVEN = 200


class Pair(Record):
    """A train note's sentence with the reason why it carries its label."""

    example_id: str
    field: str
    sentence: int | str
    reason: str


class Snippet(Record):
    """A line of a guideline: a made-up statement, what it means for a field, and why."""

    field: str
    text: str
    label: str
    reason: str = ""


class IndexExamplesArgs(Record):
    """The arguments of ``index_examples``.

    Attributes:
        fields: Which fields get examples; all if empty.
        granularity: What an example is.
        mode: How notes and examples are compared.
        k: The most examples per field.
        show: What the student sees of an example.
        include: ``all`` train notes, or these.
        pairs: The teacher's own reasoning about train notes.
        snippets: Lines of a guideline.
        fusion: How the lists of mode hybrid are joined.
        diversity: How much examples should differ (MMR; modes dense and hybrid).
        touching: Show examples only for fields that the note seems to speak of.
        balance: Let the labels take turns.
        embedder: The embedder; only the configured one can be named. Empty: it is used if needed.
        reason: Why, in one line, for the trace.
        expected_gain: What the teacher expects on train, in points of [0, 1].
    """

    fields: tuple[str, ...] = ()
    granularity: Granularity = "sentence"
    mode: Mode = "sparse"
    k: int = Field(default=4, ge=1, le=MAX_K)
    show: Show = "sentence"
    include: Literal["all"] | tuple[str, ...] = "all"
    pairs: tuple[Pair, ...] = Field(default=(), max_length=MAX_GIVEN)
    snippets: tuple[Snippet, ...] = Field(default=(), max_length=MAX_GIVEN)
    fusion: Fusion = "rrf"
    diversity: float = Field(default=0.0, ge=0, le=1)
    touching: bool = True
    balance: bool = True
    embedder: str = ""
    reason: str = Field(default="", max_length=400)
    expected_gain: float | None = Field(default=None, ge=-1, le=1)

    def settings(self) -> RetrievalSettings:
        """Return what the retriever needs to know."""
        return RetrievalSettings(
            mode=self.mode,
            show=self.show,
            touching=self.touching,
            balance=self.balance,
            fusion=self.fusion,
            diversity=self.diversity,
        )
