"""Answering the notes of a file with a bundle.

Owns reading JSON lines, answering them chunk by chunk and appending the answers. A note that the out
file already answers is not asked again, so that an interrupted extraction goes on where it was.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from preceptor.core.cache import AnswerCache
from preceptor.core.errors import InputError
from preceptor.core.ports import OnProgress, Progress
from preceptor.core.records import Answer, Example
from preceptor.core.settings import Settings
from preceptor.evals import evaluate
from preceptor.evals.task import Task
from preceptor.graphs import bundle, wiring

CHUNK = 64


def notes(path: Path) -> Iterator[Example]:
    """Yield the notes of a JSON-lines file.

    Raises:
        InputError: With file and line, if a line is no object with ``id`` and ``text``.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
                yield Example(id=str(row["id"]), group=str(row["id"]), text=row["text"])
            except (ValueError, KeyError, TypeError) as cause:
                raise InputError(
                    f"{path} line {number}: not a note", 'each line: {"id": "…", "text": "…"}, in UTF-8'
                ) from cause


def extract(
    folder: Path, source: Path, target: Path, settings: Settings, on_progress: OnProgress
) -> Counter[str]:
    """Answer every note of ``source`` that ``target`` does not answer yet.

    Returns:
        How many new answers have which status.

    Raises:
        InputError: If bundle or file is wrong.
        StudentError: If the model cannot be used.
    """
    made = bundle.read(folder)
    if not source.exists():
        raise InputError(f"there is no file {str(source)!r}", "--in names a file of JSON lines")
    known = _answered(target)
    todo = sum(1 for note in notes(source) if note.id not in known)
    task = Task(name=made.task, fields=made.fields)
    options = wiring.Options(
        task=made.task, parallel=settings.concurrency, timeout=settings.timeouts.student
    )
    log = target.with_name(f"{target.name}.egress.jsonl")
    opened = wiring.Students(task, options, wiring.gate(settings, log, task))
    counts: Counter[str] = Counter()
    try:
        with AnswerCache(target.with_name(f".{target.name}.cache")) as cache, target.open("ab") as out:
            evaluator = evaluate.CachedEvaluator(
                evaluate.EvaluatorSettings(made.fields), opened.of, cache
            )
            fresh = (note for note in notes(source) if note.id not in known)
            for chunk in _chunks(fresh):
                for answer in evaluator.answers(made.recipe, chunk):
                    out.write(_line(answer))
                    counts[answer.status] += 1
                out.flush()
                on_progress(Progress(sum(counts.values()), todo))
    finally:
        opened.close()
    target.with_name(f".{target.name}.cache").unlink(missing_ok=True)
    return counts


def _chunks(found: Iterator[Example]) -> Iterator[list[Example]]:
    chunk: list[Example] = []
    for note in found:
        chunk.append(note)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _answered(target: Path) -> set[str]:
    """Return the ids that the out file answers; a torn last line is cut off."""
    if not target.exists():
        return set()
    whole = target.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        with target.open("r+b") as file:
            file.truncate(end)
    return {str(json.loads(line)["id"]) for line in whole[:end].splitlines() if line.strip()}


def _line(answer: Answer) -> bytes:
    row = {
        "id": answer.example_id,
        "status": answer.status,
        "record": answer.record,
        "problems": answer.problems,
    }
    return (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8")
