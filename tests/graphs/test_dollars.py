"""A student that costs dollars: booked, limited, kept back for the sealed test, told before a move."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.agents.scripted import ScriptedTeacher
from preceptor.cli.asking import text
from preceptor.core.errors import InputError
from preceptor.core.ledger import Budget
from preceptor.core.ports import Evidence
from preceptor.core.records import ToolCall
from preceptor.core.settings import Settings
from preceptor.graphs import expecting, refine, wiring
from preceptor.graphs.approval import Decision, Proposal
from preceptor.graphs.session import Limits, Session
from preceptor.tools.sft.data import Guard
from tests.graphs.small import OPTIONS
from tests.graphs.test_loop import rule

PRICED = Settings(prices={"simulated": {"input": 2000, "output": 8000}})
ONE = OPTIONS.model_copy(update={"limits": Limits(rounds=1), "approve": True})


def limited(dollars: float) -> wiring.Options:
    return ONE.model_copy(update={"budget": Budget(dollars=dollars)})


def played(
    root: Path, options: wiring.Options, settings: Settings = PRICED
) -> tuple[Session, str, str]:
    """Run one round in which a rule is written; return the session, why it ended, what was shown."""
    shown: list[str] = []
    with wiring.create(options, root, "run", settings) as opened:
        session = replace(opened, teacher=ScriptedTeacher([[rule("Count what is said today.")]]))

        def decide(proposal: Proposal) -> Decision:
            shown.append(text(session, proposal))
            return Decision(action="approve")

        state = refine.run(session, decide)
        return session, str(state["stop"]), "\n".join(shown)


def test_what_a_student_costs_is_booked(tmp_path: Path) -> None:
    with wiring.create(ONE, tmp_path, "run", PRICED) as session:
        session.evaluate(session.start, session.splits.dev, "dev")
        given = session.evaluator.answers(session.start, session.examples(session.splits.dev))
        read = sum(a.prompt_tokens or 0 for a in given)
        written = sum(a.completion_tokens or 0 for a in given)
        assert read > 1000
        assert session.ledger.spent()["dollars"] == pytest.approx((2 * read + 8 * written) / 1000)
        assert session.ledger.unknown() == {}


def test_a_student_that_is_free_books_none(tmp_path: Path) -> None:
    session, _, shown = played(tmp_path, ONE, Settings())
    assert session.ledger.spent()["dollars"] == 0
    assert "dollars" not in shown


def test_dollars_end_a_run_and_the_sealed_test_is_still_paid(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0.01 dollars are too few .* at least") as least:
        played(tmp_path, limited(0.01))
    assert not (tmp_path / "run").exists()
    needed = float(least.value.hint.split()[0])
    session, stop, _ = played(tmp_path, limited(needed + 0.01))
    assert stop == "budget"
    with wiring.reopen(session.store.path, PRICED) as again:
        kinds = [e.kind for e in again.store.trace]
        assert "test" in kinds
        assert 0 < again.ledger.spent()["dollars"] <= needed + 0.01


def test_dollars_are_limited_and_the_price_is_unknown(tmp_path: Path) -> None:
    dear = limited(5).model_copy(update={"teacher": "rules"})
    nobody = PRICED.price_table().model_copy(update={"prices": ()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Settings, "price_table", lambda _: nobody)
        with pytest.raises(InputError, match="no price is known for"):
            played(tmp_path, dear)
    assert not (tmp_path / "run").exists()


def test_a_person_is_told_the_dollars_of_a_move(tmp_path: Path) -> None:
    session, _, shown = played(tmp_path, ONE)
    told = float(re.findall(r"about ([0-9.]+) dollars; \+", shown)[0])
    asked = next(e for e in session.store.trace if e.kind == "asked")
    proposal = session.store.artefacts.get_record(str(asked.data["proposal"]), Proposal)
    assert proposal.dollars == pytest.approx(told, abs=0.01)
    # What the baseline took for one dev note, for as many notes as the move may ask about.
    notes = proposal.calls / len(session.task.fields)
    dev = session.evaluator.answers(session.start, session.examples(session.splits.dev))
    mean = (
        sum(2 * (a.prompt_tokens or 0) + 8 * (a.completion_tokens or 0) for a in dev) / len(dev) / 1000
    )
    grown = 2 * proposal.added_tokens / 1000
    assert told == pytest.approx(notes * (mean + grown), rel=0.05)


def test_a_person_is_told_how_long_a_training_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl", reason="pip install preceptor[local]")
    options = ONE.model_copy(update={"student": "nano"})
    with wiring.create(options, tmp_path, "run", Settings()) as session:
        notes = tuple(session.examples(session.splits.train))
        seen = Evidence(session.task.fields, session.start, notes, (), ())
        quick, longer = (
            ToolCall(id="1", name="fine_tune", args={"profile": name}) for name in ("quick", "thorough")
        )
        with pytest.raises(InputError, match="nearly repeat"):
            expecting.of(session, quick, seen, 10, 0)
        monkeypatch.setattr(Guard, "check", lambda *_: None)
        cost = expecting.of(session, quick, seen, 10, 0)
        more = expecting.of(session, longer, seen, 10, 0)
        edit = ToolCall(id="1", name="edit_prompt", args=dict(rule("Nothing.")["edit_prompt"]))
        untrained = expecting.of(session, edit, seen, 10, 0)
    assert (cost.calls, cost.dollars) == (30, 0.0)
    assert 5 < cost.training_seconds < more.training_seconds
    assert untrained.training_seconds == 0
