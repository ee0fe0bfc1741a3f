"""Running a recipe over notes: ask what the cache does not know, commit it, score it.

Owns the order of the work: which notes are asked together, when money is reserved and when answers
are committed. Leaves rendering and parsing to core, talking to the student, and scoring to
``evals.scorers``.

Notes are taken in chunks of fixed membership, in the order given. Of each chunk only the missing
notes are asked; their calls are reserved before, and their answers committed as they come
(``evals.committing``), also when the student breaks or a person stops the run. So a ``kill -9`` costs
the answers of the last few seconds, and no committed answer is asked for again. A limit of wall time
holds inside a chunk, too.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from preceptor.core import parse, render
from preceptor.core.amounts import Tally, most_read, most_written
from preceptor.core.cache import AnswerCache, answer_key, example_key
from preceptor.core.errors import InputError, Interrupted, StudentError
from preceptor.core.fields import FieldSpec
from preceptor.core.hits import fitting
from preceptor.core.ledger import Ledger
from preceptor.core.ports import Cancel, OnProgress, Progress, Retriever, Student
from preceptor.core.record import digest
from preceptor.core.records import Answer, Call, Evaluation, Example, Recipe, Reply
from preceptor.evals.committing import Committer
from preceptor.evals.scorers import OwnMetric, score_answer

CHARS_PER_TOKEN = 3
"""Below the usual four, so that prompts with retrieved examples rather leave room than overrun."""

FEWEST_FAILURES = 8
"""Fewer failed answers than this in one chunk never count as a student that cannot be used."""


@dataclass(frozen=True)
class EvaluatorSettings:
    """What an evaluator asks, and in which portions.

    Attributes:
        fields: The task's fields.
        own: The task's own metric function, if it has one.
        chunk: How many notes are asked, and reserved, together.
    """

    fields: tuple[FieldSpec, ...]
    chunk: int = 64
    own: OwnMetric | None = None


@dataclass
class _Work:
    """One chunk in progress: the replies so far, and the answers that are whole."""

    notes: dict[str, Example]
    waiting: dict[str, int]
    calls: dict[tuple[str, tuple[str, ...]], Call]
    dropped: dict[str, int] = field(default_factory=dict)
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)

    def take(self, reply: Reply, fields: Sequence[FieldSpec]) -> Answer | None:
        """Keep a reply; return its note's answer if it made that whole."""
        note = reply.key[0]
        if note not in self.notes or note in self.answers:
            return None
        if reply.key in self.calls:
            self.tally.count(reply, self.calls[reply.key])
        else:
            self.tally.add(reply.prompt_tokens, reply.completion_tokens)
        self.errors.update([reply.error] if reply.error else [])
        got = self.replies.setdefault(note, [])
        got.append(reply)
        if len(got) < self.waiting[note]:
            return None
        whole = parse.answer(note, fields, self.replies.pop(note))
        if self.dropped.get(note):
            whole = whole.model_copy(update={"dropped_hits": self.dropped[note]})
        self.answers[note] = whole
        return whole

    def give_up(self, fields: Sequence[FieldSpec]) -> None:
        """Count every note that the student left out as failed."""
        for note in self.notes:
            if note not in self.answers:
                self.answers[note] = parse.answer(note, fields, self.replies.pop(note, []))


