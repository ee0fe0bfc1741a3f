"""The voter ``teacher``: a chat model labels notes, asked exactly as the student is asked.

Owns who that model is, which notes it may see (train's side only), and whether they are asked one by
one or in a batch. Prompts, parsing and the cache are the evaluator's; the gate, the ledger and the
batch are put before the model. What became of votes is ``tools.distill``'s affair.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.agents import destination, students, teacher
from preceptor.agents.batch.desk import Desk, Patience
from preceptor.agents.batch.service import Service
from preceptor.agents.batch.slips import Slips
from preceptor.agents.batch.student import BatchStudent
from preceptor.agents.batch.watch import Watch
from preceptor.agents.students.guarded import GuardedStudent
from preceptor.agents.students.langchain import LangChainStudent
from preceptor.agents.students.openai import OpenAIStudent, with_path
from preceptor.agents.students.retry import Backoff
from preceptor.core import parse
from preceptor.core.cache import AnswerCache, answer_key, example_key
from preceptor.core.egress import Egress, is_local
from preceptor.core.errors import InputError, StudentError, boundary
from preceptor.core.ledger import WALL, Ledger
from preceptor.core.ports import Cancel, Evaluator, Evidence, OnProgress, Progress, Student
from preceptor.core.records import Answer, Example, ModelRef, Recipe
from preceptor.core.render import asked_together
from preceptor.core.settings import LabellerSettings
from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings
from preceptor.evals.task import Task
from preceptor.graphs.booking import BookedStudent
from preceptor.tools.distill.weak import Vote

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from preceptor.graphs.retrieval import Retrievers
    from preceptor.graphs.wiring import Options

TEACHER = "teacher"
FOLDER = "batches"
"""Below a run's folder: what is remembered of batches."""

NO_CHAT = ("rules", "nano", "scripted", "simulated")
"""What answers a student's prompts, but is no model that could know better."""

AS_STUDENT = ("openai", "ollama", "hf")
"""The kinds of models that are asked as students are; all others are asked through LangChain."""

FEW = 20
FEW_SHARE = 0.1
"""So many requests, or so large a share of a batch, are asked again one by one if they failed in it."""

ALL_AT_ONCE = 1_000_000
"""Notes of one batch, as the evaluator's chunk: the batches cut them."""


def model_of(options: Options) -> str:
    """Return the model that labels: the named one, or the teacher's; an empty text if there is none."""
    if options.labeller:
        return options.labeller
    return options.teacher if ":" in options.teacher else ""


def has_batches(spec: str, chosen: LabellerSettings) -> bool:
    """Return whether a model's server has the batch endpoint: OpenAI itself, or the named one."""
    if not spec.startswith("openai:"):
        return False
    url = destination.of(spec).rstrip("/")
    return url == destination.OPENAI or bool(chosen.batch_url and url == _plain(chosen.batch_url))


def _plain(url: str) -> str:
    return with_path(url).rstrip("/")


def check(options: Options, chosen: LabellerSettings, gate: Egress) -> None:
    """Refuse a labeller that cannot be, before a run's folder is made.

    Raises:
        InputError: Naming what is wrong.
        StudentError: If LangChain cannot set the model up.
    """
    spec = model_of(options)
    if chosen.batch == "always" and spec and not has_batches(spec, chosen):
        raise InputError(
            f"labeller.batch is 'always', but no batch endpoint is known for {spec!r}",
            "set labeller.batch to 'auto', or labeller.batch_url to a server that has one",
        )
    if options.labeller:
        kind, _, name = spec.partition(":")
        if not kind or not name or kind in NO_CHAT:
            raise InputError(
                f"labeller.model: no chat model {spec!r}",
                "openai:NAME[@URL], ollama:NAME, hf:PATH or PROVIDER:NAME of LangChain",
            )
        if destination.is_remote(spec):
            gate.refuse(destination.of(spec))
        if kind not in AS_STUDENT:
            _through_langchain(spec, students.StudentOptions())


