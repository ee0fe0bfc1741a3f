"""Own ``docs/results/prompt_reuse.md``: what a server reads again, by how a prompt is laid out.

    python benchmarks/prompt_reuse.py --python PYTHON --dev 30 > docs/results/prompt_reuse.md

``PYTHON`` is the interpreter of an environment with ``xllamacpp``. Arms take turns: one call per field,
and one call for all fields as the renderer's versions 3, 4 and 5 lay it out. The model must be there:
preceptor models fetch smollm2-135m.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preceptor.agents.servers.openai import OpenAIServer
from preceptor.agents.students import StudentOptions, make
from preceptor.agents.students.openai import OpenAIStudent
from preceptor.core import model_home
from preceptor.core.cache import AnswerCache
from preceptor.core.ports import Student
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings
from preceptor.evals.scorers import score_answer
from preceptor.evals.splits import make as split
from preceptor.evals.tasks.toxicity import task

NAME = "smollm2-135m"
HERE = Path(__file__).parent
TASK = task()
ARMS = {
    "a call per field": ("per_field", 5),
    "one call, version 3: every field's labels, after the note": ("joint", 3),
    "one call, version 4: shared labels once, after the note": ("joint", 4),
    "one call, version 5: shared labels once, before the note": ("joint", 5),
}


@dataclass
class Took:
    """What one note took."""

    seconds: float
    read: int
    prompt: int
    written: int
    right: float


@dataclass
class Server:
    """llama.cpp with its prompt cache, one slot, in a process of its own."""

    python: str
    threads: int
    process: Any = field(init=False)
    url: str = field(init=False)

    def __post_init__(self) -> None:
        file = next(model_home.locate(NAME, None).glob("*.gguf"))
        command = [self.python, str(HERE / "extract_speed_peer.py"), str(file), str(self.threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = str(json.loads(self.process.stdout.readline())["url"])

    def read(self) -> int:
        """Return how many prompt tokens it has computed so far, those of its cache left out."""
        import httpx

        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        found = dict(line.split()[:2] for line in lines if not line.startswith("#"))
        return int(float(found["llamacpp:prompt_tokens_total"]))

    def close(self) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.wait(30)


def recipe(arm: str, spec: str) -> Recipe:
    """Return the untouched student, asked as an arm asks."""
    mode, version = ARMS[arm]
    given = {"model": ModelRef(spec=spec), "prompt": TASK.prompt, "mode": mode}
    return Recipe.model_validate({**given, "render_version": version})


def one(student: Student, asked: Recipe, note: Example, read: Callable[[], int]) -> Took:
    """Ask about a note."""
    before, began = read(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name, AnswerCache(Path(name) / "a.db") as cache:
        evaluator = CachedEvaluator(EvaluatorSettings(TASK.fields), lambda _: student, cache)
        (answer,) = evaluator.answers(asked, [note])
    took = time.perf_counter() - began
    right = score_answer(note, answer, TASK.fields).score
    return Took(took, read() - before, answer.prompt_tokens or 0, answer.completion_tokens or 0, right)


def block(student: Student, spec: str, notes: Sequence[Example], read: Callable[[], int]) -> list[str]:
    """Return the rows of a student; each arm asks about a few notes in a row, in turns."""
    found: dict[str, list[Took]] = {arm: [] for arm in ARMS}
    for at in range(0, len(notes), 5):
        for number, arm in enumerate(ARMS):
            asked = recipe(arm, spec)
            # Each arm's notes begin otherwise: none finds in the cache what another one has read.
            own = [n.model_copy(update={"text": f"({number}) {n.text}"}) for n in notes[at : at + 5]]
            found[arm] += [one(student, asked, note, read) for note in own]
    base = found[next(iter(ARMS))]
    rows = []
    for arm, each in found.items():
        pace = statistics.fmean(t.seconds for t in each)
        ratio = statistics.fmean(t.seconds for t in base) / pace
        mean = [statistics.fmean(getattr(t, n) for t in each) for n in ("prompt", "read", "written")]
        told = " | ".join(f"{value:,.0f}" if value else "" for value in mean)
        right = statistics.fmean(t.right for t in each)
        rows.append(f"| {arm} | {pace:.2f} | {ratio:.1f} | {told} | {right:.3f} |")
    return rows


HEAD = [
    "| how | s per note | times as fast as a call per field | prompt tokens | of these computed "
    "| written | accuracy |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
]


def served(python: str, threads: int, notes: Sequence[Example]) -> list[str]:
    """Measure llama.cpp's server."""
    server = Server(python, threads)
    try:
        student = OpenAIStudent("local", server.url, StudentOptions(parallel=1))
        return [*HEAD, *block(student, f"openai:local@{server.url}", notes, server.read)]
    finally:
        server.close()


def nano(notes: Sequence[Example]) -> list[str]:
    """Measure the embedded student, which was taught single fields only."""
    student = make(ModelRef(spec="nano"), options=StudentOptions())
    return [*HEAD, *block(student, "nano", notes, lambda: 0)]


def waiting(notes: Sequence[Example]) -> list[str]:
    """Measure a scripted server that takes 50 ms for every answer, 16 at once."""
    rows = ["| how | s per note | calls |", "| --- | ---: | ---: |"]
    with OpenAIServer(latency=0.05) as server:
        spec = f"openai:scripted@{server.url}"
        student = make(ModelRef(spec=spec), options=StudentOptions(parallel=16))
        for arm in (next(iter(ARMS)), next(reversed(ARMS))):
            began = time.perf_counter()
            with tempfile.TemporaryDirectory() as name, AnswerCache(Path(name) / "a.db") as cache:
                evaluator = CachedEvaluator(EvaluatorSettings(TASK.fields), lambda _: student, cache)
                answers = list(evaluator.answers(recipe(arm, spec), notes))
            took = (time.perf_counter() - began) / len(notes)
            rows.append(f"| {arm} | {took:.3f} | {sum(a.calls for a in answers):,} |")
    return rows


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="an interpreter with xllamacpp")
    parser.add_argument("--dev", type=int, default=30, help="notes")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    by = {e.id: e for e in TASK.examples}
    notes = [by[i] for i in split(TASK, 0).dev][: asked.dev]
    page = [
        "# What a server reads again",
        "",
        f"Written by `benchmarks/prompt_reuse.py --dev {asked.dev} --threads {asked.threads}`. "
        f"Synthetic data: {len(notes)} dev notes of `toxicity`, {len(TASK.fields)} fields, "
        "students untouched. Arms take turns, five notes each.",
        "",
        "## SmolLM2-135M (Q4_1) behind llama.cpp's server, one slot, prompt cache on",
        "",
        *served(asked.python, asked.threads, notes),
        "",
        "## The embedded student, in process, asked note by note",
        "",
        "It was taught single fields only: in one call it is slower and less often right, the more so "
        "where shared labels are said once.",
        "",
        *nano(notes),
        "",
        "## A scripted server that takes 50 ms for every answer, 16 in flight",
        "",
        *waiting(notes),
    ]
    print("\n".join(page))


if __name__ == "__main__":
    main()
