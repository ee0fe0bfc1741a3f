"""The nodes where the teacher speaks and is acted upon: teach and act.

Owns the conversation of a round: one turn at a time, arguments checked with ``extra="forbid"``, any
number of looks but one changing move, a correction for what cannot be used, and the breaker after a
few unusable turns in a row. (LangGraph's ToolNode is not used: it accepts extra arguments, runs every
call of a message, and skips broken ones without a word.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, cast

from pydantic import JsonValue

from preceptor.core import blocked
from preceptor.core.errors import BudgetStop, InputError, TeacherError
from preceptor.core.ports import Evidence, ToolResult, ToolSpec
from preceptor.core.record import canonical, digest
from preceptor.core.records import Attempt, TeacherTurn, ToolCall
from preceptor.core.trace import read
from preceptor.graphs import nodes
from preceptor.graphs.memo import Memo
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState

FINISH = ToolSpec(
    name="finish",
    description="End the run: nothing promising is left to try.",
    schema={
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "Why, in one line."}},
        "required": ["reason"],
        "additionalProperties": False,
    },
    changing=False,
)

TURN_TOKENS = (18_000, 4_096)
"""Reserved for one teacher turn: brief, tools and looks, and the longest answer."""


def teach(session: Session, state: RunState) -> RunState:
    """Ask the teacher for its next turn; the same question is never asked twice."""
    tools = [*session.toolbox.specs(), FINISH]
    transcript = session.get_list(state["transcript"])
    key = digest(
        canonical([state["situation"], transcript, [t.name for t in tools], session.teacher.name])
    )
    try:
        turn = Memo(session.store).once(
            key, TeacherTurn, lambda: _ask(session, state, transcript, tools, key)
        )
    except BudgetStop as stop:
        session.event("budget", f"turn-{key}-budget", {"round": state["round"], "why": stop.message})
        return {"stop": "budget"}
    except TeacherError as error:
        session.event("teacher_lost", f"turn-{key}-lost", {"round": state["round"], "why": str(error)})
        return {"stop": "teacher"}
    session.event(
        "turn",
        f"turn-{key}",
        {
            "round": state["round"],
            "text": session.unquoted.text(turn.text),
            "calls": [session.unquoted.value(c.model_dump(mode="json")) for c in turn.calls],
            "broken": len(turn.broken),
            "usage": turn.usage.model_dump(mode="json") if turn.usage else None,
            **({"left_out": [*turn.left_out]} if turn.left_out else {}),
        },
    )
    return {"transcript": session.put_list([*transcript, turn.message])}


def _ask(
    session: Session,
    state: RunState,
    transcript: list[dict[str, JsonValue]],
    tools: Sequence[ToolSpec],
    key: str,
) -> TeacherTurn:
    """Reserve, ask, settle."""
    situation = session.situation(state["situation"])
    seen = nodes.evidence(session, state)
    if session.teacher.name == "rules":
        return session.teacher.turn(situation, seen, transcript, tools)
    dollars = session.turn_cost(*TURN_TOKENS)
    amounts = {"teacher_tokens": float(sum(TURN_TOKENS))}
    if dollars is not None:
        amounts["dollars"] = dollars
    reservation = session.ledger.reserve(f"turn-{key}", **amounts)
    turn = session.teacher.turn(situation, seen, transcript, tools)
    used = (turn.usage.input_tokens, turn.usage.output_tokens) if turn.usage else (None, None)
    if used[0] is None or used[1] is None:
        reservation.settle(teacher_tokens=None, dollars=None)
    else:
        reservation.settle(
            teacher_tokens=float(used[0] + used[1]), dollars=session.turn_cost(used[0], used[1])
        )
    return turn


def act(session: Session, state: RunState) -> RunState:
    """Do what the teacher's last turn says, or tell it why that cannot be done."""
    if state["stop"]:
        return {}
    transcript = session.get_list(state["transcript"])
    turn = last_turn(transcript)
    complaint = _complaint(session, state, turn)
    if complaint:
        return _correct(session, state, turn, complaint)
    if turn.calls[0].name == FINISH.name:
        said = session.unquoted.value(turn.calls[0].args)
        told = said if isinstance(said, dict) else {}
        ended: dict[str, JsonValue] = {"round": state["round"], "why": str(told.get("reason", ""))}
        if found := blocked.read(told.get("blocked")):
            ended["blocked"] = blocked.dump(found)
        session.event("finish", f"round-{state['round']}-finish", ended)
        return {"stop": "finished"}
    try:
        return _run(session, state, turn)
    except InputError as error:
        return _correct(session, state, turn, str(error))
    except BudgetStop:
        return {"stop": "budget"}