class CachedEvaluator:
    """The Evaluator: answers come from the cache, and from the student where they are missing.

    Args:
        settings: What is asked.
        students: Gives the student of a recipe. Whoever makes students also closes them.
        cache: Where answers are kept. ``failed`` ones are not, so that they are tried again.
        ledger: What calls and seconds are booked on, if anything.
        retriever: Gives the retriever of a recipe, if it has an index.
        cancel: Asked between calls.
    """

    def __init__(
        self,
        settings: EvaluatorSettings,
        students: Callable[[Recipe], Student],
        cache: AnswerCache,
        ledger: Ledger | None = None,
        retriever: Callable[[Recipe], Retriever | None] | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._settings = settings
        self._students = students
        self._cache = cache
        self._ledger = ledger
        self._retriever = retriever
        self._cancel = cancel
        self._session = uuid.uuid4().hex[:8]
        self._asked: Counter[str] = Counter()
        self._pace: dict[str, float] = {}

    def answers(
        self, recipe: Recipe, examples: Sequence[Example], on_progress: OnProgress | None = None
    ) -> list[Answer]:
        """Return one Answer per Example, in the same order; a note given twice is asked once.

        Raises:
            BudgetStop: Before a chunk is asked that does not fit the budget, or as soon as the wall
                seconds are used up; what was answered is in the cache.
            StudentError: If the student cannot be used, or more than half of a chunk failed.
            Interrupted: If the run was cancelled; what was answered is in the cache.
            InputError: If two different notes have one id.
        """
        student = self._students(recipe)
        key = answer_key(recipe, student.ref, self._settings.fields)
        keys = [example_key(e) for e in examples]
        notes = dict(zip(keys, examples, strict=True))
        if len({e.id for e in notes.values()}) < len(notes):
            raise InputError("two different notes have one id", "give every note its own id")
        known = self._cache.get_many(key, list(notes))
        done = len(known)
        tell = on_progress or (lambda _: None)
        tell(Progress(done, len(notes)))

        def one_more() -> None:
            nonlocal done
            done += 1
            tell(Progress(done, len(notes)))

        for chunk in self._chunks(list(notes)):
            missing = {k: notes[k] for k in chunk if k not in known}
            if missing:
                known.update(self._ask(student, recipe, (key, missing), one_more))
        return [known[k] for k in keys]

    def evaluate(
        self,
        recipe: Recipe,
        examples: Sequence[Example],
        split: str,
        on_progress: OnProgress | None = None,
    ) -> Evaluation:
        """Return the scores of ``examples`` under ``recipe``, in the same order.

        Raises:
            InputError: If a note has no gold answer; and what ``answers`` raises.
        """
        fields, own = self._settings.fields, self._settings.own
        given = self.answers(recipe, examples, on_progress)
        scored = (score_answer(e, a, fields, own) for e, a in zip(examples, given, strict=True))
        return Evaluation(recipe=recipe.fingerprint, split=split, scored=tuple(scored))

    def _chunks(self, keys: list[str]) -> Iterator[list[str]]:
        size = self._settings.chunk
        return (keys[at : at + size] for at in range(0, len(keys), size))

    def _ask(
        self,
        student: Student,
        recipe: Recipe,
        batch: tuple[str, dict[str, Example]],
        one_more: Callable[[], None],
    ) -> dict[str, Answer]:
        """Ask the missing notes of one chunk, commit what came back whole, return it by key."""
        key, missing = batch
        if self._stopped():
            raise Interrupted("stopped before the next notes", "resume continues where it was")
        by_id = {e.id: k for k, e in missing.items()}
        calls, work = self._prepare(student, recipe, list(missing.values()))
        settle = self._reserve(key, missing, (student.ref.spec, calls))
        late = self._ledger.deadline() if self._ledger is not None else lambda: False
        started = time.perf_counter()
        try:
            with Committer(self._cache, key) as kept:
                for reply in student.complete(calls, lambda: self._stopped() or late()):
                    whole = work.take(reply, self._settings.fields)
                    if whole is not None:
                        kept.put(by_id[whole.example_id], whole)
                        one_more()
                self._finish(work)
        finally:
            settle(work, time.perf_counter() - started)
        _check_failures(work.answers.values(), work.errors)
        return {by_id[note]: answer for note, answer in work.answers.items()}

    def _stopped(self) -> bool:
        return self._cancel is not None and self._cancel()

    def _prepare(
        self, student: Student, recipe: Recipe, notes: list[Example]
    ) -> tuple[list[Call], _Work]:
        """Return the calls of a chunk, with as many retrieved examples as fit the window."""
        window = student.context
        room = (window - recipe.decoding.max_tokens) * CHARS_PER_TOKEN if window is not None else None
        fields = self._settings.fields
        retriever = self._retriever(recipe) if self._retriever and recipe.index else None
        calls: list[Call] = []
        waiting: dict[str, int] = {}
        found = retriever.hits(notes, fields) if retriever else [None] * len(notes)
        dropped: dict[str, int] = {}
        for note, hits in zip(notes, found, strict=True):
            if hits and room is not None:
                hits, dropped[note.id] = fitting(recipe, fields, note, hits, room)
            asked = render.calls(recipe, fields, note, hits)
            waiting[note.id] = len(asked)
            calls += asked
        return calls, _Work(
            {n.id: n for n in notes}, waiting, {call.key: call for call in calls}, dropped
        )

    def _finish(self, work: _Work) -> None:
        """Close a chunk whose student has nothing more to say.

        Raises:
            Interrupted: If notes are missing because the run was cancelled.
            BudgetStop: If they are missing because the wall seconds are used up.
        """
        if len(work.answers) == len(work.notes):
            return
        if self._stopped():
            raise Interrupted("stopped while notes were asked", "resume continues where it was")
        if self._ledger is not None:
            self._ledger.check_time()
        work.give_up(self._settings.fields)

    def _reserve(
        self, key: str, missing: dict[str, Example], asked: tuple[str, list[Call]]
    ) -> Callable[[_Work, float], None]:
        """Reserve a chunk's calls, likely seconds and dollars; return what settles them.

        The ledger's key names this asking, not only its content: notes that failed are asked again,
        and cost again.
        """
        if self._ledger is None:
            return lambda work, seconds: None
        ledger, (model, calls) = self._ledger, asked
        content = digest([key, *missing])
        self._asked[content] += 1
        name = f"answers:{content}:{self._session}.{self._asked[content]}"
        amounts: dict[str, float | None] = {
            "student_calls": len(calls),
            "compute_seconds": max(len(calls) * self._pace.get(key, 0.0), 1e-6),
        }
        paid = not ledger.prices.is_free(model)
        if paid:
            most = sum(map(most_read, calls)), sum(map(most_written, calls))
            amounts["dollars"] = ledger.cost(model, *most)
        claim = ledger.reserve(name, **amounts)

        def settle(work: _Work, seconds: float) -> None:
            made = work.tally.replies
            if made:
                self._pace[key] = seconds / made
            actual: dict[str, float | None] = {"student_calls": made, "compute_seconds": seconds}
            if paid:
                actual["dollars"] = ledger.cost(model, work.tally.read, work.tally.written)
            claim.settle(**actual)

        return settle


def _check_failures(given: Collection[Answer], errors: Counter[str]) -> None:
    """Raise StudentError, with the most frequent reason, if most of a chunk got no answer at all."""
    failed = sum(a.status == "failed" for a in given)
    if failed >= FEWEST_FAILURES and 2 * failed > len(given):
        why = f": {errors.most_common(1)[0][0]}" if errors else ""
        raise StudentError(
            f"{failed} of {len(given)} notes got no answer{why}",
            "look at the student's server, then resume; nothing that was answered is lost",
        )
