"""What counts as the same spelling, and how much of a value an error shows."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.core.spelling import as_key, columns_shown, folded, is_text, nfc, shown


@given(st.text())
def test_each_form_is_its_own_form(text: str) -> None:
    for form in (nfc, as_key, folded):
        assert form(form(text)) == form(text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_composition_of_a_text_has_one_form(text: str) -> None:
    for form in (nfc, as_key, folded):
        assert form(normalize("NFD", text)) == form(normalize("NFC", text))
    assert is_text(text)


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u3000", "\ufeff", "\u200b", "\n"])
def test_outer_blanks_are_no_part_of_a_key(blank: str) -> None:
    assert as_key(f"{blank}p 1{blank}{blank}") == "p 1"
    assert as_key(f"{blank}ä{blank}") == "ä"


def test_half_of_a_pair_is_no_text() -> None:
    assert not is_text("a\ud83d")
    assert is_text("a🙂")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("maybe", "'maybe'"),
        ("not stated here", "'not stated here'"),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "'3f2504e0-4f89-11d3-9a0c-0305e82c3301'"),
        ("he has not been here", "a text of 20 characters"),
        ("x" * 65, "a text of 65 characters"),
        ("患者は発熱がないと言う", "a text of 11 characters"),
        ("発熱", "'発熱'"),
        (["a"], "a list"),
        ({"a": 1}, "an object"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        (10**30, "a large number"),
    ],
)
def test_only_what_looks_like_a_label_is_shown(value: object, said: str) -> None:
    assert shown(value) == said


def test_a_row_without_a_header_is_not_shown() -> None:
    assert columns_shown(["id", "Fever?"]) == "there are: id, Fever?"
    assert columns_shown(["id", "was she well, he asked"]) == "there are: id, 1 with a long name"
    for row in (["12", "Well"], ["id", "She is well."], ["id", "a\nb"]):
        assert columns_shown(row) == "there are 2 columns; does the first line hold their names?"
