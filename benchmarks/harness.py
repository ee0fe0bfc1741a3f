"""How fast the harness itself is: throughput, a cached round, start-up, growth.

Medians and ranges of interleaved repeats; every number is of the machine it ran on. The student is the
scripted one, which answers at once, so that only the program's own work is measured.

    python benchmarks/harness.py > docs/results/harness.md
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from preceptor.agents.students.scripted import ScriptedStudent
from preceptor.core.cache import AnswerCache
from preceptor.core.fields import LabelField
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings

FIELD = LabelField(name="pain", values=("present", "absent", "unknown"))
RECIPE = Recipe(model=ModelRef(spec="scripted"))
WORDS = "the patient was seen today and has no new complaint since the last visit".split()


def notes(count: int) -> list[Example]:
    """Return distinct short notes, two per patient."""
    gold = ("present", "absent", "unknown")
    return [
        Example(
            id=f"n{i}", group=f"p{i // 2}", text=" ".join([*WORDS, str(i)]), gold={"pain": gold[i % 3]}
        )
        for i in range(count)
    ]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def evaluation(count: int, folder: Path, keep: bool = False) -> tuple[float, float]:
    """Return seconds of (a first, a fully cached) evaluation of ``count`` notes."""
    examples = notes(count)
    with AnswerCache(folder / f"{time.monotonic_ns()}.sqlite") as cache:
        student = ScriptedStudent({})
        evaluator = CachedEvaluator(EvaluatorSettings((FIELD,)), lambda recipe: student, cache)
        first = timed(lambda: evaluator.evaluate(RECIPE, examples, "dev"))
        again = timed(lambda: evaluator.evaluate(RECIPE, examples, "dev"))
    return first, again


def help_seconds() -> float:
    """Return the seconds of one ``preceptor --help`` in a fresh process."""
    command = [sys.executable, "-m", "preceptor", "--help"]
    return timed(lambda: subprocess.run(command, check=True, capture_output=True))


def shown(values: Sequence[float], unit: str = "s", digits: int = 3) -> str:
    """Return median and range."""
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} {unit} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def peak() -> float:
    """Return the largest memory this process has used so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--largest", type=int, default=100_000)
    asked = parser.parse_args()
    first: list[float] = []
    cached: list[float] = []
    helped: list[float] = []
    rows: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        evaluation(100, folder)
        for _ in range(asked.repeats):
            one, two = evaluation(1000, folder)
            first.append(1000 / one)
            cached.append(two)
            helped.append(help_seconds())
        size = 100
        while size <= asked.largest:
            one, two = evaluation(size, folder)
            rows.append(
                f"| {size:,} | {one:.2f} | {size / one:,.0f} | {two:.2f} | {size / two:,.0f} "
                f"| {peak():,.0f} |"
            )
            size *= 10
    print("# How fast the harness is\n")
    print(
        "Written by `benchmarks/harness.py`; median (range) of", asked.repeats, "interleaved repeats."
    )
    print("One label field, notes of 15 words, a student that answers at once.\n")
    print("| what | aim | measured |\n| --- | --- | --- |")
    print(f"| examples per second, 1,000 notes | 3,000 | {shown(first, '/s', 0)} |")
    print(f"| a fully cached round of 1,000 notes, in process | 1 s | {shown(cached)} |")
    print(f"| `preceptor --help`, fresh process | 0.3 s | {shown(helped)} |")
    print("\n## Growth\n\nMemory is the peak of the whole process up to that row, notes included.\n")
    print("| notes | first, s | notes/s | cached, s | notes/s | peak, MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
