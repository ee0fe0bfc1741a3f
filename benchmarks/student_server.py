"""How much of a server's capacity do the students behind HTTP use? Fixed latency, 16 in parallel.

A scripted server in a process of its own takes the same time for every answer, as many at once as
are asked for. With 16 calls in flight the ideal is (calls / 16) × latency; efficiency is that over the
wall time of ``complete``, connections included. Kinds and latencies take turns, so that a busy moment
of the machine hits all of them; medians and ranges are over the turns.

    python benchmarks/student_server.py --turns 5 --out docs/results/student_server.md
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer
from preceptor.agents.students import StudentOptions, make
from preceptor.core import render
from preceptor.core.fields import LabelField
from preceptor.core.records import Call, Example, ModelRef, Recipe

PARALLEL = 16
KINDS = ("ollama", "openai")
LATENCIES = (0.05, 0.2)
FIELD = LabelField(name="pain", values=("present", "absent", "unknown"))


def serve(kind: str, latency: float, told: Connection) -> None:
    """Serve until the other end says something."""
    made = OllamaServer if kind == "ollama" else OpenAIServer
    with made(latency=latency) as server:
        told.send(server.url)
        told.recv()


def calls(count: int) -> list[Call]:
    """Return calls about notes of about 150 words."""
    recipe = Recipe(model=ModelRef(spec="scripted"))
    text = "No pain on swallowing today, eats soft food. " * 18
    notes = [Example(id=f"n{i}", group=f"p{i}", text=text) for i in range(count)]
    return [call for note in notes for call in render.calls(recipe, (FIELD,), note)]


def efficiency(kind: str, latency: float, rounds: int) -> float:
    """Return ideal over actual time of ``rounds`` × 16 calls."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, latency, there))
    process.start()
    url = here.recv()
    spec = "ollama:scripted" if kind == "ollama" else f"openai:scripted@{url}"
    student = make(ModelRef(spec=spec), options=StudentOptions(parallel=PARALLEL, base_url=url))
    asked = calls(rounds * PARALLEL)
    began = time.perf_counter()
    replies = list(student.complete(asked))
    took = time.perf_counter() - began
    student.close()
    here.send("stop")
    process.join()
    if {r.status for r in replies} != {"ok"} or len(replies) != len(asked):
        raise SystemExit("not every call was answered")
    return rounds * latency / took


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=25, help="calls per turn, in units of 16")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(arguments)
    found: dict[tuple[str, float], list[float]] = {}
    for _ in range(args.turns):
        for kind in KINDS:
            for latency in LATENCIES:
                found.setdefault((kind, latency), []).append(efficiency(kind, latency, args.rounds))
    lines = [
        "# Efficiency of the students behind a server",
        "",
        f"Written by `python benchmarks/student_server.py --turns {args.turns}",
        f"--rounds {args.rounds}`: {args.rounds * PARALLEL} calls, {PARALLEL} in flight, against a",
        "scripted server of fixed latency in a process of its own. 100 % is (calls / 16) × latency.",
        "",
        "| student | latency | median | range |",
        "| --- | --- | --- | --- |",
    ]
    for (kind, latency), shares in found.items():
        span = f"{min(shares):.1%} to {max(shares):.1%}"
        lines.append(f"| {kind} | {latency * 1000:.0f} ms | {median(shares):.1%} | {span} |")
    page = "\n".join(lines) + "\n"
    if args.out:
        args.out.write_text(page, encoding="utf-8")
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
