"""What a move is expected to cost, told before a person says yes to it.

Owns the three figures: the student's calls, their dollars, and the seconds of a training. Nothing is
asked and nothing is written here; ``graphs.planning`` tells the cost of whole runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from preceptor.core import render
from preceptor.core.amounts import most_read, most_written
from preceptor.core.ports import Evidence
from preceptor.core.records import ToolCall
from preceptor.graphs import estimates
from preceptor.tools.sft.args import FineTuneArgs
from preceptor.tools.sft.finetune import FineTune

if TYPE_CHECKING:
    from preceptor.graphs.session import Session


@dataclass(frozen=True)
class Expected:
    """What a move would take.

    Attributes:
        calls: To the student, at most: the estimate on held-out train notes, and a look at dev.
        dollars: Of those calls; None if the price is not known.
        training_seconds: Of a training, 0 if the move makes none.
    """

    calls: int
    dollars: float | None
    training_seconds: float = 0.0


def of(session: Session, call: ToolCall, seen: Evidence, notes: int, added_tokens: int) -> Expected:
    """Return what a move is expected to cost.

    Args:
        session: The run.
        call: The move, with arguments that fit its tool.
        seen: What the teacher sees of the working recipe.
        notes: How many will be asked about at most.
        added_tokens: What the prompts of one note grow by.

    Raises:
        InputError: If the move is a training that would be refused.
    """
    per_note = 1 if seen.recipe.mode == "joint" else len(seen.fields)
    return Expected(
        notes * per_note,
        _dollars(session, seen, notes, added_tokens),
        _training(session, call, seen),
    )


def _dollars(session: Session, seen: Evidence, notes: int, added_tokens: int) -> float | None:
    """Return the dollars of asking about notes, by what the shown ones took."""
    prices, model = session.ledger.prices, seen.recipe.model.spec
    if prices.is_free(model):
        return 0.0
    read, written = zip(*_usage(seen), strict=True)
    each = sum(read) / len(read) + added_tokens, sum(written) / len(written)
    return prices.cost(model, notes * each[0], notes * each[1])


def _usage(seen: Evidence) -> list[tuple[int, int]]:
    """Return (input, output) tokens of each shown note: as counted, or else the most there can be."""
    told = [(a.prompt_tokens, a.completion_tokens) for a in seen.answers]
    counted = [(read, written) for read, written in told if read and written is not None]
    if counted:
        return counted
    asked = (render.calls(seen.recipe, seen.fields, note) for note in seen.examples)
    return [(sum(map(most_read, calls)), sum(map(most_written, calls))) for calls in asked]


def _training(session: Session, call: ToolCall, seen: Evidence) -> float:
    tool = session.toolbox[call.name]
    if not isinstance(tool, FineTune):
        return 0.0
    job, data, _ = tool.prepare(FineTuneArgs.model_validate(call.args), seen)
    return estimates.training_seconds(job, data, tool.weights(seen.recipe))
