"""Weak labels in a run: who can label, which notes, and where a training finds them.

Owns the voters (the rules of ``evals.baselines``, and the working student) and the way from a content
hash to labels with their notes. Leaves labels to ``tools.distill``, and the voter ``teacher`` to
``graphs.labelling``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from preceptor.core.errors import InputError, StoreError
from preceptor.core.ports import Evaluator, Evidence, OnProgress
from preceptor.core.records import Example
from preceptor.evals import baselines
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task
from preceptor.graphs.labelling import TEACHER
from preceptor.tools.distill.label import LabelExamples
from preceptor.tools.distill.weak import Labelled, Vote, Voter, read
from preceptor.tools.sft.data import Guard

RULES: tuple[baselines.Name, ...] = ("keyword", "context", "keyword+mined", "context+mined")
STUDENT = "student"


def rules(task: Task, name: baselines.Name) -> Voter:
    """Return a voter that follows rules; those with mined phrases mine the notes that it is shown."""

    def vote(evidence: Evidence, notes: Sequence[Example]) -> list[Vote]:
        said = baselines.predict(name, task, evidence.examples, notes)
        return [Vote(values=said[note.id]) for note in notes]

    return vote


def student(evaluator: Evaluator, heard: OnProgress | None = None) -> Voter:
    """Return the working recipe's student as a voter; what could not be read is no vote."""

    def vote(evidence: Evidence, notes: Sequence[Example]) -> list[Vote]:
        answers = evaluator.answers(evidence.recipe, notes, heard)
        return [
            Vote(
                values={k: v for k, v in (a.record or {}).items() if k not in a.problems},
                confidence={k: min(1.0, max(0.0, v)) for k, v in (a.confidence or {}).items()},
            )
            for a in answers
        ]

    return vote


def voters(
    task: Task,
    evaluator: Evaluator | None = None,
    teacher: Voter | None = None,
    heard: OnProgress | None = None,
) -> dict[str, Voter]:
    """Return who can label: the rules, the student if it can be asked, the teacher if there is one."""
    found = {str(name): rules(task, name) for name in RULES}
    if evaluator is not None:
        found[STUDENT] = student(evaluator, heard)
    return found if teacher is None else {**found, TEACHER: teacher}


def labeller(
    task: Task,
    drawn: Splits,
    guard: Guard,
    evaluator: Evaluator | None,
    teacher: Voter | None = None,
    heard: OnProgress | None = None,
) -> LabelExamples | None:
    """Return the look ``label_examples`` of a run, None where there are no unlabelled notes."""
    wanted = set(drawn.unlabelled)
    notes = [e for e in task.examples if e.id in wanted]
    alike = set(guard.forbidden(notes)) if guard.forbidden is not None else set()
    free = [e for e in notes if e.id not in alike]
    if not free:
        return None
    paid = (TEACHER,) if teacher is not None else ()
    return LabelExamples(free, voters(task, evaluator, teacher, heard), paid, (STUDENT, TEACHER))


def reader(get: Callable[[str], bytes], task: Task, drawn: Splits) -> Callable[[str], Labelled]:
    """Return what gives the weak labels of a content hash, with the notes of train's side."""
    own = {*drawn.train, *drawn.unlabelled}

    def found(digest: str) -> Labelled:
        try:
            data = get(digest)
        except StoreError as cause:
            raise InputError(
                f"there are no weak labels {digest}", "name the hash that label_examples gave"
            ) from cause
        return Labelled(read(data), tuple(e for e in task.examples if e.id in own))

    return found
