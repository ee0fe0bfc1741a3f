from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Answer, Attempt, Evaluation, Example, Gold
from preceptor.evals import answerers
from preceptor.evals.baselines.catalogue import NAMES
from preceptor.evals.report import Report, ReportInputs, Side, build, to_text
from preceptor.evals.scorers import score_answer

FIELDS: tuple[FieldSpec, ...] = tuple(
    LabelField(name=name, values=("present", "absent", "unknown")) for name in ("pain", "cough")
)


def examples(split: str, count: int = 60) -> tuple[Example, ...]:
    rng = np.random.default_rng(3)
    return tuple(
        Example(
            id=f"{split}{i}",
            group=f"{split}-p{i // 2}",
            text="secret words of a note",
            gold={f.name: str(rng.choice(["present", "absent", "unknown"])) for f in FIELDS},
        )
        for i in range(count)
    )


def answered(notes: tuple[Example, ...], accuracy: float, cost: int | None = 100) -> tuple[Answer, ...]:
    """A higher accuracy is right wherever a lower one is."""
    rng = np.random.default_rng(8)
    found = []
    for note in notes:
        gold = note.gold or {}
        said: Gold = {
            name: value if rng.random() < accuracy else ("absent" if value == "present" else "present")
            for name, value in gold.items()
        }
        found.append(Answer(example_id=note.id, record=said, prompt_tokens=cost, completion_tokens=5))
    return tuple(found)


def side(recipe: str, accuracy: float, cost: int | None = 100) -> Side:
    dev, test = examples("dev"), examples("test")
    kept = answered(test, accuracy, cost)

    def scores(notes: tuple[Example, ...], said: tuple[Answer, ...], split: str) -> Evaluation:
        scored = tuple(score_answer(e, a, FIELDS) for e, a in zip(notes, said, strict=True))
        return Evaluation(recipe=recipe, split=split, scored=scored)

    return Side(scores(dev, answered(dev, accuracy, cost), "dev"), scores(test, kept, "test"), kept)


def inputs(before: float = 0.5, after: float = 0.8, *, recipe: str = "new") -> ReportInputs:
    return ReportInputs(
        task="toxicity",
        fields=FIELDS,
        student="nano",
        teacher="rules",
        baseline=side("old", before, 100),
        final=side(recipe, after, 140),
        examples=examples("test"),
        rules={
            "nothing": {},
            "perfect": {e.id: e.gold or {} for e in examples("test")},
        },
        attempts=(
            Attempt(
                round=1,
                tool="edit_prompt",
                args={},
                outcome="accepted",
                reason="+9.0 points (p = 0.0010): better",
                train_gain=0.1,
                dev_gain=0.09,
            ),
            Attempt(round=2, tool="edit_prompt", args={}, outcome="rejected", reason="not better"),
        ),
        stop="nothing left to learn",
        spent={"student_calls": 1440, "teacher_tokens": 0, "dollars": 0.0},
        unknown={"dollars": 2},
        openings=3,
        seals={"test": "abc123"},
        synthetic=True,
    )


def first_line(given: ReportInputs) -> str:
    return to_text(build(given)).splitlines()[0]


def test_a_gain_is_said_with_its_interval() -> None:
    report = build(inputs())
    assert report.finding == "better"
    assert report.test is not None
    assert report.test.gain.value == pytest.approx(report.test.final.value - report.test.baseline.value)
    assert report.test.gain.low > 0
    assert (report.test.notes, report.test.patients) == (60, 30)
    assert report.test.broken == 0 < report.test.fixed
    assert report.test.tokens == (105.0, 145.0)
    line = first_line(inputs())
    assert line.startswith("Synthetic data. Better than the untouched student (accuracy ")
    assert f"{100 * report.test.gain.value:+.1f} points" in line


def test_where_there_is_no_gain_the_first_line_says_so() -> None:
    assert "No gain shown" in first_line(inputs(0.5, 0.52))
    assert "includes no change" in first_line(inputs(0.5, 0.52))
    assert "a loss" in first_line(inputs(0.8, 0.5))
    same = first_line(inputs(0.5, 0.5, recipe="old"))
    assert "No gain: nothing that was tried passed the acceptance test" in same
    closed = inputs()
    closed = replace(closed, baseline=replace(closed.baseline, test=None), stop="budget used up")
    assert "Not measured" in first_line(closed)
    assert "budget used up" in first_line(closed)
    assert build(closed).test is None


