"""Rows of several tasks for one adapter, each task in the share that it is given.

Owns what a mixing weight means and the job that comes of it. A task of weight ``w`` gives, per epoch,
``w`` times its own rows: every row ``floor(w)`` times, and the rows of a part of its notes, as large
as what is left of ``w``, once more. These notes are drawn by seed, whole, so that what their prompts
share is still computed once; a larger part contains the smaller ones, and the draw is the same in every
epoch. Note and patient are named with their task, since two tasks may use the same names. Leaves what
must not be learned from to ``graphs.leaks``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec
from preceptor.core.record import digest
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.tools.sft import data
from preceptor.tools.sft.faces import Resolver, check_importable
from preceptor.tools.sft.job import Base, Hyper, Job, Limits, Paths

MOST = 10.0
"""The highest weight; a row is shown at most so often per epoch."""


@dataclass(frozen=True)
class Share:
    """One task's part of a training.

    Attributes:
        name: The task.
        recipe: Its untouched student: its prompt, and its number of calls per note.
        fields: Its fields.
        notes: What is learned from.
        weight: How many times its own rows are shown per epoch.
        patients: Names the patients; tasks about the same ones have the same name here.
    """

    name: str
    recipe: Recipe
    fields: tuple[FieldSpec, ...]
    notes: tuple[Example, ...]
    weight: float = 1.0
    patients: str = ""

    def rows(self) -> list[data.Row]:
        """Return its own rows, each once.

        Raises:
            InputError: If they cannot teach anything.
        """
        space = self.patients or self.name
        named = [
            note.model_copy(update={"id": f"{self.name}/{note.id}", "group": f"{space}/{note.group}"})
            for note in self.notes
        ]
        found = data.rows(self.recipe, self.fields, named)
        try:
            data.check(found)
        except InputError as cause:
            raise InputError(f"task {self.name!r}: {cause.message}", cause.hint) from cause
        return found


def weighted(found: Sequence[data.Row], weight: float, seed: int) -> list[data.Row]:
    """Return rows as often as a weight says.

    Args:
        found: A task's own rows.
        weight: Above 0 and at most ``MOST``.
        seed: Of the draw of notes that are shown once more than the others.
    """
    whole = int(weight)
    notes = sorted({row.id for row in found}, key=lambda name: digest(f"{seed}:{name}"))
    more = set(notes[: round((weight - whole) * len(notes))])
    times = [(row, whole + (row.id in more)) for row in found]
    return [row.model_copy(update={"times": n}) for row, n in times if n]


def mixed(shares: Sequence[Share], seed: int) -> dict[str, list[data.Row]]:
    """Return the rows of an epoch, by task.

    Raises:
        InputError: If a task has too few notes, of itself or by its weight.
    """
    made = {}
    for share in shares:
        made[share.name] = weighted(share.rows(), share.weight, seed)
        left = len({row.id for row in made[share.name]})
        if left < data.FEWEST_NOTES:
            raise InputError(
                f"task {share.name!r}: weight {share.weight:g} leaves {left} notes, too few to train",
                f"at least {data.FEWEST_NOTES} are needed",
            )
    return made


@dataclass(frozen=True)
class How:
    """How several tasks are trained together.

    Attributes:
        hyper: Hyper-parameters.
        limits: What the training may take.
        seed: Of everything random.
    """

    hyper: Hyper
    limits: Limits
    seed: int = 0


def prepare(
    model: ModelRef, faces: Resolver, mix: dict[str, list[data.Row]], how: How
) -> tuple[Job, bytes, Paths]:
    """Return the job of a mix, the content of its ``data.jsonl``, and where things lie.

    Raises:
        InputError: If the model cannot be trained.
    """
    face = faces(model)
    check_importable(face)
    found = [row for rows in mix.values() for row in rows]
    rows = data.dump(found)
    job = Job(
        base=Base(spec=model.spec, digest=face.digest),
        data=digest(rows),
        rows=len(found),
        hyper=how.hyper,
        limits=how.limits,
        seed=how.seed,
    )
    return job, rows, Paths(base=str(face.folder.resolve()))
