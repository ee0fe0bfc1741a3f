"""The promises between rooms: what a Student, Teacher, Tool, Retriever, Scorer and Evaluator must do.

Owns only Protocols and the small frozen values that they pass. Every port has a contract suite in
``tests/contracts`` that any implementation, ours or a plug-in's, can be run through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, JsonValue

from preceptor.core.fields import FieldSpec
from preceptor.core.prospect import Prospect
from preceptor.core.records import (
    Answer,
    Call,
    Evaluation,
    Example,
    ModelRef,
    Recipe,
    Reply,
    Scored,
    Situation,
    TeacherTurn,
)
from preceptor.core.render import Hits

A = TypeVar("A", bound=BaseModel)

Cancel = Callable[[], bool]
"""Asked between calls; True means: stop handing out work and return."""


class Student(Protocol):
    """A model that answers calls.

    ``complete`` yields exactly one Reply per Call, in any order, as they come; a call that cannot be
    answered yields a ``failed`` or ``truncated`` Reply. It raises ``StudentError`` only when no call
    can be answered at all (server down, model missing). It stops early, without error, when
    ``cancel`` says so.
    """

    @property
    def ref(self) -> ModelRef:
        """The model, with its digest where the backend tells one."""
        ...

    @property
    def context(self) -> int | None:
        """The longest prompt plus answer in tokens, None if unknown."""
        ...

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls."""
        ...

    def close(self) -> None:
        """Give back what is held. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a teacher sees it: name, description, and the JSON Schema of its arguments."""

    name: str
    description: str
    schema: dict[str, JsonValue]
    changing: bool


@dataclass(frozen=True)
class Evidence:
    """What a teacher and a tool may look at: train only, with the student's answers to it.

    Attributes:
        fields: The task's fields.
        recipe: The working recipe (the incumbent, or the pending stack on top of it).
        examples: The shown part of train, in order.
        answers: The working recipe's answers to ``examples``, in the same order.
        scored: Their scores, in the same order.
        train: All labelled train notes, the round's held-out part too: what an index may hold, since
            retrieval leaves out a note's own patient. A tool that learns from notes in another way
            keeps to ``examples``.
        worth: Per example and field, what the run's metric would gain by a right answer where it is
            wrong, or lose by a wrong one where it is right; empty where all answers weigh the same.
    """

    fields: tuple[FieldSpec, ...]
    recipe: Recipe
    examples: tuple[Example, ...]
    answers: tuple[Answer, ...]
    scored: tuple[Scored, ...]
    train: tuple[Example, ...] = ()
    worth: tuple[Mapping[str, float], ...] = ()

    def worth_of(self, example: int, field: FieldSpec) -> float:
        """Return what one answer is worth in points of the metric, in [0, 1].

        Args:
            example: Its place in ``examples``.
            field: Which field.
        """
        if self.worth:
            return self.worth[example].get(field.name, 0.0)
        share = field.weight / sum(f.weight for f in self.fields) / max(len(self.examples), 1)
        score = self.scored[example].fields.get(field.name, 0.0)
        return share * (1 - score if score < 1 else score)


class Teacher(Protocol):
    """Someone who decides the next move.

    ``turn`` answers with tool calls. It raises ``TeacherError`` when no answer can be had at all;
    an answer that makes no sense is returned as it is, and the loop says so to the teacher.
    """

    @property
    def name(self) -> str:
        """Who teaches: ``rules``, or the chat model's name."""
        ...

    def turn(
        self,
        situation: Situation,
        evidence: Evidence,
        transcript: Sequence[dict[str, JsonValue]],
        tools: Sequence[ToolSpec],
    ) -> TeacherTurn:
        """Say what to do next.

        Args:
            situation: The round, the scores, the errors, what was tried, what is left.
            evidence: The train notes behind it.
            transcript: The messages of this round so far after the brief, as LangChain serialises
                them: earlier turns, tool results, corrections.
            tools: What may be called.
        """
        ...


