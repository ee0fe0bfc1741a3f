"""The nodes that end a run: finish (the sealed test, once, if it may be opened) and report.

Owns the opening of the test split and what is left behind: report and bundle. What the report says
is in ``evals.report``; what a bundle holds is in ``graphs.bundle``.
"""

from __future__ import annotations

from pydantic import JsonValue

from preceptor.core.blocked import dump
from preceptor.core.errors import BudgetStop
from preceptor.core.records import Evaluation
from preceptor.core.runs import log_opening
from preceptor.evals.report import build
from preceptor.graphs import answered, bundle, reporting, stops
from preceptor.graphs.nodes import recipes
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState


def finish(session: Session, state: RunState) -> RunState:
    """Open the sealed test: the untouched student against the final one, once.

    A run that only explores, or whose student cannot be used, leaves it closed.
    """
    reason = state["stop"] or "rounds"
    told: dict[str, JsonValue] = {"reason": reason, "words": stops.words(session, reason)}
    if why := stops.blocked(session, reason):
        told["blocked"] = dump(why)
    session.event("stopped", "stopped", told)
    closed = stops.untested(session, reason)
    if closed:
        session.event("test", "test", {"measured": False, "opened": False, "why": closed})
        return {"stop": reason}
    before, after = recipes(session, state)
    session.release_test_reserve()
    log_opening(
        session.store.path.parent,
        session.task.name,
        session.splits.digest("test"),
        session.store.path.name,
        after.fingerprint,
    )
    session.event("test_opened", "test-opened", {"sealed_test": session.splits.digest("test")})
    try:
        base = session.evaluate(before, session.splits.test, "test")
        final = session.evaluate(after, session.splits.test, "test")
    except BudgetStop as stop:
        session.event("test", "test", {"measured": False, "why": stop.message})
        return {"stop": "budget"}
    session.event("test", "test", {"measured": True, **_scores(session, base, final)})
    return {"stop": reason}


def _scores(session: Session, base: Evaluation, final: Evaluation) -> dict[str, JsonValue]:
    return {
        "baseline": session.put(base),
        "final": session.put(final),
        "baseline_score": session.score(base).value,
        "final_score": session.score(final).value,
        "metric": session.metric.name,
    }


def report(session: Session, state: RunState) -> RunState:
    """Write report, answers and bundle into the run's folder."""
    inputs = reporting.gather(session, state)
    made = build(inputs)
    kept = session.put(made)
    reporting.write(session, made)
    answered.write(session, state, inputs)
    if state["stop"] != "unreadable":  # Such a student answers nothing: there is nothing to use.
        bundle.write(session, state)
    # The report tells seconds, so its hash is no part of what a resumed run must repeat.
    session.event("report", "report", {"final": state["incumbent"]})
    return {"report": kept}
