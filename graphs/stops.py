"""When a run ends.

Owns the order in which the reasons are looked at. Budget and teacher stops are found where they
happen; a stop file and Ctrl-C do not end a run but leave it, resumable.
"""

from __future__ import annotations

from preceptor.core.errors import Interrupted
from preceptor.graphs.gates import GateState
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState, StopReason

EXIT_CODES: dict[str, int] = {"budget": 3, "teacher": 4}
"""Exit codes of the stops that are no success; every other stop is 0."""

WORDS: dict[str, str] = {
    "budget": "the budget is used up",
    "plateau": "no progress for several rounds",
    "target": "the target is reached",
    "nothing_left": "no error is left to learn from",
    "rounds": "all rounds are used",
    "looks": "all looks at dev are used",
    "teacher": "the teacher gave nothing that could be used",
    "finished": "the teacher sees nothing promising left",
}


def check_interrupt(session: Session) -> None:
    """Leave the run if a person wants that.

    Raises:
        Interrupted: If Ctrl-C was pressed or the stop file is there.
    """
    if session.cancel():
        raise Interrupted(
            f"run {session.store.path.name!r} was interrupted",
            f"go on with: preceptor resume {session.store.path}",
        )


def reason(session: Session, state: RunState) -> StopReason | None:
    """Return why the run should end after this round, None if it should go on."""
    limits = session.limits
    dev = session.score(session.evaluation(state["incumbent_dev"])).value
    if state["stop"]:
        return state["stop"]
    if limits.target is not None and dev >= limits.target:
        return "target"
    if state["round"] >= limits.rounds:
        return "rounds"
    if GateState.model_validate(state["gate"]).looks_left <= 0:
        return "looks"
    if state["idle"] >= limits.plateau:
        return "plateau"
    return None
