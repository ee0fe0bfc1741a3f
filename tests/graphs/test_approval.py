"""A person's word before each change: asked once, answered anywhere, kept over a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.agents.scripted import ScriptedTeacher, Step
from preceptor.core.errors import InputError
from preceptor.core.text import sentences
from preceptor.core.trace import Event, read
from preceptor.graphs import approval, expecting, refine
from preceptor.graphs.approval import Decision, Proposal
from preceptor.graphs.session import Limits
from preceptor.graphs.state import RunState
from preceptor.tools.prompt import EditPrompt
from tests.graphs.small import OPTIONS, die, in_child, opened, task
from tests.graphs.test_loop import rule

ASKING = OPTIONS.model_copy(update={"approve": True, "limits": Limits(rounds=2, plateau=9)})
Decide = Callable[[Proposal], Decision | None]
RULE = "Count only what is said of the patient today."
SCRIPT: list[list[Step]] = [[rule(RULE), rule("Another rule than that one.")]]


class Listening(ScriptedTeacher):
    """A scripted teacher that keeps the transcripts it was shown."""

    def __init__(self, rounds: Sequence[Sequence[Step]]) -> None:
        super().__init__(rounds)
        self.heard: list[str] = []

    def turn(self, situation, evidence, transcript, tools):  # type: ignore[no-untyped-def]
        self.heard.append(json.dumps(transcript))
        return super().turn(situation, evidence, transcript, tools)


def played(
    root: Path, decide: Decide | None, script: Sequence[Sequence[Step]] = SCRIPT
) -> tuple[RunState, Listening]:
    teacher = Listening(script)
    with opened(root, ASKING) as session:
        return refine.run(replace(session, teacher=teacher), decide), teacher


def events(root: Path, kind: str) -> list[Event]:
    return [e for e in read(root / "run" / "trace.jsonl") if e.kind == kind]


def patch(text: str) -> dict[str, JsonValue]:
    return dict(rule(text)["edit_prompt"])


def yes(_: Proposal) -> Decision:
    return Decision(action="approve")


def test_a_person_sees_diagnosis_move_diff_and_cost(tmp_path: Path) -> None:
    seen: list[Proposal] = []

    def decide(proposal: Proposal) -> Decision:
        seen.append(proposal)
        return Decision(action="approve")

    played(tmp_path, decide)
    first = seen[0]
    assert (first.round, first.call.name) == (1, "edit_prompt")
    assert any("missed" in line for line in first.diagnosis)
    assert any(line.startswith("+") and RULE in line for line in first.diff)
    assert first.calls == 3 * (12 + 30)
    assert [e.data["action"] for e in events(tmp_path, "approval")] == ["approve"]
    assert len(events(tmp_path, "move")) == 1


def test_edited_arguments_are_those_that_are_tried(tmp_path: Path) -> None:
    edited = Decision(action="edit", args=patch("A person's own rule."))
    played(tmp_path, lambda _: edited)
    [move] = events(tmp_path, "move")
    assert "A person's own rule." in json.dumps(move.data["args"])
    assert RULE not in json.dumps(move.data["args"])


def test_a_rejection_is_read_by_the_teacher_and_remembered(tmp_path: Path) -> None:
    answers = [
        Decision(action="reject", reason="that rule is wrong here"),
        Decision(action="approve"),
    ]

    def decide(_: Proposal) -> Decision:
        return answers.pop(0)

    state, teacher = played(tmp_path, decide)
    assert "that rule is wrong here" in teacher.heard[1]
    [move] = events(tmp_path, "move")
    assert "Another rule" in json.dumps(move.data["args"])
    assert move.data["round"] == 1, "a rejected move takes no round"
    with opened(tmp_path, ASKING) as session:
        attempts = session.attempts(state["attempts"])
    assert "that rule is wrong here" in attempts[0].reason
    assert attempts[0].outcome == "rejected"


def test_without_a_person_the_run_waits_and_is_answered_by_another_process(tmp_path: Path) -> None:
    def first() -> None:
        with pytest.raises(approval.Waiting, match="preceptor approve"):
            played(tmp_path, None)

    assert in_child(first) == 0
    assert in_child(first) == 0, "a restart waits again"
    assert not events(tmp_path, "move")
    with opened(tmp_path, ASKING) as session:
        proposal = approval.pending(session)
    assert proposal is not None
    assert RULE in json.dumps(proposal.call.args)
    state, _ = played(tmp_path, yes)
    assert state["stop"] == "finished"
    assert len(events(tmp_path, "turn")) == 2, "the teacher was not asked again"
    assert len(events(tmp_path, "approval")) == 1
    with opened(tmp_path, ASKING) as session:
        assert approval.pending(session) is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_answer_loses_and_doubles_nothing(tmp_path: Path, when: str) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    played(whole, yes)

    def dying() -> None:
        node = refine.NODES["approve"]

        def dies(session, state):  # type: ignore[no-untyped-def]
            found = node(session, state)
            die()
            return found

        if when == "after":
            refine.NODES["approve"] = dies
        played(killed, (lambda _: die()) if when == "before" else yes)

    assert in_child(dying) == -9
    played(killed, yes)
    kinds = [[e.kind for e in read(root / "run" / "trace.jsonl")] for root in (whole, killed)]
    assert kinds[0] == kinds[1]


def test_what_is_no_move_is_not_asked_about(tmp_path: Path) -> None:
    script: list[list[Step]] = [
        [
            "Prose.",
            {"errors_by_field": {}},
            {"edit_prompt": {"patches": []}},
            {"finish": {"reason": "x"}},
        ]
    ]
    asked: list[Proposal] = []
    state, _ = played(tmp_path, lambda p: asked.append(p), script)
    assert asked == []
    assert state["stop"] == "finished"


def test_a_costly_tool_is_not_tried_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    run = EditPrompt.run

    def counted(self, args, evidence):  # type: ignore[no-untyped-def]
        ran.append(1)
        return run(self, args, evidence)

    monkeypatch.setattr(EditPrompt, "costly", True, raising=False)
    monkeypatch.setattr(EditPrompt, "run", counted)

    def decide(proposal: Proposal) -> Decision:
        assert ran == []
        assert proposal.diff == ()
        return Decision(action="approve")

    played(tmp_path, decide)
    assert ran == [1]


def test_answers_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such argument"):
        played(tmp_path, lambda _: Decision(action="edit", args={"labels": []}))
    with pytest.raises(InputError, match="needs a reason"):
        played(tmp_path, lambda _: Decision(action="reject", reason=" "))
    assert not events(tmp_path, "approval")


USELESS: dict[str, tuple[dict[str, JsonValue], str]] = {
    "refused": (
        {"patches": [{"kind": "add_look_for", "field": "nope", "phrases": ["hot"]}]},
        "no field 'nope'",
    ),
    "no effect": (
        {"patches": [{"kind": "drop_look_for", "field": "fever", "phrases": ["unheard"]}]},
        "Nothing changed",
    ),
}


@pytest.mark.parametrize(("args", "words"), USELESS.values(), ids=USELESS.keys())
def test_an_edit_that_its_tool_would_refuse_is_not_taken(
    args: dict[str, JsonValue], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        played(tmp_path, lambda _: Decision(action="edit", args=args))
    assert [e.kind for e in read(tmp_path / "run" / "trace.jsonl")][-1] == "asked"
    with opened(tmp_path, ASKING) as session:
        proposal = approval.pending(session)
        assert proposal is not None
        with pytest.raises(InputError, match=words):
            approval.check(session, proposal, Decision(action="edit", args=args))
        approval.check(session, proposal, Decision(action="edit", args=patch("Mine.")))
    _, teacher = played(tmp_path, yes)
    assert len(events(tmp_path, "approval")) == 1
    assert words not in "".join(teacher.heard), "the slip was the person's"


def test_an_edit_to_what_was_tried_in_another_round_is_not_taken(tmp_path: Path) -> None:
    script: list[list[Step]] = [[rule(RULE)], [rule("Another rule than that one.")]]

    def decide(proposal: Proposal) -> Decision:
        if proposal.round == 1:
            return Decision(action="approve")
        return Decision(action="edit", args=patch(RULE))

    with pytest.raises(InputError, match="exactly what was tried in round 1"):
        played(tmp_path, decide, script)


def test_a_training_that_would_be_refused_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trying it costs something: what it would take is asked instead."""
    monkeypatch.setattr(EditPrompt, "costly", True, raising=False)
    tried: list[JsonValue] = []

    def expected(session, call, seen, notes, added):  # type: ignore[no-untyped-def]
        tried.append(call.args)
        if "forbidden" in json.dumps(call.args):
            raise InputError("no such training")
        return expecting.Expected(1, 0.0)

    monkeypatch.setattr(expecting, "of", expected)
    with pytest.raises(InputError, match="no such training"):
        played(tmp_path, lambda _: Decision(action="edit", args=patch("forbidden")))
    assert len(tried) == 2


