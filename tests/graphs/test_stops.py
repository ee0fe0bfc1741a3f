"""How a run ends, and what it says of it: unreadable students, blocked moves, moves kept later."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from preceptor.agents.rules import RuleTeacher
from preceptor.agents.scripted import ScriptedTeacher
from preceptor.agents.students.scripted import ScriptedStudent, nothing_found
from preceptor.cli.words import line
from preceptor.core.records import Call
from preceptor.core.render import answer_text
from preceptor.core.runs import openings
from preceptor.core.trace import read
from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings
from preceptor.evals.report import Report
from preceptor.graphs import refine
from preceptor.graphs.session import Limits, Session
from tests.graphs.small import OPTIONS, finished, opened, task

GOLD = {e.id: e for e in task().examples}


def right(call: Call) -> str:
    return answer_text(GOLD[call.example_id].gold or {}, call.fields)


def empty(call: Call) -> str:
    return answer_text(nothing_found(call.fields), call.fields)


def played(session: Session, say: Callable[[Call], str]) -> tuple[Session, ScriptedStudent]:
    """Return the session with a scripted student in place of its own."""
    student = ScriptedStudent(say)
    evaluator = CachedEvaluator(
        EvaluatorSettings(session.task.fields), lambda _: student, session.store.cache
    )
    start = session.start.model_copy(update={"model": student.ref})
    return replace(session, evaluator=evaluator, start=start), student


@contextmanager
def with_student(root: Path, say: Callable[[Call], str]) -> Iterator[tuple[Session, ScriptedStudent]]:
    with opened(root) as session:
        yield played(session, say)


def event(root: Path, kind: str) -> dict[str, JsonValue]:
    return next(e.data for e in read(root / "run" / "trace.jsonl") if e.kind == kind)


def report(root: Path) -> Report:
    return Report.model_validate_json((root / "run" / "report.json").read_text("utf-8"))


def test_an_unreadable_baseline_ends_before_the_test_and_again_for_nothing(tmp_path: Path) -> None:
    with with_student(tmp_path, lambda call: "I cannot say.") as (session, student):
        state = refine.run(session)
        assert (state["stop"], refine.exit_code(state)) == ("unreadable", 5)
        assert student.answered == 3 * len(session.splits.dev)
    folder = tmp_path / "run"
    assert openings(tmp_path, "small") == []
    assert not (folder / "bundle").exists()
    assert not list(folder.glob("test_answers*"))
    found = report(tmp_path)
    assert found.test is None
    assert "0 of 30 answers can be read: 30 not in the asked form" in found.unmeasured
    said = (folder / "report.txt").read_text("utf-8")
    assert said.splitlines()[0].startswith("Synthetic data. Not measured: the untouched student is")
    assert "another student" in said
    assert "unusable" in line("stopped", event(tmp_path, "stopped"))
    before = {p: p.read_bytes() for p in (folder / "report.json", folder / "trace.jsonl")}
    with with_student(tmp_path, lambda call: "I cannot say.") as (session, student):
        assert refine.exit_code(refine.run(session)) == 5
        assert student.answered == 0
    assert before == {p: p.read_bytes() for p in before}


def test_the_warning_comes_at_half_and_not_above(tmp_path: Path) -> None:
    def good(share: int) -> Callable[[Call], str]:
        return lambda call: right(call) if dev.index(call.example_id) < share else "no idea"

    for share, warned in ((2, True), (15, True), (16, False)):
        root = tmp_path / str(share)
        with opened(root) as session:
            dev = [*session.splits.dev]
            dev += [i for i in GOLD if i not in dev]
            made, _ = played(session, good(share))
            refine.run(replace(made, teacher=ScriptedTeacher([])))
        assert ("readable" in event(root, "baseline")) is warned
        assert (report(root).readable is not None) is warned
        text = (root / "run" / "report.txt").read_text("utf-8")
        assert ("Warning: the untouched student, on dev" in text) is warned


def test_the_rule_teacher_s_finish_names_every_kind_of_move(tmp_path: Path) -> None:
    with with_student(tmp_path, right) as (session, _):
        # Errors that hardly anything explains: of two notes.
        sick = [i for i in session.splits.train if "yes" in (GOLD[i].gold or {}).values()]
        wrong = {sick[0], sick[-1]}
        blind, _ = played(session, lambda c: empty(c) if c.example_id in wrong else right(c))
        limits = Limits(rounds=40, plateau=40)
        state = refine.run(replace(blind, teacher=RuleTeacher(), limits=limits))
    assert state["stop"] == "finished"
    found = report(tmp_path)
    moves = [one.move for one in found.blocked]
    assert moves == ["edit_prompt", "index_examples", "fine_tune", "label_examples"]
    assert all(one.reason for one in found.blocked)
    said = (tmp_path / "run" / "report.txt").read_text("utf-8")
    assert "Why it ended\n  the teacher sees nothing promising left\n  edit_prompt: " in said
    end = line("stopped", event(tmp_path, "stopped"))
    assert end.splitlines()[0] == "End: the teacher sees nothing promising left."
    assert [row.split(":")[0].strip() for row in end.splitlines()[1:]] == moves
    data = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
    assert {"move", "reason"} == set(data["blocked"][0])


def test_a_chat_teacher_s_finish_keeps_its_own_words(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        said = ScriptedTeacher([[{"finish": {"reason": "Two of us\nlooked: enough."}}]])
        refine.run(replace(session, teacher=said))
    words = "the teacher sees nothing promising left: Two of us looked: enough."
    assert event(tmp_path, "stopped")["words"] == words
    assert "blocked" not in event(tmp_path, "stopped")
    assert report(tmp_path).stop == words


def test_moves_that_are_not_allowed_say_so(tmp_path: Path) -> None:
    options = OPTIONS.model_copy(
        update={"moves": ("edit_prompt",), "limits": Limits(rounds=1, plateau=1)}
    )
    finished(tmp_path, options)
    told = event(tmp_path, "diagnosed")
    with opened(tmp_path) as session:
        found = {b.move: b.reason for b in session.situation(str(told["situation"])).blocked}
    assert found["index_examples"] == found["fine_tune"] == "not among --moves"


def test_a_constant_answer_is_told_in_console_trace_and_to_the_teacher(tmp_path: Path) -> None:
    from preceptor.agents import brief
    from preceptor.cli.tracing import text
    from preceptor.graphs import nodes

    with with_student(tmp_path, empty) as (session, _):
        state = refine.run(replace(session, teacher=ScriptedTeacher([])))
        told = session.situation(state["situation"])
        seen = nodes.evidence(session, state)
        _, user = brief.brief(told, seen, session.toolbox.specs(), 6000)
    kinds = [f.kind for f in told.findings]
    assert kinds == sorted(kinds, key=lambda k: k != "constant_answer")
    assert kinds.count("constant_answer") == 3
    shown = line("diagnosed", event(tmp_path, "diagnosed"))
    assert "answered alike: " in shown
    assert "nearly always" not in shown.splitlines()[0]
    assert "'no' in 100 % of answers (gold's commonest: " in shown
    assert "constant_answer in 'fever'" in user
    assert "index_examples" in user.partition("constant_answer in 'fever'")[2].splitlines()[0]
    assert ", constant answer: note" not in user
    whole = next(e for e in read(tmp_path / "run" / "trace.jsonl") if e.kind == "diagnosed")
    assert "constant answer" in text(whole)
    assert "'no' in 100 %" in text(whole)
    others = [f for f in whole.data["findings"] if f["kind"] != "constant_answer"]  # type: ignore[union-attr,index,call-overload]
    assert all(set(f) - {"cue"} == {"kind", "field", "count", "total"} for f in others)  # type: ignore[arg-type]


def test_a_finding_about_one_value_of_a_closed_list_names_it() -> None:
    from preceptor.cli.tracing import text
    from preceptor.core.records import Finding
    from preceptor.core.trace import Event
    from preceptor.graphs import findings_told

    found = [
        Finding.model_validate({"kind": k, "field": "aids", "count": n, "total": 9, **rest})
        for k, n, rest in (
            ("spurious", 4, {"example_ids": ("a",), "cue": "cane"}),
            ("wrong_value", 3, {"example_ids": ("a",), "cue": "walker for cane"}),
            ("missed", 2, {"example_ids": ("a",)}),
        )
    ]
    told: list[JsonValue] = [findings_told.told(f) for f in found]
    data: dict[str, JsonValue] = {"round": 1, "score": None, "findings": told}
    shown = line("diagnosed", data)
    assert "aids spurious (cane) 4, aids wrong value (walker for cane) 3, aids missed 2" in shown
    event_ = Event(
        v=1, seq=1, time="2024-01-01T10:00:00", attempt=1, kind="diagnosed", key="k", data=data
    )
    assert text(event_).splitlines()[1].endswith("4 of 9  cane")


def test_the_rule_teacher_works_on_with_constant_answers(tmp_path: Path) -> None:
    with with_student(tmp_path, empty) as (session, _):
        refine.run(replace(session, teacher=RuleTeacher(), limits=Limits(rounds=1)))
    assert event(tmp_path, "move")["tool"] in ("edit_prompt", "index_examples")


def test_a_pending_move_that_a_later_acceptance_carries_is_told_as_kept(tmp_path: Path) -> None:
    options = OPTIONS.model_copy(
        update={"seed": 5, "moves": ("edit_prompt",), "limits": Limits(rounds=2, plateau=2)}
    )
    finished(tmp_path, options)
    verdicts = [e.data for e in read(tmp_path / "run" / "trace.jsonl") if e.kind == "verdict"]
    assert [v["outcome"] for v in verdicts] == ["pending", "accepted"]
    assert verdicts[1]["carries"] == [1]
    assert line("verdict", verdicts[1]).endswith("with it, what was pending of round 1 is kept")
    assert [a.kept_with for a in report(tmp_path).attempts] == [2, None]
    assert "kept (with round 2)" in (tmp_path / "run" / "report.txt").read_text("utf-8")
    # What the trace says of the recipes: the accepted one was made from the pending one.
    moves = [e.data for e in read(tmp_path / "run" / "trace.jsonl") if e.kind == "move"]
    assert moves[1]["from"] == moves[0]["candidate"]
