"""A headline says what a student is better than, and never praises one to be thrown away."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Answer, Evaluation, Example
from preceptor.evals import baselines
from preceptor.evals.headline import headline
from preceptor.evals.metrics import choice
from preceptor.evals.report import Report, ReportInputs, Side, build
from preceptor.evals.scorers import score_answer
from preceptor.evals.task import Task

FIELDS: tuple[FieldSpec, ...] = tuple(
    LabelField(name=n, values=("yes", "no")) for n in ("leak", "rust")
)
COUNT = 120


def notes(part: str) -> tuple[Example, ...]:
    """Return notes of which one in eight has a finding in each field; the text tells which."""
    found = []
    for i in range(COUNT):
        gold: dict[str, JsonValue] = {
            f.name: "yes" if (i + 3 * k) % 8 == 0 else "no" for k, f in enumerate(FIELDS)
        }
        text = " ".join(f"{n} seen" for n, value in gold.items() if value == "yes") or "all well"
        found.append(Example(id=f"{part}{i}", group=f"{part}p{i}", text=text, gold=gold))
    return tuple(found)


def says(kind: str, note: Example, place: int) -> dict[str, JsonValue]:
    """Return an answer: always no, half of them yes, or right in most notes."""
    gold = note.gold or {}
    if kind == "silent":
        return {f.name: "no" for f in FIELDS}
    if kind == "loud":
        return {f.name: "yes" if (place // 4 + k) % 2 else "no" for k, f in enumerate(FIELDS)}
    return {n: v if place % 10 else "no" for n, v in gold.items()}


def side(kind: str) -> Side:
    parts = {}
    for part in ("dev", "test"):
        answers = [Answer(example_id=e.id, record=says(kind, e, i)) for i, e in enumerate(notes(part))]
        both = zip(notes(part), answers, strict=True)
        scored = tuple(score_answer(e, a, FIELDS) for e, a in both)
        parts[part] = Evaluation(recipe=kind, split=part, scored=scored), tuple(answers)
    return Side(parts["dev"][0], parts["test"][0], parts["test"][1])


def report(before: str, after: str, metric: str = "", target: float | None = None) -> Report:
    task = Task(name="machines", fields=FIELDS, examples=notes("train"))
    train = task.examples
    rules = {
        name: baselines.predict(name, task, train, notes("test"))
        for name in ("majority", "always-positive", "keyword")
    }
    return build(
        ReportInputs(
            task="machines",
            fields=FIELDS,
            student="nano",
            teacher="rules",
            baseline=side(before),
            final=side(after),
            examples=notes("test"),
            rules=rules,
            metric=choice.choose(FIELDS, train, metric),
            trivial=frozenset({"majority", "always-positive"}),
            target=target,
        )
    )


def test_a_student_that_says_nothing_is_not_called_better() -> None:
    told = report("loud", "silent")
    assert told.metric == "macro_f1"
    assert told.finding != "better"
    assert "do not use it" in headline(told)


def test_where_accuracy_is_asked_for_a_constant_student_is_not_to_be_used() -> None:
    told = report("loud", "silent", "accuracy")
    assert told.finding == "better"
    line = headline(told)
    assert line.startswith("Better than the untouched student (accuracy ")
    assert "but no better than always giving the commonest answer (+0.0 points [+0.0, +0.0])" in line
    assert line.endswith("do not use it.")
    assert {found.field for found in told.constant} == {"leak", "rust"}


def test_a_student_that_reads_is_better_but_rules_may_do_as_well() -> None:
    told = report("loud", "reader")
    line = headline(told)
    assert told.finding == "better"
    assert "do not use it" not in line
    assert "but no better than 'keyword' (" in line
    assert "which needs no language model" in line
    assert told.constant == ()


@pytest.mark.parametrize(
    ("after", "target", "said"),
    [
        ("reader", 0.5, "is reached"),
        ("reader", 0.95, "may be reached or not"),
        ("loud", 0.9, "is missed"),
    ],
)
def test_the_third_step_is_the_target(after: str, target: float, said: str) -> None:
    told = report("silent", after, target=target)
    assert headline(told).endswith(f" The target {target:g} {said}.")


def test_an_unchanged_student_is_compared_all_the_same() -> None:
    line = headline(report("silent", "silent"))
    assert "the student is unchanged" in line
    assert "do not use it" in line
