"""A person's word before a change is made: the node ``approve``, what it shows, what may be answered.

Owns the proposal, the decision and the node that waits for it with LangGraph's ``interrupt``. The
checkpoint holds only the hashes of both: proposal and decision lie in the run's artefacts, since the
arguments of a move may quote notes. A node that interrupts runs again from its first line when it is
answered, so everything before ``interrupt`` is named by content: the preview of a move is a pure
function, and a proposal that is stored twice is the same file. A tool whose preview costs something
says ``costly = True``; it is asked about without a diff. The same proposal may be made twice in a
round: the length of the transcript, which only grows, tells one question from the next.

Edited arguments are tried before they are taken: what a tool refuses goes back to the person, not to
the teacher.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal, cast

from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import Command, interrupt
from pydantic import Field, JsonValue

from preceptor.core import telling
from preceptor.core.errors import BudgetStop, InputError, Interrupted
from preceptor.core.ports import Evidence, ToolResult
from preceptor.core.record import Record
from preceptor.core.records import Attempt, Recipe, ToolCall
from preceptor.graphs import checkpoint, expecting, nodes, teaching
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState
from preceptor.tools.look import recipe_text

MOST_FINDINGS = 8


class Waiting(Interrupted):
    """The run waits for a person's word."""


class Proposal(Record):
    """What a person is asked about.

    Attributes:
        round: The round.
        diagnosis: The most frequent errors, one line each: counts, no note.
        why: What the teacher said.
        call: The move.
        effect: What the tool says it would do; empty if it cannot be tried for free.
        diff: What the student would be told otherwise, as a unified diff.
        calls: The student calls that the move costs at most: the estimate, and a look at dev.
        added_tokens: What the prompts of one note grow by.
        dollars: Of those calls, about; None if the student's price is not known.
        training_seconds: Of a training, about.
    """

    round: int
    diagnosis: tuple[str, ...]
    why: str
    call: ToolCall
    effect: str
    diff: tuple[str, ...]
    calls: int
    added_tokens: int
    dollars: float | None = 0.0
    training_seconds: float = 0.0


class Decision(Record):
    """A person's answer.

    Attributes:
        action: ``approve``, ``edit`` (with other arguments) or ``reject``.
        args: The arguments, with ``edit``.
        reason: Why not, with ``reject``; the teacher reads it.
    """

    action: Literal["approve", "edit", "reject"]
    args: dict[str, JsonValue] = Field(default_factory=dict)
    reason: str = ""


def approve(session: Session, state: RunState) -> RunState:
    """Wait for a person's word on the teacher's move; what is no move passes by."""
    if not session.approve or state["stop"]:
        return {}
    onward: RunState = {"rejected": False}
    transcript = session.get_list(state["transcript"])
    turn = teaching.last_turn(transcript)
    try:
        proposal = _proposal(session, state, turn.calls, turn.text)
    except BudgetStop:
        return onward
    if proposal is None:
        return onward
    asked = session.put(proposal)
    question = f"{len(transcript)}-{asked}"
    # Not shown: this line runs again when the answer is there.
    session.store.trace.append(
        "asked",
        {"round": state["round"], "tool": proposal.call.name, "proposal": asked},
        f"round-{state['round']}-asked-{question}",
    )
    answered = interrupt({"round": state["round"], "tool": proposal.call.name, "proposal": asked})
    decision = session.store.artefacts.get_record(str(answered), Decision)
    session.event(
        "approval",
        f"round-{state['round']}-approval-{question}",
        {
            "round": state["round"],
            "tool": proposal.call.name,
            "action": decision.action,
            "reason": decision.reason,
            "proposal": asked,
            "decision": str(answered),
        },
    )
    return {**onward, **_done(session, state, proposal.call, decision)}


def _proposal(
    session: Session, state: RunState, calls: Sequence[ToolCall], why: str
) -> Proposal | None:
    """Return what to ask, None if there is nothing to ask: ``act`` says what is wrong then."""
    changing = {t.name for t in session.toolbox.specs() if t.changing}
    if len(calls) != 1 or calls[0].name not in changing:
        return None
    try:
        return _tried(session, state, calls[0], why)
    except InputError:
        return None


def _tried(session: Session, state: RunState, call: ToolCall, why: str) -> Proposal:
    """Try a move for free and return what it would do; a costly one is only looked at.

    Raises:
        InputError: If its arguments are wrong, its tool refuses it, or it changes nothing.
    """
    session.toolbox.validate(call)
    seen = nodes.evidence(session, state)
    if session.toolbox.costly(call.name):
        return _shown(session, state, (call, why), seen, None)
    result = session.toolbox.run(call, seen)
    idle = teaching.idle(session, state, result, seen)
    if idle:
        raise InputError(idle, "edit it otherwise, or reject the move")
    return _shown(session, state, (call, why), seen, result)


