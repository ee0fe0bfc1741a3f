"""Which note of a run stands in which part: owns the table, drawn again from what the run was asked.

Nothing of a run is changed, and no student is opened. A run tells its parts only as long as its task's
data are what they were: the seals in its folder say so.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from preceptor.core.errors import InputError, StoreError
from preceptor.core.record import Record
from preceptor.core.records import Split
from preceptor.core.runs import RunStore
from preceptor.evals import splits
from preceptor.evals.task import Task
from preceptor.graphs import begun, wiring

Part = Literal["train", "dev", "test", "unlabelled", "rest"]
COLUMNS = ("id", "group", "part")


class Place(Record):
    """Where one note stands.

    Attributes:
        id: The note.
        group: Its patient.
        part: ``unlabelled``: without gold, and its patient neither in dev nor in test; ``rest``: in
            no part.
    """

    id: str
    group: str
    part: Part


def of_run(path: Path) -> list[Place]:
    """Return where each note of a run's task stands, in the data's order.

    Raises:
        StoreError: If it is no run of ``refine``, or its task's data have changed.
        TaskError: If its task is no longer there.
    """
    store = RunStore.open(path)
    if "options" not in store.config or "task_fingerprint" not in store.config:
        raise InputError(f"run {store.name!r} has no parts", "name a run of preceptor refine")
    begun.check(store)
    options = store.said("options", wiring.Options)
    task = wiring.load_task(options)
    changed = StoreError(
        f"the data of task {task.name!r} have changed since run {store.name!r} began: "
        "its parts cannot be told",
        f"put back what {options.task!r} named then",
    )
    if task.fingerprint != store.config.get("task_fingerprint"):
        raise changed
    drawn = splits.make(task, options.seed)
    if dict(drawn.seals) != store.config.get("seals"):
        raise changed
    return places(task, drawn)


def places(task: Task, drawn: splits.Splits) -> list[Place]:
    """Return where each note of a task stands under one draw."""
    parts: tuple[Split, ...] = get_args(Split)
    known: dict[str, Part] = {i: "unlabelled" for i in drawn.unlabelled}
    known |= {i: part for part in parts for i in drawn.ids(part)}
    return [Place(id=e.id, group=e.group, part=known.get(e.id, "rest")) for e in task.examples]


def as_csv(found: Sequence[Place]) -> str:
    """Return the table as CSV with a header."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows((one.id, one.group, one.part) for one in found)
    return text.getvalue()


def as_json(found: Sequence[Place]) -> str:
    """Return the table as a list of JSON objects."""
    return (
        json.dumps([one.model_dump(mode="json") for one in found], indent=2, ensure_ascii=False) + "\n"
    )


def counts(found: Sequence[Place]) -> str:
    """Return how many notes stand where."""
    sizes = Counter(one.part for one in found)
    return ", ".join(f"{sizes[part]:,} {part}" for part in get_args(Part) if sizes[part])
