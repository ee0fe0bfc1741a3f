"""Tokens do not assume English, and BM25 is BM25."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from preceptor.tools.rag.bm25 import Bm25, average_length
from preceptor.tools.rag.tokens import frequencies, length, token_id


def shared(a: str, b: str) -> set[str]:
    return frequencies(a).keys() & frequencies(b).keys()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Übelkeit", "Uebelkeit"),
        ("Straße", "STRASSE"),
        ("café", "cafe"),
        ("1,5 mg", "1.50 mg"),
        ("1,000", "1000"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("pain/swelling", "swelling pain"),
        ("patient's", "patient"),
    ],
)
def test_two_spellings_are_one(one: str, other: str) -> None:
    assert frequencies(one) == frequencies(other)


def test_compounds_share_pieces() -> None:
    assert shared("Harninkontinenz", "Inkontinenzvorlage")
    assert not shared("Harninkontinenz", "Mundtrockenheit")


def test_scripts_without_spaces_share_pieces() -> None:
    assert shared("嚥下困難があります", "軽度の嚥下困難")
    assert shared("ปวดท้องมาก", "ไม่ปวดท้อง")
    assert not shared("嚥下困難", "皮膚発疹")


def test_a_word_in_an_indic_script_stays_whole() -> None:
    assert list(frequencies("हिन्दी शब्द")) == ["हिन्दी", "शब्द"]


@pytest.mark.parametrize("text", ["", "...", " \n\t", "—!?", "\ud800"])
def test_a_text_without_words_has_no_tokens(text: str) -> None:
    assert frequencies(text) == {}
    assert not Bm25(3.0).document(text)
    assert not Bm25(3.0).query(text)


def test_pieces_of_a_word_weigh_one_word_and_no_length() -> None:
    counts = frequencies("incontinence")
    assert counts["incontinence"] == 1
    assert math.isclose(sum(counts.values()), 2)
    assert length(counts) == 1


def test_numbers_are_the_same_in_every_process() -> None:
    program = "from preceptor.tools.rag.tokens import token_id; print(token_id('nausea'))"
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(made.stdout) == token_id("nausea") < 2**32


def test_the_weights_are_those_of_the_paper() -> None:
    texts = ["no rash", "rash and rash and rash again"]
    bm25 = Bm25(average_length(texts))
    weights = dict(zip(*_vector(bm25, texts[1]), strict=True))
    tf, norm = 3, 1.2 * (1 - 0.75 + 0.75 * 6 / 4)
    assert weights[token_id("rash")] == pytest.approx(tf * 2.2 / (tf + norm), abs=1e-5)
    query = bm25.query("rash rash zebra", known={token_id("rash")})
    assert (query.indices, query.values) == ((token_id("rash"),), (1.0,))


def _vector(bm25: Bm25, text: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    made = bm25.document(text)
    return made.indices, made.values


def test_50_000_words_are_no_trouble() -> None:
    assert frequencies("word " * 50_000 + "x" * 100_000)["word"] == 50_000
