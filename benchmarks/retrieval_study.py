"""What retrieved examples do for a student, mode by mode, and what a leak would pretend.

    python benchmarks/retrieval_study.py toxicity --seeds 5 > docs/results/retrieval_toxicity.md

Two tables. The first compares ways to retrieve on dev (which no page of results opens), one draw of the
splits, nothing else in the recipe. The second measures one fixed recipe on several draws: on train with
the note's own patient left out (as always), on train with that filter switched off (the leak), and on
the sealed test, where nothing can leak; so it says how far each of the first two is from the truth.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from preceptor.core.cache import AnswerCache
from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Evidence, Retriever
from preceptor.core.records import Evaluation, Example, IndexRef, Interval, ModelRef, Recipe
from preceptor.core.render import Hits
from preceptor.core.settings import load
from preceptor.evals import evaluate, splits, stats
from preceptor.evals.task import Task
from preceptor.graphs import answering, starting, wiring
from preceptor.tools.rag.args import IndexExamplesArgs
from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.embed import embedder_for
from preceptor.tools.rag.index import IndexExamples
from preceptor.tools.rag.retriever import QdrantRetriever

TUNED = (
    "The constants of the model that finds the sentences (`tools/rag/evidence.py`) were chosen on "
    "corpora of this generator, this one's notes among them: the synthetic figures may flatter it."
)
SIZES = (1, 2, 4, 8)
FIXED = {"mode": "sparse", "k": 4}
MODES: dict[str, dict[str, object]] = {
    "random k": {"mode": "random", "touching": False},
    "sparse": {"mode": "sparse"},
    "dense (hashed)": {"mode": "dense"},
    "hybrid (hashed)": {"mode": "hybrid"},
    "hybrid + MMR (hashed)": {"mode": "hybrid", "diversity": 0.5},
}


@dataclass
class Bench:
    """A task under one draw of its splits, a student, and an embedder that needs no model."""

    task: Task
    parts: splits.Splits
    students: answering.Students
    start: Recipe
    embedder: str

    def notes(self, ids: Sequence[str], most: int | None = None) -> list[Example]:
        """Return notes by id."""
        by_id = {e.id: e for e in self.task.examples}
        return [by_id[i] for i in ids[:most]]

    def index(self, args: dict[str, object]) -> tuple[Index, IndexRef]:
        """Return the index over all of train that a call of the move would build."""
        given = IndexExamplesArgs.model_validate(args)
        train = tuple(self.notes(self.parts.train))
        seen = Evidence(self.task.fields, self.start, train, (), (), train)
        made = IndexExamples(embedder_for(self.embedder)).build(given, seen)
        settings = given.settings().model_dump(mode="json")
        return made, IndexRef(digest=made.digest, k=given.k, settings=settings)

    def measure(self, recipe: Recipe, notes: list[Example], finder: Retriever | None) -> Measured:
        """Return the scores, mean prompt tokens per call, and retrieval's seconds."""
        spent = _Timed(finder) if finder else None
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as name, AnswerCache(Path(name) / "c.sqlite") as cache:
            runner = evaluate.CachedEvaluator(
                evaluate.EvaluatorSettings(self.task.fields),
                self.students.of,
                cache,
                retriever=lambda _: spent,
            )
            answers = runner.answers(recipe, notes)
            scored = runner.evaluate(recipe, notes, "dev")
        calls = sum(a.calls for a in answers)
        tokens = sum(a.prompt_tokens or 0 for a in answers) / max(1, calls)
        seconds = time.perf_counter() - began
        return Measured(scored, tokens, spent.seconds if spent else 0.0, seconds)


@dataclass(frozen=True)
class Measured:
    """What came of one recipe on some notes."""

    scored: Evaluation
    tokens: float
    retrieval: float
    seconds: float

    @property
    def score(self) -> Interval:
        """The mean note score with its interval over patients."""
        return stats.interval(self.scored.scored)


class _Timed:
    """A retriever that adds up its own seconds."""

    def __init__(self, inner: Retriever) -> None:
        self._inner, self.seconds = inner, 0.0

    def hits(self, examples: Sequence[Example], fields: Sequence[FieldSpec]) -> list[Hits]:
        """Find, and look at the clock."""
        began = time.perf_counter()
        found = self._inner.hits(examples, fields)
        self.seconds += time.perf_counter() - began
        return found


@contextmanager
def opened(task: str, student: str, seed: int, embedder: str) -> Iterator[Bench]:
    """Open a bench."""
    settings = load(None, os.environ, {})
    options = wiring.options(settings, {"task": task, "student": student, "seed": seed})
    found = wiring.load_task(options)
    students = answering.Students(found, options)
    try:
        ref = students.of(Recipe(model=ModelRef(spec=student))).ref
        start = starting.recipe(found, ref)
        yield Bench(found, splits.make(found, seed), students, start, embedder)
    finally:
        students.close()


