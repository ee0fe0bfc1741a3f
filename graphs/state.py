"""What a checkpoint holds: ids, hashes and counters, never a note, a prediction or a prompt.

Owns the shape of the loop's state. Everything heavy is in the run's store, under the hash that
stands here.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from pydantic import JsonValue

StopReason = Literal[
    "budget", "plateau", "target", "nothing_left", "rounds", "looks", "teacher", "finished",
    "unreadable",
]  # fmt: skip
"""Why a run went to its end. A stop file and Ctrl-C do not end a run: they leave it resumable."""


class RunState(TypedDict, total=False):
    """The state between two nodes.

    Attributes:
        round: From 1; 0 before the first.
        baseline: Recipe that the run started from.
        incumbent: Recipe that dev supports so far.
        working: Incumbent, or the pending stack on top of it.
        candidate: Recipe that the round's move made.
        base_dev: Evaluation of the baseline on dev.
        incumbent_dev: Evaluation of the incumbent on dev.
        situation: What the teacher was told in this round.
        transcript: The round's messages after the brief.
        move: The round's changing move, as an Attempt without its outcome.
        estimate: The move's gain on the held-out part of train.
        field_gains: The same per field.
        phrase_gains: The same per new phrase of a field that has several.
        attempts: All moves so far.
        gate: The gate's state (alpha and looks left).
        fold: The round whose held-out part of train the working recipe's weights did not learn from;
            0 while it has none of its own.
        idle: Rounds in a row after which neither incumbent nor pending stack got better.
        bad_turns: Teacher turns in a row that could not be used.
        looks: Looks that the teacher took in this round.
        rejected: Whether a person has just rejected the teacher's move.
        stop: Why the run ends, empty while it goes on.
        report: The report.
    """

    round: int
    baseline: str
    incumbent: str
    working: str
    candidate: str
    base_dev: str
    incumbent_dev: str
    situation: str
    transcript: str
    move: str
    estimate: float
    field_gains: dict[str, float]
    phrase_gains: dict[str, dict[str, float]]
    attempts: str
    gate: dict[str, JsonValue]
    fold: int
    idle: int
    bad_turns: int
    looks: int
    rejected: bool
    stop: StopReason | Literal[""]
    report: str
