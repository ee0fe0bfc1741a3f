"""A hostile note or answer costs what its length says: nothing takes the square of it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preceptor.agents.redaction.pseudonyms import Pseudonyms
from preceptor.agents.redaction.redactor import Redactor
from preceptor.agents.redaction.spans import Found
from preceptor.core import parse, render, spelling, text, thoughts
from preceptor.core.composing import Form, normal
from preceptor.core.objects import objects
from preceptor.core.records import Reply
from preceptor.tools.rag import tokens
from tests.hostile.growth import LINEAR, against, growth

PROSE = "He came to the clinic on Monday: the pain had gone. Mrs. Hollis agrees; next visit in May.\n"
PIECES = (
    "A-", "A", "Aa ", "Aa-", "aa", "A.", "1", ".", "1 ", "-", "/", "(", "Dr. ", "Herr ", "\n",
    "\t", " ", ", ", "von ", "O'", "Mc", "of ", "@", "Weg ", "Straße 1", "Jan ", "1.1.",
    "Klinik ", "Am ", "12345 ", "Tel", "ID ", "St. ", "2001", "!?", '"', "'", "\u2028",
    "\u0301\u0316", "\u0345", "\u200c", "<", "</", "note", "=", "[/INST", "{", "}", '{"a":', "\\",
    "<|channel|> final ", "<think>", "\ufdfa", "\uff9e\u0301",
)  # fmt: skip
UNITS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
FEW = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def _read(raw: str) -> object:
    return list(objects(thoughts.answer_in(raw)))


WORKS: dict[str, Callable[[str], object]] = {
    "redact": lambda note: Redactor().redact(note),
    "sentences": text.split_sentences,
    "words": text.runs,
    "quote": render.quote,
    "printable": render.printable,
    "key": spelling.folded,
    "sparse words": tokens.frequencies,
    "answer": _read,
}


@pytest.mark.parametrize("name", WORKS)
@FEW
@given(unit=UNITS)
def test_the_cost_of_any_repeated_text_grows_with_its_length(name: str, unit: str) -> None:
    assert growth(WORKS[name], unit, 24_000) < LINEAR


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("redact", "A-"),
        ("redact", "A-A-A-A-A-A-A-A-A-A-A-A-A-A-A-A-A-A-A-A-\n"),
        ("redact", "Aa\n\n\n\n\n\n\n\n"),
        ("sentences", "aa\n"),
        ("sentences", "."),
        ("words", "\u0301\u0316"),
        ("key", "\u2028"),
        ("answer", "{"),
        ("answer", '{"a":1,"b":'),
        ("answer", "<|channel|> final "),
    ],
)
def test_what_was_slow_costs_no_more_than_a_few_times_an_ordinary_note(name: str, unit: str) -> None:
    whole = unit * (20_000 // len(unit))
    assert against(WORKS[name], f"Aaa 1{whole}x", PROSE) < 40
    assert growth(WORKS[name], unit, 80_000 if name == "redact" else 600_000) < LINEAR


@FEW
@given(st.text(st.sampled_from('{}[],:"\\ax1 \n'), max_size=40))
def test_the_objects_are_those_that_a_decoder_finds_at_each_brace(raw: str) -> None:
    decoder, expected, start = json.JSONDecoder(), [], raw.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(raw, start)
            expected.append(value)
        except ValueError:
            end = start + 1
        start = raw.find("{", end)
    assert list(objects(raw)) == expected


MARKS = st.lists(
    st.sampled_from("a\u0301\u0316\u0345\u0f73\uff9e\u1100\u1161é"), min_size=70, max_size=120
)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@FEW
@given(MARKS.map("".join))
def test_a_long_run_of_marks_has_the_normal_form_that_unicode_gives_it(form: Form, note: str) -> None:
    assert normal(form, note) == unicodedata.normalize(form, note)


def test_answers_are_cut_before_they_are_read_or_stored() -> None:
    from preceptor.core.fields import LabelField

    field = LabelField(name="pain", values=("yes", "no"))
    raw = '{"pain": "yes"}' + "x" * (3 * parse.LONGEST)
    found = parse.answer("n1", (field,), [Reply(key=("n1", ("pain",)), raw=raw)])
    assert found.record == {"pain": "yes"}
    assert sum(map(len, found.raw)) == parse.LONGEST


def test_more_names_than_short_pseudonyms_still_have_one_each() -> None:
    made = Pseudonyms(None)
    names = [f"Name{number:x}" for number in range(90_000)]
    given_names = {made.of(name, Found(0, len(name), "name")) for name in names}
    assert len(given_names) == len(names)
