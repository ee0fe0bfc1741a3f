"""When the rule teacher ends a run it names what stands in the way of each kind of move."""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.agents.rules import RuleTeacher
from preceptor.core.blocked import Blocked, read
from preceptor.core.ports import Evidence, ToolSpec
from preceptor.core.prospect import Prospect
from preceptor.core.records import Attempt, TeacherTurn
from tests.agents.test_rules import TOOLS
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.contracts.teacher import situation_of

NAMES = ("index_examples", "fine_tune", "label_examples")
ALL = (*TOOLS, *(ToolSpec(n, "", {}, n != "label_examples") for n in NAMES))


def reasons(turn: TeacherTurn) -> dict[str, str]:
    (call,) = turn.calls
    assert call.name == "finish"
    found = read(call.args["blocked"])
    assert all(f"{one.move}: {one.reason}" in turn.text for one in found)
    return {one.move: one.reason for one in found}


def asked(evidence: Evidence, tools: Sequence[ToolSpec] = ALL, **more: object) -> dict[str, str]:
    return reasons(RuleTeacher().turn(situation_of(evidence, **more), evidence, [], tools))


def perfect() -> Evidence:
    return evidence_of(corpus(), lambda e, f: (e.gold or {})[f.name])


def test_nothing_is_wrong() -> None:
    assert asked(perfect())["edit_prompt"] == "no answer on the shown part of train is wrong"


def test_no_phrase_separates_the_errors() -> None:
    notes = tuple(e.model_copy(update={"text": "Seen today."}) for e in corpus(60))
    found = asked(evidence_of(notes, blind))
    assert found["edit_prompt"].startswith("no phrase in train separates the ")


def test_answers_that_say_nothing() -> None:
    found = asked(evidence_of(corpus(40), lambda e, f: None))
    assert (
        "160 of 160 wrong answers say nothing (0 of 40 answers can be read: 40 not in"
        in (found["edit_prompt"])
    )


def test_everything_was_tried() -> None:
    evidence = evidence_of(corpus(60), blind)
    attempts: list[Attempt] = []
    turn = RuleTeacher().turn(situation_of(evidence), evidence, [], TOOLS)
    for number in range(1, 60):
        told = situation_of(evidence, round=number, attempts=tuple(attempts))
        turn = RuleTeacher().turn(told, evidence, [], TOOLS)
        if turn.calls[0].name == "finish":
            break
        call = turn.calls[0]
        attempts.append(
            Attempt(round=number, tool=call.name, args=call.args, outcome="rejected", train_gain=-0.01)
        )
    found = reasons(turn)["edit_prompt"]
    assert found.startswith("all ") or "after what earlier ones brought" in found, found
    assert ("tried" in found) or ("less than the 0.2 that a round is worth" in found)


def test_prospects_that_are_tried_or_small() -> None:
    index = Prospect(tool="index_examples", args={"k": 2}, gain=0.05, repairs=3)
    tune = Prospect(tool="fine_tune", args={"profile": "standard"}, gain=0.001)
    done = Attempt(
        round=1, tool="index_examples", args={"k": 2, "expected_gain": 0.05}, outcome="rejected"
    )
    found = asked(perfect(), prospects=(index, tune), attempts=(done,))
    assert found["index_examples"] == "the one call that train speaks for was tried"
    assert found["fine_tune"] == (
        "the best of 1 that were not tried promises +0.1 points on train: "
        "less than the 0.2 that a round is worth"
    )
    assert found["label_examples"] == "its labels are of use to fine_tune alone"


def test_what_the_tools_say_of_themselves_comes_through_and_what_is_not_offered_too() -> None:
    told = (
        Blocked(move="index_examples", reason="no example of another patient has the right answer"),
        Blocked(move="fine_tune", reason="student 'openai:x' cannot be fine-tuned here"),
    )
    found = asked(perfect(), TOOLS, blocked=told)
    assert list(found) == ["edit_prompt", "index_examples", "fine_tune"]
    assert found["fine_tune"] == told[1].reason


def test_no_look_is_left() -> None:
    evidence = evidence_of(corpus(60), blind)
    assert asked(evidence, TOOLS, looks_left=0) == {"edit_prompt": "no look at dev is left"}
