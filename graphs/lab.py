"""A task's students outside a run: trained, asked and scored in a folder that keeps what is done.

Owns the folder in which learning curves and joint trainings are made: trainings by content hash and the
answers that were given. The sealed test is not touched. Leaves what is trained to ``graphs.curve`` and
``graphs.joint``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field

from preceptor.core import private
from preceptor.core.cache import AnswerCache
from preceptor.core.ports import Evidence, OnProgress, Progress
from preceptor.core.record import Record
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.evals import curve, splits, subsets
from preceptor.evals.task import Task
from preceptor.graphs import answering, starting, training, wiring
from preceptor.tools.sft.args import FineTuneArgs
from preceptor.tools.sft.data import Guard
from preceptor.tools.sft.faces import Faces
from preceptor.tools.sft.finetune import FineTune, asked_as
from preceptor.tools.sft.job import Limits, Result
from preceptor.tools.sft.launch import Launch
from preceptor.tools.sft.options import FineTuneOptions

Heard = Callable[[str, Progress], None]


class Asked(Record):
    """Whose notes, and who is trained on them.

    Attributes:
        task: A task's name, file or ``pkg.mod:attr``.
        student: Who is trained.
        split_seed: The draw of train and dev; the task's own if None.
        mode: One call per field or one for all; the task's own if None.
        dev: The most dev notes to measure on, whole patients; all if None.
    """

    task: str
    student: str = "nano"
    split_seed: int | None = None
    mode: Literal["per_field", "joint"] | None = None
    dev: int | None = Field(default=None, ge=1)


@dataclass
class Lab:
    """One task's students: trained, asked, scored; in a folder that keeps what is done.

    Attributes:
        task: Whose notes.
        drawn: Its parts.
        folder: Where trainings and answers lie.
        train: The train notes that may be learned from.
        left_out: How many nearly repeat a dev or test note.
        dev: The notes that all are measured on.
        guard: What must not be learned from.
        students: Opens a recipe's student.
        cache: Answers.
        heard: Who hears how far it is.
        launch: How a training is started.
        limits: What one may take.
        faces: Which weights are trained for a model.
    """

    task: Task
    drawn: splits.Splits
    folder: Path
    train: tuple[Example, ...]
    left_out: int
    dev: tuple[Example, ...]
    guard: Guard
    students: answering.Students
    cache: AnswerCache
    heard: Heard
    launch: Launch = field(default_factory=Launch)
    limits: Limits = field(default_factory=Limits)
    faces: Faces = field(default_factory=training.faces)

    def start(self, spec: str, constrained: bool = True) -> Recipe:
        """Return the recipe of an untouched model."""
        model = ModelRef.asked(spec, self.students.options.precision)
        student = self.students.of(Recipe(model=model))
        asked = self.students.options.model_copy(update={"constrained": constrained})
        return starting.untouched(self.task, student, asked)

    def tune(
        self, recipe: Recipe, notes: tuple[Example, ...], args: FineTuneArgs, seed: int, name: str
    ) -> tuple[Recipe, Result]:
        """Return the recipe trained on the gold of ``notes``, learned or not, and what came of it.

        Raises:
            InputError: If it cannot be trained, or not on this.
        """
        self.students.close()  # The trained model shall have the memory.
        options = FineTuneOptions(self.guard, seed=seed, launch=self.launch, limits=self.limits)
        here = training.here(self.folder, options, self._hear(name), lambda: False)
        tool = FineTune(self.folder / training.FOLDER, self.faces, here)
        evidence = Evidence(self.task.fields, recipe, notes, (), ())
        result = tool.train(args, evidence)
        trained = asked_as(args, recipe, self.task.fields).model_copy(
            update={"adapter": result.adapter}
        )
        return trained, result

    def ask(self, recipe: Recipe, name: str) -> curve.Run:
        """Return the recipe's answers to dev."""
        from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings

        evaluator = CachedEvaluator(EvaluatorSettings(self.task.fields), self.students.of, self.cache)
        answers = evaluator.answers(recipe, self.dev, self._hear(name))
        return curve.Run(self.dev, tuple(answers), self.task.fields)

    def _hear(self, name: str) -> OnProgress:
        return lambda progress: self.heard(name, progress)


def options(asked: Asked, settings: Settings) -> wiring.Options:
    """Return a run's options for what is asked."""
    given = {"task": asked.task, "student": asked.student, "mode": asked.mode}
    return wiring.options(settings, given)


def load(asked: Asked, settings: Settings) -> Task:
    """Return the task that is asked for, in its mode."""
    return wiring.load_task(options(asked, settings))


@contextmanager
def opened(asked: Asked, folder: Path, settings: Settings, heard: Heard) -> Iterator[Lab]:
    """Open what is asked for, in a folder.

    Raises:
        InputError: If task or student is wrong.
    """
    task = load(asked, settings)
    drawn = splits.make(task, asked.split_seed)
    train = drawn.examples(task, "train")
    guard = training.guard(task, drawn)
    alike = set(guard.forbidden(train)) if guard.forbidden is not None else set()
    dev = drawn.examples(task, "dev")
    if asked.dev is not None and asked.dev < len(dev):
        dev = subsets.nested(dev, [asked.dev], fields=task.fields)[asked.dev]
    training.launch(settings)
    private.make_folder(folder, parents=True, exist_ok=True)
    gate = answering.gate(settings, folder / "egress.jsonl", task)
    students = answering.Students(task, options(asked, settings), gate, settings, run=folder)
    kept = tuple(e for e in train if e.id not in alike)
    try:
        with AnswerCache(folder / "cache.sqlite") as cache:
            yield Lab(
                task=task,
                drawn=drawn,
                folder=folder,
                train=kept,
                left_out=len(alike),
                dev=dev,
                guard=guard,
                students=students,
                cache=cache,
                heard=heard,
                launch=training.launch(settings),
                limits=training.limits(settings),
                faces=training.faces(settings),
            )
    finally:
        students.close()
