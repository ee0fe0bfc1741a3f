"""Runs that only look around, and tasks too small for any other.

Owns the refusal of a task that the acceptance test can never pass, and the words for a run that was
told to leave the sealed test closed (``--explore``). Its gate decides as ever: where dev has too few
patients it cannot, and nothing is accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from preceptor.core.errors import TaskError
from preceptor.evals import enough
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task

if TYPE_CHECKING:
    from preceptor.graphs.wiring import Options

UNSEALED = "exploration: the sealed test stays closed"
"""Why an exploring run has no figures of the sealed test."""

INSTEAD = "or only look around: --explore"


def check(options: Options, task: Task, drawn: Splits) -> None:
    """Refuse a run that could accept nothing, before anything is spent.

    Raises:
        TaskError: Naming how many patients are needed, and how to get there.
    """
    short = enough.shortage(task, drawn, options.gate.min_groups)
    if short is not None and not options.explore:
        raise TaskError(f"task {task.name!r}: {short[0]}", f"{short[1]}; {INSTEAD}")


def untested(options: Options, drawn: Splits) -> Splits:
    """Return the parts of which a run asks: an exploring one never asks about the test."""
    return drawn.model_copy(update={"test": ()}) if options.explore else drawn
