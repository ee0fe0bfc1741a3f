"""Learning curves: one training per size and seed, all measured on dev.

Owns what ``preceptor curve`` does, and the folder in which it is done: trainings by content hash and
the answers that were given, so that what is finished is never done again. The sealed test is not
touched. Leaves the numbers to ``evals.curve``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from preceptor.core.cache import AnswerCache
from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence, OnProgress, Progress
from preceptor.core.record import Record
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.evals import curve, splits, subsets
from preceptor.evals.task import Task
from preceptor.graphs import answering, training, wiring
from preceptor.tools.sft.data import FEWEST_NOTES, Guard
from preceptor.tools.sft.finetune import Changes, FineTuneArgs, FineTuneOptions
from preceptor.tools.sft.job import ProfileName

ALL = 0
"""The size that stands for all of train."""

Heard = Callable[[str, Progress], None]


class Request(Record):
    """Which curve.

    Attributes:
        task: A task's name, file or ``pkg.mod:attr``.
        sizes: Numbers of train notes; ``ALL`` is all of them.
        seeds: Trainings per size; each draws its own subset.
        student: Who is trained.
        profile: How.
        change: Hyper-parameters that differ from the profile's.
        larger: An untouched model to compare with; none if empty.
        split_seed: The draw of train and dev; the task's own if None.
        mode: One call per field or one for all; the task's own if None.
        constrained: Whether only texts that fit the schema can come out.
        dev: The most dev notes to measure on, whole patients; all if None.
    """

    task: str
    sizes: tuple[int, ...] = (50, 100, 200, ALL)
    seeds: int = Field(default=3, ge=1, le=20)
    student: str = "nano"
    profile: ProfileName = "standard"
    change: Changes = Changes()
    larger: str = ""
    split_seed: int | None = None
    mode: Literal["per_field", "joint"] | None = None
    constrained: bool = True
    dev: int | None = Field(default=None, ge=1)


def read_sizes(text: str) -> tuple[int, ...]:
    """Return the sizes that ``50,100,all`` names.

    Raises:
        InputError: If one is no number of at least 8 and not ``all``.
    """
    found = []
    for word in (w.strip().casefold() for w in text.split(",")):
        size = int(word) if word.isdecimal() else ALL
        if word != "all" and size < FEWEST_NOTES:
            raise InputError(
                f"size {word!r} is none", f"numbers of at least {FEWEST_NOTES} with commas, or all"
            )
        found.append(size)
    return tuple(found)


def trim(sizes: tuple[int, ...], train: int) -> tuple[int, ...]:
    """Return the sizes in rising order, each once; what train cannot fill becomes all of it."""
    return tuple(sorted({train if size == ALL else min(size, train) for size in sizes}))


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
        settings: Where weights are.
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
    settings: Settings

    def start(self, spec: str, constrained: bool = True) -> Recipe:
        """Return the recipe of an untouched model."""
        ref = self.students.of(Recipe(model=ModelRef(spec=spec))).ref
        return wiring.start_recipe(self.task, ref, constrained)

    def tune(
        self, recipe: Recipe, notes: tuple[Example, ...], args: FineTuneArgs, seed: int, name: str
    ) -> tuple[Recipe, float]:
        """Return the recipe trained on the gold of ``notes``, and the seconds that it took.

        Raises:
            InputError: If it cannot be trained, or not on this.
        """
        self.students.close()  # The trained model shall have the memory.
        options = FineTuneOptions(self.guard, seed=seed)
        tool = training.tool(self.folder, options, self._hear(name), lambda: False, self.settings)
        evidence = Evidence(self.task.fields, recipe, notes, (), ())
        made = tool.run(args, evidence).recipe
        assert made is not None
        return made, tool.seconds(args, evidence)

    def ask(self, recipe: Recipe, name: str) -> curve.Run:
        """Return the recipe's answers to dev."""
        from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings

        evaluator = CachedEvaluator(EvaluatorSettings(self.task.fields), self.students.of, self.cache)
        answers = evaluator.answers(recipe, self.dev, self._hear(name))
        return curve.Run(self.dev, tuple(answers), self.task.fields)

    def _hear(self, name: str) -> OnProgress:
        return lambda progress: self.heard(name, progress)


