"""Trying a student before it is used: can its answer to a schema be read, and is the schema forced?

Owns the two questions that are asked, about no real note, and the choice between a model's ways to
answer: without thinking aloud, or after it. Some models drop the schema, or say nothing at all, when
they are told not to think (Ollama: Qwen 3.5, Gemma 4), and others never stop when they may.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

from preceptor.core import forced, parse
from preceptor.core.decoding import Decoding, Thinking
from preceptor.core.errors import StudentError
from preceptor.core.fields import LabelField
from preceptor.core.ports import Student
from preceptor.core.records import Call, Example, Message, Recipe, Reply
from preceptor.core.render import calls

FIELD = LabelField(name="pain", values=("yes", "no"))
NOTE = Example(id="trial", group="trial", text="He reports pain.")
ASIDE = (Message("user", "Write one short sentence about the weather. Plain words, no JSON."),)
"""Nobody answers this in JSON, unless there is no other way."""

Schema = Literal["forced", "refused", "ignored", "unknown"]


@runtime_checkable
class Thinker(Protocol):
    """A student that knows whether its model can think aloud before it answers."""

    @property
    def thinks(self) -> bool:
        """Whether it can."""
        ...


@runtime_checkable
class Guarded(Protocol):
    """A student behind a gate."""

    @property
    def unguarded(self) -> Student:
        """The student itself, for what is no note's text."""
        ...


@dataclass(frozen=True)
class Trial:
    """What came of one way to ask.

    Attributes:
        think: The way.
        reply: The answer to an easy question with a schema.
        schema: What the server does with schemas; unknown where the answer tells nothing.
    """

    think: Thinking
    reply: Reply
    schema: Schema

    @property
    def readable(self) -> bool:
        """Whether the answer can be read."""
        return self.reply.status == "ok" and not parse.read(self.reply.raw, (FIELD,))[1]


def tried(student: Student, constrained: bool = True) -> Trial:
    """Return what works best: an answer that can be read, under a schema that is forced.

    A model that can think aloud is asked not to first, which is faster; if that does not work, it may.

    Args:
        student: Who is asked.
        constrained: Whether the schema shall be forced.

    Raises:
        StudentError: If the server or the model is gone.
    """
    bare = student.unguarded if isinstance(student, Guarded) else student
    thinks = isinstance(bare, Thinker) and bare.thinks
    ways: tuple[Thinking, ...] = ("off", "on") if thinks else ("auto",)
    found: list[Trial] = []
    for think in ways:
        found.append(_one(bare, Decoding(constrained=constrained, think=think)))
        if found[-1].readable and (found[-1].schema == "forced" or not constrained):
            return found[-1]
    return next((trial for trial in found if trial.readable), found[0])


def _one(student: Student, decoding: Decoding) -> Trial:
    recipe = Recipe(model=student.ref, decoding=decoding)
    asked = calls(recipe, (FIELD,), NOTE)[0]
    reply = _reply(student, asked)
    if reply.unforced:
        return Trial(decoding.think, reply, "refused")
    if reply.status != "ok" or not decoding.constrained:
        return Trial(decoding.think, reply, "unknown")
    aside = _reply(student, replace(asked, messages=ASIDE))
    if aside.unforced:
        return Trial(decoding.think, reply, "refused")
    if aside.status != "ok":
        return Trial(decoding.think, reply, "unknown")
    fits = forced.fits(aside.raw, (FIELD,)) and forced.fits(reply.raw, (FIELD,))
    return Trial(decoding.think, reply, "forced" if fits else "ignored")


def _reply(student: Student, call: Call) -> Reply:
    lost = Reply(call.key, "", "failed", error="no answer came")
    return next(iter(student.complete([call])), lost)


def way(student: Student, constrained: bool = True) -> Thinking:
    """Return whether a model that can think aloud shall; ``auto`` for all others, which are not asked.

    Raises:
        StudentError: If it can, and its answer can be read in neither way.
    """
    bare = student.unguarded if isinstance(student, Guarded) else student
    if not (isinstance(bare, Thinker) and bare.thinks):
        return "auto"
    trial = tried(bare, constrained)
    if trial.readable:
        return trial.think
    why = f": {trial.reply.error}" if trial.reply.error else ""
    raise StudentError(
        f"{student.ref.spec!r} gives no readable answer to a schema, thinking aloud or not{why}",
        "take another model, or a newer Ollama; preceptor doctor --student tries it again",
    )
