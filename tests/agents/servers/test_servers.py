"""The scripted servers speak their protocols to the real clients, tool calls and streams included."""

from __future__ import annotations

import httpx
import ollama
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import JsonValue

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import Item, OpenAIServer, completion, tool_call
from preceptor.agents.servers.scripted import Trouble, simplest, tokens

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there, who?"}]


def client_of(server: OpenAIServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)


def test_openai_script_in_order_with_tool_calls_and_functions() -> None:
    script: list[Item] = [
        completion("Let me see.", calls=[tool_call("look", {"field": "pain"}), tool_call("b", "{no")]),
        lambda body: completion(f"{len(body['messages'])} messages", usage=None),  # type: ignore[arg-type]
    ]
    with OpenAIServer(script) as server:
        create = client_of(server).chat.completions.create
        first = create(
            model="m", messages=ASK, tools=[{"type": "function", "function": {"name": "look"}}]
        )
        second = create(model="m", messages=ASK * 2)
        third = create(model="m", messages=ASK)
    calls = first.choices[0].message.tool_calls or []
    assert [c.function.arguments for c in calls] == ['{"field": "pain"}', "{no"]  # type: ignore[union-attr]
    assert first.choices[0].finish_reason == "tool_calls"
    assert (second.choices[0].message.content, second.usage) == ("2 messages", None)
    assert third.choices[0].message.content == "{}"
    assert len(server.asked) == 3
    assert server.asked[0]["tools"]


def test_openai_streams() -> None:
    reply = completion("Grüße", calls=[tool_call("look", {"a": 1})])
    with OpenAIServer([reply]) as server:
        create = client_of(server).chat.completions.create
        chunks = list(create(model="m", messages=ASK, stream=True))
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    assert "".join(d.content or "" for d in deltas) == "Grüße"
    assert [t.function and t.function.name for d in deltas for t in d.tool_calls or []] == ["look"]
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.total_tokens == 15


def test_openai_errors_are_the_clients_own() -> None:
    troubles = [Trouble.status(429, "3"), Trouble(drop=True)]
    with OpenAIServer(models={"m": None}, troubles=troubles) as server:
        create = client_of(server).chat.completions.create
        with pytest.raises(openai.RateLimitError) as limited:
            create(model="m", messages=ASK)
        with pytest.raises(openai.APIConnectionError):
            create(model="m", messages=ASK)
        with pytest.raises(openai.NotFoundError):
            create(model="x", messages=ASK)
    assert limited.value.response.headers["retry-after"] == "3"


def test_ollama_whole_and_streamed() -> None:
    with OllamaServer(lambda body: "un deux", models={"m:1b": 64}) as server:
        client = ollama.Client(host=server.url)
        whole = client.chat("m:1b", ASK, options={"num_ctx": 64})
        parts = list(client.chat("m:1b", ASK, stream=True))
        with pytest.raises(ollama.ResponseError, match="not found"):
            client.chat("m", ASK)
        assert [m.model for m in client.list().models] == ["m:1b"]
        assert (client.show("m:1b").modelinfo or {})["scripted.context_length"] == 64
    assert (whole.message.content, whole.done_reason, whole.eval_count) == ("un deux", "stop", 2)
    assert whole.prompt_eval_count == 5
    assert "".join(p.message.content or "" for p in parts) == "un deux"
    assert parts[-1].eval_count == 2


def test_ollama_calls_tools_and_shifts_long_prompts() -> None:
    call: JsonValue = {"function": {"name": "look", "arguments": {"field": "pain"}}}
    with OllamaServer(
        lambda body: {"role": "assistant", "content": "", "tool_calls": [call]}
    ) as server:
        client = ollama.Client(host=server.url)
        got = client.chat(
            "scripted", [{"role": "user", "content": "word " * 300}], options={"num_ctx": 100}
        )
    assert [c.function.name for c in got.message.tool_calls or []] == ["look"]
    assert got.prompt_eval_count == 52


def test_nobody_listens_after_close() -> None:
    with OllamaServer() as server:
        client = ollama.Client(host=server.url)
        client.list()
    for _ in range(2):
        with pytest.raises((ConnectionError, httpx.TransportError)):
            client.list()


def test_tokens_and_simplest() -> None:
    assert tokens('{"a b": 1}') == ["{", '"', "a", " b", '"', ":", " 1", "}"]
    schema = {
        "properties": {"a": {"enum": ["x", "y"]}, "b": {"type": "array"}, "c": {"type": "string"}}
    }
    assert simplest(schema) == {"a": "y", "b": [], "c": ""}  # type: ignore[arg-type]