def last_turn(transcript: Sequence[dict[str, JsonValue]]) -> TeacherTurn:
    """Return the turn that the last AIMessage of the transcript holds."""
    from langchain_core.messages import AIMessage, messages_from_dict

    message = messages_from_dict([dict(transcript[-1])])[0]
    assert isinstance(message, AIMessage)
    calls = tuple(
        ToolCall(id=call["id"] or "", name=call["name"], args=call["args"])
        for call in message.tool_calls
    )
    broken = tuple(str(call.get("args") or "") for call in message.invalid_tool_calls)
    text = str(message.text)
    return TeacherTurn(message=dict(transcript[-1]), text=text, calls=calls, broken=broken)


def with_args(
    message: Mapping[str, JsonValue], call_id: str, args: dict[str, JsonValue]
) -> dict[str, JsonValue]:
    """Return a serialised ``AIMessage`` in which one call has other arguments."""
    from langchain_core.messages import AIMessage, messages_from_dict

    said = messages_from_dict([dict(message)])[0]
    assert isinstance(said, AIMessage)
    for call in said.tool_calls:
        if (call["id"] or "") == call_id:
            call["args"] = args
    said.additional_kwargs.pop("tool_calls", None)  # the provider's own copy of the old arguments
    return _as_dict(said)


def _complaint(session: Session, state: RunState, turn: TeacherTurn) -> str:
    """Return what is wrong with a turn as a whole, an empty text if nothing is."""
    names = {t.name: t.changing for t in [*session.toolbox.specs(), FINISH]}
    if turn.broken or not turn.calls:
        return _no_call(turn, names)
    unknown = [c.name for c in turn.calls if c.name not in names]
    if unknown:
        return f"There is no tool {unknown[0][:60]!r}. The tools are: {', '.join(names)}."
    alone = [c for c in turn.calls if names[c.name] or c.name == FINISH.name]
    if alone and len(turn.calls) > 1:
        return (
            f"{alone[0].name!r} must be the only call of a message: one changing move per round. "
            "Nothing was done. Call it again, alone, with all patches in it."
        )
    if not alone and state["looks"] + len(turn.calls) > session.limits.looks_per_round:
        return "No look is left in this round: make a changing move, or finish."
    return ""


def _no_call(turn: TeacherTurn, names: Iterable[str]) -> str:
    """Return what to say about a turn without a call that can be read."""
    tools = f"The tools are: {', '.join(names)}."
    if _cut_off(turn):
        return (
            f"Your answer was cut off at the longest length. Answer with one short tool call. {tools}"
        )
    if turn.broken:
        return (
            "The arguments of your tool call are no valid JSON. Call the tool again, with one JSON "
            f"object: double quotes, no comments, every bracket closed. {tools}"
        )
    if not turn.text.strip():
        return f"Your answer was empty. Answer with one changing move, a look, or finish. {tools}"
    return (
        "Answer with a tool call, not with prose: one changing move, a look, or finish. If you cannot "
        f"or will not help further, call finish and say why. {tools}"
    )


def _cut_off(turn: TeacherTurn) -> bool:
    data = turn.message.get("data")
    told = data.get("response_metadata") if isinstance(data, dict) else None
    told = told if isinstance(told, dict) else {}
    return (told.get("finish_reason") or told.get("done_reason")) == "length"


def _run(session: Session, state: RunState, turn: TeacherTurn) -> RunState:
    """Run the looks, or the one move, of a turn that makes sense."""
    for call in turn.calls:
        session.toolbox.validate(call)
    seen = nodes.evidence(session, state)
    specs = {t.name: t for t in session.toolbox.specs()}
    if specs[turn.calls[0].name].changing:
        return _move(session, state, turn, seen)
    results = [_look(session, call, seen) for call in turn.calls]
    transcript = session.get_list(state["transcript"])
    answers = [tool_message(c, text) for c, text in zip(turn.calls, results, strict=True)]
    return {
        "transcript": session.put_list([*transcript, *answers]),
        "looks": state["looks"] + len(results),
        "bad_turns": 0,
    }


def _look(session: Session, call: ToolCall, seen: Evidence) -> str:
    """Return what a look says; what it made is kept, since a later move may name it."""
    result = session.toolbox.run(call, seen)
    for made in result.artefacts.values():
        session.store.artefacts.put(made)
    return result.text


