"""Answering the notes of a file with a bundle.

Owns the order of the work: the whole file is checked before anything is asked; then its notes are
answered chunk by chunk, and a chunk's rows are on the disk before the next one is asked. A note that
the out file answers already, by content hash, is not asked again, so that an interrupted extraction
goes on where it was. Memory does not grow with the file: what must be known of every note (its id and
hash) is in an SQLite file beside the answers.

JSON lines and CSV grow at their end. Parquet cannot: its rows stand in a journal of JSON lines until
all are there, and the file is made from it by row groups.

What belongs to unfinished work stands in a hidden folder beside the out file, ``.NAME.work``: the lock,
the index, the answers of the chunk in progress, committed as they come, Parquet's journal, and a copy
of notes that come through a pipe. It stays after an error only if something was answered.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from preceptor.core import lock, private
from preceptor.core.cache import AnswerCache, answer_key
from preceptor.core.errors import InputError, Interrupted, StoreError
from preceptor.core.files import store_error
from preceptor.core.ports import Cancel, OnProgress, Progress
from preceptor.core.record import digest
from preceptor.core.records import Answer, Example, Precision
from preceptor.core.settings import Settings
from preceptor.evals import data, evaluate, evidence
from preceptor.evals.task import Task
from preceptor.graphs import (
    answering,
    answers,
    appending,
    bundle,
    bundle_servers,
    corpus,
    retrieval,
    wiring,
)
from preceptor.graphs.index import Index

CHUNK = 64
CACHE = "cache.sqlite"
Opened = tuple[answering.Students, retrieval.Retrievers]


@dataclass(frozen=True)
class Job:
    """What is to be extracted.

    Attributes:
        folder: The bundle, or a finished run.
        source: The notes; ``corpus.PIPE`` if they come through ``pipe``.
        target: The answers.
        columns: Which column of ``source`` holds what.
        shards: Into how many shards the notes are cut, by the hash of their ids.
        shard_index: Which shard is answered, from 0.
        again: Whether notes that were answered with another text, or by another student, are
            answered anew.
        pipe: Where the notes come from if it is no file.
        said: Who says what texts are made of, where it is not the caller.
        precision: What the student computes in, if not what it was measured in.
        allow: Hosts that a server named by the bundle may be at.
        exact: Whether CSV has a model's values as they are, see ``answers.write``.
    """

    folder: Path
    source: Path
    target: Path
    columns: data.Columns = field(default_factory=data.Columns)
    shards: int = 1
    shard_index: int = 0
    again: bool = False
    pipe: corpus.Pipe | None = None
    said: str = ""
    precision: Precision | None = None
    allow: tuple[str, ...] = ()
    exact: bool = False


@dataclass(frozen=True)
class Extracted:
    """What came of it.

    Attributes:
        fresh: How many new answers have which status.
        all: The same of all notes of this shard, with those that were answered before.
        seconds: Wall time of asking.
    """

    fresh: Counter[str]
    all: Counter[str]
    seconds: float


def extract(
    job: Job,
    settings: Settings,
    on_progress: OnProgress,
    cancel: Cancel | None = None,
) -> Extracted:
    """Answer every note of the source that the target does not answer yet.

    Raises:
        InputError: If bundle, file or shard is wrong, or a note was answered before with another text.
        StoreError: If the disk is full or read-only; every chunk that was finished is kept.
        StudentError: If the model cannot be used.
        Interrupted: If it was cancelled; the same command goes on.
    """
    made = bundle.at(bundle.read(job.folder), job.precision)
    job = _with_template(job, made)
    _check(job)
    bundle_servers.check(bundle_servers.senders(job.folder, settings), job.allow)
    work = job.target.with_name(f".{job.target.name}.work")
    appendable = answers.appendable(job.target)
    names = [f.name for f in made.fields]
    rows = job.target if appendable else work / "rows.jsonl"
    with ExitStack() as stack:
        _hold(work, job.target, stack)
        begun = (work / CACHE).exists() or answers.slip_path(job.target).exists()
        appending.check_ours(job.target, begun)
        if job.pipe is not None:
            job = replace(job, source=stack.enter_context(job.pipe.spooled(work)))
            _check_stop(cancel)
        if not appendable and job.target.exists() and not rows.exists():
            answers.write(rows, answers.read(job.target), ())
        index = stack.enter_context(Index(work / "index.sqlite"))
        name = answer_key(made.recipe, made.recipe.model, made.fields)
        total, hashed = _scan(job, index, name)
        kept = _take_over(job, index, rows, names)
        if index.left():
            answers.slip_path(job.target).unlink(missing_ok=True)
        done = _Asking(job, made, index, work).run(rows, settings, on_progress, cancel)
        every = index.statuses()
        if not appendable:
            answers.write(job.target, answers.read(rows), names, exact=job.exact)
        slip = answers.Slip(
            task=made.task,
            recipe=made.recipe.fingerprint,
            fields=tuple(names),
            corpus=hashed,
            notes=total,
            shards=job.shards,
            shard_index=job.shard_index,
            rows=kept + done[0].total(),
            statuses=dict(sorted(every.items())),
        )
        answers.write_slip(job.target, slip)
        shutil.rmtree(work, ignore_errors=True)
    return Extracted(done[0], every, done[1])


def _with_template(job: Job, made: bundle.Bundle) -> Job:
    """Return the job with the texts put together as the bundle's task does, unless it says how."""
    if not made.template or "text" in job.columns.model_fields_set:
        return job
    columns = job.columns.model_copy(update={"text": made.template})
    return replace(job, columns=columns, said="the bundle")


