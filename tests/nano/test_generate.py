"""The task generator: determinism, and labels that a hand-written case agrees with."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from preceptor.nano import curriculum, path
from preceptor.nano.generate import Mention, Rule, Scheme, answer

pytest.importorskip("transformers")

from preceptor.nano import encode, notes, tokenizer
from preceptor.nano.words import Lexicon

TOKENS = tokenizer.load(path())
THREE = Scheme({"A": "present", "N": "absent", "U": "unknown"}, ("present", "absent", "unknown"), {})
TWO = Scheme({"A": "yes", "N": "no"}, ("yes", "no"), {})
PAST = replace(THREE, by={**THREE.by, "H": "past"})


def said(*kinds: str) -> list[Mention]:
    return [Mention(0, "thing", kind, f"clause {i} on thing") for i, kind in enumerate(kinds)]


def rule(on: str, then: str, phrase: str = "") -> tuple[Rule, ...]:
    return (Rule(on, phrase, then, ""),)


@pytest.mark.parametrize(
    ("kinds", "rules", "labels", "right"),
    [
        ("A", (), THREE, "present"),
        ("N", (), THREE, "absent"),
        ("", (), THREE, "unknown"),
        ("", (), TWO, "no"),
        ("N", (), TWO, "no"),
        ("F", (), THREE, "unknown"),
        ("P", (), THREE, "unknown"),
        ("H", (), THREE, "present"),
        ("H", (), PAST, "past"),
        ("M", (), TWO, "yes"),
        ("AN", (), THREE, "absent"),
        ("AN", rule("order", "first"), THREE, "present"),
        ("AN", rule("order", "later"), THREE, "absent"),
        ("AF", (), THREE, "present"),
        ("F", rule("F", "present"), THREE, "present"),
        ("F", rule("F", "drop"), THREE, "unknown"),
        ("H", rule("H", "drop"), THREE, "unknown"),
        ("M", rule("M", "drop"), TWO, "no"),
        ("P", rule("P", "absent"), THREE, "absent"),
        ("A", rule("F", "present"), THREE, "present"),
        ("A", rule("quote", "drop", "thing"), THREE, "unknown"),
        ("A", rule("quote", "absent", "clause 0"), THREE, "absent"),
        ("A", rule("quote", "absent", "elsewhere"), THREE, "present"),
    ],
)
def test_the_oracle(kinds: str, rules: tuple[Rule, ...], labels: Scheme, right: str) -> None:
    assert answer(said(*kinds), rules, labels) == right


@pytest.mark.parametrize("stage", range(len(curriculum.STAGES)))
def test_the_same_seed_gives_the_same_page(stage: int) -> None:
    level = curriculum.STAGES[stage]
    first, second = (
        [notes.page(Random(f"x{i}"), Lexicon(TOKENS), level) for i in range(5)] for _ in range(2)
    )
    assert first == second
    assert first[0] != first[1]


def test_surfaces_stand_in_the_note_and_answers_among_the_labels() -> None:
    lexicon = Lexicon(TOKENS)
    for i in range(200):
        page = notes.page(Random(i), lexicon, curriculum.STAGES[-1])
        for question in page.questions:
            assert question.gold in question.scheme.order
            for surface, _ in question.seen:
                assert surface.lower() in page.note.lower()


def test_encoding_by_parts_is_encoding_the_whole() -> None:
    lexicon = Lexicon(TOKENS)
    pages = [notes.page(Random(i), lexicon, curriculum.STAGES[-1]) for i in range(40)]
    for page, encoded in zip(pages, encode.encode(pages, TOKENS), strict=True):
        for question, suffix in zip(page.questions, encoded.suffixes, strict=True):
            system, user, right = encode.chat(page, question)
            text = TOKENS.apply_chat_template(
                [
                    {"role": "system", "content": system},
                    {"role": "user", "content": user},
                    {"role": "assistant", "content": right},
                ],
                tokenize=False,
            )
            assert isinstance(text, str)
            whole = TOKENS(text, add_special_tokens=False)["input_ids"]
            assert [*encoded.prefix, *suffix] == whole


def test_held_out_wordings_are_not_trained_on() -> None:
    from preceptor.nano import phrases, wordings

    for pool in (*phrases.STATE.values(), *wordings.DROP.values(), *wordings.COUNT.values()):
        assert pool.held
        assert not set(pool.train) & set(pool.held)
    assert not set(wordings.BINARY) & set(wordings.BINARY_HELD)
    assert not set(wordings.THREE) & set(wordings.THREE_HELD)
