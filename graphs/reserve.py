"""What a run keeps back for the sealed test, so that refining cannot spend it.

Owns that amount: calls, and the dollars of a student that costs any; and the limits of a run that were
changed when it was resumed. Leaves the account to
``core.ledger``, which is handed the smaller budget until the test is opened.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from preceptor.core import render
from preceptor.core.amounts import most_read, most_written
from preceptor.core.errors import InputError
from preceptor.core.ledger import Budget
from preceptor.core.prices import PRICE_HINT, PriceTable
from preceptor.core.records import Recipe, Split
from preceptor.core.runs import RunStore
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task
from preceptor.graphs import exploring

if TYPE_CHECKING:
    from preceptor.graphs.wiring import Options

GROWTH = 2
"""How many times the first prompt's length a refined one is taken to have at most."""


def held_back(options: Options, task: Task, drawn: Splits, prices: PriceTable, start: Recipe) -> Budget:
    """Return the budget without what the sealed test will need.

    Args:
        options: The run's.
        task: Whose notes are asked.
        drawn: Which of them are sealed.
        prices: What the student costs.
        start: The recipe that the run starts from: its prompts tell how long those will be.

    Raises:
        InputError: If nothing would be left for refining, or dollars are limited and the student's
            price is not known.
    """
    budget, drawn = options.budget, exploring.untested(options, drawn)
    left: dict[str, float] = {}
    if budget.student_calls is not None:
        left["student_calls"] = _calls(budget.student_calls, task, drawn)
    if budget.dollars is not None:
        left["dollars"] = budget.dollars - _dollars(budget.dollars, task, drawn, prices, start)
    return budget.model_copy(update=left) if left else budget


def renewed(store: RunStore, options: Options, more: Budget | None) -> Budget:
    """Return a run's limits as they stand now, and write down those that are new.

    Args:
        store: The run, locked.
        options: What it began with.
        more: Limits that take the place of its own; those that it leaves out stay.
    """
    said = [e.data["limits"] for e in store.trace if e.kind == "limits"]
    known = dict(said[-1]) if said and isinstance(said[-1], dict) else options.budget.limits()
    new = {**known, **(more.limits() if more is not None else {})}
    if new != known:
        store.trace.append("limits", {"limits": {**new}}, f"limits-{len(said) + 1}")
    return Budget.model_validate(new)


def _calls(limit: float, task: Task, drawn: Splits) -> float:
    per_note = 1 if task.mode == "joint" else len(task.fields)
    needed = per_note * (2 * len(drawn.test) + len(drawn.dev))
    if limit < needed:
        raise InputError(
            f"budget: {limit:g} student calls are too few for the baseline and the sealed test",
            f"{needed} at least",
        )
    return limit - 2 * per_note * len(drawn.test)


def _dollars(limit: float, task: Task, drawn: Splits, prices: PriceTable, start: Recipe) -> float:
    """Return the dollars that the untouched and the final student will cost on the sealed test."""
    model = start.model.spec
    if prices.is_free(model):
        return 0.0
    dev = _price(task, drawn, "dev", prices, start)
    test = _price(task, drawn, "test", prices, start)
    kept = (1 + GROWTH) * test
    if limit < dev + kept:
        raise InputError(
            f"budget: {limit:g} dollars are too few for the baseline and the sealed test",
            f"{ceil(100 * (dev + kept)) / 100:.2f} at least",
        )
    return kept


def _price(task: Task, drawn: Splits, part: Split, prices: PriceTable, start: Recipe) -> float:
    """Return the most dollars of asking the starting recipe about one part of the notes."""
    read = written = 0
    for note in drawn.examples(task, part):
        for call in render.calls(start, task.fields, note):
            read, written = read + most_read(call), written + most_written(call)
    found = prices.cost(start.model.spec, read, written)
    if found is None:
        raise InputError(
            f"no price is known for {start.model.spec!r}, and dollars are limited", PRICE_HINT
        )
    return found
