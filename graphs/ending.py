"""The nodes that end a run: finish (the sealed test, once) and report.

Owns the opening of the test split and what is left behind: report and bundle. What the report says
is in ``evals.report``; what a bundle holds is in ``graphs.bundle``.
"""

from __future__ import annotations

from pydantic import JsonValue

from preceptor.core.errors import BudgetStop
from preceptor.core.records import Evaluation
from preceptor.core.runs import log_opening
from preceptor.graphs import bundle, reporting, stops
from preceptor.graphs.nodes import recipes
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState


def finish(session: Session, state: RunState) -> RunState:
    """Open the sealed test: the untouched student against the final one, once."""
    reason = state["stop"] or "rounds"
    session.event("stopped", "stopped", {"reason": reason, "words": stops.WORDS[reason]})
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
    """Write report and bundle into the run's folder."""
    made = reporting.make(session, state)
    kept = session.put(made)
    reporting.write(session, made)
    bundle.write(session, state)
    # The report tells seconds, so its hash is no part of what a resumed run must repeat.
    session.event("report", "report", {"final": state["incumbent"]})
    return {"report": kept}
