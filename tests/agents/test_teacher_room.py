"""A chat teacher is told no more than its model reads, over real HTTP against the scripted servers."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage, messages_to_dict
from pydantic import JsonValue

from preceptor.agents import brief, capabilities, chat, room, strict, teacher
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer, completion, tool_call
from preceptor.agents.servers.scripted import Body, Response, Trouble, prompt_text, tokens
from preceptor.core.errors import InputError, TeacherError
from preceptor.core.records import Attempt, TeacherTurn
from preceptor.tools.look import CountNotes
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.rag.index import IndexExamples
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.contracts.teacher import FINISH, situation_of

BOX = Toolbox([EditPrompt(), IndexExamples(), CountNotes()])
TOOLS = (*BOX.specs(), FINISH)
HINT: Body = {"patches": [{"kind": "add_look_for", "field": "nausea", "phrases": ["emesis"]}]}
EVIDENCE = evidence_of(corpus(160), blind)


def tried(count: int) -> tuple[Attempt, ...]:
    args: dict[str, JsonValue] = {
        "patches": [{"kind": "add_look_for", "field": "nausea", "phrases": ["queasy " * 40]}]
    }
    return tuple(
        Attempt(round=i + 1, tool="edit_prompt", args=args, outcome="rejected") for i in range(count)
    )


def calling(body: Body) -> Body:
    call: Body = {"function": {"name": "edit_prompt", "arguments": {**HINT}}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def counted(body: Body) -> Body:
    """Return a move, with the tokens that a scripted server counts."""
    read = len(tokens(prompt_text(body)))
    return completion(calls=[tool_call("edit_prompt", HINT)], usage=(read, 30))


def made(spec: str, **more: Any) -> chat.ChatTeacher:
    built = teacher.make(spec, teacher.TeacherOptions(**{"timeout": 10.0, **more}))
    assert isinstance(built, chat.ChatTeacher)
    built._sleep = lambda seconds: None
    return built


def ask(
    who: chat.ChatTeacher, transcript: list[dict[str, JsonValue]] | None = None, **more: object
) -> TeacherTurn:
    situation = situation_of(EVIDENCE, **{"attempts": tried(30), **more})
    return who.turn(situation, EVIDENCE, transcript or [], TOOLS)


def looked(count: int) -> list[dict[str, JsonValue]]:
    looks: list[dict[str, JsonValue]] = []
    for i in range(count):
        call = AIMessage("", tool_calls=[{"name": "count_notes", "args": {}, "id": f"c{i}"}])
        result = ToolMessage(f"look {i} " + "word " * 3000, tool_call_id=f"c{i}")
        looks += messages_to_dict([call, result])
    return looks


def whole(value: JsonValue) -> int:
    assert isinstance(value, int)
    return value


def options_of(body: Body) -> Body:
    found = body["options"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("longest", [8192, 7168])
def test_all_that_ollama_is_sent_fits_what_its_model_reads(longest: int) -> None:
    with OllamaServer(calling, models={"small": longest}) as server:
        turn = ask(made(f"ollama:small@{server.url}", retries=0), looked(4))
        bodies = server.asked
    for body in bodies:
        assert body["truncate"] is False
        assert whole(options_of(body)["num_ctx"]) <= longest
    sent, options = bodies[-1], options_of(bodies[-1])
    read = len(tokens(prompt_text(sent)))
    assert read + whole(options["num_predict"]) <= whole(options["num_ctx"])
    assert turn.calls[0].name == "edit_prompt"
    assert turn.left_out[0] == "notes"
    assert "older messages of the round" in turn.left_out
    assert BOX.validate(turn.calls[0])


def test_calls_that_are_long_together_leave_the_last_turn() -> None:
    words: JsonValue = [f"phrase {i}" for i in range(300)]
    said: list[dict[str, JsonValue]] = []
    for i in range(3):
        args = {"patches": [{"kind": "add_look_for", "field": "nausea", "phrases": words}]}
        call = AIMessage("", tool_calls=[{"name": "edit_prompt", "args": args, "id": f"c{i}"}])
        said += messages_to_dict([call, ToolMessage("at most 120 items", tool_call_id=f"c{i}")])
    for longest, roles in ((8192, 4), (None, 8)):
        with OpenAIServer([counted], models={"m": longest}) as server:
            turn = ask(made(f"openai:m@{server.base_url}"), said)
            sent = server.asked[-1]["messages"]
        assert isinstance(sent, list)
        assert len(sent) == roles
        assert ("older messages of the round" in turn.left_out) == (roles == 4)


def test_where_there_is_room_nothing_is_left_out() -> None:
    with OllamaServer(calling, models={"large": 131_072}) as server:
        turn = ask(made(f"ollama:large@{server.url}"))
        (body,) = server.asked
    assert turn.left_out == ()
    assert "Argument" in json.dumps(body["tools"]) or "description" in json.dumps(body["tools"])
    assert whole(options_of(body)["num_predict"]) == chat.CALL_TOKENS


@pytest.mark.parametrize("how", ["listed", "props", "set", "refused", "llama.cpp"])
def test_the_context_of_an_openai_server_is_found(how: str) -> None:
    limit = 6600
    said: Body = {"message": f"This model's maximum context length is {limit} tokens.", "code": 400}
    if how == "llama.cpp":
        said = {
            "message": "exceeds the available context size",
            "n_prompt_tokens": 7000,
            "n_ctx": limit,
        }
    refusal = Trouble(Response.of({"error": said}, 400))
    troubles = [refusal] if how in ("refused", "llama.cpp") else []
    listed = {"big": limit if how == "listed" else None}
    with OpenAIServer([counted] * 4, models=listed, troubles=troubles) as server:
        if how == "props":
            server.props = {"default_generation_settings": {"n_ctx": limit}}
        context = limit if how == "set" else 0
        turn = ask(made(f"openai:big@{server.base_url}", context=context))
        body = server.asked[-1]
    assert len(tokens(prompt_text(body))) <= limit
    assert turn.left_out
    assert whole(body["max_completion_tokens"]) <= limit // 4


def test_a_server_that_only_says_too_long_is_sent_less() -> None:
    words: JsonValue = {"message": "the prompt exceeds the context window"}
    refusal = Trouble(Response.of({"error": words}, 400))
    with OpenAIServer([counted], troubles=[refusal, refusal]) as server:
        turn = ask(made(f"openai:big@{server.base_url}", retries=0))
        sizes = [len(prompt_text(body)) for body in server.asked]
    assert sizes[0] > sizes[1] > sizes[2]
    assert turn.left_out


def test_tokens_are_those_that_the_server_counted() -> None:
    def dense(body: Body) -> Body:
        read = len(prompt_text(body)) // 2
        return completion(calls=[tool_call("edit_prompt", HINT)], usage=(read, 30))

    with OpenAIServer([dense] * 2, models={"digits": 9000}) as server:
        who = made(f"openai:digits@{server.base_url}")
        ask(who)
        ask(who)
        first, second = (len(prompt_text(body)) for body in server.asked)
    assert second / 2 <= 9000 - chat.CALL_TOKENS < first / 2


def test_an_answer_that_is_cut_off_gets_more_room_the_next_time() -> None:
    cut = completion('{"patches"', finish="length")
    with OpenAIServer([cut, counted]) as server:
        who = made(f"openai:big@{server.base_url}")
        ask(who)
        ask(who)
        limits = [whole(body["max_completion_tokens"]) for body in server.asked]
    assert limits == [chat.CALL_TOKENS, 2 * chat.CALL_TOKENS]


def test_a_timeout_is_asked_again_once_and_then_more_briefly() -> None:
    said: list[str] = []
    with OpenAIServer([counted] * 9, troubles=[Trouble(delay=1.2)] * 3) as server:
        turn = ask(made(f"openai:big@{server.base_url}", timeout=0.5, say=said.append))
        bodies = server.asked
    first, second, third, fourth = map(prompt_text, bodies)
    assert first == second
    assert len(third) < 0.8 * len(second)
    assert len(fourth) <= len(third)
    assert whole(bodies[2]["max_completion_tokens"]) < whole(bodies[1]["max_completion_tokens"])
    assert turn.left_out
    assert len(said) == 3
    assert "no answer within 0.5 s" in said[0]
    assert said[0].endswith("asked again")
    assert said[1].endswith("more briefly")


def test_other_trouble_changes_nothing_in_what_is_asked() -> None:
    with OpenAIServer([counted], troubles=[Trouble.status(503)] * 3) as server:
        turn = ask(made(f"openai:big@{server.base_url}"))
        assert len({prompt_text(body) for body in server.asked}) == 1
    assert turn.left_out == ()


def test_a_context_that_is_too_small_is_said_in_one_line() -> None:
    with OllamaServer(calling, models={"tiny": 2048}) as server:
        with pytest.raises(
            TeacherError, match=r"reads 2048 tokens: too few .*shortest brief"
        ) as caught:
            ask(made(f"ollama:tiny@{server.url}"))
        assert server.asked == []
    assert "--moves" in caught.value.hint


@pytest.mark.parametrize("kind", ["ollama", "openai"])
def test_a_model_without_tools_is_refused(kind: str) -> None:
    if kind == "ollama":
        with OllamaServer(calling, models={"base": 8192}) as server:
            server.capabilities = {"base:latest": ["completion"]}
            spec = f"ollama:base@{server.url}"
            _refused(spec)
            assert server.asked == []
    else:
        with OpenAIServer() as open_:
            open_.props = {
                "default_generation_settings": {"n_ctx": 8192},
                "chat_template_caps": {"supports_tools": False},
            }
            _refused(f"openai:base@{open_.base_url}")
            assert open_.asked == []


def _refused(spec: str) -> None:
    with pytest.raises(InputError, match="takes no tools"):
        teacher.check(spec)
    with pytest.raises(TeacherError, match="takes no tools") as caught:
        ask(made(spec))
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_there_and_a_server_that_is_silent() -> None:
    with OllamaServer(calling, models={"here": 8192}) as server:
        with pytest.raises(InputError, match="ollama pull gone"):
            teacher.check(f"ollama:gone@{server.url}")
        teacher.check(f"ollama:here@{server.url}")
    teacher.check(f"ollama:here@{server.url}")
    teacher.check("rules")
    assert capabilities.of("openai:gpt-4o") == capabilities.Served()


def test_the_least_important_parts_go_first() -> None:
    situation = situation_of(EVIDENCE, attempts=tried(30))
    full = brief.shortened(situation, EVIDENCE, TOOLS, 30_000)
    length = len(full.system) + len(full.text)
    assert full.left_out == ()
    found = []
    for size in (length - 100, length - 1500, 6000, 5000):
        told = brief.shortened(situation, EVIDENCE, TOOLS, size)
        assert len(told.system) + len(told.text) <= size
        found.append(told.left_out)
    assert found[0] == ("notes",)
    for fewer, more in itertools.pairwise(found):
        assert more[: len(fewer)] == fewer
    assert "attempts" in found[2]
    assert "scores" not in found[2]
    with pytest.raises(InputError, match="too short"):
        brief.shortened(situation, EVIDENCE, TOOLS, 3000)


def test_a_schema_without_its_explanations_asks_for_the_same() -> None:
    spec = next(t for t in TOOLS if t.name == "edit_prompt")
    short = strict.plain(spec.schema)
    assert isinstance(short, dict)
    assert len(json.dumps(short)) < 0.7 * len(json.dumps(spec.schema))
    assert short["required"] == spec.schema["required"]
    before, after = spec.schema["$defs"], short["$defs"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert before.keys() == after.keys()
    odd: JsonValue = {"properties": {"title": {"type": "string", "title": "Title"}}}
    assert strict.plain(odd) == {"properties": {"title": {"type": "string"}}}


def test_the_room_learns_from_refusals() -> None:
    known = room.Room(8192, 2048)
    known.refuse(18_000, "the input length exceeds the context length", None)
    assert known.ratio == room.FIRST * room.REFUSED
    assert known.window_for(12_000) == 8192
    blank = room.Room(None, 2048)
    blank.refuse(20_000, "too long", None)
    assert blank.chars(99_000) == 15_000
    assert room.is_too_long(400, "exceeds the available context size")
    assert not room.is_too_long(500, "context length")
    assert not room.is_too_long(400, "no such tool")
