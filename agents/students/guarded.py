"""A student on another machine: what it is asked passes the gate, what it answers is mapped back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from preceptor.core.egress import Door
from preceptor.core.ports import Cancel, Student
from preceptor.core.records import Call, Message, ModelRef, Reply


class GuardedStudent:
    """Puts the gate before a student.

    Args:
        student: Who answers.
        door: Gives the gate; asked anew each time, because a run's log begins after its student.
    """

    def __init__(self, student: Student, door: Callable[[], Door]) -> None:
        self._student = student
        self._door = door

    @property
    def ref(self) -> ModelRef:
        """The model."""
        return self._student.ref

    @property
    def context(self) -> int | None:
        """The longest prompt plus answer in tokens."""
        return self._student.context

    @property
    def unguarded(self) -> Student:
        """The student itself, to be asked about what is no note's text."""
        return self._student

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls, as they come.

        Raises:
            InputError: If the policy lets nothing out.
            StudentError: If the server or the model is gone.
        """
        door = self._door()
        sent = [self._screened(call, door) for call in calls]
        for reply in self._student.complete(sent, cancel):
            yield replace(reply, raw=door.back(reply.raw)) if door.changes else reply

    def _screened(self, call: Call, door: Door) -> Call:
        texts = door.send([m.content for m in call.messages])
        messages = tuple(Message(m.role, t) for m, t in zip(call.messages, texts, strict=True))
        return replace(call, messages=messages)

    def close(self) -> None:
        """Close it."""
        self._student.close()
