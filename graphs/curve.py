"""Learning curves: one training per size and seed, all measured on dev.

Owns what ``preceptor curve`` does, and the folder in which it is done: trainings by content hash and
the answers that were given, so that what is finished is never done again. The sealed test is not
touched. Leaves the numbers to ``evals.curve``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from preceptor.agents import students
from preceptor.core.errors import InputError
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.evals import curve, subsets
from preceptor.graphs import bundle, lab, training
from preceptor.graphs.lab import Asked, Heard
from preceptor.tools.sft.args import Changes, FineTuneArgs
from preceptor.tools.sft.data import FEWEST_NOTES
from preceptor.tools.sft.job import ProfileName

ALL = 0
"""The size that stands for all of train."""


class Request(Asked):
    """Which curve.

    Attributes:
        sizes: Numbers of train notes; ``ALL`` is all of them.
        seeds: Trainings per size; each draws its own subset.
        profile: How each is trained.
        change: Hyper-parameters that differ from the profile's.
        larger: An untouched model to compare with; none if empty.
        constrained: Whether only texts that fit the schema can come out.
    """

    sizes: tuple[int, ...] = (50, 100, 200, ALL)
    seeds: int = Field(default=3, ge=1, le=20)
    profile: ProfileName = "standard"
    change: Changes = Changes()
    larger: str = ""
    constrained: bool = True


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


def folder_of(request: Request, settings: Settings) -> Path:
    """Return where a task's curves are made."""
    return Path(settings.runs_dir) / f"curve-{bundle.folder_name(lab.load(request, settings).name)}"


def measure(request: Request, settings: Settings, heard: Heard) -> tuple[curve.Curve, Path]:
    """Return the curve, and the folder that it was made in; what is done there is not done again.

    Raises:
        InputError: If task, student or a size is wrong, or training fails.
        StudentError: If a model cannot be used.
    """
    _check_student(request.student, settings)
    if request.larger:
        students.check(request.larger)
    folder = folder_of(request, settings)
    with lab.opened(request, folder, settings, heard) as opened:
        drawn = subsets_of(opened, request)
        start = opened.start(request.student, request.constrained)
        zero = opened.ask(start, "zero-shot on dev")
        rows = [curve.row("zero_shot", f"{request.student}, untouched", [zero])]
        args = FineTuneArgs(profile=request.profile, change=request.change)
        for size, points in drawn.items():
            runs = [_point(opened, start, args, size, seed, notes) for seed, notes in points]
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
            change=request.change.model_dump(exclude_none=True),
            labels=tuple(f.name for f in opened.task.fields if f.kind == "label"),
            lists=tuple(f.name for f in opened.task.fields if f.kind == "list"),
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


def subsets_of(opened: lab.Lab, request: Request) -> dict[int, list[tuple[int, tuple[Example, ...]]]]:
    """Return, per size, each seed with the notes of its training.

    Raises:
        InputError: If a size is too small for the data's patients.
    """
    found: dict[int, list[tuple[int, tuple[Example, ...]]]] = {}
    for size in trim(request.sizes, len(opened.train)):
        for seed in range(request.seeds):
            drawn = subsets.nested(opened.train, [size], seed, nearest=True, fields=opened.task.fields)
            notes = drawn[size]
            if len(notes) < FEWEST_NOTES:
                raise InputError(
                    f"size {size}: whole patients make {len(notes)} notes of it, too few to train on",
                    f"at least {FEWEST_NOTES} are needed: a larger size",
                )
            found.setdefault(size, []).append((seed, notes))
    return found


def _point(
    opened: lab.Lab,
    start: Recipe,
    args: FineTuneArgs,
    size: int,
    seed: int,
    notes: tuple[Example, ...],
) -> curve.Run:
    """Train on one subset, and ask what came of it."""
    name = f"{size} notes, seed {seed}"
    recipe, result = opened.tune(start, notes, args, seed, f"training on {name}")
    found = opened.ask(recipe, f"{name} on dev")
    patients = len({e.group for e in notes})
    return replace(
        found,
        trained=len(notes),
        patients=patients,
        seconds=result.seconds,
        learned=result.learned,
    )
