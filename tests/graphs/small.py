"""A small task and small runs of the loop on it, for the tests of this folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from pydantic import JsonValue

from preceptor.core.fields import LabelField
from preceptor.core.ports import Student
from preceptor.core.records import Example, ModelRef
from preceptor.core.settings import Settings
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import refine, wiring
from preceptor.graphs.gates import GateConfig
from preceptor.graphs.session import Limits, Listener, Session
from preceptor.graphs.state import RunState

OPTIONS = wiring.Options(
    task="tests.graphs.small:task",
    student="simulated",
    limits=Limits(rounds=4, plateau=3),
    gate=GateConfig(looks=4),
)
SETTINGS = Settings()


FORMS = {
    "fever": ("burning up", "shivering at night"),
    "cough": ("hacking", "barking chest"),
    "rash": ("red spots", "itchy blotches"),
}
FILLER = (
    "Seen with his daughter in the morning clinic.",
    "Weight is stable and he sleeps on two pillows.",
    "We talked about the garden and the new bus line.",
)


def task() -> Task:
    """Return a synthetic task of 90 one-note patients and three fields with two wordings each."""
    fields = tuple(LabelField(name=name, values=("yes", "no")) for name in FORMS)
    notes = tuple(_note(i) for i in range(90))
    split = SplitSpec(train=36, dev=30, test=24)
    return Task(name="small", fields=fields, examples=notes, split=split, synthetic=True)


def _note(i: int) -> Example:
    r = Random(i)
    there = {name: r.random() < 0.6 for name in FORMS}
    said = [f"He was {r.choice(FORMS[n])} for {r.randint(2, 9)} days." for n in FORMS if there[n]]
    lines = [*said, r.choice(FILLER), r.choice(FILLER)]
    r.shuffle(lines)
    gold: dict[str, JsonValue] = {name: "yes" if there[name] else "no" for name in FORMS}
    return Example(id=f"n{i}", group=f"p{i}", text=" ".join(lines), gold=gold)


@contextmanager
def opened(
    root: Path, options: wiring.Options = OPTIONS, listener: Listener | None = None
) -> Iterator[Session]:
    """Make the run ``run`` under ``root``, or open it if it is there."""
    path = root / "run"
    if path.exists():
        with wiring.reopen(path, SETTINGS, listener) as session:
            yield session
    else:
        with wiring.create(options, root, "run", SETTINGS, listener) as session:
            yield session


def finished(root: Path, options: wiring.Options = OPTIONS) -> RunState:
    """Run to the end; return the final state."""
    with opened(root, options) as session:
        return refine.run(session)


def in_child(work: Callable[[], None]) -> int:
    """Do ``work`` in a process of its own; return its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def die() -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """A student that is killed with its process after a number of replies."""

    def __init__(self, student: Student, after: int) -> None:
        self._student, self._left = student, after

    @property
    def ref(self) -> ModelRef:
        return self._student.ref

    @property
    def context(self) -> int | None:
        return self._student.context

    def complete(self, calls, cancel=None):  # type: ignore[no-untyped-def]
        for reply in self._student.complete(calls, cancel):
            self._left -= 1
            if self._left < 0:
                die()
            yield reply

    def close(self) -> None:
        self._student.close()