@contextmanager
def lab(request: Request, settings: Settings, heard: Heard) -> Iterator[Lab]:
    """Open what a request needs.

    Raises:
        InputError: If task or student is wrong.
    """
    given = {"task": request.task, "student": request.student, "mode": request.mode}
    options = wiring.options(settings, given)
    task = wiring.load_task(options)
    drawn = splits.make(task, request.split_seed)
    train = drawn.examples(task, "train")
    guard = training.guard(task, drawn)
    alike = set(guard.forbidden(train)) if guard.forbidden is not None else set()
    dev = drawn.examples(task, "dev")
    if request.dev is not None and request.dev < len(dev):
        dev = subsets.nested(dev, [request.dev])[request.dev]
    folder = Path(settings.runs_dir) / f"curve-{task.name}"
    folder.mkdir(parents=True, exist_ok=True)
    gate = answering.gate(settings, folder / "egress.jsonl", task)
    students = answering.Students(task, options, gate, run=folder)
    kept = tuple(e for e in train if e.id not in alike)
    try:
        with AnswerCache(folder / "cache.sqlite") as cache:
            yield Lab(
                task, drawn, folder, kept, len(alike), dev, guard, students, cache, heard, settings
            )
    finally:
        students.close()


def measure(request: Request, settings: Settings, heard: Heard) -> tuple[curve.Curve, Path]:
    """Return the curve, and the folder that it was made in; what is done there is not done again.

    Raises:
        InputError: If task, student or a size is wrong, or training fails.
        StudentError: If a model cannot be used.
    """
    _check_student(request.student, settings)
    with lab(request, settings, heard) as opened:
        start = opened.start(request.student, request.constrained)
        zero = opened.ask(start, "zero-shot on dev")
        rows = [curve.row("zero_shot", f"{request.student}, untouched", [zero])]
        args = FineTuneArgs(profile=request.profile, change=request.change)
        for size in trim(request.sizes, len(opened.train)):
            runs = [_point(opened, start, args, size, seed) for seed in range(request.seeds)]
            rows.append(curve.row("trained", f"{size} notes", runs, zero))
        if request.larger:
            opened.students.close()
            other = opened.start(request.larger, request.constrained)
            found = opened.ask(other, f"{request.larger} on dev")
            rows.append(curve.row("larger", f"{request.larger}, untouched", [found], zero))
        made = curve.Curve(
            task=opened.task.name,
            synthetic=opened.task.synthetic,
            student=request.student,
            profile=request.profile,
            constrained=request.constrained,
            notes=len(opened.dev),
            patients=len({e.group for e in opened.dev}),
            split_seed=opened.drawn.seed,
            left_out=opened.left_out,
            rows=tuple(rows),
        )
        return made, opened.folder


def _check_student(spec: str, settings: Settings) -> None:
    """Refuse a student that Ollama serves: a curve's many models answer in this process.

    Raises:
        InputError: Naming the student to take in its place.
    """
    if spec.partition(":")[0] == "ollama":
        face = training.faces(settings)(ModelRef(spec=spec))
        raise InputError(
            f"a curve's trained students answer in this process, and {spec!r} is served",
            f"take the weights behind it: --student hf:{face.folder}",
        )


def _point(opened: Lab, start: Recipe, args: FineTuneArgs, size: int, seed: int) -> curve.Run:
    """Train on one subset, and ask what came of it."""
    notes = subsets.nested(opened.train, [size], seed)[size]
    name = f"{size} notes, seed {seed}"
    recipe, seconds = opened.tune(start, notes, args, seed, f"training on {name}")
    found = opened.ask(recipe, f"{name} on dev")
    patients = len({e.group for e in notes})
    return replace(found, trained=len(notes), patients=patients, seconds=seconds)