def _check(job: Job) -> None:
    name = Path(f"-.{job.pipe.format}") if job.pipe else job.source
    corpus.kind(name, "--in")
    if ".parquet" in (corpus.kind(job.target, "--out"), corpus.kind(name, "--in")):
        corpus.pyarrow()
    if job.pipe is None and not job.source.is_file():
        there = job.source.exists() and not job.source.is_dir()
        raise InputError(
            f"{'no ordinary file' if there else 'there is no file'}: {str(job.source)!r}",
            "pipe it to --in -" if there else "--in names a file of notes",
        )
    if not job.target.parent.is_dir():
        raise InputError(f"there is no folder {str(job.target.parent)!r}", "make it, or change --out")
    if job.target.exists() and job.pipe is None and job.target.samefile(job.source):
        raise InputError("--in and --out are the same file", "choose another --out")
    if not 0 <= job.shard_index < job.shards:
        raise InputError(
            f"shard {job.shard_index} of {job.shards}", "--shard-index is from 0 to --shards less 1"
        )


def _check_stop(cancel: Cancel | None) -> None:
    """Stop after a pipe that ended because both its sides were interrupted."""
    if cancel is not None and cancel():
        raise Interrupted("stopped before the first note", "the same command goes on where it was")


def _hold(work: Path, target: Path, stack: ExitStack) -> None:
    made = not work.exists()
    try:
        private.make_folder(work, exist_ok=True)
        stack.enter_context(lock.lock(work))
    except OSError as cause:
        raise store_error("make", work, cause) from cause
    except StoreError as cause:
        if "in use" not in cause.message:
            raise
        raise StoreError(f"another extract is writing {str(target)!r}", cause.hint) from cause
    if made:
        stack.callback(_drop_unused, work)


def _drop_unused(work: Path) -> None:
    """Remove a folder of work in which nothing was answered."""
    cache = work / CACHE
    if cache.exists():
        try:
            with AnswerCache(cache) as kept:
                if len(kept):
                    return
        except StoreError:
            return
    shutil.rmtree(work, ignore_errors=True)


def _scan(job: Job, index: Index, name: str) -> tuple[int, str]:
    """Read the whole file once; return (how many notes it has, their content hash).

    Raises:
        InputError: If a row is no note, an id stands twice, or there is no note.
    """
    total, hashed = 0, digest("")
    with index.filling() as add:
        for number, note in corpus.notes(job.source, job.columns, job.said):
            total += 1
            said = digest([note.id, note.text, note.group])
            hashed = digest(hashed + said)
            mine = corpus.shard_of(note.id, job.shards) == job.shard_index
            first = add(note.id, number, digest(name + said), mine)
            if first is not None:
                raise InputError(
                    f"{job.source}: id {note.id!r} stands in rows {first} and {number}",
                    "give every note its own id",
                )
    if not total:
        raise InputError(f"{str(job.source)!r} holds no note", "give it at least one row")
    return total, hashed


