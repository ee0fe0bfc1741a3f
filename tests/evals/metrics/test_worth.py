"""What an answer is worth follows the metric: on sparse fields a miss weighs far more than a blank."""

from __future__ import annotations

import pytest

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Answer, Example, Gold, Scored
from preceptor.evals.metrics import choice
from preceptor.evals.metrics.worth import worth
from preceptor.evals.scorers import score_answer

PAIN: tuple[FieldSpec, ...] = (LabelField(name="pain", values=("yes", "no")),)


def scored(rows: list[tuple[Gold, Gold]], fields: tuple[FieldSpec, ...] = PAIN) -> list[Scored]:
    return [
        score_answer(
            Example(id=str(i), group=str(i), text="note", gold=gold),
            Answer(example_id=str(i), record=said),
            fields,
        )
        for i, (gold, said) in enumerate(rows)
    ]


def train(yes: int, no: int) -> list[Example]:
    labels = ["yes"] * yes + ["no"] * no
    return [
        Example(id=str(i), group=str(i), text="note", gold={"pain": v}) for i, v in enumerate(labels)
    ]


def test_under_f1_a_missed_finding_is_worth_exactly_what_mending_it_brings() -> None:
    metric = choice.choose(PAIN, train(2, 18))
    assert metric.name == "macro_f1"
    rows: list[tuple[Gold, Gold]] = [
        ({"pain": "yes"}, {"pain": "yes"}),
        ({"pain": "yes"}, {"pain": "no"}),
    ]
    blank: tuple[Gold, Gold] = {"pain": "no"}, {"pain": "no"}
    rows += [blank] * 18
    found = worth(metric, PAIN, scored(rows))
    assert found[1]["pain"] == pytest.approx(1 - 2 / 3)  # F1 from 2·1/(2+1) to 1
    assert found[0]["pain"] == pytest.approx(2 / 3)  # to 0: nothing would be found
    assert found[5]["pain"] == pytest.approx(2 / 3 - 2 / 4)  # one invented finding
    assert found[1]["pain"] > found[5]["pain"]


def test_items_of_lists_are_worth_what_a_whole_right_list_brings() -> None:
    drugs: tuple[FieldSpec, ...] = (ListField(name="drugs"),)
    metric = choice.choose(drugs, [])
    rows: list[tuple[Gold, Gold]] = [
        ({"drugs": ["aspirin", "heparin"]}, {"drugs": []}),
        ({"drugs": ["insulin"]}, {"drugs": ["insulin"]}),
        ({"drugs": []}, {"drugs": []}),
    ]
    found = worth(metric, drugs, scored(rows, drugs))
    assert found[0]["drugs"] == pytest.approx(1 - 2 / 4)
    assert found[2]["drugs"] == pytest.approx(2 / 4 - 2 / 5)


def test_under_accuracy_all_answers_weigh_the_same() -> None:
    assert (
        worth(choice.choose(PAIN, train(10, 10)), PAIN, scored([({"pain": "no"}, {"pain": "yes"})]))
        == ()
    )
