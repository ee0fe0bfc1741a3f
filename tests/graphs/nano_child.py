"""One run of the embedded student in a process of its own, killed where it is told to be.

python -m tests.graphs.nano_child FOLDER [inside:REPLIES | before:NODE | after:NODE]
"""

from __future__ import annotations

import sys
from pathlib import Path

from preceptor.agents import students
from preceptor.core.ports import Student
from preceptor.graphs import refine
from preceptor.graphs.session import Limits, Session
from preceptor.graphs.state import RunState
from tests.graphs.small import OPTIONS, Dying, die, finished

NANO = OPTIONS.model_copy(update={"student": "nano", "limits": Limits(rounds=1)})


def arm(where: str) -> None:
    """Make this process die at the place named."""
    when, _, place = where.partition(":")
    if when == "inside":
        make = students.make

        def dying(*given: object) -> Student:
            return Dying(make(*given), int(place))  # type: ignore[arg-type]

        students.make = dying  # type: ignore[assignment]
        return
    node = refine.NODES[place]

    def killed(session: Session, state: RunState) -> RunState:
        if when == "after":
            node(session, state)
        die()
        return {}

    refine.NODES[place] = killed


if __name__ == "__main__":
    if len(sys.argv) > 2:
        arm(sys.argv[2])
    finished(Path(sys.argv[1]), NANO)
