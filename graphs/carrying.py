"""A training on another machine: which job goes out, and where its result comes back to.

Owns finding the job in the folder of a run, a curve or a joint training. What is carried and checked
is ``tools.sft.carry``.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from preceptor.core.errors import InputError
from preceptor.core.records import Recipe
from preceptor.core.runs import RunStore
from preceptor.core.trace import read
from preceptor.graphs.training import FOLDER
from preceptor.tools.sft import carry
from preceptor.tools.sft.job import DATA, JOB, PATHS, Job, Paths, Result, read_result

LONGEST_ROUND = 3
"""A number of more digits is the beginning of a hash."""


def jobs(run: Path) -> list[str]:
    """Return the hashes of a run's trainings, the oldest first."""
    found = list((run / FOLDER / "jobs").glob(f"*/{JOB}"))
    return [file.parent.name for file in sorted(found, key=lambda f: f.stat().st_mtime_ns)]


def of_round(run: Path, number: int) -> str:
    """Return the hash of the training that a round of a run did.

    Raises:
        InputError: If the run has no such round, or it trained nothing.
    """
    store = RunStore.open(run)
    rounds = [e for e in read(store.trace.path) if e.kind == "move" and e.data.get("round") == number]
    if not rounds:
        raise InputError(f"round {number} of run {run.name!r} made no move", "see: preceptor trace")
    moved = rounds[-1].data
    recipe = store.artefacts.get_record(str(moved["candidate"]), Recipe)
    if moved.get("tool") == "fine_tune" and recipe.adapter is not None:
        for name in jobs(run):
            folder = run / FOLDER / "jobs" / name
            result = read_result(folder, Job.from_json((folder / JOB).read_bytes()))
            if result is not None and result.adapter == recipe.adapter:
                return name
    raise InputError(
        f"round {number} of run {run.name!r} trained nothing: its move was {moved.get('tool')}",
        "see: preceptor trace",
    )


def send(run: Path, name: str, out: Path, how: carry.Parcel | None = None) -> Path:
    """Write a training of a run as a folder that trains by itself.

    Args:
        run: The run's folder.
        name: The training's hash, its beginning, a round's number, or ``last``.
        out: Where.
        how: With or without the base model, and how it is started there.

    Raises:
        InputError: If there is no such training, or more than one.
        StoreError: If the disk refuses.
    """
    if name.isdecimal() and len(name) <= LONGEST_ROUND:
        name = of_round(run, int(name))
    known = jobs(run)
    fitting = known[-1:] if name == "last" else [one for one in known if one.startswith(name)]
    if len(fitting) != 1:
        shown = ", ".join(known) or "it has none"
        raise InputError(f"{name!r} is not one training of run {run.name!r}", f"there are: {shown}")
    folder = run / FOLDER / "jobs" / fitting[0]
    try:
        job = Job.from_json((folder / JOB).read_bytes())
        paths = Paths.from_json((folder / PATHS).read_bytes())
        rows = (folder / DATA).read_bytes()
    except (OSError, ValidationError, ValueError) as cause:
        raise InputError(f"the training in {str(folder)!r} is damaged", "train it again") from cause
    # Relative paths start at the job's folder.
    whole = Paths(base=str(folder / paths.base), start=str(folder / paths.start) if paths.start else "")
    return carry.export_job(out, job, rows, whole, how)


def take_back(folder: Path, run: Path) -> Result:
    """Take the result of a training back into a run, which then finds it finished.

    Raises:
        InputError: If the training is not one of the run's, is not finished, or is damaged.
        StoreError: If the disk refuses.
    """
    try:
        job = Job.from_json((folder / JOB).read_bytes())
    except (OSError, ValidationError, ValueError) as cause:
        raise InputError(
            f"no training job in {str(folder)!r}", "bring back the whole folder"
        ) from cause
    if job.fingerprint not in jobs(run):
        raise InputError(
            f"run {run.name!r} has no training {job.fingerprint}", "name the run that it came from"
        )
    return carry.import_job(folder, run / FOLDER, job)
