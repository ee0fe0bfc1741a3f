"""Joint training: one adapter for several tasks, measured on each task's dev.

Owns what ``preceptor joint`` does: the checks before anything starts, what must not be learned from
across tasks, and a bundle per task. Trainings and answers are kept by content hash, as a curve's are.
The sealed tests are not touched. Leaves weights to ``tools.sft.joint`` and numbers to ``evals.joint``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from preceptor.core.errors import InputError
from preceptor.core.record import Record
from preceptor.core.records import Recipe
from preceptor.core.settings import Settings
from preceptor.evals import curve, stats, subsets
from preceptor.evals.joint import Joint, TaskShare
from preceptor.graphs import bundle, lab, leaks, training
from preceptor.graphs.lab import Asked, Heard, Lab
from preceptor.tools.sft import data, joint
from preceptor.tools.sft.args import Changes, FineTuneArgs
from preceptor.tools.sft.data import FEWEST_NOTES
from preceptor.tools.sft.finetune import trained_whole
from preceptor.tools.sft.job import Limits, ProfileName, Result
from preceptor.tools.sft.joint import MOST, How, Share
from preceptor.tools.sft.options import FineTuneOptions


class Request(Record):
    """Which tasks, and how.

    Attributes:
        tasks: Names, files or ``pkg.mod:attr``, two at least.
        mix: The weight of a task, by its name; 1 where it is left out.
        student: Who is trained.
        profile: How.
        change: Hyper-parameters that differ from the profile's.
        notes: The most train notes of each task, whole patients; all if None.
        dev: The most dev notes of each task to measure on, whole patients; all if None.
        seed: Of the draw of notes and rows, and of the training.
        split_seed: The draw of the parts; each task's own if None.
        mode: One call per field or one for all; each task's own if None.
        constrained: Whether only texts that fit the schema can come out.
        alone: Whether to train each task alone, too, to compare.
    """

    tasks: tuple[str, ...]
    mix: dict[str, float] = Field(default_factory=dict)
    student: str = "nano"
    profile: ProfileName = "standard"
    change: Changes = Changes()
    notes: int | None = Field(default=None, ge=FEWEST_NOTES)
    dev: int | None = Field(default=None, ge=1)
    seed: int = 0
    split_seed: int | None = None
    mode: Literal["per_field", "joint"] | None = None
    constrained: bool = True
    alone: bool = False

    def asked(self) -> list[Asked]:
        """Return what is asked for, task by task."""
        same = self.model_dump(include={"student", "split_seed", "mode", "dev"})
        return [Asked(task=task, **same) for task in self.tasks]

    def args(self) -> FineTuneArgs:
        """Return how each training is done: on the notes alone, none put together anew."""
        return FineTuneArgs(profile=self.profile, change=self.change, recombined=0)


def read_mix(text: str) -> dict[str, float]:
    """Return the weights that ``toxicity=2,psytar=1`` names.

    Raises:
        InputError: If one is no number above 0 and at most 10, or a task stands there twice.
    """
    found: dict[str, float] = {}
    for word in filter(None, (w.strip() for w in text.split(","))):
        name, _, number = word.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = 0.0
        if not name or name in found or not 0 < weight <= MOST:
            raise InputError(
                f"mix {word!r} is none",
                f"TASK=WEIGHT with commas, each once, weights above 0 and at most {MOST:g}",
            )
        found[name] = weight
    return found


def measure(request: Request, settings: Settings, heard: Heard, out: Path | None) -> tuple[Joint, Path]:
    """Train, measure, write a bundle per task; return the numbers and the folder of the bundles.

    Args:
        request: What is asked for.
        settings: The settings.
        heard: Who hears how far it is.
        out: Where the bundles go; the training's own folder below ``runs`` if None.

    Raises:
        InputError: If tasks, weights or student are wrong, before anything is asked or trained; or if
            training fails.
        StudentError: If the student cannot be used.
    """
    names = _names(request, settings)
    folder = Path(settings.runs_dir) / f"joint-{'-'.join(map(bundle.folder_name, names))}"
    target = out or folder
    for name in names:
        bundle.check_replaceable(target / bundle.folder_name(name))
    with ExitStack() as held:
        labs = [held.enter_context(lab.opened(one, folder, settings, heard)) for one in request.asked()]
        made = _Made(request, labs, folder)
        zeros = [one.ask(start, f"{one.task.name}: untouched") for one, start in made.each()]
        result = made.train(heard)
        shares = tuple(made.measure(i, zero, result) for i, zero in enumerate(zeros))
        hyper = made.job.hyper
        found = Joint(
            student=request.student,
            profile=request.profile,
            epochs=hyper.epochs,
            seed=request.seed,
            constrained=request.constrained,
            adapter=result.adapter.digest,
            steps=result.steps,
            stopped=result.stopped,
            learned=result.learned,
            seconds=result.seconds,
            tasks=shares,
        )
        for i in range(len(labs)):
            made.write(i, found, result, target)
        return found, target


def _names(request: Request, settings: Settings) -> list[str]:
    """Return the tasks' names, after checking that they and the weights go together."""
    if len(request.tasks) < 2:
        raise InputError(
            "a joint training needs two tasks at least", "for one: preceptor curve, or refine"
        )
    names = [lab.load(one, settings).name for one in request.asked()]
    kept = [bundle.folder_name(name) for name in names]
    twice = [name for name, folder in zip(names, kept, strict=True) if kept.count(folder) > 1]
    if twice:
        raise InputError(f"two tasks are named {twice[0]!r}", "name different tasks")
    unknown = [name for name in request.mix if name not in names]
    if unknown:
        raise InputError(
            f"mix: {unknown[0]!r} is none of the tasks", f"the tasks are: {', '.join(names)}"
        )
    return names


