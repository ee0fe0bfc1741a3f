"""A model that is asked through batches, as a Student.

Owns how calls become requests and outcomes become replies, and the gate in between. The key of a
batch is taken from what was asked before redaction, so that a resumed process finds its batch although
it would redact a text otherwise by now; and it sends, and logs, nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from preceptor.agents.batch import lines
from preceptor.agents.batch.desk import Desk
from preceptor.agents.batch.lines import Limits, Outcome
from preceptor.agents.batch.service import Seen
from preceptor.agents.batch.slips import Slip
from preceptor.agents.students.completion import said
from preceptor.agents.students.openai import OpenAIStudent
from preceptor.agents.students.retry import Passing, Refused
from preceptor.core.egress import Door
from preceptor.core.errors import StudentError
from preceptor.core.ports import Cancel
from preceptor.core.record import digest
from preceptor.core.records import Call, Message, ModelRef, Reply


@dataclass
class BatchStudent:
    """Asks a model through batches.

    Attributes:
        student: Who would be asked one by one.
        desk: Hands in and fetches.
        door: Gives the gate that what is sent passes; None for a server on this machine.
        limits: How large one batch may be.
        closed_early: Why batches ended before all their requests were answered, by their id.
    """

    student: OpenAIStudent
    desk: Desk
    door: Callable[[], Door] | None = None
    limits: Limits = field(default_factory=Limits)
    closed_early: dict[str, str] = field(default_factory=dict)
    _open: dict[str, Slip] = field(default_factory=dict)
    _over: list[tuple[Slip, Seen]] = field(default_factory=list)

    @property
    def ref(self) -> ModelRef:
        """The model."""
        return self.student.ref

    @property
    def context(self) -> int | None:
        """The longest prompt plus answer in tokens."""
        return self.student.context

    def name(self, calls: Sequence[Call]) -> str:
        """Return what names this asking, the same in a resumed process; nothing is sent."""
        return digest([slip.marker for slip, _ in self._slips(calls)])

    @property
    def under_way(self) -> bool:
        """Whether a batch was created whose results have not come yet."""
        return bool(self._open)

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Hand in all calls, wait, and answer them.

        Raises:
            StudentError: If the server cannot be used, or refused every batch.
            InputError: If the policy lets nothing out.
            Interrupted: If a person wants to stop; the batches go on.
        """
        handed = []
        for slip, part in self._slips(calls):
            given = self.desk.hand_in(slip, lambda part=part: self._content(part))  # type: ignore[misc]
            self._open[given.marker] = given
            handed.append((given, part))
        refused = ""
        answered = False
        for slip, part in handed:
            seen = self.desk.wait(slip)
            found = {} if seen.status == "failed" else self.desk.fetch(seen)
            self._open.pop(slip.marker, None)
            self._over.append((slip, seen))
            if seen.status != "completed":
                self.closed_early[slip.batch] = " ".join(filter(None, (seen.status, seen.code)))
            refused = refused or (seen.code if seen.status == "failed" else "")
            answered = answered or seen.status != "failed"
            yield from self._replies(part, found, seen)
        if handed and not answered:
            self.close_books()
            raise StudentError(
                f"{self.desk.service.host!r} refused the batch: {refused or 'no reason given'}",
                "ask fewer notes, or set labeller.batch to 'never' to ask one by one",
            )

    def close_books(self) -> None:
        """Say that all results so far are kept: see ``Desk.close``."""
        for slip, seen in self._over:
            self.desk.close(slip, seen)
        self._over.clear()

    def close(self) -> None:
        """Close the connections."""
        self.student.close()

    def _slips(self, calls: Sequence[Call]) -> list[tuple[Slip, Sequence[Call]]]:
        sizes = [len(str(self.student.body(call, self._constrained(call))).encode()) for call in calls]
        found = []
        for start, end in lines.parts(sizes, self.limits):
            part = calls[start:end]
            key = digest([self.ref.spec, *(self._identity(call) for call in part)])
            found.append((self.desk.slips.take(key, self.desk.service.host, len(part)), part))
        return found

    def _constrained(self, call: Call) -> bool:
        return call.decoding.constrained and not self.student.without_schema

    def _identity(self, call: Call) -> str:
        said = [f"{m.role}:{m.content}" for m in call.messages]
        return digest(
            [call.example_id, *(f.to_json() for f in call.fields), *said, call.decoding.to_json()]
        )

    def _content(self, calls: Sequence[Call]) -> bytes:
        """Return the input file, its texts as they may be sent; it is one line of the log."""
        if self.door is not None:
            sent = iter(self.door().send([m.content for call in calls for m in call.messages]))
            calls = [
                replace(call, messages=tuple(Message(m.role, next(sent)) for m in call.messages))
                for call in calls
            ]
        return lines.dump([self.student.body(call, self._constrained(call)) for call in calls])

    def _replies(self, calls: Sequence[Call], found: dict[str, Outcome], seen: Seen) -> Iterator[Reply]:
        why = f"the batch is {seen.status} {seen.code}".strip()
        for place, call in enumerate(calls):
            outcome = found.get(lines.custom_id(place))
            yield self._reply(call, outcome) if outcome else _failed(call, f"{why}, without an answer")

    def _reply(self, call: Call, outcome: Outcome) -> Reply:
        if outcome.status != 200 or outcome.body is None:
            long = outcome.code == "context_length_exceeded"
            lost = _failed(call, f"status {outcome.status or 'none'} {outcome.code}".strip())
            return replace(lost, status="truncated") if long else lost
        try:
            reply = self.student.read(call, said(outcome.body), 0.0)
        except (Passing, Refused) as trouble:
            return _failed(call, trouble.why)
        door = self.door() if self.door is not None else None
        return replace(reply, raw=door.back(reply.raw)) if door is not None and door.changes else reply


def _failed(call: Call, why: str) -> Reply:
    return Reply(call.key, "", "failed", error=why)
