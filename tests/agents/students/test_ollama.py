"""``ollama:NAME`` over real HTTP against the scripted Ollama server: what is sent, what comes back."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.scripted import Body, Response, Trouble
from preceptor.agents.students import StudentOptions, make
from preceptor.agents.students.ollama import OllamaStudent
from preceptor.core.decoding import THOUGHTS, Thinking
from preceptor.core.errors import StudentError
from preceptor.core.fields import object_schema
from preceptor.core.records import Decoding, Example, ModelRef
from tests.contracts.student import EXAMPLES, FIELDS, SECRET, StudentContract, calls_about

CHAT: Body = {"message": {"role": "assistant", "content": ""}, "done": True}
GOOD = '{"pain": "present"}'
Serve = Callable[..., OllamaServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[OllamaServer] = []

    def start(*args: object, **kwargs: object) -> OllamaServer:
        servers.append(OllamaServer(*args, **kwargs))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def student_of(server: OllamaServer, name: str = "scripted", **options: object) -> OllamaStudent:
    quick = {"timeout": 5.0, "retries": 1, "base_url": server.url, **options}
    return OllamaStudent(name, StudentOptions(**quick))  # type: ignore[arg-type]


class TestOllama(StudentContract):
    @pytest.fixture
    def student(self, serve: Serve) -> OllamaStudent:
        return student_of(serve())


def test_sends_the_whole_schema_and_every_option(serve: Serve) -> None:
    server = serve(models={"qwen:0.5b": 32768})
    student = student_of(server, "qwen:0.5b")
    decoding = Decoding(temperature=0.5, seed=7, max_tokens=99)
    call = calls_about(EXAMPLES[:1], "joint", decoding)[0]
    assert [r.status for r in student.complete([call])] == ["ok"]
    sent = server.asked[0]
    assert sent["format"] == object_schema(FIELDS)
    assert sent["messages"] == [{"role": m.role, "content": m.content} for m in call.messages]
    assert sent["options"] == {"num_ctx": 2048, "num_predict": 99, "temperature": 0.5, "seed": 7}
    assert (sent["model"], sent["stream"], sent["keep_alive"]) == ("qwen:0.5b", False, "10m")
    assert sent["truncate"] is False


def test_unconstrained_sends_no_schema(serve: Serve) -> None:
    server = serve()
    list(student_of(server).complete(calls_about(EXAMPLES[:1], decoding=Decoding(constrained=False))))
    assert not server.asked[0].get("format")


def test_tells_digest_context_and_counts(serve: Serve) -> None:
    server = serve(lambda body: GOOD, models={"tiny": 8192})
    student = student_of(server, "tiny")
    assert student.context == 8192
    assert len(student.ref.digest) == 20
    assert student.ref.spec == "ollama:tiny"
    reply = next(iter(student.complete(calls_about(EXAMPLES[:1]))))
    assert reply.raw == GOOD
    assert (reply.prompt_tokens or 0) > 10
    assert (reply.completion_tokens or 0) > 3


def test_one_window_for_a_batch_and_it_never_shrinks(serve: Serve) -> None:
    server = serve()
    student = student_of(server)
    long = Example(id="long", group="g", text="word " * 2000)
    list(student.complete(calls_about((EXAMPLES[0], long))))
    list(student.complete(calls_about((EXAMPLES[0],))))
    windows = {body["options"]["num_ctx"] for body in server.asked}  # type: ignore[index,call-overload]
    assert len(windows) == 1
    window = windows.pop()
    assert isinstance(window, int)
    assert window % 2048 == 0


def test_an_answer_cut_off_is_truncated(serve: Serve) -> None:
    student = student_of(serve(lambda body: GOOD))
    replies = list(student.complete(calls_about(EXAMPLES[:1], decoding=Decoding(max_tokens=3))))
    assert {r.status for r in replies} == {"truncated"}


def test_a_prompt_cut_off_is_truncated(serve: Serve) -> None:
    server = serve(models={"small": 256})
    long = Example(id="long", group="g", text="mild pain, " * 300)
    student = student_of(server, "small")
    replies = {r.key[0]: r.status for r in student.complete(calls_about((EXAMPLES[0], long)))}
    assert replies == {"n1": "ok", "long": "truncated"}


def test_missing_counts_are_unknown(serve: Serve) -> None:
    student = student_of(serve(omit=("prompt_eval_count", "eval_count")))
    reply = next(iter(student.complete(calls_about(EXAMPLES[:1]))))
    assert (reply.status, reply.prompt_tokens, reply.completion_tokens) == ("ok", None, None)


def test_missing_model_says_how_to_get_it(serve: Serve) -> None:
    with pytest.raises(StudentError, match=r"ollama pull llama3\.2"):
        student_of(serve(), "llama3.2")


@pytest.mark.parametrize(
    "spelt", ["Smol:135M", "library/smol:135m", "registry.ollama.ai/library/smol:135m", "smol:135m"]
)
def test_every_spelling_that_the_server_takes(serve: Serve, spelt: str) -> None:
    server = serve(models={"smol:135m": 2048})
    student = student_of(server, spelt)
    assert student.context == 2048
    assert student.ref.digest == student_of(server, "smol:135m").ref.digest
    assert {r.status for r in student.complete(calls_about(EXAMPLES[:1]))} == {"ok"}


def test_a_missing_model_s_hint_names_what_is_there(serve: Serve) -> None:
    with pytest.raises(StudentError) as error:
        student_of(serve(models={"smol:135m": 2048}), "Smol")
    assert error.value.hint == "the server has smol:135m; to get another: ollama pull"


def test_model_removed_meanwhile(serve: Serve) -> None:
    gone = Trouble(Response.of({"error": "model 'scripted' not found"}, 404))
    with pytest.raises(StudentError, match="ollama pull scripted"):
        list(student_of(serve(troubles=[gone])).complete(calls_about(EXAMPLES)))


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_server_down_says_how_to_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StudentError, match="ollama serve"):
        make(ModelRef(spec="ollama:x"))


def test_server_gone_on_the_way(serve: Serve) -> None:
    server = serve()
    student = student_of(server, retries=0)
    replies = student.complete(calls_about(EXAMPLES) * 30)
    next(replies)
    server.close()
    with pytest.raises(StudentError, match="ollama serve"):
        list(replies)


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble.status(500),
        Trouble.status(503),
        Trouble.status(429, retry_after="0.01"),
        Trouble(drop=True),
        Trouble(delay=1.0),
        Trouble(Response.of({**CHAT, "done_reason": "load"})),
        Trouble(Response.of({**CHAT, "done_reason": None})),
        Trouble(Response.of({"error": "the runner was stopped"})),
        Trouble(Response.of({**CHAT, "message": {"role": "assistant", "content": [{"a": 1}]}})),
        Trouble(Response.of({**CHAT, "prompt_eval_count": ["12"]})),
    ],
    ids="500 503 429 dropped slow loaded unknown error blocks counts".split(),
)
def test_passing_trouble_is_tried_again(serve: Serve, trouble: Trouble) -> None:
    server = serve(lambda body: GOOD, troubles=[trouble])
    student = student_of(server, timeout=0.5)
    reply = next(iter(student.complete(calls_about(EXAMPLES[:1])[:1])))
    assert (reply.status, reply.raw) == ("ok", GOOD)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("trouble", "asked"),
    [
        (Trouble.status(500), 2),
        (Trouble(drop=True), 2),
        (Trouble.status(400), 1),
        (Trouble(Response(b"<html>no json")), 2),
        (Trouble(Response(b'{"done": true}')), 2),
        (Trouble(Response(json.dumps({"error": f"bad {SECRET}"}).encode(), 400)), 1),
    ],
    ids=["500", "dropped", "400", "garbage", "no message", "quoting"],
)
def test_lasting_trouble_fails_one_call_and_quotes_nothing(
    serve: Serve, trouble: Trouble, asked: int
) -> None:
    server = serve(lambda body: GOOD, troubles=[trouble] * asked)
    student = student_of(server, parallel=1)
    replies = list(student.complete(calls_about(EXAMPLES[:1])))
    assert [r.status for r in replies] == ["failed", "ok", "ok"]
    assert len(server.asked) == asked + 2
    assert replies[0].error
    assert SECRET not in replies[0].error


def test_unicode_goes_there_and_back(serve: Serve) -> None:
    text = '{"pain": "口が乾く 🙂 naïve"}'
    server = serve(lambda body: text)
    reply = next(iter(student_of(server).complete(calls_about(EXAMPLES[1:2])[:1])))
    assert reply.raw == text
    assert "口が乾く" in str(server.asked[0])


def test_concurrency_is_bounded(serve: Serve) -> None:
    server = serve(latency=0.03)
    assert len(list(student_of(server, parallel=4).complete(calls_about(EXAMPLES) * 4))) == 36
    assert server.most_parallel == 4


def test_an_empty_answer_that_ended_as_one_is_one(serve: Serve) -> None:
    server = serve(lambda body: "")
    replies = list(student_of(server).complete(calls_about(EXAMPLES[:1])))
    assert [(r.status, r.raw) for r in replies] == [("ok", "")] * 3
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("think", "sent", "room"), [("auto", False, 99), ("off", False, 99), ("on", True, 99 + THOUGHTS)]
)
def test_a_model_that_thinks_aloud_is_told_whether_to(
    serve: Serve, think: Thinking, sent: bool, room: int
) -> None:
    server = serve()
    server.thinks.add("scripted:latest")
    student = student_of(server)
    assert student.thinks
    list(student.complete(calls_about(EXAMPLES[:1], decoding=Decoding(max_tokens=99, think=think))))
    assert server.asked
    assert all(body["think"] is sent for body in server.asked)
    assert {body["options"]["num_predict"] for body in server.asked} == {room}  # type: ignore[index,call-overload]


def test_a_model_that_cannot_think_aloud_is_told_nothing_of_it(serve: Serve) -> None:
    server = serve()
    student = student_of(server)
    assert not student.thinks
    list(student.complete(calls_about(EXAMPLES[:1], decoding=Decoding(max_tokens=99, think="on"))))
    assert server.asked
    assert all(body.get("think") is None for body in server.asked)