def _move(session: Session, state: RunState, turn: TeacherTurn, seen: Evidence) -> RunState:
    call = turn.calls[0]
    result: ToolResult = session.toolbox.run(call, seen)
    if result.unserved:
        told: dict[str, JsonValue] = {
            "round": state["round"],
            "why": session.unquoted.text(result.unserved),
        }
        session.event("unserved", f"round-{state['round']}-unserved", told)
    why = idle(session, state, result, seen)
    if why or result.recipe is None:
        update = _correct(session, state, turn, why)
        return {**update, **_in_vain(session, state, call, why)} if result.in_vain else update
    for kept in result.artefacts.values():
        session.store.artefacts.put(kept)
    session.admit(result.recipe)
    candidate = session.put(result.recipe)
    session.event(
        "move",
        f"round-{state['round']}-move",
        {
            "round": state["round"],
            "tool": call.name,
            "args": session.unquoted.value(call.args),
            "from": seen.recipe.fingerprint,
            "candidate": candidate,
            "added_tokens": result.added_tokens,
            "text": session.unquoted.text(result.text),
        },
    )
    attempt = Attempt(round=state["round"], tool=call.name, args=call.args, outcome="pending")
    move = session.put_list([attempt.model_dump(mode="json")])
    return {"candidate": candidate, "move": move, "bad_turns": 0}


def _in_vain(session: Session, state: RunState, call: ToolCall, why: str) -> RunState:
    """Remember a move that was made and came to nothing."""
    said = session.unquoted.text(why)
    attempt = Attempt(
        round=state["round"], tool=call.name, args=call.args, outcome="no_effect", reason=said
    )
    known = session.get_list(state["attempts"])
    return {"attempts": session.put_list([*known, attempt.model_dump(mode="json")])}


def idle(session: Session, state: RunState, result: ToolResult, seen: Evidence) -> str:
    """Return why what a move made is no candidate, an empty text if it is one."""
    if result.recipe is None or result.recipe.fingerprint == seen.recipe.fingerprint:
        return result.text or "That changes nothing."
    return _tried_before(session, state, result.recipe.fingerprint)


def _tried_before(session: Session, state: RunState, candidate: str) -> str:
    """Return what to say to a chat teacher that repeats a move, an empty text if it does not.

    The rule teacher knows what it tried, and has its reasons to try it on other patients.
    """
    if session.teacher.name == "rules":
        return ""
    for event in read(session.store.trace.path):
        if event.kind == "move" and event.data.get("candidate") == candidate:
            if event.data.get("round") != state["round"]:
                return (
                    f"This is exactly what was tried in round {event.data['round']}. "
                    "Try something else: other fields, other phrases, a look at the errors, or finish."
                )
    return ""


def _correct(session: Session, state: RunState, turn: TeacherTurn, why: str) -> RunState:
    """Tell the teacher what was wrong; after a few such turns in a row, give up on it."""
    bad = state["bad_turns"] + 1
    session.event(
        "corrected",
        f"round-{state['round']}-corrected-{digest(state['transcript'])}",
        {"round": state["round"], "why": session.unquoted.text(why), "in_a_row": bad},
    )
    if bad >= session.limits.breaker:
        return {"bad_turns": bad, "stop": "teacher"}
    transcript = session.get_list(state["transcript"])
    answers = [tool_message(c, why) for c in turn.calls] or [_human_message(why)]
    return {"bad_turns": bad, "transcript": session.put_list([*transcript, *answers])}


def tool_message(call: ToolCall, text: str) -> dict[str, JsonValue]:
    """Return the serialised answer to one call of the teacher."""
    from langchain_core.messages import ToolMessage

    return _as_dict(ToolMessage(content=text, tool_call_id=call.id, name=call.name))


def _human_message(text: str) -> dict[str, JsonValue]:
    from langchain_core.messages import HumanMessage

    return _as_dict(HumanMessage(content=text))


def _as_dict(message: object) -> dict[str, JsonValue]:
    from langchain_core.messages import BaseMessage, messages_to_dict

    assert isinstance(message, BaseMessage)
    return cast("dict[str, JsonValue]", messages_to_dict([message])[0])


def after_act(state: RunState) -> Literal["finish", "evaluate", "teach"]:
    """Say where a round goes on."""
    if state["stop"]:
        return "finish"
    return "evaluate" if state["candidate"] else "teach"