@dataclass(frozen=True)
class ToolResult:
    """What a tool call gave.

    Attributes:
        text: What the teacher reads.
        recipe: The new recipe; None for a look, and for a move without effect.
        added_tokens: The estimated change of prompt tokens per note, for a move.
        artefacts: New artefacts by content hash.
        in_vain: Whether a move was made in full and came to nothing: it is remembered like one that
            was rolled back, though there is no candidate.
        unserved: Why the weights that it trained could not be brought back to their server; empty if
            they could, or nothing was trained.
    """

    text: str
    recipe: Recipe | None = None
    added_tokens: int = 0
    artefacts: Mapping[str, bytes] = field(default_factory=dict)
    in_vain: bool = False
    unserved: str = ""


class Tool(Protocol, Generic[A]):
    """One thing a teacher can do. It never changes a student: a move returns a new Recipe.

    ``run`` is a pure function of (arguments, evidence), apart from artefacts that it writes by
    content hash. It raises ``InputError`` with a message that helps the teacher to do better.
    """

    @property
    def name(self) -> str:
        """Its name for the teacher."""
        ...

    @property
    def description(self) -> str:
        """What it does, for the teacher."""
        ...

    @property
    def changing(self) -> bool:
        """Whether it is a move (returns a recipe) or a look."""
        ...

    @property
    def args(self) -> type[A]:
        """The arguments: a pydantic model with ``extra="forbid"``."""
        ...

    def run(self, args: A, evidence: Evidence) -> ToolResult:
        """Do it."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors whose scalar product says how alike they are in meaning."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector of length 1 (or 0) per text, in the same order.

        Raises:
            StudentError: If the model or its server cannot be used.
            InputError: If the texts may not be sent there.
        """
        ...


class Retriever(Protocol):
    """Finds worked examples for notes.

    No hit is the note itself or of its patient, whatever the index holds.
    """

    def hits(self, examples: Sequence[Example], fields: Sequence[FieldSpec]) -> list[Hits]:
        """Return, per note, worked examples per field name (``""``: for all fields), best first."""
        ...


@runtime_checkable
class Prospector(Protocol):
    """A tool that can tell, from counts alone, what calls of it would bring."""

    def prospects(self, evidence: Evidence) -> Sequence[Prospect]:
        """Return calls worth considering, each with its estimated gain; no student is asked."""
        ...


@runtime_checkable
class Hindered(Protocol):
    """A tool that can tell why no call of it is worth considering."""

    def hindered(self, evidence: Evidence, found: Sequence[Prospect]) -> str:
        """Return the reason on one line, an empty text if a call may bring something.

        Args:
            evidence: What the prospects were counted on.
            found: The tool's own prospects.
        """
        ...


class Scorer(Protocol):
    """Compares one field's answer with its gold value."""

    def score(self, gold: JsonValue, said: JsonValue | None) -> float:
        """Return a number in [0, 1]; ``said`` is None when nothing could be read."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of work is: done out of total, and what it is."""

    done: int
    total: int
    what: Literal["notes", "calls", "steps"] = "notes"


OnProgress = Callable[[Progress], None]


class Evaluator(Protocol):
    """Runs a recipe over notes and scores what comes back.

    The same (recipe, example, decoding, model digest) is never asked twice: answers come from the
    cache where they are there.
    """

    def answers(
        self, recipe: Recipe, examples: Sequence[Example], on_progress: OnProgress | None = None
    ) -> list[Answer]:
        """Return one Answer per Example, in the same order.

        Raises:
            BudgetStop: Before anything is asked that does not fit the budget.
            StudentError: If the student cannot be used at all.
            Interrupted: If the run was cancelled; what was answered is in the cache.
        """
        ...

    def evaluate(
        self,
        recipe: Recipe,
        examples: Sequence[Example],
        split: str,
        on_progress: OnProgress | None = None,
    ) -> Evaluation:
        """Return the scores of ``examples`` under ``recipe``, in the same order."""
        ...


__all__ = [
    "Cancel",
    "Embedder",
    "Evaluator",
    "Evidence",
    "Hindered",
    "OnProgress",
    "Progress",
    "Prospector",
    "Retriever",
    "Scorer",
    "Student",
    "Teacher",
    "Tool",
    "ToolResult",
    "ToolSpec",
]
