"""What the loop does with what a teacher says: moves, looks, nonsense, stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.agents.scripted import ScriptedTeacher, Step
from preceptor.core.errors import InputError, Interrupted, StoreError
from preceptor.core.ledger import Budget
from preceptor.core.trace import Event, read
from preceptor.graphs import refine, stops, wiring
from preceptor.graphs.session import Limits
from preceptor.graphs.state import RunState
from tests.graphs.small import OPTIONS, SETTINGS, opened, task

FIELD = task().fields[0].name
LIMITS = Limits(rounds=3, plateau=3)


def rule(text: str) -> dict[str, dict[str, JsonValue]]:
    patch: dict[str, JsonValue] = {"kind": "add_rule", "field": FIELD, "text": text}
    return {"edit_prompt": {"patches": [patch]}}


def played(root: Path, rounds: Sequence[Sequence[Step]], limits: Limits = LIMITS) -> RunState:
    options = OPTIONS.model_copy(update={"limits": limits})
    with opened(root, options) as session:
        return refine.run(replace(session, teacher=ScriptedTeacher(rounds)))


def events(root: Path, kind: str = "") -> list[Event]:
    return [e for e in read(root / "run" / "trace.jsonl") if not kind or e.kind == kind]


def test_finish_ends_the_run_and_opens_the_test_once(tmp_path: Path) -> None:
    state = played(tmp_path, [[{"finish": {"reason": "enough"}}]])
    assert state["stop"] == "finished"
    assert refine.exit_code(state) == 0
    assert len(events(tmp_path, "test_opened")) == 1
    assert state["incumbent"] == state["baseline"]


def test_a_move_is_estimated_before_dev_is_looked_at(tmp_path: Path) -> None:
    played(tmp_path, [[rule("Count only what is said of the patient today.")]])
    kinds = [e.kind for e in events(tmp_path)]
    assert kinds.index("move") < kinds.index("estimated") < kinds.index("verdict")
    verdict = events(tmp_path, "verdict")[0].data
    # A useless rule makes the simulated student a little worse: no look at dev is spent.
    assert verdict["outcome"] == "rejected"
    assert verdict["dev"] == ""
    assert verdict["gate"] == {"alpha_left": 0.1, "looks_left": 4}


def test_looks_are_answered_and_limited(tmp_path: Path) -> None:
    look: Step = {"errors_by_field": {}}
    state = played(
        tmp_path,
        [[look, look, look, {"finish": {"reason": "seen enough"}}]],
        Limits(rounds=2, looks_per_round=2),
    )
    assert state["stop"] == "finished"
    assert [e.data["why"] for e in events(tmp_path, "corrected")] == [
        "No look is left in this round: make a changing move, or finish."
    ]


NONSENSE: dict[str, Step] = {
    "prose": "I think we should add a rule.",
    "broken": '{"patches": [',
    "unknown tool": {"delete_everything": {}},
    "extra argument": {"edit_prompt": {"patches": [], "labels": ["yes", "no"]}},
    "wrong type": {"edit_prompt": {"patches": "all of them"}},
    "two moves": [("edit_prompt", {"patches": []}), ("edit_prompt", {"patches": []})],
    "move and finish": [("edit_prompt", {"patches": []}), ("finish", {"reason": "done"})],
    "empty": [],
}


@pytest.mark.parametrize("step", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_corrected_and_then_ends_the_run(step: Step, tmp_path: Path) -> None:
    state = played(tmp_path, [[step] * 9])
    assert state["stop"] == "teacher"
    assert refine.exit_code(state) == 4
    corrected = events(tmp_path, "corrected")
    assert [e.data["in_a_row"] for e in corrected] == [1, 2, 3]
    assert all(str(e.data["why"]).strip() for e in corrected)
    assert (tmp_path / "run" / "bundle" / "bundle.json").exists()


def test_one_correction_is_forgiven(tmp_path: Path) -> None:
    step: Step = "Let me think."
    state = played(tmp_path, [[step, step, {"finish": {"reason": "ok"}}]])
    assert state["stop"] == "finished"


def test_rounds_and_plateau_end_a_run(tmp_path: Path) -> None:
    useless: list[list[Step]] = [[rule(f"Rule number {i} says nothing new.")] for i in range(9)]
    assert played(tmp_path / "a", useless, Limits(rounds=2, plateau=9))["stop"] == "rounds"
    assert played(tmp_path / "b", useless, Limits(rounds=9, plateau=2))["stop"] == "plateau"


def test_a_target_ends_a_run(tmp_path: Path) -> None:
    steps: list[list[Step]] = [[rule("Nothing new.")]]
    assert played(tmp_path, steps, Limits(rounds=9, target=0.01))["stop"] == "target"


def test_a_budget_ends_a_run_and_the_sealed_test_is_still_paid(tmp_path: Path) -> None:
    dev, test, fields = 30, 24, 3
    budget = Budget(student_calls=(dev + 2 * test) * fields + 20)
    options = OPTIONS.model_copy(update={"budget": budget})
    with opened(tmp_path, options) as session:
        state = refine.run(session)
    assert state["stop"] == "budget"
    assert refine.exit_code(state) == 3
    assert events(tmp_path, "test")[0].data["measured"] is True


def test_a_budget_below_baseline_and_test_leaves_no_folder(tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"budget": Budget(student_calls=100)})
    with pytest.raises(InputError, match="too few"), opened(tmp_path, options):
        pass
    assert not (tmp_path / "run").exists()


def test_a_stop_file_leaves_a_run_resumable(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        (session.store.path / "stop").touch()
        with pytest.raises(Interrupted):
            refine.run(session)
        assert not events(tmp_path, "test_opened")
        session.store.clear_stop()
        assert stops.EXIT_CODES.get(refine.run(session)["stop"], 0) == 0
    assert len(events(tmp_path, "test_opened")) == 1


def test_two_processes_cannot_have_one_run(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StoreError, match="run"), opened(tmp_path):
        pass


def test_changed_data_cannot_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path):
        pass
    changed = task().model_copy(update={"examples": task().examples[:-1]})
    monkeypatch.setattr("tests.graphs.small.task", lambda: changed)
    with (
        pytest.raises(StoreError, match="have changed"),
        wiring.reopen(tmp_path / "run", SETTINGS),
    ):
        pass


def test_the_teacher_never_sees_dev_or_test_text(tmp_path: Path) -> None:
    seen: list[str] = []

    class Watching(ScriptedTeacher):
        def turn(self, situation, evidence, transcript, tools):  # type: ignore[no-untyped-def]
            seen.extend(e.id for e in evidence.examples)
            seen.append(situation.to_json())
            return super().turn(situation, evidence, transcript, tools)

    steps: list[list[Mapping[str, Mapping[str, JsonValue]]]] = [[rule("Nothing new.")], [rule("Old.")]]
    with opened(tmp_path) as session:
        refine.run(replace(session, teacher=Watching(steps)))
        hidden = {*session.splits.dev, *session.splits.test}
        texts = [e.text for e in session.examples(sorted(hidden))]
    assert len(seen) > 20
    assert not hidden & set(seen)
    lines = {line.strip() for text in texts for line in text.splitlines() if len(line) > 30}
    shown = {e.text for e in task().examples if e.id in set(seen)}
    private = {line for line in lines if not any(line in text for text in shown)}
    assert private
    assert not [line for line in private if any(line in text for text in seen)]
