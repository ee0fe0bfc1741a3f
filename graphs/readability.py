"""Whether the untouched student's answers can be read, and were held to the schema, told at the start.

Owns where the reasons come from: the run's own cache, so that nothing is asked again.
"""

from __future__ import annotations

from preceptor.core import forced, readable
from preceptor.core.cache import answer_key, example_key
from preceptor.core.forced import Loose
from preceptor.core.readable import Readable
from preceptor.core.records import Answer, Evaluation, Recipe
from preceptor.core.trace import read
from preceptor.graphs.session import Session


def answers(session: Session, recipe: Recipe, ids: tuple[str, ...]) -> tuple[Answer, ...]:
    """Return what the student of a run answered, by the run's cache; what is not there has failed."""
    notes = session.examples(ids)
    key = answer_key(recipe, recipe.model, session.task.fields)
    known = session.store.cache.get_many(key, [example_key(e) for e in notes])
    lost = dict.fromkeys((f.name for f in session.task.fields), "failed")
    return tuple(
        known.get(example_key(e))
        or Answer.model_validate(
            {"example_id": e.id, "record": None, "status": "failed", "problems": lost}
        )
        for e in notes
    )


def of(session: Session, recipe: Recipe, evaluation: Evaluation) -> Readable | None:
    """Return the counts behind an evaluation of which half or less could be read, None otherwise."""
    valid = sum(s.valid for s in evaluation.scored)
    if valid > readable.WORRYING * len(evaluation.scored):
        return None
    ids = tuple(s.example_id for s in evaluation.scored)
    return readable.count(answers(session, recipe, ids), recipe)


def loose(session: Session, recipe: Recipe, evaluation: Evaluation) -> Loose | None:
    """Return the counts of answers that the server did not hold to the schema, None if it did."""
    ids = tuple(s.example_id for s in evaluation.scored)
    return forced.count(answers(session, recipe, ids), recipe, session.task.fields)


def told_loose(session: Session) -> Loose | None:
    """Return what the trace says of the schema, None if nothing."""
    for event in read(session.store.trace.path):
        if event.kind == "baseline" and event.data.get("schema") is not None:
            return Loose.model_validate(event.data["schema"])
    return None


def told(session: Session) -> Readable | None:
    """Return what the trace says of the untouched student's answers on dev, None if nothing."""
    for event in read(session.store.trace.path):
        if event.kind == "baseline" and event.data.get("readable") is not None:
            return Readable.model_validate(event.data["readable"])
    return None
