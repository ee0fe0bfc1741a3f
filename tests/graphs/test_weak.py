"""Weak labels in a run: who labels what, and how the labels come back to a training."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence
from preceptor.core.record import digest
from preceptor.core.records import Answer, Example, ModelRef, Recipe, ToolCall
from preceptor.core.runs import Artefacts
from preceptor.evals import baselines, splits
from preceptor.evals.task import Task
from preceptor.graphs import training, weak
from preceptor.tools.distill.label import LabelExamplesArgs
from tests.contracts.evidence import blind, evidence_of
from tests.graphs import small


def task(unlabelled: int = 20) -> Task:
    """Return the small task with notes that nobody has labelled, one a copy of a dev note."""
    whole = small.task()
    drawn = splits.make(whole)
    more = [
        Example(id=f"u{i}", group=f"q{i}", text=f"Fever and no cough, seen on day {i}.")
        for i in range(unlabelled)
    ]
    copied = drawn.examples(whole, "dev")[0].text
    more.append(Example(id="copy", group="q-copy", text=copied))
    return whole.model_copy(update={"examples": (*whole.examples, *more)})


def evidence(whole: Task) -> Evidence:
    shown = splits.make(whole).examples(whole, "train")
    recipe = Recipe(model=ModelRef(spec="simulated"))
    return evidence_of(shown, blind, recipe, whole.fields)


def test_rules_label_what_nobody_has_and_training_finds_it(tmp_path: Path) -> None:
    whole = task()
    drawn = splits.make(whole)
    guard = training.guard(whole, drawn)
    tool = weak.labeller(whole, drawn, guard, None)
    assert tool is not None
    result = tool.run(LabelExamplesArgs(voters=("context", "keyword")), evidence(whole))
    store = Artefacts(tmp_path)
    (named,) = (store.put(raw) for raw in result.artefacts.values())
    found = weak.reader(store.get, whole, drawn)(named)
    assert {n.id for n in found.labels.notes} == {f"u{i}" for i in range(20)}
    labels = found.labels.notes[0].labels
    assert (labels["fever"].value, labels["fever"].agreement) == ("yes", 1.0)
    assert labels["cough"].agreement == 0.5
    guard.check([n for n in found.notes if n.id.startswith("u")])
    with pytest.raises(InputError, match="nearly repeat a dev or test note"):
        guard.check([n for n in found.notes if n.id == "copy"])
    with pytest.raises(InputError, match="there are no weak labels"):
        weak.reader(store.get, whole, drawn)(digest("others"))


def test_no_unlabelled_notes_no_look() -> None:
    whole = small.task()
    drawn = splits.make(whole)
    assert weak.labeller(whole, drawn, training.guard(whole, drawn), None) is None


def test_rules_mine_the_shown_notes_only() -> None:
    whole = task()
    seen = evidence(whole)
    notes = [n for n in whole.examples if n.gold is None]
    said = weak.rules(whole, "context+mined")(seen, notes)
    wanted = baselines.predict("context+mined", whole, seen.examples, notes)
    assert [v.values for v in said] == [wanted[n.id] for n in notes]


class Says:
    """An evaluator whose answers are given."""

    def answers(self, recipe, examples, on_progress=None):  # type: ignore[no-untyped-def]
        return [
            Answer(
                example_id=e.id,
                record={"fever": "yes", "rash": "no"},
                status="invalid",
                problems={"rash": "invalid"},
                confidence={"fever": 0.7},
            )
            for e in examples
        ]

    def evaluate(self, recipe, examples, split, on_progress=None):  # type: ignore[no-untyped-def]
        raise NotImplementedError


def test_a_student_votes_with_its_confidence_and_not_with_what_was_unread() -> None:
    whole = task(1)
    (vote,) = weak.student(Says())(evidence(whole), whole.examples[-1:])
    assert vote.values == {"fever": "yes"}
    assert vote.confidence == {"fever": 0.7}


def test_a_run_offers_the_look_where_it_can_be_used(tmp_path: Path) -> None:
    options = small.OPTIONS.model_copy(update={"task": "tests.graphs.test_weak:task"})
    with small.opened(tmp_path, options) as session:
        assert "label_examples" not in {t.name for t in session.toolbox.specs()}
        guard = training.guard(session.task, session.splits)
        tool = weak.labeller(session.task, session.splits, guard, None)
        assert tool is not None
    from preceptor.graphs import moves
    from preceptor.tools.sft.faces import Faces
    from preceptor.tools.sft.finetune import FineTune

    nano = options.model_copy(update={"student": "nano"})
    box = moves.toolbox(session.store, nano, None, FineTune(tmp_path, Faces()), tool)
    spec = {t.name: t for t in box.specs()}["label_examples"]
    assert not spec.changing
    box.validate(ToolCall(id="1", name="label_examples", args={"notes": 10}))
