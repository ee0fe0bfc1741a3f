"""A joint training in numbers: what each task gave to it, and what each task got from it.

Owns the record and its page. Leaves rows to ``evals.curve``, training and asking to ``graphs.joint``.
"""

from __future__ import annotations

from preceptor.core.record import Record
from preceptor.core.records import Interval
from preceptor.evals.curve import Row
from preceptor.evals.curve_page import points, shown


class TaskShare(Record):
    """One task of a joint training.

    Attributes:
        task: Its name.
        synthetic: Whether its notes are generated.
        weight: How many times its own rows are shown per epoch.
        notes: Its train notes that were learned from.
        patients: Their patients.
        rows: Rows of these notes.
        shown: Rows of it that an epoch learns from; those that tell when to stop are left out.
        left_out: Train notes that nearly repeat a dev or test note of any of the tasks, or are of a dev
            or test patient of another task about the same patients.
        measured: Dev notes, and their patients.
        split_seed: The draw of its parts.
        untouched: The student before.
        joint: The student trained on all tasks.
        alone: The student trained on this one, if there is one.
        over_alone: The joint one's score over that one's, paired by note.
        bundle: Where its bundle lies, below the folder of the result.
    """

    task: str
    synthetic: bool
    weight: float
    notes: int
    patients: int
    rows: int
    shown: int
    left_out: int
    measured: tuple[int, int]
    split_seed: int
    untouched: Row
    joint: Row
    alone: Row | None = None
    over_alone: Interval | None = None
    bundle: str


class Joint(Record):
    """A joint training.

    Attributes:
        student: Who was trained.
        profile: How.
        epochs: Passes over the rows, at most.
        seed: Of all draws but those of the splits.
        constrained: Whether only texts that fit the schema could come out.
        adapter: The content hash of the weights.
        steps: Of the training.
        stopped: Why it ended.
        learned: Whether its loss came below that of guessing.
        seconds: How long it took.
        tasks: What each gave and got, in the order that they were named.
    """

    student: str
    profile: str
    epochs: int
    seed: int
    constrained: bool
    adapter: str
    steps: int
    stopped: str
    learned: bool = True
    seconds: float
    tasks: tuple[TaskShare, ...]


_STOPPED = {"done": "", "patience": ", stopped early", "time": ", stopped at its time limit"}


def markdown(made: Joint, made_by: str = "") -> str:
    """Return the page; ``made_by`` is the command that made it."""
    said = f"Written by `{made_by}`.\n" if made_by else ""
    forced = "answers are forced into the schema" if made.constrained else "answers are free"
    synthetic = [f"`{t.task}`" for t in made.tasks if t.synthetic]
    mark = f"Synthetic data: {', '.join(synthetic)}. " if synthetic else ""
    out = [
        f"# One adapter of `{made.student}` for {', '.join(f'`{t.task}`' for t in made.tasks)}\n",
        f"{said}{mark}Profile `{made.profile}`, at most {made.epochs} epochs ({made.steps} steps, "
        f"{made.seconds:.0f} s{_STOPPED[made.stopped]}), seed {made.seed}; adapter `{made.adapter}`; "
        f"{forced}. Scores are accuracy on dev, the mean share of right fields per note, whatever "
        "metric the tasks' runs have (where most fields are empty, read F1), with 95 % intervals over "
        "patients; differences are paired by note.",
        "",
        "| task | weight | train notes | own rows | rows per epoch | left out | dev notes "
        "| dev patients |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *map(_share, made.tasks),
        "",
        "| task | student | score | over untouched, points | joint over alone, points | micro F1 "
        "| macro F1 | parse failures |",
        "| --- | --- | --- | --- | --- | --- | ---: | ---: |",
        *(line for task in made.tasks for line in _lines(task)),
    ]
    if any(task.alone for task in made.tasks):
        out += [
            "",
            "A task alone was trained on the same notes, each row once per epoch, with the same "
            "hyper-parameters and as many epochs at most. Dev was looked at: report a final number "
            "from the test.",
        ]
    if not made.learned:
        out += [
            "",
            "**Nothing was learned together**: the loss of the tokens that decide an answer stayed at "
            "what guessing without the note gives. It is measured all the same.",
        ]
    alone = [task.task for task in made.tasks if task.alone is not None and task.alone.unlearned]
    if alone:
        out += ["", f"**Nothing was learned alone on {', '.join(alone)}.**"]
    return "\n".join(out) + "\n"


def _share(task: TaskShare) -> str:
    return (
        f"| {task.task} | {task.weight:g} | {task.notes} | {task.rows} | {task.shown} "
        f"| {task.left_out} | {task.measured[0]} | {task.measured[1]} |"
    )


def _lines(task: TaskShare) -> list[str]:
    rows = [task.untouched, task.joint, *([task.alone] if task.alone else [])]
    return [
        f"| {task.task} | {row.name} | {shown(row.score)} "
        f"| {points(row.gain) if row.gain else ''} "
        f"| {points(task.over_alone) if row is task.joint and task.over_alone else ''} "
        f"| {shown(row.micro_f1)} | {row.macro_f1:.3f} | {100 * row.failures:.1f} % |"
        for row in rows
    ]