class _Made:
    """One joint training: its shares, its job, and what came of it."""

    def __init__(self, request: Request, labs: Sequence[Lab], folder: Path) -> None:
        self.request, self.labs, self.folder = request, labs, folder
        self.faces = labs[0].faces
        self.starts = [one.start(request.student, request.constrained) for one in labs]
        self.leaks = leaks.across([(one.task, one.drawn) for one in labs])
        self.shares = [self._share(i) for i in range(len(labs))]
        self.mix = joint.mixed(self.shares, request.seed)
        # As long as each task may take by itself.
        limits = Limits(seconds=len(labs) * labs[0].limits.seconds)
        whole = trained_whole(self.faces(self.starts[0].model).folder)
        how = How(request.args().hyper(whole=whole), limits, request.seed)
        every = [row for rows in self.mix.values() for row in rows]
        learned, _ = data.split(every, how.hyper.validation, request.seed)
        self.kept = {row.id for row in learned}
        self.job, self.rows, self.paths = joint.prepare(self.starts[0].model, self.faces, self.mix, how)

    def each(self) -> Iterator[tuple[Lab, Recipe]]:
        """Yield each task with its untouched student's recipe."""
        yield from zip(self.labs, self.starts, strict=True)

    def _share(self, i: int) -> Share:
        one, request = self.labs[i], self.request
        notes = tuple(e for e in one.train if e.id not in self.leaks.forbidden[i])
        if request.notes is not None and request.notes < len(notes):
            notes = subsets.nested(notes, [request.notes], request.seed, fields=one.task.fields)[
                request.notes
            ]
        return Share(
            name=one.task.name,
            recipe=self.starts[i],
            fields=one.task.fields,
            notes=notes,
            weight=request.mix.get(one.task.name, 1.0),
            patients=self.leaks.patients[i],
        )

    def train(self, heard: Heard) -> Result:
        """Return what came of the training on all tasks; it is done once."""
        for one in self.labs:
            one.students.close()  # The trained model shall have the memory.
        given = training.here(
            self.folder,
            FineTuneOptions(seed=self.request.seed, launch=self.labs[0].launch),
            lambda progress: heard("training on all tasks", progress),
            lambda: False,
        )
        return given.train(self.folder / training.FOLDER, self.job, self.rows, self.paths)

    def measure(self, i: int, zero: curve.Run, result: Result) -> TaskShare:
        """Return what one task gave and got."""
        one, share = self.labs[i], self.shares[i]
        name, patients = share.name, len({note.group for note in share.notes})
        asked = one.ask(self.recipe(i, result), f"{name}: trained on all tasks")
        count = len(share.notes)
        both = replace(asked, seconds=result.seconds, trained=count, patients=patients)
        alone = self._alone(i, patients)
        one.students.close()
        return TaskShare(
            task=name,
            synthetic=one.task.synthetic,
            weight=share.weight,
            notes=len(share.notes),
            patients=patients,
            rows=len(share.rows()),
            shown=sum(row.times for row in self.mix[name] if row.id in self.kept),
            left_out=one.left_out + sum(e.id in self.leaks.forbidden[i] for e in one.train),
            measured=(len(one.dev), len({e.group for e in one.dev})),
            split_seed=one.drawn.seed,
            untouched=curve.row("zero_shot", "untouched", [zero]),
            joint=curve.row("trained", "trained on all tasks", [both], zero),
            alone=curve.row("trained", "trained alone", [alone], zero) if alone else None,
            over_alone=stats.paired_difference(alone.scored(), both.scored()) if alone else None,
            bundle=bundle.folder_name(name),
        )

    def _alone(self, i: int, patients: int) -> curve.Run | None:
        if not self.request.alone:
            return None
        one, share = self.labs[i], self.shares[i]
        args, seed = self.request.args(), self.request.seed
        recipe, result = one.tune(
            self.starts[i], share.notes, args, seed, f"training on {share.name} alone"
        )
        asked = one.ask(recipe, f"{share.name}: trained alone")
        return replace(
            asked,
            seconds=result.seconds,
            trained=len(share.notes),
            patients=patients,
            learned=result.learned,
        )

    def recipe(self, i: int, result: Result) -> Recipe:
        """Return the recipe of one task's trained student."""
        return self.starts[i].model_copy(update={"adapter": result.adapter})

    def write(self, i: int, found: Joint, result: Result, target: Path) -> None:
        """Write one task's bundle."""
        one = self.labs[i]
        made = bundle.Bundle(
            task=one.task.name,
            task_fingerprint=one.task.fingerprint,
            synthetic=one.task.synthetic,
            fields=one.task.fields,
            recipe=self.recipe(i, result),
            seals={part: one.drawn.digest(part) for part in ("train", "dev", "test")},
            template=one.task.template,
        )
        others = ", ".join(share.name for share in self.shares)
        kept = bundle.Kept(
            source=self.folder.name,
            adapter=training.adapter_folder(self.folder, result.adapter),
            named=self.request.tasks[i],
            remark=f"The adapter was trained on several tasks together: {others}.",
        )
        place = target / bundle.folder_name(one.task.name)
        bundle.write_to(place, made, {"joint": found.model_dump(mode="json")}, kept)
