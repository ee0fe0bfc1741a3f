"""A served model beside the one that was measured: asked the same in two ways, and judged.

Owns how the two are opened and asked. The served model is asked over ``generate`` with our own text,
which is how it will be asked, and over ``chat``, which tests the TEMPLATE that other programs will use.
The rule itself is ``parity``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from preceptor.agents import students
from preceptor.agents.students.guarded import GuardedStudent
from preceptor.core.egress import Egress, is_local
from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Cancel, Student
from preceptor.core.record import Record
from preceptor.core.records import AdapterRef, Call, Example, ModelRef, Reply
from preceptor.core.settings import Settings
from preceptor.graphs import parity

TOKENIZER_FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
)  # fmt: skip
"""What is needed to render prompts for a model, without its weights."""


class Verdict(Record):
    """What came of a comparison.

    Attributes:
        name: What the model is called.
        url: Where it is.
        checks: What the gate found, for each way of asking.
    """

    name: str
    url: str
    checks: tuple[parity.Parity, ...]

    @property
    def objections(self) -> list[str]:
        """Why it must not be served; empty if it may."""
        return [f"{check.route}: {word}" for check in self.checks for word in check.objections]


@dataclass(frozen=True)
class Served:
    """A model on a server.

    Attributes:
        name: What it is called there.
        url: Where that is.
        tokenizer: The folder of its tokenizer here.
        gate: What it is asked passes it if it is on another machine; None only where nothing of a note
            is asked.
        quantised: Whether its weights were made smaller.
    """

    name: str
    url: str
    tokenizer: Path
    gate: Egress | None
    quantised: bool = False

    def open(self, route: str, settings: Settings) -> Student:
        """Return the student that asks it, ``raw`` or by ``chat``."""
        options = students.StudentOptions(
            base_url=self.url,
            keys=settings.api_key_env,
            parallel=settings.concurrency,
            timeout=settings.timeouts.student,
            tokenizer=self.tokenizer if route == "raw" else None,
        )
        made = students.make(ModelRef(spec=f"ollama:{self.name}"), options=options)
        gate = self.gate
        if gate is None or is_local(self.url):
            return made
        return GuardedStudent(made, lambda: gate.door(self.url, "student"))


@dataclass(frozen=True)
class Asked:
    """What both are asked.

    Attributes:
        calls: The prompts, of whole notes.
        notes: What they ask about.
        fields: The task's.
    """

    calls: Sequence[Call]
    notes: Sequence[Example]
    fields: Sequence[FieldSpec]


def judge(reference: Student, served: Served, asked: Asked, settings: Settings) -> Verdict:
    """Compare a served model with the student in process; the latter is closed in the end.

    Raises:
        InputError: If there are too few prompts.
        StudentError: If one of the two cannot be used.
    """
    found = checks(
        reference, lambda route: served.open(route, settings), asked, quantised=served.quantised
    )
    return Verdict(name=served.name, url=served.url, checks=found)


def checks(
    reference: Student, served: Callable[[str], Student], asked: Asked, *, quantised: bool
) -> tuple[parity.Parity, ...]:
    """Compare a served model with the student in process, in each way that it can be asked.

    Args:
        reference: The student in process; it is closed in the end.
        served: Opens the served model for one way of asking.
        asked: What both are asked.
        quantised: Whether the served weights were made smaller.

    Raises:
        InputError: If there are too few prompts.
        StudentError: If one of the two cannot be used.
    """
    mine = Remembered(reference)
    found = []
    try:
        for route in ("raw", "chat"):
            theirs = served(route)
            try:
                pair = (mine, theirs)
                found.append(
                    parity.compare(
                        asked.calls,
                        asked.notes,
                        asked.fields,
                        pair,
                        route=route,
                        quantised=quantised,
                    )
                )
            finally:
                theirs.close()
    finally:
        mine.close()
    return tuple(found)


def reference(folder: Path, adapter: AdapterRef | None = None, weights: Path | None = None) -> Student:
    """Return the student in process: the base model of a folder, with trained weights on it."""
    options = students.StudentOptions(adapter=weights, threads=1)
    return students.make(ModelRef(spec=f"hf:{folder}"), adapter, options)


class Remembered:
    """A student that is asked the same twice, and answers once.

    Attributes:
        replies: What it said so far.
    """

    def __init__(self, student: Student) -> None:
        self._student = student
        self.replies: dict[parity.Key, Reply] = {}
        self.ref, self.context = student.ref, student.context

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls."""
        fresh = [c for c in calls if c.key not in self.replies]
        self.replies.update({r.key: r for r in self._student.complete(fresh, cancel)})
        yield from (self.replies[c.key] for c in calls if c.key in self.replies)

    def close(self) -> None:
        """Let go."""
        self._student.close()
