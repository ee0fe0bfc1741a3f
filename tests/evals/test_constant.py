"""A field that is answered alike whatever the note says is named, with shares and without note text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Answer, Example
from preceptor.evals.constant import constant_fields
from preceptor.evals.findings import diagnose

PAIN = LabelField(name="pain", values=("yes", "no"))
DRUGS = ListField(name="drugs")


def pairs(
    field: FieldSpec, told: Sequence[tuple[JsonValue, JsonValue]]
) -> tuple[list[Example], list[Answer]]:
    """Return notes and answers from (gold, said); None: unreadable."""
    notes = [
        Example(id=f"n{i}", group=f"p{i}", text="Seen today.", gold={field.name: gold})
        for i, (gold, _) in enumerate(told)
    ]
    answers = [
        Answer.model_validate(
            {
                "example_id": f"n{i}",
                "record": None if said is None else {field.name: said},
                "status": "ok" if said is not None else "invalid",
                "problems": {} if said is not None else {field.name: "invalid"},
            }
        )
        for i, (_, said) in enumerate(told)
    ]
    return notes, answers


def test_always_no_is_named_with_both_shares() -> None:
    told: Sequence[tuple[JsonValue, JsonValue]] = [("no", "no")] * 60 + [("yes", "no")] * 39
    notes, answers = pairs(PAIN, [*told, ("yes", "yes")])
    (found,) = constant_fields(notes, answers, [PAIN])
    assert (found.kind, found.field, found.cue) == ("constant_answer", "pain", "no")
    assert (found.count, found.total) == (40, 100)
    assert found.said_share == pytest.approx(0.99)
    assert found.gold_share == pytest.approx(0.60)
    assert set(found.example_ids) == {f"n{i}" for i in range(60, 100)}


def test_the_constant_may_be_the_rare_value() -> None:
    notes, answers = pairs(PAIN, [("no", "yes")] * 12 + [("yes", "yes")] * 4)
    (found,) = constant_fields(notes, answers, [PAIN])
    assert (found.cue, found.count) == ("yes", 12)


@pytest.mark.parametrize(
    "told",
    [
        [("no", "no")] * 98 + [("yes", "no")] * 2,  # gold hardly varies
        [("no", "no")] * 60 + [("yes", "no")] * 32 + [("yes", "yes")] * 8,  # a fifth of gold's 40
        [("no", "no")] * 30 + [("yes", "yes")] * 30,
        [("no", None)] * 30 + [("yes", None)] * 30,  # no answer is no constant answer
        [],
    ],
)
def test_what_is_no_constant_answer(told: Sequence[tuple[JsonValue, JsonValue]]) -> None:
    notes, answers = pairs(PAIN, told)
    assert constant_fields(notes, answers, [PAIN]) == ()


def test_a_list_that_is_always_the_same_one() -> None:
    told: Sequence[tuple[JsonValue, JsonValue]] = [([f"drug {i}"], []) for i in range(10)]
    notes, answers = pairs(DRUGS, [*told, *[([], [])] * 5])
    (found,) = constant_fields(notes, answers, [DRUGS])
    assert (found.cue, found.count) == ("[]", 10)


def test_items_of_a_list_never_stand_in_a_finding() -> None:
    told: Sequence[tuple[JsonValue, JsonValue]] = [([f"drug {i}"], ["Planted", "x"]) for i in range(9)]
    notes, answers = pairs(DRUGS, [*told, ([], ["x", "planted"])])
    (found,) = constant_fields(notes, answers, [DRUGS])
    assert found.cue == ""
    assert found.count == 10
    assert "lanted" not in found.to_json()


def test_it_stands_first_and_leaves_the_other_kinds_as_they_are() -> None:
    notes, answers = pairs(PAIN, [("no", "no")] * 6 + [("yes", "no")] * 5)
    found = diagnose(notes, answers, [PAIN])
    assert [f.kind for f in found] == ["constant_answer", "missed"]
    assert "said_share" in found[1].model_dump()
    assert found[1].said_share is None
