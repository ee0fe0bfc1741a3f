"""The nodes that measure: prepare, baseline, diagnose, evaluate, judge.

Owns what each step reads and commits. Every effect is named by content, so that a node that is
entered again after a kill finds what it did before. Teaching is in ``graphs.teaching``, the end of a
run in ``graphs.ending``.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import JsonValue

from preceptor.core.errors import BudgetStop
from preceptor.core.kept import carried
from preceptor.core.ports import Evidence
from preceptor.core.record import Record
from preceptor.core.records import Attempt, Evaluation, Finding, Recipe, Situation
from preceptor.evals import findings, scorers
from preceptor.evals.metrics import resampling
from preceptor.evals.metrics.worth import worth
from preceptor.graphs import findings_told, gates, judged, phrase_gains, readability, stops
from preceptor.graphs.session import Session, folds
from preceptor.graphs.state import RunState


class Decision(Record):
    """What becomes of a candidate.

    Attributes:
        outcome: As in an Attempt.
        reason: One line.
        gate: What is left of the error budget.
        verdict: The gate's; None if no look at dev was spent.
        dev: The candidate's evaluation on dev; empty if no look was spent.
    """

    outcome: Literal["accepted", "pending", "rejected"]
    reason: str
    gate: gates.GateState
    verdict: gates.Verdict | None = None
    dev: str = ""


def prepare(session: Session, state: RunState) -> RunState:
    """Seal the splits and keep the starting recipe."""
    splits = session.splits
    session.event(
        "prepared",
        "prepare",
        {
            "task": session.task.name,
            "task_fingerprint": session.task.fingerprint,
            "synthetic": session.task.synthetic,
            "seed": splits.seed,
            "notes": {"train": len(splits.train), "dev": len(splits.dev), "test": len(splits.test)},
            "sealed_test": session.splits.digest("test"),
            "dev": session.splits.digest("dev"),
            "train": session.splits.digest("train"),
            "metric": {"name": session.metric.name, "why": session.metric.why},
            "teacher": session.teacher.name,
            "student": session.start.model.model_dump(mode="json"),
        },
    )
    start = session.put(session.start)
    gate = gates.GateState.start(session.gate)
    return {
        "round": 0,
        "baseline": start,
        "incumbent": start,
        "working": start,
        "candidate": "",
        "attempts": "",
        "transcript": "",
        "gate": gate.model_dump(mode="json"),
        "fold": 0,
        "idle": 0,
        "bad_turns": 0,
        "looks": 0,
        "stop": "",
    }


def baseline(session: Session, state: RunState) -> RunState:
    """Measure the untouched student on dev."""
    recipe = session.recipe(state["baseline"])
    evaluation = session.evaluate(recipe, session.splits.dev, "dev")
    kept = session.put(evaluation)
    seen = readability.of(session, recipe, evaluation)
    warned: dict[str, JsonValue] = {"readable": seen.model_dump(mode="json")} if seen else {}
    loose = readability.loose(session, recipe, evaluation)
    if loose is not None:
        warned["schema"] = loose.model_dump(mode="json")
    train, dev = session.examples(session.splits.train), session.examples(session.splits.dev)
    constant = judged.best_constant(session.task, session.metric, train, dev)
    told: dict[str, JsonValue] = {"constant": constant.model_dump(mode="json"), **warned}
    session.event("baseline", "baseline", {**_summary(session, evaluation, kept), **told})
    stop: Literal["unreadable", ""] = "unreadable" if seen and seen.unusable else ""
    return {"base_dev": kept, "incumbent_dev": kept, "stop": stop}


def evidence(session: Session, state: RunState) -> Evidence:
    """Return what the teacher may look at in this round: the shown part of train."""
    recipe = session.recipe(state["working"])
    held = held_out(session, state)
    shown = [i for i in session.splits.train if i not in held] or list(session.splits.train)
    examples = session.examples(shown)
    answers = session.evaluator.answers(
        recipe, examples, lambda p: session.listener.progress("train", p)
    )
    fields, own = session.task.fields, session.metric.function
    both = zip(examples, answers, strict=True)
    scored = tuple(scorers.score_answer(e, a, fields, own) for e, a in both)
    train = tuple(session.examples(session.splits.train))
    weights = worth(session.metric, fields, scored)
    return Evidence(fields, recipe, tuple(examples), tuple(answers), scored, train, weights)


def held_out(session: Session, state: RunState) -> set[str]:
    """Return the ids of the part of train that is not shown in this round.

    Once weights were trained it stays the part that they did not learn from: on any other part they
    would look better than they are.
    """
    parts = folds(session.examples(session.splits.train), session.limits.folds, session.splits.seed)
    return parts[((state.get("fold") or state["round"]) - 1) % len(parts)]


def diagnose(session: Session, state: RunState) -> RunState:
    """Open a round: look at the errors on the shown part of train."""
    fresh: RunState = {**state, "round": state["round"] + 1}
    opened: RunState = {
        "round": fresh["round"],
        "candidate": "",
        "transcript": "",
        "move": "",
        "bad_turns": 0,
        "looks": 0,
    }
    try:
        seen = evidence(session, fresh)
    except BudgetStop as stop:
        return {**opened, "stop": _out_of_budget(session, fresh["round"], stop)}
    found = findings.diagnose(seen.examples, seen.answers, seen.fields, seen.recipe.prompt)
    situation = _situation(session, fresh, seen, found)
    kept = session.put(situation)
    session.event(
        "diagnosed",
        f"round-{fresh['round']}-diagnosed",
        {
            "round": fresh["round"],
            "working": state["working"],
            "situation": kept,
            "score": situation.score.model_dump(mode="json"),
            **findings_told.event(seen, found),
        },
    )
    return {**opened, "situation": kept, "stop": "" if found else "nothing_left"}


def _situation(
    session: Session,
    state: RunState,
    seen: Evidence,
    found: tuple[Finding, ...],
) -> Situation:
    gate = gates.GateState.model_validate(state["gate"])
    prospects = session.toolbox.prospects(seen)
    return Situation(
        round=state["round"],
        rounds_left=session.limits.rounds - state["round"],
        looks_left=gate.looks_left,
        score=resampling.interval(session.metric.statistic, seen.scored),
        metric=session.metric.name,
        dev=session.score(session.evaluation(state["incumbent_dev"])),
        fields=resampling.field_intervals(session.metric.statistic, seen.scored),
        findings=found,
        attempts=session.attempts(state["attempts"]),
        prospects=prospects,
        money=session.ledger.left(),
        pending=state["working"] != state["incumbent"],
        blocked=session.toolbox.blocked(seen, prospects),
    )


def evaluate(session: Session, state: RunState) -> RunState:
    """Estimate the candidate on the held-out part of train; this spends no look at dev."""
    held = held_out(session, state)
    ids = [i for i in session.splits.train if i in held]
    try:
        before = session.evaluate(session.recipe(state["working"]), ids, "train")
        after = session.evaluate(session.recipe(state["candidate"]), ids, "train")
    except BudgetStop as stop:
        return _cut_short(session, state, stop, None)
    both = resampling.pair(session.metric.statistic, before.scored, after.scored)
    gain = both.gain if math.isfinite(both.gain) else 0.0  # nothing to find on so few notes
    by_field = {
        name: round(float(change), 6)
        for name, change in zip(both.statistic.fields, both.field_gains(), strict=True)
        if math.isfinite(change)
    }
    session.event(
        "estimated",
        f"round-{state['round']}-estimated",
        {
            "round": state["round"],
            "candidate": state["candidate"],
            "gain": gain,
            "notes": len(ids),
            "from": session.score(before).value,
            "to": session.score(after).value,
            "fields": {**by_field},
            "hits_dropped": session.hits_dropped(state["candidate"], ids),
        },
    )
    move = Attempt.model_validate(session.get_list(state["move"])[0])
    by_phrase = phrase_gains.of_move(move.args, session.examples(ids), before.scored, after.scored)
    return {"estimate": gain, "field_gains": by_field, "phrase_gains": by_phrase}


def judge(session: Session, state: RunState) -> RunState:
    """Accept, hold or roll back, and say why."""
    if state["stop"]:
        return {}
    try:
        decision = _decide(session, state)
    except BudgetStop as stop:
        return _cut_short(session, state, stop, state["estimate"])
    changed = _standing(state, decision)
    weights = session.recipe(changed.get("working", state["working"])).adapter
    fold = (state.get("fold") or state["round"]) if weights is not None else 0
    session.event(
        "verdict",
        f"round-{state['round']}-verdict",
        {
            "round": state["round"],
            "candidate": state["candidate"],
            "incumbent": changed.get("incumbent", state["incumbent"]),
            "working": changed.get("working", state["working"]),
            "estimate": state["estimate"],
            **decision.model_dump(mode="json"),
            **_carried(session, state, decision),
        },
    )
    session.listener.money(session.ledger.spent())
    update: RunState = {
        **changed,
        "fold": fold,
        "attempts": _remember(session, state, decision),
        "gate": decision.gate.model_dump(mode="json"),
        "candidate": "",
    }
    merged: RunState = {**state, **update}
    return {**update, "stop": stops.reason(session, merged) or ""}


def _decide(session: Session, state: RunState) -> Decision:
    gate = gates.GateState.model_validate(state["gate"])
    if not gates.worth_a_look(state["estimate"]):
        why = f"{100 * state['estimate']:+.1f} points on held-out train: no look at dev spent"
        return Decision(outcome="rejected", reason=why, gate=gate)
    incumbent = session.evaluation(state["incumbent_dev"])
    recipe = session.recipe(state["candidate"])
    after = session.evaluate(recipe, session.splits.dev, "dev")
    verdict, gate = gates.judge(incumbent, after, gate, session.gate, session.metric)
    return Decision(
        outcome=_OUTCOMES[verdict.outcome],
        reason=verdict.reason,
        gate=gate,
        verdict=verdict,
        dev=session.put(after),
    )


_OUTCOMES: dict[gates.Outcome, Literal["accepted", "pending", "rejected"]] = {
    "accept": "accepted",
    "pending": "pending",
    "reject": "rejected",
    "cannot_decide": "rejected",
}


def _standing(state: RunState, decision: Decision) -> RunState:
    """Return what a decision changes: incumbent, pending stack, rounds without progress."""
    if decision.outcome == "accepted":
        return {
            "incumbent": state["candidate"],
            "working": state["candidate"],
            "incumbent_dev": decision.dev,
            "idle": 0,
        }
    if decision.outcome == "pending":
        return {"working": state["candidate"], "idle": state["idle"] + 1}
    # A stack that dev speaks against is rolled back whole; a move that was not worth a look leaves
    # the stack under it standing.
    rolled = state["incumbent"] if decision.dev else state["working"]
    return {"working": rolled, "idle": state["idle"] + 1}


def _carried(session: Session, state: RunState, decision: Decision) -> dict[str, JsonValue]:
    """Return the rounds of pending moves that an acceptance keeps, if there are any."""
    if decision.outcome != "accepted":
        return {}
    move = Attempt.model_validate(session.get_list(state["move"])[0])
    rounds = carried(session.attempts(state["attempts"]), move)
    return {"carries": [*rounds]} if rounds else {}


def _remember(session: Session, state: RunState, decision: Decision) -> str:
    """Return the hash of all attempts, with this one."""
    move = Attempt.model_validate(session.get_list(state["move"])[0])
    done = move.model_copy(
        update={
            "outcome": decision.outcome,
            "reason": decision.reason,
            "train_gain": state["estimate"],
            "fields": state["field_gains"],
            "phrases": state.get("phrase_gains", {}),
            "dev_gain": decision.verdict.gain.value if decision.verdict else None,
        }
    )
    return session.put_list([*session.get_list(state["attempts"]), done.model_dump(mode="json")])


def _cut_short(session: Session, state: RunState, stop: BudgetStop, estimate: float | None) -> RunState:
    """Return what a budget that ends before the verdict leaves: the move stands in the report."""
    move = Attempt.model_validate(session.get_list(state["move"])[0])
    cut = move.model_copy(
        update={
            "outcome": "unfinished",
            "reason": "the budget ended before it was judged",
            "train_gain": estimate,
        }
    )
    attempts = [*session.get_list(state["attempts"]), cut.model_dump(mode="json")]
    ended = _out_of_budget(session, state["round"], stop)
    return {"stop": ended, "attempts": session.put_list(attempts)}


def _out_of_budget(session: Session, round_: int, stop: BudgetStop) -> Literal["budget"]:
    session.event("budget", f"round-{round_}-budget", {"round": round_, "why": stop.message})
    return "budget"


def _summary(session: Session, evaluation: Evaluation, kept: str) -> dict[str, JsonValue]:
    return {
        "recipe": evaluation.recipe,
        "split": evaluation.split,
        "evaluation": kept,
        "notes": len(evaluation.scored),
        "score": session.score(evaluation).model_dump(mode="json"),
        "metric": session.metric.name,
    }


def recipes(session: Session, state: RunState) -> tuple[Recipe, Recipe]:
    """Return (baseline, incumbent)."""
    return session.recipe(state["baseline"]), session.recipe(state["incumbent"])
