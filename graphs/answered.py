"""What the untouched and the final student said of the sealed test, as files of the run.

Owns the two files' names and rows: those of ``preceptor extract``, by the same writer, so that a person
can count the figures of a report again by their own means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from preceptor.core.cache import answer_key
from preceptor.core.record import digest
from preceptor.core.records import Answer, Example, Recipe
from preceptor.evals import evidence
from preceptor.evals.report import ReportInputs
from preceptor.evals.task import Task
from preceptor.graphs import answers
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState

FINAL, BASELINE = "test_answers.jsonl", "test_answers_baseline.jsonl"


def write(session: Session, state: RunState, inputs: ReportInputs) -> None:
    """Write both files into the run's folder, each whole or not at all; none if nothing was tested."""
    sides = (FINAL, "incumbent", inputs.final), (BASELINE, "baseline", inputs.baseline)
    for name, which, side in sides:
        if side.answers:
            recipe = session.recipe(state["incumbent"] if which == "incumbent" else state["baseline"])
            found = rows(session.task, recipe, inputs.examples, side.answers)
            names = [f.name for f in session.task.fields]
            answers.write(session.store.path / name, found, names)


def rows(
    task: Task, recipe: Recipe, notes: Sequence[Example], given: Sequence[Answer]
) -> Iterator[answers.Row]:
    """Yield a row per note, as ``preceptor extract`` writes them."""
    name = answer_key(recipe, recipe.model, task.fields)
    for note, answer in zip(notes, given, strict=True):
        yield answers.Row(
            id=note.id,
            status=answer.status,
            record=answer.record,
            problems=answer.problems,
            evidence=evidence.find(note.text, answer.record, task.fields, recipe.prompt),
            confidence=answer.confidence,
            key=digest(name + digest([note.id, note.text, note.group])),
        )


def files(folder: Path) -> list[Path]:
    """Return those of the two files that a run has."""
    return [folder / name for name in (FINAL, BASELINE) if (folder / name).is_file()]