def _take_over(job: Job, index: Index, rows: Path, fields: Sequence[str]) -> int:
    """Note which answers are there already, and drop those that must be given anew.

    What a kill left of a last row does not stay, nor does a ``failed`` answer, or a second one to the
    same note. The file is written anew, whole or not at all.

    Returns:
        How many rows stay.

    Raises:
        InputError: If a note was answered with another text or by another student.
    """
    if not rows.exists():
        return 0
    end = appending.whole(rows)
    with index.filling():
        return answers.write(rows, _standing(job, index, (rows, end)), fields, exact=job.exact)


def _standing(job: Job, index: Index, there: tuple[Path, int]) -> Iterator[answers.Row]:
    for row in answers.read(*there):
        key = index.key(row.id)
        if key is not None and row.key != key and not job.again:
            raise InputError(
                f"{str(job.target)!r} answers note {row.id!r} with another text or by another student",
                "choose another --out, or say --again to answer such notes anew",
            )
        if key is None or (row.key == key and row.status != "failed" and index.is_left(row.id)):
            index.answered([(row.id, row.status)])
            yield row


@dataclass(frozen=True)
class _Asking:
    """One pass over the notes that have no answer yet."""

    job: Job
    made: bundle.Bundle
    index: Index
    work: Path

    def run(
        self, rows: Path, settings: Settings, on_progress: OnProgress, cancel: Cancel | None
    ) -> tuple[Counter[str], float]:
        """Ask, and append the rows; return (statuses, seconds)."""
        counts: Counter[str] = Counter()
        todo = self.index.left()
        names = [f.name for f in self.made.fields]
        begun = time.monotonic()
        if not todo:
            return counts, 0.0
        task = Task(name=self.made.task, fields=self.made.fields)
        asked = wiring.Options(
            task=self.made.task,
            parallel=settings.concurrency,
            timeout=settings.timeouts.student,
            models_dir=wiring.models_dir(settings),
        )
        log = self.job.target.with_name(f"{self.job.target.name}.egress.jsonl")
        opened = answering.Students(task, asked, answering.gate(settings, log, task), settings)
        opened.at(bundle.place(self.job.folder))
        finders = retrieval.of_bundle(bundle.place(self.job.folder), settings, opened.gate, "extract")
        try:
            with AnswerCache(self.work / CACHE) as cache:
                evaluator = evaluator_of(self.made, (opened, finders), cache, cancel)
                for chunk in _chunks(self._fresh()):
                    before = counts.total()

                    def tell(here: Progress, before: int = before) -> None:
                        on_progress(Progress(before + here.done, todo))

                    given = evaluator.answers(self.made.recipe, chunk, tell)
                    done = list(self._rows(chunk, given))
                    appending.append(rows, done, names, exact=self.job.exact)
                    counts.update(answer.status for answer in given)
                    self.index.answered([(a.example_id, a.status) for a in given])
        except Interrupted as stop:
            raise Interrupted(
                f"stopped after {counts.total()} of {todo} notes",
                "the same command goes on where it was",
            ) from stop
        finally:
            finders.close()
            opened.close()
        return counts, time.monotonic() - begun

    def _fresh(self) -> Iterator[Example]:
        notes = corpus.notes(self.job.source, self.job.columns, self.job.said)
        return (note for _, note in notes if self.index.is_left(note.id))

    def _rows(self, notes: list[Example], given: list[Answer]) -> Iterator[answers.Row]:
        for note, answer in zip(notes, given, strict=True):
            prompt = self.made.recipe.prompt
            yield answers.Row(
                id=note.id,
                status=answer.status,
                record=answer.record,
                problems=answer.problems,
                evidence=evidence.find(note.text, answer.record, self.made.fields, prompt),
                confidence=answer.confidence,
                key=self.index.key(note.id) or "",
            )


def evaluator_of(
    made: bundle.Bundle, opened: Opened, cache: AnswerCache, cancel: Cancel | None
) -> evaluate.CachedEvaluator:
    """Return what answers notes as the bundle's student does."""
    settings = evaluate.EvaluatorSettings(made.fields, CHUNK)
    students, finders = opened
    return evaluate.CachedEvaluator(settings, students.of, cache, retriever=finders.of, cancel=cancel)


def _chunks(found: Iterator[Example]) -> Iterator[list[Example]]:
    chunk: list[Example] = []
    for note in found:
        chunk.append(note)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
