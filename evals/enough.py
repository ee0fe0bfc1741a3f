"""Whether a split has enough patients for the acceptance test to decide anything.

Owns the least number, which the gate and ``tasks check`` share, and what to say below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preceptor.evals.splits import Splits
    from preceptor.evals.task import Task

LEAST_GROUPS = 15
"""Below this many groups in dev the gate cannot decide."""


def shortage(task: Task, drawn: Splits, least: int = LEAST_GROUPS) -> tuple[str, str] | None:
    """Return what is wrong with a dev part that is too small, and how to mend it; None if it is not.

    Args:
        task: Whose notes.
        drawn: Where they stand.
        least: The fewest groups with which the gate decides.
    """
    groups = len({e.group for e in drawn.examples(task, "dev")})
    if groups >= least:
        return None
    labelled = [e for e in task.examples if e.gold is not None]
    patients = len({e.group for e in labelled})
    more = f"label notes of more than the {patients} patients here"
    larger = "give dev a larger part in 'split'"
    steps = [larger, more] if patients >= 2 * least else [more, larger]
    if patients < len(labelled):
        steps.append("check that the 'group' column names patients")
    what = f"dev has {groups} groups: under {least} nothing can be accepted"
    return what, f"dev needs {least} patients: {', '.join(steps)}"
