"""The chat teacher over real HTTP, against servers that speak OpenAI's and Ollama's protocols."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from pydantic import JsonValue

from preceptor.agents import chat, teacher
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer, completion, tool_call
from preceptor.agents.servers.scripted import Body, Response, Trouble
from preceptor.core.egress import Door, Egress
from preceptor.core.errors import InputError, TeacherError
from preceptor.core.ports import Evidence, Teacher
from preceptor.core.records import TeacherTurn
from preceptor.tools.look import CountNotes
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.contracts.teacher import FINISH, TeacherContract, situation_of

BOX = Toolbox([EditPrompt(), CountNotes()])
TOOLS = (*BOX.specs(), FINISH)
HINT: Body = {"patches": [{"kind": "add_look_for", "field": "nausea", "phrases": ["emesis"]}]}
MOVE = completion(calls=[tool_call("edit_prompt", HINT)], usage=(1200, 34))


def made(server: OpenAIServer, **more: object) -> chat.ChatTeacher:
    options = teacher.TeacherOptions(**{"timeout": 10.0, **more})  # type: ignore[arg-type]
    built = teacher.make(f"openai:big-model@{server.base_url}", options)
    assert isinstance(built, chat.ChatTeacher)
    built._sleep = lambda seconds: None
    return built


def ask(who: Teacher, evidence: Evidence | None = None) -> TeacherTurn:
    evidence = evidence or evidence_of(corpus(20), blind)
    return who.turn(situation_of(evidence), evidence, [], TOOLS)


class TestOpenAI(TeacherContract):
    @pytest.fixture
    def teacher(self) -> Iterator[Teacher]:
        with OpenAIServer([MOVE, MOVE]) as server:
            yield made(server)


def test_a_turn_over_http_edits_the_prompt() -> None:
    evidence = evidence_of(corpus(20), blind)
    with OpenAIServer([MOVE]) as server:
        turn = ask(made(server), evidence)
        (body,) = server.asked
    result = BOX.run(turn.calls[0], evidence)
    assert result.recipe is not None
    assert result.recipe.prompt.guide("nausea").look_for == ("emesis",)
    assert turn.usage is not None
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (1200, 34)
    assert body["model"] == "big-model"
    assert body["parallel_tool_calls"] is False
    sent = body["tools"]
    assert isinstance(sent, list)
    names = [
        t["function"]["name"] for t in sent if isinstance(t, dict) and isinstance(t["function"], dict)
    ]
    assert names == ["edit_prompt", "count_notes", "finish"]
    messages = body["messages"]
    assert isinstance(messages, list)
    assert [m["role"] for m in messages if isinstance(m, dict)] == ["system", "user"]


def test_the_round_goes_on_with_the_results_of_looks() -> None:
    evidence = evidence_of(corpus(20), blind)
    with OpenAIServer([completion(calls=[tool_call("count_notes", {})]), MOVE]) as server:
        who = made(server)
        first = ask(who, evidence)
        from langchain_core.messages import ToolMessage, messages_to_dict

        told = BOX.run(first.calls[0], evidence).text
        result = messages_to_dict([ToolMessage(told, tool_call_id=first.calls[0].id)])[0]
        second = who.turn(situation_of(evidence), evidence, [first.message, result], TOOLS)
        last = server.asked[-1]["messages"]
    assert second.calls[0].name == "edit_prompt"
    assert isinstance(last, list)
    assert [m["role"] for m in last if isinstance(m, dict)] == ["system", "user", "assistant", "tool"]
    assert "20 notes of 10 patients" in json.dumps(last[-1])


def test_usage_that_the_server_does_not_tell_stays_unknown() -> None:
    with OpenAIServer([completion(calls=[tool_call("finish", {"reason": "x"})], usage=None)]) as server:
        assert ask(made(server)).usage is None


def test_prose_and_broken_arguments_come_back_as_they_are() -> None:
    broken = completion(calls=[tool_call("edit_prompt", '{"patches": [')])
    with OpenAIServer([completion("I would rather talk."), broken]) as server:
        who = made(server)
        prose, bad = ask(who), ask(who)
    assert (prose.text, prose.calls, prose.broken) == ("I would rather talk.", (), ())
    assert bad.calls == ()
    assert len(bad.broken) == 1
    assert "patches" in bad.broken[0]


@pytest.mark.parametrize(
    "trouble", [Trouble.status(429, "0"), Trouble.status(500), Trouble.status(503), Trouble(drop=True)]
)
def test_what_can_pass_is_tried_again(trouble: Trouble) -> None:
    with OpenAIServer([MOVE], troubles=[trouble, trouble]) as server:
        turn = ask(made(server))
        assert len(server.asked) == 3
    assert turn.calls[0].name == "edit_prompt"


def test_a_slow_server_is_given_up_on_and_asked_again() -> None:
    with OpenAIServer([MOVE, MOVE], troubles=[Trouble(delay=1.5)]) as server:
        assert ask(made(server, timeout=0.5)).calls[0].name == "edit_prompt"


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(Response.of({**MOVE, "choices": None})),
        Trouble(Response.of({"error": {"message": "the backend restarts"}})),
        Trouble(Response(b"<html>Bad gateway</html>", type="text/html")),
        Trouble(Response.of({**MOVE, "usage": [10, 5]})),
        Trouble(Response.of(completion("", finish="load"))),
        Trouble(Response.of(completion(None, finish="content_filter"))),
    ],
    ids=["no choices", "error in 200", "page", "usage", "load", "filter"],
)
def test_what_is_no_answer_is_asked_again(trouble: Trouble) -> None:
    with OpenAIServer([MOVE], troubles=[trouble]) as server:
        assert ask(made(server)).calls[0].name == "edit_prompt"
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"choices": None},
        {"choices": [{"message": 3}]},
        {"choices": [{"message": {"content": {"a": 1}}}]},
    ],
)
def test_what_stays_no_answer_is_refused_in_one_line(body: Body) -> None:
    with OpenAIServer(troubles=[Trouble(Response.of({**MOVE, **body}))] * 9) as server:
        with pytest.raises(TeacherError, match="after 3 tries") as caught:
            ask(made(server, retries=2))
        assert len(server.asked) == 3
    assert "\n" not in str(caught.value)


def test_blocks_of_text_are_read_and_silence_that_is_meant_is_not_asked_again() -> None:
    blocks: Body = {"role": "assistant", "content": [{"type": "text", "text": "I would rather talk."}]}
    said: Body = {**completion(""), "choices": [{"message": blocks, "finish_reason": "stop"}]}
    with OpenAIServer([said, completion("")]) as server:
        who = made(server)
        assert ask(who).text == "I would rather talk."
        assert (ask(who).text, len(server.asked)) == ("", 2)


def test_retries_end_and_no_hidden_ones_are_made() -> None:
    with OpenAIServer(troubles=[Trouble.status(500)] * 20) as server:
        with pytest.raises(TeacherError, match="after 3 tries: HTTP 500"):
            ask(made(server, retries=2))
        assert len(server.asked) == 3


@pytest.mark.parametrize(("status", "says"), [(400, "tools"), (401, "key"), (404, "name")])
def test_what_cannot_pass_is_not_tried_again(status: int, says: str) -> None:
    with OpenAIServer(troubles=[Trouble.status(status)] * 9) as server:
        with pytest.raises(TeacherError, match=says) as caught:
            ask(made(server))
        assert len(server.asked) == 1
    assert "Reports" not in str(caught.value)


def test_a_server_that_is_down() -> None:
    with OpenAIServer() as server:
        who = made(server, retries=1)
    with pytest.raises(TeacherError, match="after 2 tries"):
        ask(who)


def test_retry_after_is_obeyed_within_reason() -> None:
    waited: list[float] = []
    with OpenAIServer(
        [MOVE], troubles=[Trouble.status(429, "3"), Trouble.status(429, "9999")]
    ) as server:
        who = made(server)
        who._sleep = waited.append
        ask(who)
    assert waited == [3.0, chat.LONGEST_PAUSE]


def remote_door(log: Path) -> Door:
    return Egress(
        "redacted",
        log,
        lambda text: text.replace("queasy", "zufavik"),
        lambda text: text.replace("zufavik", "queasy"),
    ).door("https://far.example/v1", "teacher")


def test_all_that_is_sent_passes_the_gate_and_answers_are_mapped_back(tmp_path: Path) -> None:
    evidence = evidence_of(corpus(20), blind)
    patch: Body = {"kind": "add_look_for", "field": "nausea", "phrases": ["zufavik"]}
    said = completion("So zufavik it is.", calls=[tool_call("edit_prompt", {"patches": [patch]})])
    with OpenAIServer([said, MOVE]) as server:
        who = made(server, door=remote_door(tmp_path / "egress.jsonl"))
        first = ask(who, evidence)
        from langchain_core.messages import ToolMessage, messages_to_dict

        told = messages_to_dict([ToolMessage("Is queasy.", tool_call_id=first.calls[0].id)])[0]
        who.turn(situation_of(evidence), evidence, [first.message, told], TOOLS)
        sent = json.dumps(server.asked)
    assert "queasy" in json.dumps(first.calls[0].args)
    assert first.text == "So queasy it is."
    assert "zufavik" not in json.dumps(first.message)
    # Neither the brief, nor the look's result, nor the teacher's own words name it again.
    assert "queasy" not in sent
    assert sent.count("zufavik") >= 3
    lines = [json.loads(line) for line in (tmp_path / "egress.jsonl").read_text().splitlines()]
    assert [(line["host"], line["what"], line["allowed"]) for line in lines] == [
        ("far.example", "teacher", True)
    ] * 2
    assert lines[0]["chars"] > 3000


def test_a_gate_that_refuses_keeps_everything_here(tmp_path: Path) -> None:
    with OpenAIServer([MOVE]) as server:
        door = Egress("local-only", tmp_path / "egress.jsonl").door("https://far.example", "teacher")
        with pytest.raises(InputError, match="local-only"):
            ask(made(server, door=door))
        assert server.asked == []


def test_a_long_transcript_is_cut_and_the_newest_kept() -> None:
    from langchain_core.messages import ToolMessage, messages_to_dict

    looks: list[dict[str, JsonValue]] = []
    for i in range(6):
        looks.append(
            chat.as_turn(
                AIMessage("", tool_calls=[{"name": "count_notes", "args": {}, "id": f"c{i}"}])
            ).message
        )
        looks += messages_to_dict([ToolMessage(f"look {i} " + "word " * 4000, tool_call_id=f"c{i}")])
    evidence = evidence_of(corpus(20), blind)
    with OpenAIServer([MOVE]) as server:
        who = made(server)
        who.turn(situation_of(evidence), evidence, looks, TOOLS)
        (body,) = server.asked
    messages = body["messages"]
    assert isinstance(messages, list)
    assert len(messages) == 14
    told = [str(m["content"]) for m in messages if isinstance(m, dict) and m["role"] == "tool"]
    assert all(text.startswith(f"look {i} ") for i, text in enumerate(told))
    assert sum(map(len, told)) < 20_000
    assert len(told[-1]) > len(told[0])


def test_strict_schemas_where_openai_itself_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    refusal = Trouble.status(400)
    nulls: Body = {**HINT, "reason": None, "expected_gain": None}
    with OpenAIServer(
        [completion(calls=[tool_call("edit_prompt", nulls)]), MOVE], troubles=[None, refusal]
    ) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        who = teacher.make("openai:gpt-4o", teacher.TeacherOptions(timeout=10))
        strictly, loosely = ask(who), ask(who)
        first, _, third = server.asked
    assert "reason" not in strictly.calls[0].args
    assert BOX.validate(strictly.calls[0])
    assert loosely.calls[0].name == "edit_prompt"
    function = first["tools"][0]["function"]  # type: ignore[index, call-overload]
    assert function["strict"] is True  # type: ignore[index, call-overload]
    assert_strict(function["parameters"])  # type: ignore[index, call-overload]
    # Who refuses it is asked without it.
    assert "strict" not in json.dumps(third["tools"])


def assert_strict(schema: object) -> None:
    """Every object names all its properties as required; nothing that strict mode refuses is left."""
    if isinstance(schema, list):
        for inner in schema:
            assert_strict(inner)
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            assert schema["required"] == list(schema["properties"])
            assert schema["additionalProperties"] is False
            for inner in schema["properties"].values():
                assert_strict(inner)
        refused = {"oneOf", "discriminator", "default", "minLength", "maxItems", "title"}
        if "type" in schema or "anyOf" in schema:
            assert not refused & schema.keys()
        for key in ("items", "anyOf"):
            assert_strict(schema.get(key))
        for inner in (schema.get("$defs") or {}).values():
            assert_strict(inner)


def test_an_ollama_teacher() -> None:
    evidence = evidence_of(corpus(20), blind)
    call: Body = {"function": {"name": "edit_prompt", "arguments": {**HINT}}}
    message: Body = {"role": "assistant", "content": "", "tool_calls": [call]}
    with OllamaServer(lambda body: message, models={"qwen": 32768}) as server:
        who = teacher.make(f"ollama:qwen@{server.url}", teacher.TeacherOptions(timeout=10, retries=0))
        turn = ask(who, evidence)
        body = server.asked[-1]
    assert BOX.run(turn.calls[0], evidence).recipe is not None
    options = body["options"]
    assert isinstance(options, dict)
    context = options["num_ctx"]
    assert isinstance(context, int)
    assert context > 12_000


@pytest.mark.parametrize("spec", ["", "gpt", "openai:", ":x", "openai:x@nowhere"])
def test_a_name_that_is_no_teacher(spec: str) -> None:
    with pytest.raises(InputError, match="openai:NAME@"):
        teacher.make(spec)


def test_names_that_are_teachers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert teacher.make("rules").name == "rules"
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(TeacherError, match="OPENAI_API_KEY"):
        teacher.make("openai:gpt-4o")
    assert teacher.make("openai:gpt-4o", teacher.TeacherOptions(api_key="k")).name == "openai:gpt-4o"
    with pytest.raises(TeacherError, match="cannot be set up"):
        teacher.make("nosuchprovider:x")
