"""A student is tried before it is used: with a schema, thinking aloud and not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from preceptor.agents.servers.ollama import OllamaServer, from_format
from preceptor.agents.servers.openai import OpenAIServer, completion
from preceptor.agents.servers.scripted import Body, prompt_text
from preceptor.agents.students import StudentOptions, make, trial
from preceptor.agents.students.ollama import OllamaStudent
from preceptor.core.errors import StudentError
from preceptor.core.ports import Student
from preceptor.core.records import ModelRef

PROSE = "He has pain, I would say."


def drops_the_schema(body: Body) -> str:
    """Answer as Qwen 3.5 does on Ollama: no schema is forced unless it may think."""
    return from_format(body) if body.get("think") else PROSE


def says_nothing(body: Body) -> str:
    return from_format(body) if body.get("think") else ""


def by_luck(body: Body) -> str:
    """Answer in JSON where that is asked for, and not because it must, unless it may think."""
    if body.get("think"):
        return from_format(body)
    return f"```json\n{from_format(body)}\n```" if "pain" in prompt_text(body) else PROSE


def never_stops(body: Body) -> str:
    return "Hm. " * 9000 if body.get("think") else from_format(body)


def student_of(server: OllamaServer) -> OllamaStudent:
    return OllamaStudent("scripted", StudentOptions(timeout=5.0, retries=0, base_url=server.url))


@pytest.mark.parametrize(
    ("answer", "way"),
    [
        (drops_the_schema, "on"),
        (says_nothing, "on"),
        (by_luck, "on"),
        (never_stops, "off"),
        (from_format, "off"),
    ],
)
def test_the_way_that_works_is_found(answer: Callable[[Body], str], way: str) -> None:
    with OllamaServer(answer) as server:
        server.thinks.add("scripted:latest")
        student = student_of(server)
        found = trial.tried(student)
        assert (found.think, found.readable, found.schema) == (way, True, "forced")
        assert trial.way(student) == way


def test_a_model_that_answers_nothing_readable_is_refused() -> None:
    with OllamaServer(lambda body: PROSE) as server:
        server.thinks.add("scripted:latest")
        assert not trial.tried(student_of(server)).readable
        with pytest.raises(StudentError, match="no readable answer to a schema, thinking aloud or not"):
            trial.way(student_of(server))


def test_who_cannot_think_aloud_is_not_asked_for_a_way() -> None:
    with OllamaServer() as server:
        assert trial.way(student_of(server)) == "auto"
        assert server.asked == []


def openai(server: OpenAIServer) -> Student:
    return make(ModelRef(spec=f"openai:x@{server.url}"), options=StudentOptions(timeout=5.0, retries=0))


def test_what_a_server_does_with_the_schema() -> None:
    with OpenAIServer() as server:
        assert trial.tried(openai(server)).schema == "forced"
    with OpenAIServer(schemas=False) as server:
        assert trial.tried(openai(server)).schema == "refused"
    with OpenAIServer([completion('{"pain": "yes"}'), completion("It rains.")]) as server:
        found = trial.tried(openai(server))
        assert (found.readable, found.schema) == (True, "ignored")
