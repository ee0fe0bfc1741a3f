"""``doctor`` tries a teacher before a run depends on it."""

from __future__ import annotations

import pytest

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer, completion, tool_call
from preceptor.agents.servers.scripted import Body, Trouble
from preceptor.cli import checks
from preceptor.cli.checks import Check
from preceptor.core.settings import Settings

READY: Body = {"function": {"name": "ready", "arguments": {"word": "yes"}}}
CALL: Body = {"role": "assistant", "content": "", "tool_calls": [READY]}


def looked(spec: str, **more: object) -> Check:
    """Return what doctor says of a teacher."""
    return next(iter(checks.teacher(Settings.model_validate({"teacher": spec, **more}), {})))


def test_a_teacher_of_ollamas_is_asked_for_one_tool_call() -> None:
    with OllamaServer(lambda body: CALL, models={"big": 32768}) as server:
        found = looked(f"ollama:big@{server.url}")
        (asked,) = server.asked
    assert found.state == "ok"
    assert "answers with a tool call, context 32768 tokens" in found.found
    assert asked["truncate"] is False


def test_a_teacher_without_the_capability_is_missing_and_not_asked() -> None:
    with OllamaServer(lambda body: CALL, models={"base": 8192}) as server:
        server.capabilities = {"base:latest": ["completion"]}
        found = looked(f"ollama:base@{server.url}")
        assert server.asked == []
    assert found.state == "missing"
    assert "takes no tools" in found.found
    assert found.mend


@pytest.mark.parametrize("spelled", ["big", "big:latest"])
def test_names_are_compared_by_the_server(spelled: str) -> None:
    with OllamaServer(lambda body: CALL, models={"big": 4096}) as server:
        assert looked(f"ollama:{spelled}@{server.url}").state == "ok"
        assert "ollama pull huge" in looked(f"ollama:huge@{server.url}").mend


def test_a_teacher_that_talks_is_noted() -> None:
    with OpenAIServer([completion("Yes, I can call tools.")]) as server:
        found = looked(f"openai:chatty@{server.base_url}", teacher_context=9000)
    assert found.state == "note"
    assert "answered without one, context 9000 tokens" in found.found


def test_a_teacher_that_calls_a_tool_and_one_that_gives_nothing() -> None:
    call = completion(calls=[tool_call("ready", {"word": "yes"})])
    with OpenAIServer([call], troubles=[None, Trouble.status(500)]) as server:
        spec = f"openai:able@{server.base_url}"
        assert looked(spec).state == "ok"
        lost = looked(spec)
    assert lost.state == "missing"
    assert "no answer after 1 try: HTTP 500" in lost.found
