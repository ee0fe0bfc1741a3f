"""One hostile teacher against the loop: what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from preceptor.agents import chat
from preceptor.agents.servers.openai import OpenAIServer
from preceptor.core.trace import read
from preceptor.graphs import refine
from tests.graphs.small import OPTIONS, opened
from tests.hostile.teachers import Case


@dataclass(frozen=True)
class Played:
    """What came of it.

    Attributes:
        stop: Why the run ended.
        exit_code: Its exit code.
        corrections: What the teacher was told, in order.
        in_a_row: How many unusable turns in a row were counted at most.
        lost: What the trace says about a teacher that gave no answer.
        asked: Requests that the teacher's server got.
        kept: Whether a bundle is there.
    """

    stop: str
    exit_code: int
    corrections: tuple[str, ...]
    in_a_row: int
    lost: str
    asked: int
    kept: bool


def play(case: Case, root: Path) -> Played:
    """Run the small task with the teacher; needs ``OPENAI_API_KEY`` to be unset or anything."""
    chat.PAUSES = (0.0, 0.0, 0.0)
    with OpenAIServer(case.answers(), troubles=case.troubles) as server:
        options = OPTIONS.model_copy(update={"teacher": f"openai:any@{server.base_url}"})
        with opened(root, options) as session:
            state = refine.run(session)
        asked = len(server.asked)
    events = list(read(root / "run/trace.jsonl"))
    corrected = [e.data for e in events if e.kind == "corrected"]
    return Played(
        stop=state["stop"],
        exit_code=refine.exit_code(state),
        corrections=tuple(str(c["why"]) for c in corrected),
        in_a_row=max((int(str(c["in_a_row"])) for c in corrected), default=0),
        lost=next((str(e.data["why"]) for e in events if e.kind == "teacher_lost"), ""),
        asked=asked,
        kept=(root / "run/bundle/bundle.json").exists(),
    )
