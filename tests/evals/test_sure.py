"""What a report may call better: few patients, one patient with most notes, ties, what is counted."""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Answer, Evaluation, Example, Gold
from preceptor.evals.metrics.choice import Metric, choose
from preceptor.evals.report import Report, ReportInputs, Side, build, to_text
from preceptor.evals.scorers import score_answer

PAIN = LabelField(name="pain", values=("yes", "no"))


def note(name: str, patient: str, gold: Gold) -> Example:
    return Example(id=name, group=patient, text="invented", gold=gold)


def side(
    recipe: str, notes: Sequence[Example], said: Sequence[Gold], fields: tuple[FieldSpec, ...]
) -> Side:
    answers = tuple(Answer(example_id=e.id, record=s) for e, s in zip(notes, said, strict=True))
    scored = tuple(score_answer(e, a, fields) for e, a in zip(notes, answers, strict=True))
    return Side(
        Evaluation(recipe=recipe, split="dev", scored=scored),
        Evaluation(recipe=recipe, split="test", scored=scored),
        answers,
    )


def report(
    notes: Sequence[Example],
    said: tuple[Sequence[Gold], Sequence[Gold]],
    metric: Metric | None = None,
    fields: tuple[FieldSpec, ...] = (PAIN,),
    **more: object,
) -> Report:
    """``said``: what the untouched and the final student answer."""
    made = ReportInputs(
        task="pain",
        fields=fields,
        student="nano",
        teacher="rules",
        baseline=side("old", notes, said[0], fields),
        final=side("new", notes, said[1], fields),
        examples=tuple(notes),
        metric=metric,
    )
    for name, value in more.items():
        object.__setattr__(made, name, value)
    return build(made)


def all_put_right(patients: int, each: int = 4) -> Report:
    """Every patient has two notes that were wrong before, all right after."""
    notes = [note(f"n{i}", f"p{i // each}", {"pain": "yes"}) for i in range(patients * each)]
    before: list[Gold] = [{"pain": "yes" if i % each < 2 else "no"} for i in range(len(notes))]
    return report(notes, (before, [{"pain": "yes"} for _ in notes]))


def test_a_few_patients_are_never_enough_to_say_better() -> None:
    for patients in (2, 3, 5):
        made = all_put_right(patients)
        assert made.test is not None
        assert made.test.gain.low > 0  # no resampling of so few moves it
        assert made.finding == "no_gain"
        assert "No gain shown (accuracy 0.500 to 1.000 on the sealed test, +50.0" in to_text(made)
        assert f"too few of the {patients} patients bear on it to be sure, p = " in to_text(made)
    assert all_put_right(20).finding == "better"


def test_few_patients_do_not_make_a_student_better_than_a_constant_answer_or_reach_a_target() -> None:
    def few(patients: int) -> Report:
        notes = [note(f"n{i}", f"p{i // 4}", {"pain": "yes"}) for i in range(4 * patients)]
        right: list[Gold] = [{"pain": "yes"} for _ in notes]
        rules = {"majority": {e.id: Gold(pain="yes" if i % 4 else "no") for i, e in enumerate(notes)}}
        kept = {"rules": rules, "trivial": frozenset({"majority"}), "target": 0.3}
        return report(notes, (right, right), None, (PAIN,), **kept)

    small, large = few(4), few(30)
    assert small.standing is not None
    assert large.standing is not None
    assert (small.standing.trivial, small.standing.reached) == ("no_better", "open")
    assert (large.standing.trivial, large.standing.reached) == ("better", "reached")
    assert "do not use it" in to_text(small)
    assert "'majority' may be as good as the final student" in to_text(small)
    assert "neither surely reached" in to_text(small)


def test_one_patient_with_most_notes_is_one_patient() -> None:
    """The one who has most notes gains; of the others most lose a little."""
    notes = [note(f"n{i}", "p0" if i < 90 else f"p{i}", {"pain": "yes"}) for i in range(120)]
    before: list[Gold] = [{"pain": "no" if i < 90 else "yes"} for i in range(120)]
    after: list[Gold] = [{"pain": "yes" if i < 105 else "no"} for i in range(120)]
    made = report(notes, (before, after))
    assert made.test is not None
    assert made.test.gain.value > 0.5
    assert made.finding == "no_gain"


def test_the_tables_of_fields_count_what_the_metric_counts() -> None:
    """The default is "yes", but "yes" dominates: a student that always says so finds nothing."""
    field = LabelField(name="pain", values=("no", "yes"))
    train = [note(f"t{i}", f"t{i}", {"pain": "no" if i % 10 == 0 else "yes"}) for i in range(40)]
    late = LabelField(name="pain", values=("yes", "no"))
    notes = [note(f"n{i}", f"p{i}", {"pain": "no" if i % 10 == 0 else "yes"}) for i in range(40)]
    always: list[Gold] = [{"pain": "yes"} for _ in notes]
    for asked in (field, late):
        metric = choose((asked,), train)
        assert dict(metric.labels) == {"pain": ("no",)}
        row = report(notes, (always, always), metric, (asked,)).fields[0]
        assert row.after is not None
        assert (row.after.positive.gold, row.after.positive.hits) == (4, 0)


def test_of_equal_constant_answers_the_commonest_is_named() -> None:
    notes = [note(f"n{i}", f"p{i}", {"pain": "yes"}) for i in range(20)]
    right: list[Gold] = [{"pain": "yes"} for _ in notes]
    same = {e.id: Gold(pain="yes") for e in notes}
    made = report(
        notes,
        (right, right),
        None,
        (PAIN,),
        rules={"always-positive": same, "majority": same},
        trivial=frozenset({"always-positive", "majority"}),
    )
    assert "it is no better than always giving the commonest answer" in to_text(made)


def test_lists_alone_have_a_table_too() -> None:
    field = ListField(name="drugs", of="drugs")
    notes = [note(f"n{i}", f"p{i}", {"drugs": ["a"]}) for i in range(20)]
    said: list[Gold] = [{"drugs": ["a"]} for _ in notes]
    row = report(notes, (said, said), choose((field,), notes), (field,)).fields[0]
    assert row.after is not None
    assert row.after.positive.hits == 20


def test_fields_with_hardly_a_case_are_named_where_all_fields_weigh_alike() -> None:
    fever = LabelField(name="fever", values=("yes", "no"))
    fields = (PAIN, fever)
    notes = [
        note(f"n{i}", f"p{i}", {"pain": "yes" if i % 3 else "no", "fever": "yes" if i < 2 else "no"})
        for i in range(40)
    ]
    said = [dict(e.gold or {}) for e in notes]
    warned = "Warning: macro F1 counts all fields alike, and some have fewer than 5 cases on the sealed"
    assert f"{warned} test: 'fever' 2." in to_text(
        report(notes, (said, said), choose(fields, notes, "macro_f1"), fields)
    )
    assert warned not in to_text(report(notes, (said, said), choose(fields, notes, "micro_f1"), fields))