def test_fields_hold_intervals_precision_and_recall() -> None:
    report = build(inputs(0.5, 1.0))
    assert [row.field for row in report.fields] == ["pain", "cough"]
    row = report.fields[0]
    assert row.final.value == 1.0
    assert row.final.low < 1.0
    assert row.after is not None
    assert row.before is not None
    assert (row.after.positive.precision, row.after.positive.recall) == (1.0, 1.0)
    assert (row.before.positive.f1 or 0) < 1.0
    bare = replace(inputs(), final=replace(inputs().final, answers=()))
    assert build(bare).fields[0].after is None
    assert "pain" in to_text(build(bare))


def test_a_rule_that_beats_the_student_is_named() -> None:
    report = build(inputs(0.5, 0.8))
    assert [row.name for row in report.rules] == ["perfect", "nothing"]
    assert report.rules[0].score.value == 1.0
    assert report.rules[1].score.value == 0.0
    assert report.rules[0].final_ahead.high < 0
    assert "'perfect' is better than the final student" in to_text(report)
    alone = replace(inputs(), rules={"nothing": {}})
    assert (
        "final student\n"
        not in to_text(build(alone)).split("Without any language model", 1)[1].split("\n\n")[0]
    )


def test_unknown_costs_stay_unknown_and_openings_are_counted() -> None:
    text = to_text(build(inputs()))
    assert "dollars: unknown" in text
    assert "student calls: 1,440" in text
    assert "opened 3 times so far; every further opening" in text
    assert "test sealed as abc123" in text
    some = replace(inputs(), spent={"dollars": 1.5}, openings=1)
    assert "dollars: at least 1.50; 2 amounts unknown" in to_text(build(some))
    assert "opened once so far\n" in to_text(build(some))
    silent = replace(inputs(), baseline=side("old", 0.5, None))
    report = build(silent)
    assert report.test is not None
    assert report.test.tokens[0] is None
    assert "unknown" in to_text(report).split("tokens per note", 1)[1].splitlines()[0]


def test_every_attempt_stands_there_with_its_verdict_and_reason() -> None:
    text = to_text(build(inputs()))
    tried = [line for line in text.splitlines() if "edit_prompt" in line]
    assert len(tried) == 2
    assert "accepted" in tried[0]
    assert "+10.0" in tried[0]
    assert "+9.0 points (p = 0.0010): better" in tried[0]
    assert "rejected" in tried[1]


def test_the_gap_and_the_detectable_gain_are_those_of_the_numbers() -> None:
    report = build(inputs())
    assert report.gap is not None
    assert report.test is not None
    assert report.gap.value == pytest.approx(report.dev.final.value - report.test.final.value)
    assert report.gap.low < report.gap.value < report.gap.high
    half = (report.test.gain.high - report.test.gain.low) / 2
    assert report.test.detectable == pytest.approx(half / 1.96 * 2.486, rel=0.15)


def test_the_lines_of_a_report_fit_a_page_and_answerers_are_explained() -> None:
    given = replace(inputs(), rules={"tfidf": {e.id: e.gold or {} for e in examples("test")}})
    text = to_text(build(given))
    assert max(map(len, text.splitlines()[1:])) <= 110
    row = next(line for line in text.splitlines() if line.startswith("  tfidf "))
    assert row.endswith("linear classifier, word counts")
    assert set(NAMES) <= {name for name in NAMES if answerers.what(name)}


def test_the_comparisons_are_a_table_of_scores_and_leads() -> None:
    report = build(inputs())
    lines = to_text(report).split("\n\n")[1].splitlines()
    assert lines[0] == "How it stands on the sealed test (95 % intervals in brackets)"
    assert [line.split("  ")[1] for line in lines[2:5]] == [
        "the final student",
        "the untouched student",
        "the best answerer without a language model, 'perfect'",
    ]
    assert report.test is not None
    assert f"{report.test.final.value:.3f}" in lines[2]
    assert f"{100 * report.test.gain.value:+.1f} [" in lines[3]
    assert lines[-1].startswith("  target: none")


def test_json_both_ways_and_no_note_in_it() -> None:
    report = build(inputs())
    assert Report.from_json(report.to_json()) == report
    assert "secret" not in report.to_json() + to_text(report)
    assert build(inputs()) == report


def test_different_notes_are_refused() -> None:
    given = inputs()
    assert given.final.test is not None
    short = given.final.test.model_copy(update={"scored": given.final.test.scored[:-1]})
    with pytest.raises(InputError):
        build(replace(given, final=replace(given.final, test=short)))
