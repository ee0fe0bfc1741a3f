"""Where an answer is decided is where the constraint of students in process leaves a choice."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

pytest.importorskip("llguidance", reason="pip install preceptor[local]")

from llguidance import LLMatcher, LLTokenizer
from pydantic import JsonValue

from preceptor.agents.students import copying
from preceptor.agents.students.grammar import SEPARATORS
from preceptor.core.choices import choices
from preceptor.core.fields import FieldSpec, LabelField, ListField, object_schema
from preceptor.core.render import answer_text

NOTE = 'A sore arm, a sore head.\nHe said "no" to ibuprofen 400 mg/d; sore armchair.'
STATUS = LabelField(name="pain", values=("present", "absent", "absolute", "unknown"))
GRADE = LabelField(name="rash grade", values=("1", "10", "2"), default="2", ordered=True)
OPEN = ListField(name="drugs", max_items=2)
CLOSED = ListField(name="organs", values=("skin", "skull", "gut"), max_items=2)
COPIED = ListField(name="quotes", copied=True, max_items=3)


def by_constraint(fields: Sequence[FieldSpec], text: str) -> str:
    """Return a mark under each character that the constraint does not force."""
    copied = any(copying.wanted(f) for f in fields)
    made = (
        copying.grammar(fields, NOTE, SEPARATORS)
        if copied
        else LLMatcher.grammar_from_json_schema(
            json.dumps(object_schema(tuple(fields))), overrides=SEPARATORS
        )
    )
    matcher = LLMatcher(LLTokenizer("byte"), made, log_level=0)
    marks = ""
    for sign in text:
        marks += " " if matcher.compute_ff_bytes() else "^"
        assert matcher.consume_token(ord(sign))
    return marks


def ours(fields: Sequence[FieldSpec], values: dict[str, JsonValue]) -> str:
    text = answer_text(values, fields)
    found = choices(values, fields, NOTE)
    return "".join("^" if any(c.start <= i < c.end for c in found) else " " for i in range(len(text)))


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ([STATUS], {"pain": "absent"}),
        ([STATUS], {"pain": "unknown"}),
        ([GRADE], {"rash grade": "1"}),
        ([GRADE], {"rash grade": "10"}),
        ([STATUS, GRADE], {"pain": "present", "rash grade": "2"}),
        ([OPEN], {"drugs": []}),
        ([OPEN], {"drugs": ["aspirin"]}),
        ([OPEN, STATUS], {"drugs": ["aspirin", "x y"], "pain": "absolute"}),
        ([CLOSED], {"organs": []}),
        ([CLOSED], {"organs": ["skull", "gut"]}),
        ([COPIED], {"quotes": []}),
        ([COPIED], {"quotes": ["sore arm"]}),
        ([COPIED], {"quotes": ["sore", "ibuprofen 400 mg/d", "head"]}),
        ([COPIED, STATUS], {"quotes": ["no"], "pain": "absent"}),
    ],
)
def test_a_character_is_decided_where_the_constraint_leaves_a_choice(
    fields: list[FieldSpec], values: dict[str, JsonValue]
) -> None:
    text = answer_text(values, fields)
    assert [text, ours(fields, values)] == [text, by_constraint(fields, text)]


def test_choices_name_their_field() -> None:
    found = choices({"pain": "absent", "organs": ["gut"]}, [STATUS, CLOSED])
    text = answer_text({"pain": "absent", "organs": ["gut"]}, [STATUS, CLOSED])
    assert [(c.field, text[c.start : c.end]) for c in found] == [
        (0, "a"),
        (0, "e"),
        (1, '"g'),
        (1, "]"),
    ]


def test_a_piece_that_does_not_stand_in_the_note_is_decided_throughout() -> None:
    text = answer_text({"quotes": ["fever"]}, [COPIED])
    found = choices({"quotes": ["fever"]}, [COPIED], NOTE)
    assert text[found[0].start : found[-1].end].startswith('"fever"')
