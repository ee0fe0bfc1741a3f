"""What a training says of itself: in the teacher's transcript, in the trace, on a page of results.

Owns the words. The loss of tokens that decide something stands apart from that of the frame, and beside
it what guessing would give: a loss that falls because the frame is learned says nothing about the task.
"""

from __future__ import annotations

from preceptor.tools.sft import data
from preceptor.tools.sft.job import Result
from preceptor.tools.sft.recombine import PREFIX

_EARLY = {"done": "", "patience": ", stopped early", "time": ", stopped at its time limit"}
_FEW = 5
"""Steps whose mean stands for the beginning and the end of a training: single ones jump."""


def told(result: Result, rows: bytes) -> str:
    """Return what came of a training, in a few sentences.

    Args:
        result: What came of it.
        rows: The content of its ``data.jsonl``.
    """
    ids = {row.id for row in data.load(rows)}
    notes = sum(not name.startswith(PREFIX) for name in ids)
    more = f" and {len(ids) - notes} put together anew" if len(ids) > notes else ""
    parts = [
        f"Trained on {notes} notes{more} ({result.rows} rows, {result.steps} steps"
        f"{_EARLY[result.stopped]}), at a rate of {result.rate:.1e}{_tried(result)}."
    ]
    if result.decisions:
        first, last = ends(result.decisions)
        parts.append(f"Loss of what decides {first:.3f} -> {last:.3f}; guessing {result.guess:.3f}.")
    if result.frames:
        first, last = ends(result.frames)
        parts.append(f"Of what the schema forces {first:.3f} -> {last:.3f}.")
    if result.validation:
        best = dict(result.validation).get(result.best_step, result.validation[-1][1])
        score = dict(result.scores).get(result.best_step)
        right = f", {score:.0%} of their worth right" if score is not None else ""
        parts.append(
            f"On {result.validation_rows} rows of patients left aside: "
            f"{result.validation[0][1]:.3f} after the first epoch, {best:.3f} at the best{right}."
        )
    if result.learned:
        parts.append(f"Adapter {result.adapter.digest}.")
    else:
        parts.append(
            f"Nothing was learned: in the end the loss of what decides was {result.reached:.3f}, no "
            f"better than guessing without the note ({result.guess:.3f}). The student stays as it was. "
            "Another rate, more notes or more epochs may help; the same again will not."
        )
    return " ".join(parts)


def ends(losses: tuple[float, ...]) -> tuple[float, float]:
    """Return the mean over the first few steps, and over the last few."""
    few = max(1, min(_FEW, len(losses) // 2))
    return sum(losses[:few]) / few, sum(losses[-few:]) / few


def _tried(result: Result) -> str:
    if not result.tried:
        return ""
    return " (tried: " + ", ".join(f"{rate:.1e} {loss:.3f}" for rate, loss in result.tried) + ")"
