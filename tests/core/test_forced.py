"""Whether a server held its answers to the schema is told by what it answered."""

from __future__ import annotations

import pytest

from preceptor.core import forced
from preceptor.core.decoding import Decoding
from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Answer, ModelRef, Recipe

PAIN = LabelField(name="pain", values=("present", "absent"))
DRUGS = ListField(name="drugs")
JOINT = Recipe(model=ModelRef(spec="openai:x"), mode="joint")
GOOD = '{"pain": "absent", "drugs": ["A"]}'


@pytest.mark.parametrize(
    "raw",
    [GOOD, '\n{"drugs": [],\n"pain": "present"}\n', f"<think>So, {{}}</think>{GOOD}"],
)
def test_what_the_schema_allows(raw: str) -> None:
    assert forced.fits(raw, (PAIN, DRUGS))


@pytest.mark.parametrize(
    "raw",
    [
        f"```json\n{GOOD}\n```",
        f"Sure: {GOOD}",
        '{"pain": "Absent", "drugs": []}',
        '{"pain": "absent"}',
        '{"pain": "absent", "drugs": [], "why": "x"}',
        '{"pain": "absent", "drugs": "A"}',
        "[" * 9000,
        "",
    ],
)
def test_what_it_does_not(raw: str) -> None:
    assert not forced.fits(raw, (PAIN, DRUGS))


def told(*answers: Answer, recipe: Recipe = JOINT) -> forced.Loose | None:
    return forced.count(answers, recipe, (PAIN, DRUGS))


def said(raw: str, **more: object) -> Answer:
    return Answer.model_validate({"example_id": "n", "record": {}, "raw": (raw,), **more})


def test_a_server_that_ignores_the_schema_is_told_though_the_answers_can_be_read() -> None:
    found = told(*[said(f"Sure: {GOOD}")] * 3, said(GOOD))
    assert found is not None
    assert (found.notes, found.ignored, found.refused) == (4, 3, 0)
    assert "does not force the schema (3 of 4" in found.words()


def test_a_server_that_refuses_the_schema_is_told_though_the_answers_fit() -> None:
    found = told(*[said(GOOD, unforced=True)] * 2)
    assert found is not None
    assert "refuses the schema (asked without it in 2 of 2)" in found.words()


def test_nothing_is_told_where_there_is_nothing_to_tell() -> None:
    loose = said(f"Sure: {GOOD}")
    assert (
        told(said(GOOD), said('{"pain": "abs', status="truncated"), said("", status="failed")) is None
    )
    assert told(*[said(GOOD)] * 40, loose) is None, "one in forty is no server that ignores it"
    free = JOINT.model_copy(update={"decoding": Decoding(constrained=False)})
    assert told(loose, recipe=free) is None


def test_a_recipe_that_says_nothing_of_thoughts_keeps_its_hash() -> None:
    assert "think" not in JOINT.to_json()
    spoken = JOINT.model_copy(update={"decoding": Decoding(think="on")})
    assert Recipe.from_json(spoken.to_json()) == spoken
    assert spoken.fingerprint != JOINT.fingerprint
