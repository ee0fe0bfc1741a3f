"""One tool call, asked of a chat model to see whether it can teach.

Owns the question; it holds nothing of a task. What a run asks is ``agents.chat``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from preceptor.agents import chat
from preceptor.core import wire
from preceptor.core.errors import TeacherError, boundary
from preceptor.core.ports import ToolSpec

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from preceptor.agents.capabilities import Served

READY = ToolSpec(
    name="ready",
    description="Say that you can call tools.",
    schema={
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
        "additionalProperties": False,
    },
    changing=False,
)

QUESTION = 'Call the tool `ready`, with `word` set to "yes". Answer with that call alone.'


def tried(
    spec: str, model: BaseChatModel, known: Served, context: int = 0
) -> tuple[Literal["ok", "note"], str]:
    """Ask for one call of one small tool; return how that went, and what to say of it.

    Args:
        spec: The teacher's name.
        model: The model.
        known: What its server tells.
        context: What it reads, if somebody set it.

    Raises:
        TeacherError: If no answer comes.
    """
    from langchain_core.messages import AIMessage, HumanMessage

    try:
        with boundary(TeacherError, "teacher"):
            said = model.bind_tools([chat.bound(READY)]).invoke([HumanMessage(QUESTION)])
    except wire.Redirected as moved:
        raise TeacherError(f"teacher {spec!r}: {moved.message}", moved.hint) from moved
    except TeacherError as lost:
        error = lost.__cause__
        raise chat.lost(spec, error, 1) if error is not None else lost from error
    reads = context or known.context
    told = f"context {reads} tokens" if reads else "context unknown (setting teacher_context)"
    if isinstance(said, AIMessage) and [call["name"] for call in said.tool_calls] == [READY.name]:
        return "ok", f"answers with a tool call, {told}"
    return "note", f"was asked for a tool call and answered without one, {told}"
