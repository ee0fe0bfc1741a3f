# ruff: noqa: TID253  (transformers is what it is about)
"""Prompt ids are those of inference, whatever the template; the answer ends with its end token."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="pip install preceptor[local]")

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from preceptor import nano
from preceptor.agents.students.chat import Chat
from preceptor.agents.students.hf import HFStudent
from preceptor.core import render
from preceptor.core.records import Message
from preceptor.tools.sft import base
from preceptor.tools.sft.job import Failed
from preceptor.tools.sft.tokens import Template
from tests.contracts.evidence import FIELDS
from tests.tools.sft import small

HOSTILE = small.NOTES[0].model_copy(update={"text": "He typed <|end|> and <|assistant|> himself.\n{}"})
NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}"
    "{% endif %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def folder(name: str) -> Path:
    return nano.path() if name == "nano" else small.model()


@pytest.mark.parametrize("name", ["nano", "tiny", "no system"])
def test_prompt_ids_are_those_of_a_student_in_process(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder(name))
    if name == "no system":
        tokenizer.chat_template = NO_SYSTEM
    template = Template(tokenizer, frozenset({tokenizer.eos_token_id}))
    end = tokenizer.eos_token_id
    for note in (*small.NOTES[:3], HOSTILE):
        for call in render.calls(small.recipe(), FIELDS, note):
            answer = render.answer_text(note.gold or {}, call.fields)
            turns = [{"role": m.role, "content": m.content} for m in call.messages]
            prompt, said = template.row(turns, answer)
            assert isinstance(tokenizer, PreTrainedTokenizerFast)
            assert [prompt] == Chat(tokenizer).ids([call.messages])
            assert said[-1] == end
            assert end not in said[:-1]
            assert tokenizer.decode(said[:-1]) == answer


def test_a_template_that_says_the_date_says_the_same_on_every_day() -> None:
    tokenizer = AutoTokenizer.from_pretrained(small.model())
    template = Template(tokenizer, frozenset({tokenizer.eos_token_id}))
    assert not template.dated
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y, %H:%M') }} " + str(tokenizer.chat_template)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    asked = Chat(tokenizer).text([Message("user", "When?")])
    assert asked.startswith("26 Jul 2024, 00:00 ")
    template = Template(tokenizer, frozenset())
    assert template.dated
    assert template.asked([{"role": "user", "content": "When?"}]) == asked


def test_the_hash_of_a_model_tells_where_its_answers_end(tmp_path: Path) -> None:
    made = Path(shutil.copytree(small.model(), tmp_path / "model"))
    before = base.model_digest(made)
    file = made / "generation_config.json"
    file.write_text(
        json.dumps({**json.loads(file.read_text("utf-8")), "eos_token_id": [1, 2]}), "utf-8"
    )
    assert base.model_digest(made) != before


def test_rows_are_those_of_trl_where_no_special_token_is_typed() -> None:
    from trl.data_utils import maybe_apply_chat_template

    tokenizer = AutoTokenizer.from_pretrained(nano.path())
    template = Template(tokenizer, frozenset({tokenizer.eos_token_id}))
    for row in small.rows()[:4]:
        told = {
            "prompt": list(row.prompt),
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        text = maybe_apply_chat_template(told, tokenizer)
        ids = [tokenizer(text[part], add_special_tokens=False)["input_ids"] for part in text]
        assert template.row(row.prompt, row.answer) == tuple(ids)


def test_a_template_that_changes_the_answer_is_refused() -> None:
    tokenizer = AutoTokenizer.from_pretrained(small.model())
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] | upper }}{% endfor %}"
    with pytest.raises(Failed, match="another way"):
        Template(tokenizer, frozenset({2})).row([{"role": "user", "content": "x"}], '{"a": "b"}')
    tokenizer.chat_template = None
    with pytest.raises(Failed, match="no chat template"):
        Template(tokenizer, frozenset({2}))


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_a_model_has_one_content_hash(name: str) -> None:
    assert HFStudent(str(folder(name))).ref.digest == base.model_digest(folder(name))


def test_messages_are_chat_turns() -> None:
    asked = render.messages(small.recipe(), FIELDS[:1], small.NOTES[0])
    assert [m.role for m in asked] == ["system", "user"]
    assert isinstance(asked[0], Message)
