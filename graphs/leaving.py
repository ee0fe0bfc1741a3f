"""What of a run may leave this machine: its gate, what is refused before all else, its teacher.

Owns the wiring of the gate. The rules are ``core.egress``; students are opened by ``graphs.answering``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.agents import destination, teacher
from preceptor.core.egress import Egress
from preceptor.core.ports import Teacher
from preceptor.core.settings import Settings
from preceptor.evals import splits
from preceptor.evals.task import Task
from preceptor.graphs import retrieval, teacher_embedder
from preceptor.graphs.answering import gate
from preceptor.graphs.session import Listener
from preceptor.tools.rag.embed import Embedder

if TYPE_CHECKING:
    from preceptor.graphs.wiring import Options


def gate_of(folder: Path, settings: Settings, task: Task, parts: splits.Splits) -> Egress:
    """Return the gate of a run; the names in the notes that it may send are learnt."""
    by_id = {e.id: e for e in task.examples}
    known = [by_id[i] for i in (*parts.train, *parts.unlabelled)]
    return gate(settings, folder / "egress.jsonl", task, known)


def check(options: Options, settings: Settings, door: Egress) -> None:
    """Refuse a teacher or an index's server that the policy lets have nothing, before all else."""
    destination.check(options.teacher, door)
    retrieval.check(settings.qdrant_url, door)


def teacher_of(
    options: Options, settings: Settings, opened: Egress, dense: Embedder | None, heard: Listener
) -> Teacher:
    """Return a run's teacher, behind the gate if it is a model."""
    url = destination.of(options.teacher)
    made = teacher.TeacherOptions(
        timeout=settings.timeouts.teacher,
        door=opened.door(url, "teacher") if url else None,
        keys=settings.api_key_env,
        meaning=teacher_embedder.meaning(options, dense, opened, settings.api_key_env),
        context=settings.teacher_context,
        say=lambda line: heard.event("teacher_waits", {"why": line}),
    )
    return teacher.make(options.teacher, made)
