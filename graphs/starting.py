"""Where a student starts: the recipe of an untouched model.

Owns what is settled before the first answer: the answer limit that the task's schema asks for, and
whether a model that can think aloud shall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from preceptor.agents.students import trial
from preceptor.core import lengths
from preceptor.core.decoding import Thinking
from preceptor.core.errors import InputError
from preceptor.core.lengths import Tight
from preceptor.core.ports import Student
from preceptor.core.records import Decoding, Example, ModelRef, Recipe
from preceptor.core.render import asked_together
from preceptor.evals.task import Task

if TYPE_CHECKING:
    from preceptor.graphs.wiring import Options

HALF = 0.5
"""From this share of notes on whose right answer does not fit, there is no use in asking."""


def recipe(
    task: Task,
    model: ModelRef,
    constrained: bool = True,
    max_tokens: int | None = None,
    context: int | None = None,
    think: Thinking = "auto",
) -> Recipe:
    """Return the recipe of an untouched student.

    Args:
        task: Its prompt, mode and fields.
        model: Who answers.
        constrained: Whether only texts that fit the schema can come out.
        max_tokens: The longest answer to one call; what the schema asks for if None.
        context: What the student holds, in tokens; the schema's limit leaves room for the note.
        think: What was tried with the model.
    """
    made = Recipe(model=model, prompt=task.prompt, mode=task.mode)
    most = max_tokens or lengths.limit(asked_together(made, task.fields), context)
    decoding = Decoding(constrained=constrained, max_tokens=most, think=think)
    return made.model_copy(update={"decoding": decoding})


def untouched(task: Task, student: Student, options: Options) -> Recipe:
    """Return the recipe of an opened student; one that can think aloud is tried first.

    Raises:
        StudentError: If it can, and neither with thoughts nor without its answer can be read.
    """
    tried = trial.way(student, options.constrained)
    return recipe(task, student.ref, options.constrained, options.max_tokens, student.context, tried)


def tight(start: Recipe, task: Task, notes: tuple[Example, ...]) -> Tight | None:
    """Return which notes' gold does not fit the answer limit, None if all fits."""
    return lengths.tight(asked_together(start, task.fields), notes, start.decoding.max_tokens)


def remark(start: Recipe, task: Task, notes: tuple[Example, ...]) -> str:
    """Return a line where gold does not fit the answer limit, an empty text where it does."""
    found = tight(start, task, notes)
    return found.words() if found else ""


def check(start: Recipe, task: Task, notes: tuple[Example, ...]) -> None:
    """Refuse an answer limit that the gold of half of the notes does not fit.

    Raises:
        InputError: Saying which limit would do.
    """
    found = tight(start, task, notes)
    if found is not None and found.notes >= HALF * found.of:
        raise InputError(*found.parts())
