"""``preceptor doctor --student``: an answer that cannot be read is refused; what was tried is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from preceptor.agents.servers.ollama import OllamaServer, from_format
from preceptor.agents.servers.openai import OpenAIServer, completion
from preceptor.agents.servers.scripted import Body
from preceptor.cli import main

Captured = pytest.CaptureFixture[str]
THINKER = "scripted:latest"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def doctor(capsys: Captured, spec: str) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--student", spec, "--json"])
    return code, {one["what"]: one for one in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize("said", ["", "Yes, he reports pain.", "{}"])
def test_an_answer_that_cannot_be_read_is_refused(
    said: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OllamaServer(lambda body: said) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        code, found = doctor(capsys, "ollama:scripted")
    assert (code, found["ollama:scripted"]["state"]) == (5, "missing")
    assert f"cannot be read: {said!r}" in found["ollama:scripted"]["found"]


def test_a_model_that_thinks_aloud_is_tried_both_ways(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(body: Body) -> str:
        return from_format(body) if body.get("think") else "He reports pain."

    with OllamaServer(answer) as server:
        server.thinks.add(THINKER)
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        code, found = doctor(capsys, "ollama:scripted")
    assert (code, found["ollama:scripted"]["state"]) == (0, "ok")
    assert "after thinking aloud" in found["ollama:scripted"]["found"]
    assert found["schema"]["state"] == "ok"


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (lambda: OpenAIServer([completion('{"pain": "yes"}')] * 2, schemas=False), "refuses it"),
        (
            lambda: OpenAIServer([completion('Sure: {"pain": "yes"}'), completion("It rains.")]),
            "does not force it",
        ),
    ],
    ids=["refused", "ignored"],
)
def test_a_server_that_does_not_force_the_schema_is_told(
    server: Callable[[], OpenAIServer], says: str, capsys: Captured
) -> None:
    with server() as up:
        code, found = doctor(capsys, f"openai:x@{up.base_url}")
    assert code == 0
    assert found["schema"]["state"] == "note"
    assert says in found["schema"]["found"]
