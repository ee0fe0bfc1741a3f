"""The metric follows from the data, and a person's own is tried before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example, Gold
from preceptor.evals.metrics import card, choice, own

STATE = LabelField(name="pain", values=("present", "absent", "unknown"))
DRUGS = ListField(name="drugs")


def notes(values: Sequence[Mapping[str, JsonValue]]) -> list[Example]:
    return [Example(id=f"n{i}", group=f"p{i}", text="note", gold=dict(v)) for i, v in enumerate(values)]


def pain(present: int, absent: int, unknown: int) -> list[Example]:
    labels = ["present"] * present + ["absent"] * absent + ["unknown"] * unknown
    return notes([{"pain": label} for label in labels])


def chosen(fields: tuple[FieldSpec, ...], train: list[Example], asked: str = "") -> choice.Metric:
    return choice.choose(fields, train, asked)


def test_accuracy_is_kept_only_where_no_label_holds_more_than_two_thirds() -> None:
    assert chosen((STATE,), pain(5, 5, 20)).name == "accuracy"  # exactly two thirds
    assert chosen((STATE,), pain(5, 4, 20)).name == "macro_f1"
    assert "69% of train in field 'pain'" in chosen((STATE,), pain(5, 4, 20)).why


def test_one_dominated_field_among_many_is_enough() -> None:
    other = LabelField(name="cough", values=("yes", "no"))
    train = notes([{"pain": "present", "cough": "no"}] * 9 + [{"pain": "absent", "cough": "no"}] * 9)
    assert chosen((STATE, other), train).name == "macro_f1"


def test_lists_are_judged_by_their_items_and_mixed_tasks_by_dominance() -> None:
    filled = notes([{"drugs": [f"drug{i}"], "pain": ("present", "absent")[i % 2]} for i in range(9)])
    empty = notes([{"drugs": [], "pain": ("present", "absent")[i % 2]} for i in range(9)])
    assert chosen((DRUGS,), filled).name == "list_f1"
    assert chosen((STATE, DRUGS), filled).name == "accuracy"
    assert chosen((STATE, DRUGS), empty).name == "macro_f1"


def test_ordered_labels_are_judged_by_quadratic_kappa() -> None:
    grade = LabelField(name="grade", values=("none", "mild", "severe"), ordered=True)
    assert chosen((grade,), notes([{"grade": "none"}] * 9)).name == "kappa"
    assert chosen((grade, STATE), notes([{"grade": "none", "pain": "absent"}] * 9)).name == "macro_f1"


def test_what_the_task_says_comes_before_the_rule() -> None:
    assert chosen((STATE,), pain(5, 4, 20), "exact_match").name == "exact_match"


def test_the_label_that_dominates_or_else_the_default_is_no_finding() -> None:
    assert choice.counted((STATE,), pain(5, 5, 5)) == {"pain": ("present", "absent")}
    assert choice.counted((STATE,), pain(1, 20, 2)) == {"pain": ("present", "unknown")}
    smoker = LabelField(name="smoker", values=("no", "yes"))  # the last label is the default
    mostly_no = notes([{"smoker": "no"}] * 9 + [{"smoker": "yes"}])
    assert choice.counted((smoker,), mostly_no) == {"smoker": ("yes",)}


@pytest.mark.parametrize(
    ("fields", "name"),
    [((STATE,), "list_f1"), ((DRUGS,), "kappa"), ((DRUGS,), "balanced_accuracy"), ((STATE,), "auc")],
)
def test_a_metric_that_does_not_go_with_the_fields_is_refused(
    fields: tuple[FieldSpec, ...], name: str
) -> None:
    with pytest.raises(TaskError, match=name):
        chosen(fields, pain(3, 3, 3), name)


def test_a_metric_without_anything_to_count_in_dev_is_refused() -> None:
    metric = chosen((STATE,), pain(5, 4, 20))
    with pytest.raises(TaskError, match="cannot be computed on dev"):
        choice.check_part(metric, (STATE,), pain(0, 0, 9), "dev")
    choice.check_part(metric, (STATE,), pain(1, 0, 9), "dev")


def half_marks(gold: Gold, answer: Gold) -> tuple[float, str]:
    right = sum(answer.get(name) == value for name, value in gold.items())
    return right / len(gold), "" if right == len(gold) else "look again"


def raising(gold: Gold, answer: Gold) -> float:
    return float(answer["pain"] == "present")


def nan(gold: Gold, answer: Gold) -> float:
    return float("nan")


def percent(gold: Gold, answer: Gold) -> float:
    return 100.0


def words(gold: Gold, answer: Gold) -> str:
    return "good"


def lonely(gold: Gold) -> float:
    return 1.0


NOT_CALLABLE = 3.0
HERE = "tests.evals.metrics.test_choice"


def test_a_persons_own_metric_gives_scores_and_feedback() -> None:
    score = own.load(f"{HERE}:half_marks", pain(1, 1, 1))
    assert score({"pain": "present"}, {"pain": "present"}) == (1.0, "")
    assert score({"pain": "present"}, {}) == (0.0, "look again")
    assert chosen((STATE,), pain(1, 1, 1), f"{HERE}:half_marks").function is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raising", "failed: KeyError"),
        ("nan", "returned NaN"),
        ("percent", "returned 100"),
        ("words", "returned str"),
        ("lonely", "takes other arguments"),
        ("NOT_CALLABLE", "is no function"),
        ("missing", "has no 'missing'"),
    ],
)
def test_a_metric_that_fails_on_train_is_refused_before_a_run(name: str, said: str) -> None:
    with pytest.raises(TaskError) as caught:
        own.load(f"{HERE}:{name}", pain(1, 1, 1))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", [*choice.NAMES, "recall", f"{HERE}:half_marks"])
def test_every_metric_has_a_card_with_its_definition(name: str) -> None:
    text = "\n".join(card.lines(card.card(name)))
    assert text.startswith("  ")
    assert len(text) > 40
