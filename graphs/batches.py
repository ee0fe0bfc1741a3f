"""The batches of a run, from outside of it: which there are, and telling the server to stop them.

Owns no state: a process that waits for a batch sees by itself that it was stopped, keeps what was
answered by then, and counts the rest as no votes.
"""

from __future__ import annotations

import threading
from pathlib import Path

from preceptor.agents import students
from preceptor.agents.batch.service import OVER, Service
from preceptor.agents.batch.slips import Slip, Slips
from preceptor.agents.students.openai import OpenAIStudent
from preceptor.agents.students.retry import Backoff, Passing
from preceptor.core.errors import StudentError
from preceptor.core.records import ModelRef
from preceptor.core.runs import RunStore
from preceptor.graphs import labelling
from preceptor.graphs.wiring import Options


def listed(run: Path) -> list[Slip]:
    """Return the batches of a run, oldest first, as they were last seen.

    Raises:
        StoreError: If it is no run, or a slip is damaged.
    """
    return Slips(RunStore.open(run).path / labelling.FOLDER).all()


def cancel(run: Path) -> list[Slip]:
    """Tell the server to stop what is still going on; return those batches, as it answers.

    Raises:
        StudentError: If the server cannot be asked.
        StoreError: If it is no run.
    """
    going = [slip for slip in listed(run) if not slip.closed and slip.status not in OVER]
    if not going:
        return []
    options = RunStore.open(run).said("options", Options)
    student = students.make(ModelRef(spec=labelling.model_of(options)))
    try:
        if not isinstance(student, OpenAIStudent):
            raise StudentError("this run's labeller has no batches", "nothing is to be stopped")
        service = Service(student.client, Backoff(), threading.Event())
        return [told for slip in going if (told := _cancelled(service, slip)) is not None]
    except Passing as trouble:
        raise StudentError(f"the server cannot be asked: {trouble.why}", "try again") from trouble
    finally:
        student.close()


def _cancelled(service: Service, slip: Slip) -> Slip | None:
    """Return a slip as it stands after its batch was told to stop, None if there is no batch."""
    found = service.look(slip.batch) if slip.batch else service.find(slip.marker, slip.since)
    if found is not None and found.status not in OVER:
        found = service.cancel(found.id)
    return (
        None if found is None else slip.model_copy(update={"batch": found.id, "status": found.status})
    )
