"""Nano's tokenizer: what serving needs of it."""

from __future__ import annotations

import json

import pytest

from preceptor.nano import lexicon, path

pytest.importorskip("transformers")

from preceptor.nano import tokenizer

TOKENS = tokenizer.load(path())


def ids(text: str) -> list[int]:
    return list(TOKENS(text, add_special_tokens=False)["input_ids"])


def template(messages: list[dict[str, str]], opened: bool = False) -> str:
    return str(TOKENS.apply_chat_template(messages, tokenize=False, add_generation_prompt=opened))


@pytest.mark.parametrize("word", lexicon.LABEL_WORDS)
def test_a_label_is_one_token_after_the_quote_that_opens_it(word: str) -> None:
    opening = ids('{"a": "')
    assert ids(f'{{"a": "{word}"}}') == [*opening, *ids(word), *ids('"}')]
    assert len(ids(word)) == 1


def test_specials_are_declared_and_bos_comes_once() -> None:
    assert TOKENS.convert_tokens_to_ids(list(tokenizer.SPECIALS)) == list(range(6))
    text = template([{"role": "user", "content": "x"}])
    bos = TOKENS.convert_tokens_to_ids(str(TOKENS.bos_token))
    assert isinstance(bos, int)
    assert ids(text).count(bos) == 1
    assert ids("x")[0] != bos
    settings = json.loads((path() / "tokenizer_config.json").read_text())
    assert settings["add_bos_token"] is False


def test_a_prompt_is_a_prefix_of_its_conversation() -> None:
    asked = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    whole = [*asked, {"role": "assistant", "content": '{"a": "yes"}'}]
    prompt = template(asked, opened=True)
    text = template(whole)
    assert ids(text)[: len(ids(prompt))] == ids(prompt)
    assert text == prompt + '{"a": "yes"}<|end|>'


def test_the_pre_tokenizer_is_the_one_importers_know() -> None:
    steps = json.loads((path() / "tokenizer.json").read_text())["pre_tokenizer"]["pretokenizers"]
    assert steps[0]["pattern"] == {"Regex": tokenizer.LLAMA3_SPLIT}
    assert steps[1]["type"] == "ByteLevel"
    assert steps[1]["use_regex"] is False


def test_any_text_comes_back() -> None:
    for text in ("Naïve ✓ 三日 x\n\n  y", "pt c/o 2 mg/kg, d/c'd 05/02/2024"):
        assert TOKENS.decode(ids(text)) == text


def test_typed_specials_can_be_kept_plain() -> None:
    plain = TOKENS("a <|end|> b", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert TOKENS.eos_token_id not in plain