def test_the_same_question_asked_again_in_a_round_has_its_own_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A costly move is not tried before the word; the rule teacher proposes it again, word by word."""
    monkeypatch.setattr(EditPrompt, "costly", True, raising=False)
    options = ASKING.model_copy(update={"moves": ("edit_prompt",), "limits": Limits(rounds=1)})
    asked: list[Proposal] = []
    edits = [Decision(action="edit", args=USELESS["no effect"][0])]

    def once(proposal: Proposal) -> Decision | None:
        asked.append(proposal)
        return edits.pop() if edits else None

    for decide in (once, None):
        with opened(tmp_path, options) as session, pytest.raises(approval.Waiting):
            refine.run(session, decide)
        assert [e.kind for e in read(tmp_path / "run" / "trace.jsonl")][-1] == "asked"
        assert len(events(tmp_path, "asked")) == 2, "a restart repeats no question"
    assert asked[0] == asked[1]
    with opened(tmp_path, options) as session:
        refine.run(session, yes)
    assert [e.data["action"] for e in events(tmp_path, "approval")] == ["edit", "approve"]


def test_the_checkpoint_of_a_waiting_run_holds_no_note(tmp_path: Path) -> None:
    def script() -> list[list[Step]]:
        with opened(tmp_path / "look", ASKING) as session:
            shown = session.examples(session.splits.train)
        out: list[Step] = []
        for example in shown[:12]:
            for sentence in sentences(example.text):
                shot: dict[str, JsonValue] = {"kind": "add_shot", "field": "fever"}
                found = {**shot, "example_id": example.id, "sentence": sentence}
                out.append({"edit_prompt": {"patches": [found]}})
        return [out]

    with pytest.raises(approval.Waiting):
        played(tmp_path, None, script())
    stored = b"".join(p.read_bytes() for p in (tmp_path / "run").glob("checkpoint.sqlite*"))
    said = {s for e in task().examples for s in sentences(e.text) if len(s) >= 20}
    assert not [s for s in said if s.encode() in stored]