def _shown(
    session: Session,
    state: RunState,
    said: tuple[ToolCall, str],
    seen: Evidence,
    result: ToolResult | None,
) -> Proposal:
    situation = session.situation(state["situation"])
    held = nodes.held_out(session, state)
    added = result.added_tokens if result else 0
    cost = expecting.of(session, said[0], seen, len(held) + len(session.splits.dev), added)
    return Proposal(
        round=state["round"],
        diagnosis=tuple(
            f"{f.field}: {f.kind} in {f.count} of {f.total} notes"
            + (f" ({telling.brief_constant(f)})" if f.kind == "constant_answer" else "")
            for f in situation.findings[:MOST_FINDINGS]
        ),
        why=said[1],
        call=said[0],
        effect=result.text if result else "",
        diff=diff(seen, result.recipe) if result and result.recipe else (),
        calls=cost.calls,
        added_tokens=added,
        dollars=cost.dollars,
        training_seconds=cost.training_seconds,
    )


def seconds(session: Session, proposal: Proposal) -> float | None:
    """Return the time that a move's calls take at the run's pace so far, None if it has none."""
    spent = session.ledger.spent()
    calls = spent["student_calls"]
    return proposal.calls * spent["compute_seconds"] / calls if calls else None


def diff(seen: Evidence, recipe: Recipe) -> tuple[str, ...]:
    """Return what a recipe tells the student otherwise than the working one."""
    before = recipe_text(seen.recipe, seen.fields)
    after = recipe_text(recipe, seen.fields)
    return tuple(difflib.unified_diff(before, after, "working", "proposed", lineterm="", n=1))


def _done(session: Session, state: RunState, call: ToolCall, decision: Decision) -> RunState:
    transcript = session.get_list(state["transcript"])
    if decision.action == "approve":
        return {}
    if decision.action == "edit":
        edited = teaching.with_args(transcript[-1], call.id, decision.args)
        return {"transcript": session.put_list([*transcript[:-1], edited])}
    why = f"A person rejected this move: {decision.reason or 'no reason given'}"
    attempt = Attempt(
        round=state["round"], tool=call.name, args=call.args, outcome="rejected", reason=why
    )
    attempts = [*session.get_list(state["attempts"]), attempt.model_dump(mode="json")]
    return {
        "transcript": session.put_list([*transcript, teaching.tool_message(call, why)]),
        "attempts": session.put_list(attempts),
        "rejected": True,
        "bad_turns": 0,
    }


def after_approve(state: RunState) -> Literal["act", "teach"]:
    """Say where a round goes on: a rejected move goes back to the teacher."""
    return "teach" if state.get("rejected") else "act"


def check(session: Session, proposal: Proposal, decision: Decision) -> None:
    """Check an answer before it is given; edited arguments are tried as the proposal was.

    Raises:
        InputError: If edited arguments do not fit the tool, are refused by it or change nothing, or a
            rejection has no reason.
    """
    if decision.action == "edit":
        edited = proposal.call.model_copy(update={"args": decision.args})
        _tried(session, _waiting_state(session), edited, "")
    if decision.action == "reject" and not decision.reason.strip():
        raise InputError("a rejection needs a reason", "the teacher learns from it")


def answer(session: Session, decision: Decision) -> Command[str]:
    """Return what resumes the loop with a decision."""
    return Command(resume=session.put(decision))


def pending(session: Session) -> Proposal | None:
    """Return what the run waits for, None if it waits for nothing."""
    held = _held(session)
    writes = (held.pending_writes or []) if held else []
    found = [proposal_of(value) for _, channel, value in writes if channel == "__interrupt__"]
    return session.store.artefacts.get_record(found[-1], Proposal) if found else None


def _held(session: Session) -> CheckpointTuple | None:
    folder = session.store.path
    if not checkpoint.exists(folder):
        return None
    with checkpoint.saver(folder) as saver:
        return saver.get_tuple({"configurable": {"thread_id": checkpoint.THREAD}})


def _waiting_state(session: Session) -> RunState:
    """Return the state with which the node that waits was entered."""
    held = _held(session)
    return cast("RunState", held.checkpoint["channel_values"] if held else {})


def proposal_of(interrupts: object) -> str:
    """Return the hash of the proposal that LangGraph's interrupts carry; empty if there is none."""
    for one in cast("Sequence[object]", interrupts):
        value = getattr(one, "value", None)
        if isinstance(value, dict):
            return str(value.get("proposal", ""))
    return ""