def shown(value: Interval, sign: str = "") -> str:
    """Return an interval, as points if signed."""
    if sign:
        return f"{100 * value.value:+.1f} [{100 * value.low:+.1f}, {100 * value.high:+.1f}]"
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def modes(bench: Bench, most: int) -> None:
    """Print the comparison of modes on dev."""
    notes = bench.notes(bench.parts.dev, most)
    base = bench.measure(bench.start, notes, None)
    print("| mode | k | score on dev | against none, points | prompt tokens a call | ms a note "
          "| its share of the time |")  # fmt: skip
    print("| --- | ---: | --- | --- | ---: | ---: | ---: |")
    print(f"| none | – | {shown(base.score)} | – | {base.tokens:.0f} | – | – |", flush=True)
    for name, args in MODES.items():
        for k in SIZES:
            made, ref = bench.index({**args, "k": k})
            finder = QdrantRetriever(made, ref, embedder_for(bench.embedder))
            recipe = bench.start.model_copy(update={"index": ref})
            got = bench.measure(recipe, notes, finder)
            finder.close()
            gain = stats.paired_difference(base.scored.scored, got.scored.scored)
            per_note, share = 1000 * got.retrieval / len(notes), got.retrieval / got.seconds
            print(f"| {name} | {k} | {shown(got.score)} | {shown(gain, '+')} | {got.tokens:.0f} "
                  f"| {per_note:.1f} | {share:.0%} |", flush=True)  # fmt: skip
            print(name, k, shown(gain, "+"), file=sys.stderr, flush=True)


def leak(asked: argparse.Namespace) -> None:
    """Print what the leak pretends, and what is true on the sealed test."""
    print("| seed | train, own patient left out | train, leaky | sealed test | untouched there "
          "| gain on the sealed test, points |")  # fmt: skip
    print("| ---: | --- | --- | --- | --- | --- |")
    pretended, honest, true = [], [], []
    for seed in range(asked.seeds):
        with opened(asked.task, asked.student, seed, asked.embedder) as bench:
            made, ref = bench.index(dict(FIXED))
            recipe = bench.start.model_copy(update={"index": ref})
            train, test = bench.notes(bench.parts.train), bench.notes(bench.parts.test)
            clean, leaky = QdrantRetriever(made, ref), QdrantRetriever(made, ref, leaky=True)
            rows = [
                bench.measure(bench.start, train, None),
                bench.measure(recipe, train, clean),
                bench.measure(recipe, train, leaky),
                bench.measure(bench.start, test, None),
                bench.measure(recipe, test, clean),
            ]
            kept, before = [r.scored.scored for r in rows], rows[0].scored.scored
            gains = [
                stats.paired_difference(before, kept[1]),
                stats.paired_difference(before, kept[2]),
                stats.paired_difference(kept[3], kept[4]),
            ]
            honest.append(gains[0].value)
            pretended.append(gains[1].value)
            true.append(gains[2].value)
            cells = [shown(gains[0], "+"), shown(gains[1], "+"), shown(rows[4].score)]
            cells += [shown(rows[3].score), shown(gains[2], "+")]
            print(f"| {seed} | {' | '.join(cells)} |", flush=True)
            print(seed, [shown(g, "+") for g in gains], file=sys.stderr, flush=True)
    means = [100 * sum(v) / len(v) for v in (honest, pretended, true)]
    print(f"\nMean gain over the draws: {means[0]:+.1f} points on train with the own patient left out, "
          f"{means[1]:+.1f} with the leak, {means[2]:+.1f} on the sealed test.")  # fmt: skip


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--student", default="nano")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--notes", type=int, default=100, help="dev notes for the first table")
    parser.add_argument("--embedder", default="hash:256")
    asked = parser.parse_args()
    print(f"# Retrieved examples for `{asked.student}` on `{asked.task}`\n")
    print(
        f"Written by `benchmarks/retrieval_study.py {asked.task} --student {asked.student} "
        f"--seeds {asked.seeds} --notes {asked.notes}`."
    )
    with opened(asked.task, asked.student, 0, asked.embedder) as bench:
        mark = "Synthetic data. " if bench.task.synthetic else ""
        print(f"{mark}Scores are the mean share of right fields per note, with 95 % intervals over "
              "patients; gains are paired. Nothing but the index is changed.\n")  # fmt: skip
        if bench.task.synthetic:
            print(TUNED + "\n")
        print("## Modes, on dev, one draw\n")
        print("«Dense (hashed)» is a hashed projection of character n-grams, which knows no meaning; "
              "not measured: any trained embedder.\n")  # fmt: skip
        modes(bench, asked.notes)
    print(f"\n## What a leak pretends ({FIXED['mode']}, k = {FIXED['k']}; gains in points)\n")
    leak(asked)


if __name__ == "__main__":
    main()
