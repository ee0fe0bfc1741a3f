"""Which training this machine is busy with: its process, its job, and who waits for it.

Owns the note beside the machine's lock, and how a training is ended whose parent died: the job's own
runner adopts it, anybody else's asks it to save and stop. Whether a process lives is told by the lock.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from preceptor.core import lock
from preceptor.core.errors import StoreError
from preceptor.core.files import compact, parse_line, write_whole
from preceptor.core.record import Record
from preceptor.tools.sft.job import CANCEL

NOTE = "training.json"
_LOOK = 0.1


class Occupant(Record):
    """A training that holds the machine's lock.

    Attributes:
        pid: Its process.
        job: The job's folder.
        parent: The process that waits for it, None if it was started by hand.
    """

    pid: int
    job: str
    parent: int | None = None

    @property
    def is_orphan(self) -> bool:
        """Whether who waited for it has died."""
        return self.parent is not None and not _lives(self.parent)


def note(folder: Path, job: Path, parent: int | None) -> None:
    """Say who holds the machine's lock; called by who does. Without room for it, nobody knows."""
    said = Occupant(pid=os.getpid(), job=str(job), parent=parent)
    with suppress(StoreError):
        write_whole(folder / NOTE, compact(said.model_dump(mode="json")))


def occupant(folder: Path) -> Occupant | None:
    """Return who holds the machine's lock, None if nobody does, or nobody knows who."""
    pid = holder(folder)
    try:
        said = Occupant.from_json((folder / NOTE).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None
    return said if said.pid == pid else None


def holder(folder: Path) -> int | None:
    """Return the process that holds a lock, None if nobody does, or not on this machine.

    The lock is held at this moment, so that the number in it is of a process that lives.
    """
    if lock.holder(folder) is None:
        return None
    said = parse_line((folder / lock.LOCK_FILE).read_bytes()) or {}
    pid, host = said.get("pid"), said.get("host")
    return pid if isinstance(pid, int) and host == os.uname().nodename else None


def busy(folder: Path) -> StoreError:
    """Return the error that names the training that runs."""
    found = occupant(folder)
    if found is None:
        return StoreError("another training is running on this machine", "wait until it ends")
    return StoreError(
        f"another training is running on this machine: process {found.pid}, job {found.job}",
        f"wait until it ends, or end it with: touch {Path(found.job) / CANCEL}",
    )


def adopt(folder: Path, job: Path) -> None:
    """Say that this process waits for a job now, if who did has died."""
    found = occupant(folder)
    if found is not None and found.is_orphan and Path(found.job) == job.resolve():
        said = found.model_copy(update={"parent": os.getpid()})
        with suppress(StoreError):
            write_whole(folder / NOTE, compact(said.model_dump(mode="json")))


def end_orphan(folder: Path, job: Path, patience: float) -> None:
    """End the training that runs if it is another job's and nobody waits for it any more.

    It saves a checkpoint first, from which its own run goes on when it is resumed.

    Args:
        folder: Where the machine's lock is.
        job: The folder of the job that is asked for.
        patience: Seconds that it gets to stop by itself.
    """
    found = occupant(folder)
    if found is None or not found.is_orphan or Path(found.job) == job.resolve():
        return
    with suppress(StoreError):  # Its run may have been removed.
        write_whole(Path(found.job) / CANCEL, b"")
    until = time.monotonic() + patience
    while holder(folder) == found.pid and time.monotonic() < until:
        time.sleep(_LOOK)
    if holder(folder) == found.pid:
        try:
            os.kill(found.pid, signal.SIGKILL)
        except OSError:  # Somebody else's, or it has just ended.
            return
        while holder(folder) == found.pid:
            time.sleep(_LOOK)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
