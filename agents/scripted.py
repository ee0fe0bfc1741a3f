"""The scripted teacher: says what it was told to say, turn by turn.

Shipped so that the loop, and a plug-in's tools, can be tried without a model. It answers with an
``AIMessage`` like any teacher; when the script is over it calls ``finish``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from preceptor.core.ports import Evidence, ToolSpec
from preceptor.core.records import Situation, TeacherTurn, ToolCall

Step = str | Mapping[str, Mapping[str, JsonValue]] | Sequence[tuple[str, Mapping[str, JsonValue]]]
"""One turn: prose, or tool calls as ``{name: arguments}`` or a list of (name, arguments).

A text that begins with ``{`` is a tool call whose arguments are no JSON.
"""


class ScriptedTeacher:
    """Plays a script; which step is next follows from the round and the transcript alone.

    Args:
        rounds: The steps of each round, in order.
    """

    name = "scripted"

    def __init__(self, rounds: Sequence[Sequence[Step]]) -> None:
        self._rounds = rounds

    def turn(
        self,
        situation: Situation,
        evidence: Evidence,
        transcript: Sequence[dict[str, JsonValue]],
        tools: Sequence[ToolSpec],
    ) -> TeacherTurn:
        """Return the next step of the round."""
        steps = self._rounds[situation.round - 1] if situation.round <= len(self._rounds) else ()
        done = sum(message["type"] == "ai" for message in transcript)
        step: Step = steps[done] if done < len(steps) else {"finish": {"reason": "the script is over"}}
        return _turn(step, f"{situation.round}-{done}")


def _turn(step: Step, place: str) -> TeacherTurn:
    from langchain_core.messages import AIMessage, messages_to_dict
    from langchain_core.messages.tool import invalid_tool_call, tool_call

    calls: list[ToolCall] = []
    broken: tuple[str, ...] = ()
    text = ""
    if isinstance(step, str) and step.startswith("{"):
        broken = (step,)
    elif isinstance(step, str):
        text = step
    else:
        pairs = list(step.items()) if isinstance(step, Mapping) else list(step)
        calls = [
            ToolCall(id=f"call-{place}-{i}", name=name, args=dict(args))
            for i, (name, args) in enumerate(pairs)
        ]
    message = AIMessage(
        content=text,
        tool_calls=[tool_call(name=c.name, args=c.args, id=c.id) for c in calls],
        invalid_tool_calls=[
            invalid_tool_call(name="edit_prompt", args=b, id=f"call-{place}", error="no JSON")
            for b in broken
        ],
    )
    kept = cast("dict[str, JsonValue]", messages_to_dict([message])[0])
    return TeacherTurn(message=kept, text=text, calls=tuple(calls), broken=broken)
