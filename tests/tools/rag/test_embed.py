"""Embedders: offline by hashing, at scripted servers of Ollama and OpenAI; trouble is one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer
from preceptor.agents.servers.scripted import Response, Trouble
from preceptor.core.egress import Egress
from preceptor.core.errors import InputError, StudentError
from preceptor.tools.rag.embed import BATCH, Embedder, Remembering, Vector, embedder_for
from preceptor.tools.rag.retry import Patience

QUICK = Patience(retries=2, first=0.01)
KINDS = ["ollama", "openai"]
GARBAGE = {"ollama": {"embeddings": []}, "openai": {"object": "list", "data": [], "model": "m"}}


def server_of(kind: str, troubles: Sequence[Trouble | None] = ()) -> OllamaServer | OpenAIServer:
    if kind == "ollama":
        return OllamaServer(models={"m": 512}, troubles=troubles)
    return OpenAIServer(models={"m": None}, troubles=troubles)


def at(kind: str, server: OllamaServer | OpenAIServer, name: str = "m") -> Embedder:
    return embedder_for(f"{kind}:{name}@{server.url}", patience=QUICK)


def cosine(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_hashing_is_the_same_everywhere_and_near_for_near_words() -> None:
    made = embedder_for("hash:128")
    near, nearer, far, none = made.embed(["itchy patches", "itching patch", "weight stable", ""])
    assert near == embedder_for("hash:128").embed(["itchy patches"])[0]
    assert len(near) == 128
    assert math.isclose(cosine(near, near), 1, abs_tol=1e-4)
    assert cosine(near, nearer) > cosine(near, far) + 0.2
    assert not any(none)


@pytest.mark.parametrize("spec", ["", "hash", "hash:x", "hash:1", "bert", "openai:m", "ollama:"])
def test_an_unknown_spec_is_refused(spec: str) -> None:
    with pytest.raises(InputError, match="no embedder"):
        embedder_for(spec)


@pytest.mark.parametrize("spec", ["st:", "st:/no/such", "fastembed:no-such"])
def test_a_missing_library_or_model_is_told(spec: str) -> None:
    with pytest.raises((InputError, StudentError), match=r"not installed|cannot be loaded|no embedder"):
        embedder_for(spec)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_go_in_batches_and_come_back_in_order(kind: str) -> None:
    words = [f"word{i}" for i in range(BATCH + 3)]
    with server_of(kind) as server:
        made = at(kind, server)
        together = made.embed(words)
        assert [len(body["input"]) for body in server.asked] == [BATCH, 3]  # type: ignore[arg-type]
        assert together[5] == made.embed(["word5"])[0]
        assert len(made.embed([" "])[0]) == 16
    assert len(together) == BATCH + 3


def test_ollama_tells_which_model_it_is() -> None:
    with server_of("ollama") as server:
        assert len(at("ollama", server).digest) == 64
        assert at("ollama", server, "library/M:latest").digest == at("ollama", server).digest


@pytest.mark.parametrize("kind", KINDS)
def test_trouble_that_passes_is_waited_for(kind: str) -> None:
    with server_of(kind, [Trouble.status(503), Trouble(drop=True)]) as server:
        assert at(kind, server).embed(["rash"])
        assert len(server.asked) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_trouble_that_stays_stops_the_run(kind: str) -> None:
    with server_of(kind, [Trouble.status(429)] * 3) as server:
        with pytest.raises(StudentError, match=r"went away.*preceptor resume"):
            at(kind, server).embed(["rash"])
        with pytest.raises(StudentError, match="status 404"):
            at(kind, server, "other").embed(["rash"])


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_answer_is_no_vector(kind: str) -> None:
    empty = Trouble(Response.of(GARBAGE[kind]))  # type: ignore[arg-type]
    with server_of(kind, [empty]) as server, pytest.raises(StudentError, match="0 vectors for 1"):
        at(kind, server).embed(["rash"])


def test_what_leaves_the_machine_passes_the_gate(tmp_path: Path) -> None:
    sent: list[tuple[str, str]] = []

    def admit(url: str, text: str) -> str:
        sent.append((url, text))
        return text.replace("Smith", "NAME")

    with server_of("openai") as server:
        embedder_for(f"openai:m@{server.url}", admit, QUICK).embed(["Mr Smith has a rash"])
        assert server.asked[0]["input"] == ["Mr NAME has a rash"]
        assert sent == [(server.url, "Mr Smith has a rash")]
    gate = Egress("local-only", tmp_path / "egress.jsonl")
    with pytest.raises(InputError, match="local-only"):
        embedder_for("openai:m@http://example.invalid", gate.admit, QUICK).embed(["secret"])


def test_no_text_is_embedded_twice() -> None:
    with server_of("openai") as server:
        made = Remembering(at("openai", server))
        first = made.embed(["a rash", "a rash", "no rash"])
        assert made.embed(["no rash", "a rash"]) == [first[2], first[0]]
        assert [body["input"] for body in server.asked] == [["a rash", "no rash"]]