@dataclass(frozen=True)
class Place:
    """What a run gives its labeller.

    Attributes:
        task: Whose fields are asked.
        allowed: The notes that may be asked about: train and what nobody has labelled.
        options: The run's.
        chosen: The settings about labelling.
        gate: What leaves the machine passes it.
        cache: Where answers are kept.
        ledger: What they are booked on.
        retrievers: Where worked examples come from.
        folder: Where batches are remembered.
        cancel: Whether a person wants to stop.
        heard: Who hears how far it is.
    """

    task: Task
    allowed: Collection[str]
    options: Options
    chosen: LabellerSettings
    gate: Egress
    cache: AnswerCache
    ledger: Ledger
    retrievers: Retrievers
    folder: Path
    cancel: Cancel
    heard: OnProgress


class Labeller:
    """The voter.

    Args:
        place: What the run gives.
        watch: Waits; a real clock if not given.
    """

    def __init__(self, place: Place, watch: Watch | None = None) -> None:
        self._place = place
        self._watch = watch or Watch(place.cancel)
        self._spec = model_of(place.options)
        self._direct: BookedStudent | None = None
        self._opened: Student | None = None
        self._lost: dict[tuple[str, str], Answer] = {}

    def ahead(self, evidence: Evidence, notes: Sequence[Example]) -> None:
        """Ask about all notes of a look at once; its votes then come from the cache.

        Raises:
            InputError: If the model gives no answer, or a note is not of train's side.
            BudgetStop: If it does not fit the budget.
            Interrupted: If a person wants to stop.
        """
        self._lost.clear()
        self(evidence, notes)

    def __call__(self, evidence: Evidence, notes: Sequence[Example]) -> list[Vote]:
        """Return the model's vote on each note; one without an answer has no vote.

        Raises:
            InputError: As ``ahead``.
        """
        strange = [note.id for note in notes if note.id not in self._place.allowed]
        if strange:
            raise InputError(
                f"{len(strange)} notes are not on train's side", "the labeller sees no dev or test note"
            )
        try:
            student = self._student()
            recipe = evidence.recipe.model_copy(update={"model": student.ref, "adapter": None})
            answers = self._answers(recipe, notes)
        except StudentError as lost:
            raise InputError(f"voter {TEACHER!r}: {lost.message}", lost.hint) from lost
        return [
            Vote(values={k: v for k, v in (a.record or {}).items() if k not in a.problems})
            for a in answers
        ]

    def close(self) -> None:
        """Close the connections."""
        if self._direct is not None:
            self._direct.close()

    def _answers(self, recipe: Recipe, notes: Sequence[Example]) -> list[Answer]:
        """Return an answer per note; those that were lost in this look are not asked again."""
        named = recipe.fingerprint
        asked = [note for note in notes if (named, example_key(note)) not in self._lost]
        found = dict(zip((n.id for n in asked), self._ask(recipe, asked), strict=True))
        for note in asked:
            if found[note.id].status == "failed":
                self._lost[named, example_key(note)] = found[note.id]
        return [found.get(n.id) or self._lost[named, example_key(n)] for n in notes]

    def _ask(self, recipe: Recipe, notes: Sequence[Example]) -> list[Answer]:
        missing = len(notes) - len(self._known(recipe, notes))
        calls = missing * len(asked_together(recipe, self._place.task.fields))
        if not self._batched(calls):
            return self._through(self._student(), 64).answers(recipe, notes, self._place.heard)
        found = self._in_batches(recipe, notes)
        failed = [n for n, a in zip(notes, found, strict=True) if a.status == "failed"]
        share = len(failed) * len(asked_together(recipe, self._place.task.fields))
        if not failed or share > max(FEW, FEW_SHARE * calls):
            return found
        again = self._through(self._student(), 64).answers(recipe, failed, self._place.heard)
        better = dict(zip((n.id for n in failed), again, strict=True))
        return [better.get(n.id, a) for n, a in zip(notes, found, strict=True)]

    def _in_batches(self, recipe: Recipe, notes: Sequence[Example]) -> list[Answer]:
        """Ask through batches; what was answered counts, even if most was not."""
        batch = self._batches()
        booked = BookedStudent(batch, self._place.ledger, self._spec)
        before = self._known(recipe, notes)
        try:
            found = self._through(booked, ALL_AT_ONCE).answers(recipe, notes)
        except StudentError as lost:
            known = self._known(recipe, notes)
            if len(known) == len(before):
                why = f" ({booked.why})" if booked.why else ""
                raise StudentError(f"{lost.message}{why}", lost.hint) from lost
            fields = self._place.task.fields
            found = [known.get(example_key(n)) or parse.answer(n.id, fields, []) for n in notes]
        batch.close_books()
        return found

    def _known(self, recipe: Recipe, notes: Sequence[Example]) -> dict[str, Answer]:
        key = answer_key(recipe, self._student().ref, self._place.task.fields)
        return self._place.cache.get_many(key, [example_key(note) for note in notes])

    def _batched(self, calls: int) -> bool:
        chosen = self._place.chosen
        if not calls or chosen.batch == "never" or not has_batches(self._spec, chosen):
            return False
        return chosen.batch == "always" or calls >= chosen.batch_from

    def _through(self, student: Student, chunk: int) -> Evaluator:
        return CachedEvaluator(
            EvaluatorSettings(self._place.task.fields, chunk),
            lambda _: student,
            self._place.cache,
            retriever=self._place.retrievers.of,
            cancel=self._place.cancel,
        )

    def _student(self) -> BookedStudent:
        """Return the model as it is asked one by one, opened once."""
        if self._direct is None:
            self._opened = _open(self._spec, self._place)
            url = destination.of(self._spec)
            made: Student = self._opened
            if url and not is_local(url):
                made = GuardedStudent(made, lambda: self._place.gate.door(url, "labeller"))
            self._direct = BookedStudent(made, self._place.ledger, self._spec)
        return self._direct

    def _batches(self) -> BatchStudent:
        self._student()
        assert isinstance(self._opened, OpenAIStudent)
        place, url = self._place, destination.of(self._spec)
        left = place.ledger.left().get(WALL)
        hours = place.chosen.batch_hours if left is None else min(place.chosen.batch_hours, left / 3600)
        desk = Desk(
            Service(self._opened.client, Backoff(), self._watch),
            Slips(place.folder),
            self._watch,
            Patience(hours=hours),
            lambda done, total: place.heard(Progress(done, max(done, total), "calls")),
        )
        door = None if is_local(url) else (lambda: place.gate.door(url, "labeller"))
        return BatchStudent(self._opened, desk, door)


def _open(spec: str, place: Place) -> Student:
    url = destination.of(spec)
    if url and not is_local(url):
        place.gate.refuse(url)
    options = students.StudentOptions(
        parallel=place.options.parallel,
        timeout=place.options.timeout,
        models=Path(place.options.models_dir) if place.options.models_dir else None,
    )
    kind, _, name = spec.partition(":")
    if kind not in AS_STUDENT:
        return _through_langchain(spec, options)
    if kind == "ollama" and "@" in name:
        name, _, at = name.partition("@")
        spec, options = f"ollama:{name}", replace(options, base_url=at)
    return students.make(ModelRef(spec=spec), options=options)


def _through_langchain(spec: str, options: students.StudentOptions) -> Student:
    kind, _, name = spec.partition(":")

    def model(temperature: float | None) -> BaseChatModel:
        made = teacher.TeacherOptions(timeout=options.timeout, temperature=temperature)
        with boundary(StudentError, f"model {spec!r} cannot be set up", "see its package and key"):
            return teacher.chat_model(kind, name, "", made)

    return LangChainStudent(spec, model, options)
