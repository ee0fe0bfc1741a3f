"""Whether the notes of a task fit into a student's context, asked before anything is spent.

Owns an estimate, and the error that names the longest note's id. It is the floor of ``core.sizes``, so
that only what surely is too long fails; a backend that counts exactly still reports ``truncated``
answers where the estimate was too kind.
"""

from __future__ import annotations

from preceptor.core import render, sizes
from preceptor.core.errors import InputError
from preceptor.core.ports import Student
from preceptor.core.records import Recipe
from preceptor.evals.task import Task


def check(student: Student, recipe: Recipe, task: Task) -> None:
    """Check every note of the task.

    Raises:
        InputError: If a note surely does not fit.
    """
    room = student.context
    if room is None:
        return
    longest = max(task.examples, key=lambda e: sizes.guess(e.text))
    calls = render.calls(recipe, task.fields, longest)
    size = max(sizes.fewest(call.messages) for call in calls)
    if size > room:
        raise InputError(
            f"note {longest.id!r} does not fit: its prompt has {size:,} tokens at least, "
            f"the student reads {room:,}",
            "take a student with a longer context, or cut the notes into parts",
        )
