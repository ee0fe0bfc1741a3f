"""When a run ends.

Owns the order in which the reasons are looked at. Budget and teacher stops are found where they
happen; a stop file and Ctrl-C do not end a run but leave it, resumable.
"""

from __future__ import annotations

from pydantic import JsonValue

from preceptor.core.blocked import Blocked
from preceptor.core.blocked import read as read_blocked
from preceptor.core.errors import Interrupted
from preceptor.core.trace import read
from preceptor.graphs import exploring, readability
from preceptor.graphs.gates import GateState
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState, StopReason

EXIT_CODES: dict[str, int] = {"budget": 3, "teacher": 4, "unreadable": 5}
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
    "unreadable": "the untouched student is unusable",
}


OPEN = "preceptor eval RUN --task TASK --split test --open-test opens it"


def blocked(session: Session, reason: str) -> tuple[Blocked, ...]:
    """Return what stands in the way of each kind of move, if the teacher ended the run and said so."""
    return read_blocked(_finish(session).get("blocked")) if reason == "finished" else ()


def words(session: Session, reason: str) -> str:
    """Return why the run ended, on one line: the kind of stop, and what is known of this one."""
    if reason == "unreadable":
        seen = readability.told(session)
        more = f"on dev, {seen.counts()} ({seen.advice()})" if seen else ""
    elif reason == "finished" and not blocked(session, reason):
        more = " ".join(str(_finish(session).get("why", "")).split())
    else:
        more = ""
    return f"{WORDS[reason]}: {more}" if more else WORDS[reason]


def untested(session: Session, reason: str) -> str:
    """Return why the sealed test is not opened, an empty text if it is."""
    if reason == "unreadable":
        return words(session, reason)
    return exploring.UNSEALED if session.explore else unserved(session)


def unserved(session: Session) -> str:
    """Return why a training that could not be served keeps the sealed test closed; empty if none does.

    It does unless something was accepted after it: else the test would be spent on a student without
    what was learned, and nobody asked for that.
    """
    why = ""
    for event in read(session.store.trace.path):
        if event.kind == "unserved":
            why = f"what was trained in round {event.data['round']} could not be served"
        elif event.kind == "verdict" and event.data.get("outcome") == "accepted":
            why = ""
    return f"{why}: the sealed test stays closed ({OPEN})" if why else ""


def _finish(session: Session) -> dict[str, JsonValue]:
    """Return what the teacher said when it ended the run; empty if it did not."""
    told = [e.data for e in read(session.store.trace.path) if e.kind == "finish"]
    return told[-1] if told else {}


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
