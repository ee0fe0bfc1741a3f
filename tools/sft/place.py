"""Where a job lies on this machine.

Owns the reading of a job's folder: the job, the paths that stand beside it, and whether the weights to
begin at are the ones that the job names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from preceptor.core.errors import InputError
from preceptor.tools.sft import base
from preceptor.tools.sft.job import JOB, PATHS, Failed, Job, Paths


@dataclass(frozen=True)
class Place:
    """A job where it lies.

    Attributes:
        folder: Its folder.
        job: The job.
        base: The base model's folder.
        start: The folder of the weights to go on from, None if there are none.
        lock: The folder whose lock keeps trainings apart, None for no lock.
    """

    folder: Path
    job: Job
    base: Path
    start: Path | None
    lock: Path | None

    @staticmethod
    def read(file: Path, given: Paths | None = None) -> Place:
        """Read a job's folder.

        Args:
            file: ``job.json``, or its folder.
            given: Replaces what ``paths.json`` says, where it is not empty.

        Raises:
            InputError: If it is no job.
        """
        folder = (file if file.is_dir() else file.parent).resolve()
        try:
            job = Job.from_json((folder / JOB).read_bytes())
            said = (folder / PATHS).is_file()
            paths = Paths.from_json((folder / PATHS).read_bytes()) if said else Paths(base="")
        except (OSError, ValidationError, ValueError) as cause:
            raise InputError(f"no training job in {str(folder)!r}", "export it again") from cause
        if given is not None:
            update = {name: value for name, value in given.model_dump().items() if value}
            paths = paths.model_copy(update=update)
        if not paths.base:
            raise InputError("the base model's folder is not known", "give it with --base")

        def at(path: str) -> Path | None:
            return folder / Path(path).expanduser() if path else None

        return Place(
            folder, job, folder / Path(paths.base).expanduser(), at(paths.start), at(paths.lock)
        )


def check_start(place: Place) -> None:
    """Refuse to begin at other weights than the job names.

    Raises:
        Failed: If they are others, or not named where they are needed.
        InputError: If they are damaged.
    """
    named = place.job.start
    if named is None:
        if place.start is not None:
            raise Failed("this job goes on from no adapter", "leave --start out", "setup")
        return
    if place.start is None:
        raise Failed(
            f"the folder of adapter {named.digest}, from which this job goes on, is not known",
            "give it with --start",
            "setup",
        )
    about = base.read_about(place.start)
    if about.base != place.job.base.digest:
        raise Failed("the adapter to go on from belongs to another base model", "", "setup")
    if about.adapter != named:
        raise Failed(
            f"the weights in {place.start.name!r} are {about.adapter.digest}, not {named.digest}, "
            "from which this job goes on",
            "name the right folder with --start",
            "setup",
        )
