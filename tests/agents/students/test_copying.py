"""Lists of pieces of the note: nothing else can come out, and every piece can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("llguidance", reason="pip install preceptor[local]")

from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.agents.students import copying
from preceptor.agents.students.grammar import SEPARATORS
from preceptor.core import parse, render
from preceptor.core.fields import FieldSpec, LabelField, ListField, object_schema
from preceptor.core.records import Decoding, Example, ModelRef, Recipe
from tests.agents.students import tiny

DRUGS = ListField(name="drugs", max_items=2, copied=True)
MIXED: tuple[FieldSpec, ...] = (
    LabelField(name="pain", values=("yes", "no")),
    DRUGS,
    ListField(name="free texts", max_items=1),
)
NOTE = 'He said "sore toe" after blandamol-induced\n\\rash\\. Größe\t日本語 %'


@pytest.fixture(scope="module")
def fits():  # type: ignore[no-untyped-def]
    """Return a test whether an answer's text is one that the grammar allows."""
    from llguidance import LLMatcher, LLTokenizer

    tokens = LLTokenizer("byte")

    def accepts(said: object, fields: tuple[FieldSpec, ...] = (DRUGS,), note: str = NOTE) -> bool:
        grammar = copying.grammar(fields, note, SEPARATORS)
        matcher = LLMatcher(tokens, grammar, log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        text = json.dumps(said, ensure_ascii=False)
        return matcher.consume_tokens(list(text.encode())) and matcher.is_accepting()

    return accepts


@pytest.mark.parametrize(
    "items",
    [
        [],
        ["blandamol"],
        ['"sore toe" after', "\\rash\\."],
        ["blandamol-induced\n\\rash"],
        ["Größe\t日本語 %"],
        ["He", "He"],
        [NOTE],
    ],
)
def test_pieces_can_be_said(items: list[str], fits) -> None:  # type: ignore[no-untyped-def]
    assert fits({"drugs": items})


@pytest.mark.parametrize(
    "items",
    [
        ["aspirin"],
        ["bland"],
        ["landamol"],
        ["He said blandamol"],
        ["he"],
        [""],
        [" "],
        ["said "],
        [" said"],
        ["He", "He", "He"],
        ["blandamol-induced \\rash"],
    ],
)
def test_nothing_else_can_be_said(items: list[str], fits) -> None:  # type: ignore[no-untyped-def]
    assert not fits({"drugs": items})


def test_other_fields_of_the_same_call_keep_their_schema(fits) -> None:  # type: ignore[no-untyped-def]
    right = {"pain": "no", "drugs": ["sore toe"], "free texts": ["anything"]}
    assert fits(right, MIXED)
    assert not fits({**right, "pain": "maybe"}, MIXED)
    assert not fits({**right, "free texts": ["a", "b"]}, MIXED)
    assert not fits({**right, "drugs": ["anything"]}, MIXED)
    assert not fits({"drugs": [], "pain": "no", "free texts": []}, MIXED)


def test_a_closed_list_beside_a_copied_one_has_its_values_only(fits) -> None:  # type: ignore[no-untyped-def]
    fields = (DRUGS, ListField(name="aids", values=("cane", "walker")))
    assert fits({"drugs": [], "aids": ["walker", "cane"]}, fields)
    assert fits({"drugs": ["He"], "aids": []}, fields)
    assert not fits({"drugs": [], "aids": ["stick"]}, fields)
    assert not fits({"drugs": [], "aids": ["cane", "walker", "cane"]}, fields)


def test_a_closed_list_alone_is_decoded_by_its_schema() -> None:
    from llguidance import LLMatcher, LLTokenizer

    schema = object_schema((ListField(name="aids", values=("cane", "walker")),))
    made = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=SEPARATORS)
    for said, fine in ((["walker"], True), ([], True), (["stick"], False)):
        matcher = LLMatcher(LLTokenizer("byte"), made, log_level=0)
        text = json.dumps({"aids": said}).encode()
        assert (matcher.consume_tokens([*text]) and matcher.is_accepting()) is fine


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=60), st.data())
def test_any_note_can_be_copied_whole_word_by_whole_word(fits, note: str, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    note = render.quote(note)
    words = note.split()
    if not words:
        return
    assert fits({"drugs": [data.draw(st.sampled_from(words))]}, note=note)
    assert fits({"drugs": [note]}, note=note)


def test_a_student_copies_and_comes_to_an_end(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="pip install preceptor[local]")
    from preceptor.agents.students import StudentOptions
    from preceptor.agents.students.hf import HFStudent

    folder = tiny.save("lfm2", tmp_path)
    student = HFStudent(str(folder), options=StudentOptions(threads=1, device="cpu"))
    notes = [Example(id=f"n{i}", group="g", text=f"case {i}: aspirin, not zetamide") for i in range(6)]
    for mode, fields in (("per_field", (DRUGS,)), ("joint", MIXED[:2])):
        recipe = Recipe.model_validate(
            {
                "model": ModelRef(spec="x"),
                "mode": mode,
                "decoding": Decoding(temperature=5.0, max_tokens=200),
            }
        )
        calls = [call for note in notes for call in render.calls(recipe, fields, note)]
        replies = {reply.key[0]: reply for reply in student.complete(calls)}
        assert len(replies) == len(notes)
        said: list[object] = []
        for note in notes:
            reply = replies[note.id]
            assert reply.status == "ok"
            values, problems = parse.read(reply.raw, fields)
            assert problems == {}
            items = values["drugs"]
            assert isinstance(items, list)
            assert all(str(item) in note.text for item in items)
            said += items
        assert said
