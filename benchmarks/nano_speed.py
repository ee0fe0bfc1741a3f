"""Own nano's speed figures: ``python benchmarks/nano_speed.py --out FILE``.

Notes per second of the bundled 12-field task through the project's own in-process student (batched,
the note's prefix read once for all its fields, constrained decoding), and the time from process start
to the first answer. Seconds on shared cores vary; the prompt lengths are in the report.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from preceptor.agents.students import StudentOptions
from preceptor.agents.students.hf import HFStudent
from preceptor.core import render
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.evals.splits import make
from preceptor.evals.tasks.toxicity import task
from preceptor.nano import path, tokenizer


def recipe() -> Recipe:
    """Return nano with the task's starting prompt, one call per field."""
    return Recipe(model=ModelRef(spec="nano"), prompt=task().prompt)


def first_answer() -> None:
    """Answer one field of one note, for the cold start."""
    of = task()
    student = HFStudent(str(path()), ModelRef(spec="nano"))
    calls = render.calls(recipe(), of.fields[:1], of.examples[0])
    print(next(iter(student.complete(calls))).raw)


def cut(example: Example, most: int) -> Example:
    """Return the note cut to ``most`` tokens; speed does not ask what it says."""
    tokens = tokenizer.load(path())
    ids = tokens(example.text, add_special_tokens=False)["input_ids"]
    return example.model_copy(update={"text": str(tokens.decode(ids[:most]))})


def measure(notes: int, threads: int, repeats: int, most: int) -> dict[str, object]:
    """Return notes per second, the median and best of a few passes, and what was read."""
    of = task()
    by_id = {e.id: e for e in of.examples}
    chosen = [cut(by_id[i], most) for i in make(of).train[:notes]]
    student = HFStudent(str(path()), ModelRef(spec="nano"), options=StudentOptions(threads=threads))
    calls = [c for e in chosen for c in render.calls(recipe(), of.fields, e)]
    list(student.complete(calls[: len(of.fields)]))
    rates = []
    for _ in range(repeats):
        began = time.monotonic()
        replies = list(student.complete(calls))
        rates.append(len(chosen) / (time.monotonic() - began))
    tokens = tokenizer.load(path())
    lengths = [len(tokens(e.text, add_special_tokens=False)["input_ids"]) for e in chosen]
    sent = [len(tokens(m.content)["input_ids"]) for c in calls for m in c.messages]
    return {
        "notes": len(chosen),
        "fields": len(of.fields),
        "threads": threads,
        "note tokens, mean": round(statistics.mean(lengths), 1),
        "prompt tokens per call, mean": round(sum(sent) / len(calls), 1),
        "notes per second, median": round(statistics.median(rates), 2),
        "notes per second, best": round(max(rates), 2),
        "load average of the machine's two cores": round(os.getloadavg()[0], 1),
        "answers ok": sum(r.status == "ok" for r in replies),
        "answers": len(replies),
    }


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description="How fast nano is.")
    parser.add_argument("--notes", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--note-tokens", type=int, default=150, help="longer notes are cut")
    parser.add_argument("--first", action="store_true", help="only answer once (the cold start)")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.first:
        first_answer()
        return
    cold = []
    for _ in range(args.repeats):
        began = time.monotonic()
        subprocess.run([sys.executable, __file__, "--first"], check=True, capture_output=True)
        cold.append(time.monotonic() - began)
    report = measure(args.notes, args.threads, args.repeats, args.note_tokens)
    report["seconds to the first answer of a new process"] = [round(s, 2) for s in sorted(cold)]
    text = json.dumps(report, indent=1)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
