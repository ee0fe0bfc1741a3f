"""A chat model that only LangChain knows, over real HTTP against the scripted server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from preceptor.agents.servers.openai import OpenAIServer, completion
from preceptor.agents.servers.scripted import Trouble
from preceptor.agents.students import StudentOptions
from preceptor.agents.students.langchain import LangChainStudent
from preceptor.core.errors import StudentError
from preceptor.core.records import Reply
from tests.agents.students.serving import Serve
from tests.contracts.student import EXAMPLES, StudentContract, calls_about

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

GOOD = '{"pain": "present"}'


def student_of(server: OpenAIServer, **options: object) -> LangChainStudent:
    from langchain_openai import ChatOpenAI

    def model(temperature: float | None) -> BaseChatModel:
        return ChatOpenAI(
            model="scripted",
            base_url=server.base_url,
            api_key=SecretStr("none"),
            max_retries=0,
            timeout=5,
            temperature=temperature,
        )

    quick = {"retries": 1, **options}
    return LangChainStudent("maker:scripted", model, StudentOptions(**quick))  # type: ignore[arg-type]


def one(student: LangChainStudent) -> Reply:
    return next(iter(student.complete(calls_about(EXAMPLES[:1])[:1])))


class TestLangChain(StudentContract):
    @pytest.fixture
    def student(self, serve: Serve) -> LangChainStudent:
        return student_of(serve())


def test_sends_the_messages_and_reads_answer_and_usage(serve: Serve) -> None:
    server = serve([completion(GOOD, usage=(321, 7))])
    call = calls_about(EXAMPLES[:1])[0]
    [reply] = student_of(server).complete([call])
    assert (reply.raw, reply.status) == (GOOD, "ok")
    assert (reply.prompt_tokens, reply.completion_tokens) == (321, 7)
    [sent] = server.asked
    assert sent["messages"] == [{"role": m.role, "content": m.content} for m in call.messages]
    assert sent["temperature"] == 0.0


def test_an_answer_that_was_cut_off_is_truncated(serve: Serve) -> None:
    assert one(student_of(serve([completion('{"pa', finish="length")]))).status == "truncated"


def test_no_text_and_no_usage(serve: Serve) -> None:
    student = student_of(serve([completion(""), completion(GOOD, usage=None)]))
    assert (one(student).status, one(student).prompt_tokens) == ("failed", None)


def test_a_model_that_refuses_a_temperature_is_asked_without(serve: Serve) -> None:
    server = serve(reasons=True)
    student = student_of(server, parallel=1)
    assert {r.status for r in student.complete(calls_about(EXAMPLES))} == {"ok"}
    assert ["temperature" in body for body in server.asked[:3]] == [True, False, False]


def test_another_refusal_is_not_blamed_on_the_temperature(serve: Serve) -> None:
    server = serve(troubles=[Trouble.status(400)] * 2)
    student = student_of(server, parallel=1)
    assert [r.status for r in student.complete(calls_about(EXAMPLES[:1]))] == ["failed", "ok", "ok"]
    assert ["temperature" in body for body in server.asked] == [True, False, True, True]


def test_what_may_pass_is_tried_again(serve: Serve) -> None:
    server = serve(troubles=[Trouble.status(500)])
    assert one(student_of(server)).status == "ok"
    assert len(server.asked) == 2


def test_no_access_ends_it_and_nothing_is_quoted(serve: Serve) -> None:
    server = serve(troubles=[Trouble.status(401)] * 9)
    with pytest.raises(StudentError, match="maker:scripted refused access") as lost:
        one(student_of(server))
    assert EXAMPLES[0].text not in str(lost.value)


def test_a_provider_that_is_gone(serve: Serve) -> None:
    server = serve()
    student = student_of(server, parallel=1, retries=0)
    server.close()
    with pytest.raises(StudentError, match="cannot be reached"):
        list(student.complete(calls_about(EXAMPLES)))
