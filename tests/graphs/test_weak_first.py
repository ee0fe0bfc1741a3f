"""The rule teacher has notes labelled before a training, and learns from both if that is good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.core.ports import Evidence, ToolResult
from preceptor.core.prospect import Prospect
from preceptor.core.records import AdapterRef
from preceptor.core.trace import read
from preceptor.evals.task import Task
from preceptor.graphs import refine, training, weak
from preceptor.graphs.session import Limits
from preceptor.tools.sft.args import FineTuneArgs
from preceptor.tools.toolbox import Toolbox
from tests.graphs import small, test_weak


def vague() -> Task:
    """Return the small task, whose wordings rules hardly know, with 30 notes nobody has labelled."""
    return test_weak.task(30)


def plain() -> Task:
    """Return the same, with notes that name what they mean."""
    whole = vague()
    names = [f.name for f in whole.fields]
    named = tuple(
        e.model_copy(
            update={
                "text": f"Visit {e.id}, {len(e.text)} words. "
                + " ".join(f"He had {n} at home." for n in names if (e.gold or {}).get(n) == "yes")
            }
        )
        for e in whole.examples
    )
    return whole.model_copy(update={"examples": named})


class Tuner:
    """The move ``fine_tune`` of the simulated student: it trains nothing, and keeps what was asked."""

    name, description, changing, args = "fine_tune", "Train.", True, FineTuneArgs

    def __init__(self) -> None:
        self.asked: list[FineTuneArgs] = []

    def run(self, args: FineTuneArgs, evidence: Evidence) -> ToolResult:
        self.asked.append(args)
        adapter = AdapterRef(digest=f"{len(self.asked):020d}")
        return ToolResult("Trained.", evidence.recipe.model_copy(update={"adapter": adapter}))

    def prospects(self, evidence: Evidence) -> Sequence[Prospect]:
        return [Prospect(tool=self.name, args={"profile": "standard"}, gain=0.2, why="a guess")]


@pytest.mark.parametrize(
    ("named", "data"), [("plain", "both"), ("vague", "gold")], ids=["good labels", "not good enough"]
)
def test_before_a_training_it_asks_what_rules_say(tmp_path: Path, named: str, data: str) -> None:
    tuner = Tuner()
    options = small.OPTIONS.model_copy(
        update={"task": f"tests.graphs.test_weak_first:{named}", "limits": Limits(rounds=1)}
    )
    with small.opened(tmp_path, options) as session:
        guard = training.guard(session.task, session.splits)
        labeller = weak.labeller(session.task, session.splits, guard, session.evaluator)
        assert labeller is not None
        refine.run(replace(session, toolbox=Toolbox([tuner, labeller])))
        (asked,) = tuner.asked
        assert asked.data == data
        if asked.weak is not None:
            get = session.store.artefacts.get
            found = weak.reader(get, session.task, session.splits)(asked.weak.labels)
            assert {n.id for n in found.labels.notes} >= {f"u{i}" for i in range(20)}
    turns = [e.data for e in read(tmp_path / "run" / "trace.jsonl") if e.kind == "turn"]
    calls = [call for turn in turns for call in turn["calls"]]  # type: ignore[union-attr]
    assert [call["name"] for call in calls] == ["label_examples", "fine_tune"]  # type: ignore[call-overload,index]


def test_it_asks_for_no_labels_where_there_is_no_such_look(tmp_path: Path) -> None:
    tuner = Tuner()
    options = small.OPTIONS.model_copy(update={"limits": Limits(rounds=1)})
    with small.opened(tmp_path, options) as session:
        refine.run(replace(session, toolbox=Toolbox([tuner])))
    assert [args.data for args in tuner.asked] == ["gold"]
