"""``openai:NAME@URL`` with a tokenizer of ours, over real HTTP against the scripted server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="pip install preceptor[local]")

from preceptor.agents.servers.openai import OpenAIServer, completion
from preceptor.agents.students import StudentOptions, make
from preceptor.agents.students.llamacpp import LlamaCppStudent
from preceptor.core.errors import StudentError
from preceptor.core.fields import object_schema
from preceptor.core.ports import Student
from preceptor.core.records import Decoding, ModelRef
from tests.agents.students import tiny
from tests.contracts.student import EXAMPLES, FIELDS, StudentContract, calls_about


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as made:
        yield made


def student_of(server: OpenAIServer, tokenizer: Path) -> Student:
    options = StudentOptions(timeout=5.0, retries=1, tokenizer=tokenizer)
    return make(ModelRef(spec=f"openai:tuned@{server.url}"), options=options)


class TestLlamaCpp(StudentContract):
    @pytest.fixture
    def student(self, server: OpenAIServer, tokenizer: Path) -> Student:
        return student_of(server, tokenizer)


def test_sends_our_own_text_and_the_separators_of_training(
    server: OpenAIServer, tokenizer: Path
) -> None:
    call = calls_about(EXAMPLES[:1], "joint", Decoding(temperature=0.5, seed=7, max_tokens=99))[0]
    student = student_of(server, tokenizer)
    assert isinstance(student, LlamaCppStudent)
    assert [r.status for r in student.complete([call])] == ["ok"]
    [sent] = server.asked
    system, user = call.messages
    assert sent["prompt"] == (
        f"<|bos|><|system|>{system.content}<|end|><|user|>{user.content}<|end|><|assistant|>"
    )
    separators = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    assert sent["json_schema"] == {**object_schema(FIELDS), "x-guidance": separators}
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.5, 7, 99)
    assert sent["cache_prompt"] is False
    assert "messages" not in sent


def test_a_special_token_in_a_note_is_no_special_token(server: OpenAIServer, tokenizer: Path) -> None:
    [*_] = student_of(server, tokenizer).complete(calls_about(EXAMPLES[2:], "joint"))
    assert str(server.asked[0]["prompt"]).count("<|end|>") == 2


def test_a_cut_answer_is_told_and_counts_are_the_servers(tokenizer: Path) -> None:
    script = [completion('{"pain"', finish="length", usage=(41, 3)), completion("", usage=(41, 0))]
    with OpenAIServer(script) as server:
        replies = list(student_of(server, tokenizer).complete(calls_about(EXAMPLES[:1])[:2]))
    assert sorted(r.status for r in replies) == ["failed", "truncated"]
    [cut] = [r for r in replies if r.status == "truncated"]
    assert (cut.prompt_tokens, cut.completion_tokens) == (41, 3)


def test_without_a_tokenizer_or_a_server_it_is_one_line(server: OpenAIServer, tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="no tokenizer in"):
        student_of(server, tmp_path)
