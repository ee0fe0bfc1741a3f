"""A chat model teaches over real HTTP: a scripted server that speaks OpenAI's protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer, completion, tool_call
from preceptor.cli import tracing
from preceptor.core.errors import InputError
from preceptor.core.ledger import Budget
from preceptor.core.trace import read
from preceptor.graphs import refine
from tests.graphs.small import OPTIONS, SETTINGS, opened

HINTS: dict[str, JsonValue] = {
    "patches": [
        {"kind": "add_look_for", "field": "fever", "phrases": ["burning up", "shivering at night"]},
        {"kind": "add_look_for", "field": "cough", "phrases": ["hacking", "barking chest"]},
        {"kind": "add_look_for", "field": "rash", "phrases": ["red spots", "itchy blotches"]},
    ]
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")


def test_a_chat_model_looks_moves_and_finishes(tmp_path: Path) -> None:
    script = [
        completion(calls=[tool_call("errors_by_field", {}, "c1")]),
        completion(calls=[tool_call("edit_prompt", HINTS, "c2")]),
        completion(calls=[tool_call("finish", {"reason": "enough"}, "c3")]),
    ]
    with OpenAIServer(script=script) as server:
        options = OPTIONS.model_copy(update={"teacher": f"openai:gpt-4o@{server.base_url}"})
        with opened(tmp_path, options) as session:
            state = refine.run(session)
            spent = session.ledger.spent()
        asked = server.asked
    assert state["stop"] == "finished"
    kinds = [e.kind for e in read(tmp_path / "run/trace.jsonl")]
    assert kinds.count("turn") == 3
    assert kinds.count("verdict") == 1
    assert len(asked) == 3
    # The look's result went back to the teacher under the call's id.
    second = asked[1]["messages"]
    assert isinstance(second, list)
    assert any(isinstance(m, dict) and m.get("tool_call_id") == "c1" for m in second)
    assert spent["teacher_tokens"] > 0
    assert SETTINGS.egress == "redacted"


def test_a_teacher_out_of_reach_keeps_the_best_recipe(tmp_path: Path) -> None:
    with OpenAIServer(script=[completion("?")]) as server:
        url = server.base_url
    options = OPTIONS.model_copy(update={"teacher": f"openai:gpt-4o@{url}"})
    with opened(tmp_path, options) as session:
        state = refine.run(session)
    assert state["stop"] == "teacher"
    assert refine.exit_code(state) == 4
    assert (tmp_path / "run/bundle/bundle.json").exists()


def test_a_budget_of_tokens_ends_the_teaching(tmp_path: Path) -> None:
    with OpenAIServer(script=[completion("never asked")]) as server:
        options = OPTIONS.model_copy(
            update={
                "teacher": f"openai:gpt-4o@{server.base_url}",
                "budget": Budget(teacher_tokens=100),
            }
        )
        with opened(tmp_path, options) as session:
            state = refine.run(session)
        assert server.asked == []
    assert state["stop"] == "budget"
    assert refine.exit_code(state) == 3


def test_a_model_without_tools_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with OllamaServer(models={"base": 8192}) as server:
        server.capabilities = {"base:latest": ["completion"]}
        options = OPTIONS.model_copy(update={"teacher": f"ollama:base@{server.url}"})
        with pytest.raises(InputError, match="takes no tools"), opened(tmp_path, options):
            pass
        assert server.asked == []
    assert not (tmp_path / "run").exists()


def test_the_trace_says_what_the_teacher_was_not_told(tmp_path: Path) -> None:
    script = [completion(calls=[tool_call("finish", {"reason": "enough"}, "c1")])]
    with OpenAIServer(script=script, models={"small": 5000}) as server:
        spec = f"openai:small@{server.base_url}"
        options = OPTIONS.model_copy(update={"teacher": spec, "moves": ("edit_prompt",)})
        with opened(tmp_path, options) as session:
            refine.run(session)
    (turn,) = [e for e in read(tmp_path / "run/trace.jsonl") if e.kind == "turn"]
    assert turn.data["left_out"]
    assert "shortened or left out: " in tracing.text(turn)
