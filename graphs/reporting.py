"""From a finished run to its report: gathers the records, has them counted, writes the files.

Owns where the numbers come from; what a report holds is in ``evals.report``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from preceptor.core.errors import InputError, StudentError
from preceptor.core.files import write_whole
from preceptor.core.records import Answer, Example, Gold
from preceptor.core.runs import openings
from preceptor.core.trace import read
from preceptor.evals import baselines, report
from preceptor.graphs import readability, returned, stops
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState


def gather(session: Session, state: RunState) -> report.ReportInputs:
    """Return what the report of a run that came to its end is made of."""
    notes = session.examples(session.splits.test)
    task, splits = session.task, session.splits
    measured = next(e.data for e in read(session.store.trace.path) if e.kind == "test")
    opened = bool(measured["measured"])
    reason = state["stop"] or "rounds"
    return report.ReportInputs(
        task=task.name,
        fields=task.fields,
        student=session.start.model.title,
        teacher=session.teacher.name,
        baseline=_side(session, state["baseline"], state["base_dev"], measured.get("baseline")),
        final=_side(session, state["incumbent"], state["incumbent_dev"], measured.get("final")),
        examples=tuple(notes) if opened else (),
        rules=_rules(session, notes) if opened else {},
        attempts=session.attempts(state["attempts"]),
        stop=stops.words(session, reason),
        spent=session.ledger.spent(),
        unknown=session.ledger.unknown(),
        openings=_openings(session),
        seals={part: value for part, value in splits.seals.items()},
        synthetic=task.synthetic,
        left_behind=tuple(_left_behind(session)),
        metric=session.metric,
        trivial=frozenset(baselines.trivial_names(task)),
        target=session.limits.target,
        unmeasured=unmeasured(measured),
        blocked=stops.blocked(session, reason),
        readable=readability.told(session),
        schema_loose=readability.told_loose(session),
    )


def unmeasured(told: Mapping[str, JsonValue]) -> str:
    """Return why the sealed test has no figures, an empty text if it has."""
    if told["measured"]:
        return ""
    if told.get("opened", True):
        return f"the sealed test was opened, but not measured: {told['why']}"
    return str(told["why"])


def _left_behind(session: Session) -> list[str]:
    """Return the models on the student's server that only moves made which were not kept."""
    verdicts = [e.data for e in read(session.store.trace.path) if e.kind == "verdict"]
    kept = [session.recipe(str(verdict["incumbent"])) for verdict in verdicts]
    return returned.left_behind(
        session.store.path, {recipe.adapter.digest for recipe in kept if recipe.adapter}
    )


def _side(session: Session, recipe: str, dev: str, test: object) -> report.Side:
    answers: tuple[Answer, ...] = ()
    if isinstance(test, str):
        notes = session.examples(session.splits.test)
        answers = tuple(session.evaluator.answers(session.recipe(recipe), notes))
    return report.Side(
        dev=session.evaluation(dev),
        test=session.evaluation(test) if isinstance(test, str) else None,
        answers=answers,
    )


def _rules(session: Session, notes: list[Example]) -> dict[str, dict[str, Gold]]:
    train = session.examples(session.splits.train)
    task, said = session.task, dict[str, dict[str, Gold]]()
    for name in baselines.names_for(task, session.embed is not None):
        try:
            said[name] = baselines.predict(name, task, train, notes, session.embed)
        except (StudentError, InputError) as error:  # an embedder's server; the report stands without
            session.event("no_baseline", f"report:{name}", {"name": name, "why": error.message})
    return said


def _openings(session: Session) -> int:
    """Return how often this very test set has been opened, by its seal."""
    found = openings(session.store.path.parent, session.task.name)
    seal = session.splits.digest("test")
    return sum(opening.test_digest == seal for opening in found)


def write(session: Session, made: report.Report) -> None:
    """Write ``report.json`` and ``report.txt``, each whole or not at all."""
    folder = session.store.path
    text = json.dumps(made.model_dump(mode="json"), indent=2, ensure_ascii=False)
    write_whole(folder / "report.json", f"{text}\n".encode())
    write_whole(folder / "report.txt", (report.to_text(made).rstrip() + "\n").encode())
