from __future__ import annotations

import pytest
from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Answer, Example, Gold
from preceptor.evals.scorers import (
    exact_match,
    field_metrics,
    field_scores,
    mean_cost,
    score_answer,
    scorer_for,
    valid_rate,
)

PAIN = LabelField(name="pain", values=("present", "absent", "unknown"))
GRADE = LabelField(name="grade", values=("0", "1", "2"), ordered=True, weight=3.0)
DRUGS = ListField(name="drugs")


def note(gold: Gold | None, key: str = "n1") -> Example:
    return Example(id=key, group="p1", text="t", gold=gold)


def said(record: Gold | None, key: str = "n1", **kwargs: object) -> Answer:
    return Answer.model_validate({"example_id": key, "record": record, **kwargs})


@pytest.mark.parametrize(
    ("gold", "given", "score"),
    [
        ([], [], 1.0),
        ([], ["a"], 0.0),
        (["a"], [], 0.0),
        (["a"], None, 0.0),
        ([], None, 0.0),
        (["Morphine  Sulfate"], ["morphine sulfate"], 1.0),
        (["a", "b"], ["b", "c"], 0.5),
        (["a", "b", "c"], ["a"], 0.5),
    ],
)
def test_list_is_f1_of_normalised_items(
    gold: list[JsonValue], given: list[JsonValue] | None, score: float
) -> None:
    assert scorer_for(DRUGS).score(gold, given) == pytest.approx(score)


def test_label_is_exact_also_when_ordered() -> None:
    assert scorer_for(GRADE).score("1", "1") == 1.0
    assert scorer_for(GRADE).score("1", "2") == 0.0
    assert scorer_for(PAIN).score("present", None) == 0.0


def test_endpoint_is_weighted_over_fields_with_gold() -> None:
    scored = score_answer(
        note({"pain": "absent", "grade": "2"}),
        said({"pain": "present", "grade": "2", "drugs": ["x"]}, prompt_tokens=10, completion_tokens=2),
        [PAIN, GRADE, DRUGS],
    )
    assert scored.fields == {"pain": 0.0, "grade": 1.0}
    assert scored.score == pytest.approx(0.75)
    assert scored.valid
    assert scored.cost == 12


def test_problem_scores_zero_even_with_a_value_and_is_not_valid() -> None:
    scored = score_answer(
        note({"pain": "absent", "grade": "2"}),
        said(
            {"pain": "absent", "grade": "2"},
            status="truncated",
            problems={"pain": "truncated"},
            prompt_tokens=3,
        ),
        [PAIN, GRADE],
    )
    assert scored.fields == {"pain": 0.0, "grade": 1.0}
    assert not scored.valid
    assert scored.cost is None


def test_note_without_gold_is_refused() -> None:
    golds: list[Gold | None] = [None, {}, {"other": "x"}]
    for gold in golds:
        with pytest.raises(InputError, match="'n1'"):
            score_answer(note(gold), said(None), [PAIN])


def test_field_metrics_against_counts_by_hand() -> None:
    gold = ["present", "present", "absent", "unknown", "unknown", "unknown"]
    given = ["present", "unknown", "present", "unknown", "unknown", None]
    examples = [note({"pain": g}, f"n{i}") for i, g in enumerate(gold)]
    answers = [
        said({"pain": s} if s else None, f"n{i}", problems={} if s else {"pain": "invalid"})
        for i, s in enumerate(given)
    ]
    (metrics,) = field_metrics(examples, answers, [PAIN])
    assert (metrics.notes, metrics.unread, metrics.score) == (6, 1, 0.5)
    present, unknown = metrics.labels["present"], metrics.labels["unknown"]
    assert (present.precision, present.recall) == (0.5, 0.5)
    assert unknown.precision == pytest.approx(2 / 3)
    assert unknown.recall == pytest.approx(2 / 3)
    assert metrics.labels["absent"].precision is None
    assert metrics.labels["absent"].recall == 0.0
    assert metrics.macro_f1 == pytest.approx((0.5 + 0.0 + 2 / 3) / 3)
    assert (metrics.positive.gold, metrics.positive.said, metrics.positive.hits) == (3, 2, 1)


def test_field_metrics_of_a_list_pool_items() -> None:
    examples = [note({"drugs": ["a", "b"]}, "n1"), note({"drugs": []}, "n2"), note({}, "n3")]
    answers = [said({"drugs": ["A"]}, "n1"), said({"drugs": ["c"]}, "n2"), said({"drugs": ["z"]}, "n3")]
    (metrics,) = field_metrics(examples, answers, [DRUGS])
    assert (metrics.positive.gold, metrics.positive.said, metrics.positive.hits) == (2, 2, 1)
    assert metrics.notes == 2
    assert metrics.macro_f1 is None


def test_shares_over_notes() -> None:
    fields = [PAIN, GRADE]
    gold: Gold = {"pain": "absent", "grade": "1"}
    answers = [
        said({"pain": "absent", "grade": "1"}, prompt_tokens=1, completion_tokens=1),
        said({"pain": "absent", "grade": "2"}, prompt_tokens=3, completion_tokens=1),
        said({"pain": "absent"}, status="invalid", problems={"grade": "invalid"}),
    ]
    scored = [score_answer(note(gold), a, fields) for a in answers]
    assert exact_match(scored) == pytest.approx(1 / 3)
    assert valid_rate(scored) == pytest.approx(2 / 3)
    assert mean_cost(scored) is None
    assert mean_cost(scored[:2]) == 3.0
    assert field_scores(scored) == {"pain": 1.0, "grade": pytest.approx(1 / 3)}
    assert exact_match([]) == valid_rate([]) == 0.0
