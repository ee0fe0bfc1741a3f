"""``openai:NAME@URL`` over real HTTP against the scripted chat-completions server."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from preceptor.agents.servers.openai import OpenAIServer, completion, tool_call
from preceptor.agents.servers.scripted import Response, Trouble
from preceptor.agents.students import StudentOptions, make
from preceptor.agents.students.openai import REASONING_TOKENS, OpenAIStudent, key_for, with_path
from preceptor.core import served
from preceptor.core.address import parse
from preceptor.core.errors import StudentError
from preceptor.core.fields import object_schema
from preceptor.core.records import Decoding, Example, ModelRef
from tests.agents.students.serving import Serve
from tests.contracts.student import EXAMPLES, FIELDS, SECRET, StudentContract, calls_about

GOOD = '{"pain": "present"}'


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def student_of(server: OpenAIServer, name: str = "scripted", **options: object) -> OpenAIStudent:
    quick = {"timeout": 5.0, "retries": 1, **options}
    return OpenAIStudent(name, server.url, StudentOptions(**quick))  # type: ignore[arg-type]


class TestOpenAI(StudentContract):
    @pytest.fixture
    def student(self, serve: Serve) -> OpenAIStudent:
        return student_of(serve())


def test_make_reads_name_and_url(serve: Serve) -> None:
    server = serve()
    student = make(ModelRef(spec=f"openai:org/model@{server.url}"))
    assert next(iter(student.complete(calls_about(EXAMPLES[:1])))).status == "ok"
    assert server.asked[0]["model"] == "org/model"
    assert student.ref.spec == f"openai:org/model@{server.url}"


def test_sends_a_strict_schema_and_every_option(serve: Serve) -> None:
    server = serve()
    decoding = Decoding(temperature=0.5, seed=7, max_tokens=99)
    call = calls_about(EXAMPLES[:1], "joint", decoding)[0]
    assert [r.status for r in student_of(server).complete([call])] == ["ok"]
    sent = server.asked[0]
    schema = {"name": "answer", "strict": True, "schema": object_schema(FIELDS)}
    assert sent["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.5, 7, 99)
    assert sent["messages"] == [{"role": m.role, "content": m.content} for m in call.messages]


def test_a_server_without_schemas_is_asked_without_from_then_on(serve: Serve) -> None:
    server = serve(schemas=False)
    student = student_of(server, parallel=1)
    replies = list(student.complete(calls_about(EXAMPLES[:1])))
    assert {r.status for r in replies} == {"ok"}
    assert student.without_schema
    assert ["response_format" in body for body in server.asked] == [True, False, False, False]


def test_a_bad_request_is_not_blamed_on_the_schema(serve: Serve) -> None:
    server = serve(troubles=[Trouble.status(400)] * 2)
    student = student_of(server, parallel=1)
    assert [r.status for r in student.complete(calls_about(EXAMPLES[:1]))] == ["failed", "ok", "ok"]
    assert not student.without_schema
    assert "response_format" in server.asked[-1]


def test_a_model_that_takes_no_temperature_is_asked_without(serve: Serve) -> None:
    server = serve(reasons=True)
    student = student_of(server, parallel=8)
    calls = calls_about(EXAMPLES)
    assert {r.status for r in student.complete(calls)} == {"ok"}
    assert student.reasons
    assert not student.without_schema
    sent = server.asked[-1]
    assert sent.keys() >= {"seed", "response_format", "max_completion_tokens"}
    assert sent["max_completion_tokens"] == calls[0].decoding.max_tokens + REASONING_TOKENS
    before = len(server.asked)
    assert {r.status for r in student.complete(calls)} == {"ok"}
    assert len(server.asked) == before + len(calls), "nothing is refused a second time"


def test_a_server_may_know_neither_temperature_nor_schema(serve: Serve) -> None:
    student = student_of(serve(reasons=True, schemas=False), parallel=1)
    assert {r.status for r in student.complete(calls_about(EXAMPLES[:1]))} == {"ok"}
    assert (student.reasons, student.without_schema) == (True, True)


@pytest.mark.parametrize(
    ("name", "reasons"),
    [("o3", True), ("o4-mini", True), ("gpt-5-nano", True), ("gpt-5-chat-latest", False),
     ("gpt-4o", False), ("omni", False)],
)  # fmt: skip
def test_openais_own_models_that_reason_are_known(
    name: str, reasons: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setattr(OpenAIStudent, "_longest", lambda *_: None)
    student = OpenAIStudent(name, "", StudentOptions())
    body = student.body(calls_about(EXAMPLES[:1])[0], True)
    assert student.reasons == reasons
    assert ("temperature" in body) != reasons
    student.close()


def test_counts_and_context(serve: Serve) -> None:
    server = serve([completion(GOOD, usage=(321, 7))], models={"scripted": 4096})
    student = student_of(server)
    assert student.context == 4096
    reply = next(iter(student.complete(calls_about(EXAMPLES[:1])[:1])))
    assert (reply.raw, reply.prompt_tokens, reply.completion_tokens) == (GOOD, 321, 7)


def test_missing_usage_is_unknown(serve: Serve) -> None:
    server = serve([completion(GOOD, usage=None)])
    reply = next(iter(student_of(server).complete(calls_about(EXAMPLES[:1])[:1])))
    assert (reply.status, reply.prompt_tokens, reply.completion_tokens) == ("ok", None, None)


def test_cut_off_answers_and_prompts_are_truncated(serve: Serve) -> None:
    server = serve(models={"scripted": 256})
    long = Example(id="long", group="g", text="mild pain, " * 300)
    student = student_of(server)
    short = calls_about(EXAMPLES[:1], decoding=Decoding(max_tokens=3))
    assert {r.status for r in student.complete(short)} == {"truncated"}
    assert {r.status for r in student.complete(calls_about((long,)))} == {"truncated"}


def test_no_text_is_a_failure(serve: Serve) -> None:
    filtered, called = completion(None, finish="content_filter"), completion(calls=[tool_call("f", {})])
    server = serve([filtered, filtered, called, called, completion("", finish="stop")])
    replies = list(student_of(server, parallel=1).complete(calls_about(EXAMPLES[:1])))
    assert [r.status for r in replies] == ["failed"] * 3
    assert len(server.asked) == 5, "what did not end as an answer does is asked again, once here"


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(Response.of(completion("", finish="load"))),
        Trouble(Response.of({"error": {"message": "the backend restarts"}})),
        Trouble(Response(b"<html>Bad gateway</html>", type="text/html")),
        Trouble(Response.of({**completion(GOOD), "choices": None})),
        Trouble(Response.of({**completion(GOOD), "choices": [{"message": {"content": 3}}]})),
        Trouble(Response.of(["no object"])),
        Trouble.status(408),
        Trouble.status(502),
    ],
    ids=["load", "error in 200", "page", "no choices", "number", "list", "408", "502"],
)
def test_what_is_no_completion_is_asked_again(serve: Serve, trouble: Trouble) -> None:
    server = serve([completion(GOOD)], troubles=[trouble])
    reply = next(iter(student_of(server).complete(calls_about(EXAMPLES[:1])[:1])))
    assert (reply.status, reply.raw) == ("ok", GOOD)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("content", "raw"),
    [
        ([{"type": "text", "text": GOOD[:9]}, {"type": "text", "text": GOOD[9:]}], GOOD),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "{}"}]},
          {"type": "text", "text": GOOD}], GOOD),
        ([GOOD], GOOD),
        ({"pain": "present"}, GOOD),
        ({"type": "text", "text": {"value": GOOD}}, GOOD),
    ],
    ids=["blocks", "thoughts", "texts", "object", "block"],
)  # fmt: skip
def test_content_of_another_shape_is_read(serve: Serve, content: JsonValue, raw: str) -> None:
    body = completion("x")
    body["choices"] = [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]
    reply = next(iter(student_of(serve([body])).complete(calls_about(EXAMPLES[:1])[:1])))
    assert (reply.status, reply.raw) == ("ok", raw)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"input_tokens": 12, "output_tokens": 3}, (12, 3)),
        ({"prompt_tokens": 12.0, "completion_tokens": "3"}, (12, 3)),
        ({"prompt_tokens": [12], "completion_tokens": None}, (None, None)),
        ([12, 3], (None, None)),
        ("12 in, 3 out", (None, None)),
    ],
)
def test_usage_of_another_shape_is_read_or_unknown(
    serve: Serve, usage: JsonValue, counted: tuple[int | None, int | None]
) -> None:
    body = {**completion(GOOD), "usage": usage}
    reply = next(iter(student_of(serve([body])).complete(calls_about(EXAMPLES[:1])[:1])))
    assert (reply.status, reply.prompt_tokens, reply.completion_tokens) == ("ok", *counted)


def test_a_reply_says_that_the_schema_was_refused(serve: Serve) -> None:
    replies = list(student_of(serve(schemas=False)).complete(calls_about(EXAMPLES)))
    assert all(r.unforced for r in replies)
    assert not any(r.unforced for r in student_of(serve()).complete(calls_about(EXAMPLES)))


def test_missing_model(serve: Serve) -> None:
    student = student_of(serve(models={"other": None}))
    with pytest.raises(StudentError, match="does not have the model 'scripted'"):
        list(student.complete(calls_about(EXAMPLES)))


def test_wrong_key_stops_everything(serve: Serve) -> None:
    student = student_of(serve(troubles=[Trouble.status(401)]))
    with pytest.raises(StudentError, match="api_key_env"):
        list(student.complete(calls_about(EXAMPLES)))


def test_server_down() -> None:
    with OpenAIServer() as server:
        url = server.url
    with pytest.raises(StudentError, match="no server answers"):
        OpenAIStudent("x", url, StudentOptions())


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble.status(500),
        Trouble.status(502),
        Trouble.status(429, retry_after="0.01"),
        Trouble(drop=True),
        Trouble(delay=1.0),
    ],
    ids=["500", "502", "429", "dropped", "slow"],
)
def test_passing_trouble_is_tried_again(serve: Serve, trouble: Trouble) -> None:
    server = serve([completion(GOOD)], troubles=[trouble])
    reply = next(iter(student_of(server, timeout=0.5).complete(calls_about(EXAMPLES[:1])[:1])))
    assert reply.status == "ok"
    assert len(server.asked) == 2


def test_retry_after_is_obeyed(serve: Serve) -> None:
    server = serve(troubles=[Trouble.status(429, retry_after="0.9")])
    reply = next(iter(student_of(server).complete(calls_about(EXAMPLES[:1])[:1])))
    assert reply.status == "ok"
    first, second = (r.at for r in server.requests if r.method == "POST")
    assert second - first >= 0.9, "without the header it would be about half a second"


@pytest.mark.parametrize(
    ("trouble", "asked"),
    [
        (Trouble.status(500), 2),
        (Trouble(drop=True), 2),
        (Trouble(Response(b"<html>no json")), 2),
        (Trouble(Response(b'{"choices": []}')), 2),
        (Trouble(Response(f'{{"error": {{"message": "{SECRET}"}}}}'.encode(), 400)), 2),
    ],
    ids=["500", "dropped", "garbage", "no choices", "quoting"],
)
def test_lasting_trouble_fails_one_call_and_quotes_nothing(
    serve: Serve, trouble: Trouble, asked: int
) -> None:
    server = serve(troubles=[trouble] * asked)
    student = student_of(server, parallel=1)
    replies = list(student.complete(calls_about(EXAMPLES[:1])))
    assert [r.status for r in replies].count("failed") == 1
    assert SECRET not in "".join(r.error for r in replies)
    assert not student.without_schema


def test_the_real_key_goes_to_no_other_server(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    own = parse(served.OPENAI)
    with pytest.raises(StudentError, match="OPENAI_API_KEY"):
        key_for(own, {})
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    assert key_for(own, {}) == "sk-real"
    assert key_for(parse("https://api.example.com/v1"), {}) == "none"
    server = serve()
    list(student_of(server).complete(calls_about(EXAMPLES[:1])[:1]))
    assert all("sk-real" not in r.headers["authorization"] for r in server.requests)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://a:1", "http://a:1/v1"),
        ("http://a:1/", "http://a:1/v1"),
        ("http://a/v2", "http://a/v2"),
        ("", ""),
    ],
)
def test_path(given: str, expected: str) -> None:
    assert with_path(given) == expected


def test_concurrency_is_bounded(serve: Serve) -> None:
    server = serve(latency=0.03)
    assert len(list(student_of(server, parallel=4).complete(calls_about(EXAMPLES) * 4))) == 36
    assert server.most_parallel == 4
