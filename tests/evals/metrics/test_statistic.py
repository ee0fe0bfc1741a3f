"""Every metric agrees with scikit-learn on the same data, and says NaN where nothing can be counted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Answer, Example, Gold, Scored
from preceptor.evals.metrics import choice, statistic
from preceptor.evals.scorers import score_answer

GRADES = ("none", "mild", "moderate", "severe")
STATES = ("present", "absent", "unknown")
FIELDS: tuple[FieldSpec, ...] = (
    LabelField(name="pain", values=STATES),
    LabelField(name="grade", values=GRADES, default="none", ordered=True),
    LabelField(name="smoker", values=("yes", "no"), weight=2.0),
)
LISTS: tuple[FieldSpec, ...] = (ListField(name="drugs"), ListField(name="signs"))


def labels(seed: int = 0, notes: int = 80) -> list[Gold]:
    """Return one value per field and note; the later labels are rarer."""
    rng = np.random.default_rng(seed)
    rows: list[Gold] = []
    for _ in range(notes):
        row: Gold = {}
        for field in FIELDS:
            assert isinstance(field, LabelField)
            share = 0.5 ** np.arange(len(field.values), 0, -1)
            row[field.name] = str(rng.choice(field.values, p=share / share.sum()))
        rows.append(row)
    return rows


def scored(
    gold: list[Gold], said: list[Gold | None], fields: tuple[FieldSpec, ...] = FIELDS
) -> list[Scored]:
    """Return the scores of notes, two of a patient; a said value of None could not be read."""
    found = []
    for i, (right, answer) in enumerate(zip(gold, said, strict=True)):
        note = Example(id=f"n{i}", group=f"p{i // 2}", text="note", gold=right)
        read = {} if answer is None else answer
        problems = {f.name: "invalid" for f in fields if f.name not in read}
        reply = Answer.model_validate({"example_id": note.id, "record": read, "problems": problems})
        found.append(score_answer(note, reply, fields))
    return found


def value(by: statistic.Statistic, notes: list[Scored]) -> float:
    """Return a metric of notes."""
    return float(by.value(by.count(notes).sum(0)))


def column(rows: list[Gold], name: str) -> list[str]:
    """Return one field of all notes."""
    return [str(row[name]) for row in rows]


@pytest.fixture
def both() -> tuple[list[Gold], list[Gold]]:
    """Gold, and answers that are right in about half of the cells."""
    gold, other = labels(0), labels(1)
    rng = np.random.default_rng(2)
    said = [
        {name: g[name] if rng.random() < 0.5 else o[name] for name in g}
        for g, o in zip(gold, other, strict=True)
    ]
    return gold, said


COUNTED = {"pain": ("present", "absent"), "grade": GRADES[1:], "smoker": ("yes",)}
WEIGHTS = [1.0, 1.0, 2.0]


def test_macro_f1_is_scikit_learns_per_field_averaged_over_fields(
    both: tuple[list[Gold], list[Gold]],
) -> None:
    gold, said = both
    found = value(choice.make("macro_f1", FIELDS, COUNTED), scored(gold, [*said]))
    each = [
        sk.f1_score(column(gold, n), column(said, n), labels=[*COUNTED[n]], average="macro")
        for n in COUNTED
    ]
    assert found == pytest.approx(np.average(each, weights=WEIGHTS))


def test_micro_f1_of_one_field_is_scikit_learns(both: tuple[list[Gold], list[Gold]]) -> None:
    gold, said = both
    by = choice.make("micro_f1", FIELDS, COUNTED)
    notes = scored(gold, [*said])
    each = by.by_field(by.count(notes).sum(0))
    for at, name in enumerate(COUNTED):
        expected = sk.f1_score(
            column(gold, name), column(said, name), labels=[*COUNTED[name]], average="micro"
        )
        assert each[at] == pytest.approx(expected)


def test_balanced_accuracy_is_scikit_learns(both: tuple[list[Gold], list[Gold]]) -> None:
    gold, said = both
    found = value(choice.make("balanced_accuracy", FIELDS, COUNTED), scored(gold, [*said]))
    each = [sk.balanced_accuracy_score(column(gold, n), column(said, n)) for n in COUNTED]
    assert found == pytest.approx(np.average(each, weights=WEIGHTS))


def test_kappa_is_scikit_learns_quadratic_where_labels_are_ordered(
    both: tuple[list[Gold], list[Gold]],
) -> None:
    gold, said = both
    by = choice.make("kappa", FIELDS, COUNTED)
    each = by.by_field(by.count(scored(gold, [*said])).sum(0))
    for at, (name, weights) in enumerate({"pain": None, "grade": "quadratic", "smoker": None}.items()):
        field = FIELDS[at]
        assert isinstance(field, LabelField)
        expected = sk.cohen_kappa_score(
            column(gold, name), column(said, name), labels=[*field.values], weights=weights
        )
        assert each[at] == pytest.approx(expected)


def test_accuracy_and_exact_match_are_scikit_learns(both: tuple[list[Gold], list[Gold]]) -> None:
    gold, said = both
    notes = scored(gold, [*said])
    each = [sk.accuracy_score(column(gold, n), column(said, n)) for n in COUNTED]
    assert value(choice.make("accuracy", FIELDS, COUNTED), notes) == pytest.approx(
        np.average(each, weights=WEIGHTS)
    )
    whole = sk.accuracy_score(["|".join(map(str, g.values())) for g in gold],
                              ["|".join(map(str, s.values())) for s in said])  # fmt: skip
    assert value(choice.make("exact_match", FIELDS, COUNTED), notes) == pytest.approx(whole)


def test_list_f1_is_scikit_learns_micro_f1_over_items() -> None:
    items = ("aspirin", "heparin", "insulin")
    rng = np.random.default_rng(4)
    gold_table, said_table = rng.random((2, 40, 2, 3)) < 0.4

    def rows(table: NDArray[np.bool_]) -> list[Gold]:
        names = [f.name for f in LISTS]
        return [
            {
                n: [i for i, there in zip(items, row[k], strict=True) if there]
                for k, n in enumerate(names)
            }
            for row in table
        ]

    found = value(
        choice.make("list_f1", LISTS, {}), scored(rows(gold_table), [*rows(said_table)], LISTS)
    )
    expected = sk.f1_score(gold_table.ravel(), said_table.ravel())
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", [n for n in choice.NAMES if n != "list_f1"])
def test_a_perfect_student_scores_1_and_one_that_cannot_be_read_at_most_0(name: str) -> None:
    by = choice.make(name, FIELDS, COUNTED)
    gold = labels()
    assert value(by, scored(gold, [*gold])) == pytest.approx(1.0)
    assert value(by, scored(gold, [None] * len(gold))) <= 0.0


def test_an_unread_ordered_answer_is_as_far_from_gold_as_can_be() -> None:
    field: tuple[FieldSpec, ...] = (FIELDS[1],)
    gold: list[Gold] = [{"grade": g} for g in ("none", "severe", "none", "severe")]
    by = choice.make("kappa", field, {})
    near = value(by, scored(gold, [{"grade": "mild"}, *gold[1:]], field))
    unread = value(by, scored(gold, [None, *gold[1:]], field))
    assert unread < near < 1.0


EMPTY: dict[str, float | None] = {
    "macro_f1": None,
    "micro_f1": None,
    "kappa": None,
    "accuracy": 1.0,
    "exact_match": 1.0,
    "balanced_accuracy": 1.0,
}


@pytest.mark.parametrize(("name", "expected"), EMPTY.items())
def test_where_gold_has_nothing_to_find(name: str, expected: float | None) -> None:
    fields: tuple[FieldSpec, ...] = (LabelField(name="pain", values=STATES),)
    gold: list[Gold] = [{"pain": "unknown"}] * 6
    found = value(
        choice.make(name, fields, {"pain": ("present", "absent")}), scored(gold, [*gold], fields)
    )
    assert (None if np.isnan(found) else found) == expected


def test_never_saying_what_is_there_is_f1_0_and_inventing_a_label_gold_never_has_is_left_out() -> None:
    fields: tuple[FieldSpec, ...] = (LabelField(name="pain", values=STATES),)
    by = choice.make("macro_f1", fields, {"pain": ("present", "absent")})
    gold: list[Gold] = [{"pain": "present"}, {"pain": "unknown"}]
    assert value(by, scored(gold, [{"pain": "unknown"}] * 2, fields)) == 0.0
    assert value(by, scored(gold, [{"pain": "present"}, {"pain": "absent"}], fields)) == 1.0
    micro = choice.make("micro_f1", fields, {"pain": ("present", "absent")})
    assert value(micro, scored(gold, [{"pain": "present"}, {"pain": "absent"}], fields)) < 1.0


def test_lists_that_are_empty_on_both_sides_count_for_nothing() -> None:
    fields: tuple[FieldSpec, ...] = (ListField(name="drugs"),)
    by = choice.make("list_f1", fields, {})
    some: list[Gold] = [{"drugs": ["aspirin"]}, {"drugs": []}]
    assert value(by, scored(some, [{"drugs": []}, {"drugs": []}], fields)) == 0.0
    assert value(by, scored(some, [*some], fields)) == 1.0
    none: list[Gold] = [{"drugs": []}] * 3
    assert np.isnan(value(by, scored(none, [*none], fields)))


def test_scores_from_before_counts_were_kept_are_refused_in_one_line() -> None:
    old = Scored(example_id="n", group="p", fields={"pain": 1.0}, score=1.0, valid=True)
    with pytest.raises(Exception, match="scored without counts"):
        choice.make("macro_f1", FIELDS[:1], COUNTED).count([old])
    assert value(choice.make("accuracy", FIELDS[:1], COUNTED), [old]) == 1.0
