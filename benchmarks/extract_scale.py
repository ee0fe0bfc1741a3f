"""Extracting a large corpus: throughput, memory, shards, kills. Prints a page.

The student is the scripted one, which answers at once, so that only the program's own work is
measured. Every extraction is a process of its own; its peak memory is what the system says of it.

    python benchmarks/extract_scale.py > docs/results/extract.md
    python benchmarks/extract_scale.py --notes 5000
    python benchmarks/extract_scale.py --memory > docs/results/extract_memory.md
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Guide, ModelRef, Prompt, Recipe
from preceptor.graphs import answers, bundle, corpus

SENTENCES = (
    "The patient was seen today and has no new complaint.",
    "She reports burning pain in both hands since the last cycle.",
    "No nausea, no vomiting, appetite is good.",
    "Blood pressure 128/76, pulse regular, afebrile.",
    "Continue capecitabine, review in three weeks.",
    "He lives with his wife and walks the dog twice a day.",
    "Numbness of the fingertips, grade 1, unchanged.",
)
FIELDS = (
    LabelField(name="pain", values=("present", "absent", "unknown")),
    LabelField(name="nausea", values=("present", "absent", "unknown")),
    ListField(name="drugs", of="drugs"),
)
PAGE = """# Extracting a large corpus

Written by `benchmarks/extract_scale.py`; of one machine, {cores} cores, load {load:.1f}. Generated
notes of five sentences, three fields in one call, a student that answers at once: only the program's
own work is measured. Every extraction is a process of its own, start-up included.

| notes | seconds | notes/s | peak memory, MiB |
| ---: | ---: | ---: | ---: |
{growth}

Workers are processes, each with one shard of {notes:,} notes, at the same time; then `preceptor merge`.

| workers | seconds | of which merge | notes/s | merged file |
| ---: | ---: | ---: | ---: | --- |
{workers}
| 1, killed {kills} times | | | | `{killed}` |

The merged files are {same}; the answers after {kills} kills (`kill -9` after {places}) are {resumed}.
"""


MEMORY = """# Extracting: memory by format

Written by `benchmarks/extract_scale.py --memory`. Peak memory of `preceptor extract` in MiB, a process
of its own each, for {few:,} and for {many:,} generated notes, with a student that answers at once. The
notes of a Parquet file stand in one row group.

| in | out | {few:,} notes | {many:,} notes |
| --- | --- | ---: | ---: |
{rows}
"""


@dataclass(frozen=True)
class Ran:
    """One process: seconds, and its peak memory in MiB."""

    seconds: float
    peak: float


def write_notes(path: Path, count: int) -> Path:
    """Write generated notes, two per patient."""
    draw = Random(7)
    with path.open("w", encoding="utf-8") as file:
        for i in range(count):
            text = " ".join([*draw.sample(SENTENCES, 4), f"Visit {i}."])
            row = {"id": f"note-{i:07}", "group": f"p{i // 2}", "text": text}
            file.write(json.dumps(row) + "\n")
    return path


def converted(source: Path, target: Path) -> Path:
    """Write notes of JSON lines in the format that the ending of ``target`` names."""
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    if target.suffix == ".parquet":
        arrow, parquet = corpus.pyarrow(), corpus.pyarrow("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows), target)
    else:
        with target.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, list(rows[0]))
            out.writeheader()
            out.writerows(rows)
    return target


def memory(folder: Path, many: int) -> str:
    """Return a page of peak memory by format."""
    write_bundle(folder / "bundle")
    peaks: dict[tuple[str, str], list[float]] = {}
    few = many // 10
    for count in (few, many):
        lines = write_notes(folder / f"{count}.jsonl", count)
        for came in ("jsonl", "csv", "parquet", "pipe"):
            source = lines if came in ("jsonl", "pipe") else folder / f"{count}.{came}"
            if source != lines:
                converted(lines, source)
            for ending in ("jsonl", "csv", "parquet"):
                out = folder / f"{count}-{came}.{ending}"
                peak = extracted(folder, source, out, came == "pipe")
                peaks.setdefault((came, ending), []).append(peak)
    rows = (f"| {a} | {b} | {p[0]:,.0f} | {p[1]:,.0f} |" for (a, b), p in peaks.items())
    return MEMORY.format(few=few, many=many, rows="\n".join(rows))


INSIDE = """import sys
from preceptor.cli import main
code = main(sys.argv[1:])
peak = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
print(peak.split()[1])
sys.exit(code)
"""
"""A process that tells its own peak: what the system says of a child counts its parent, too."""


def extracted(folder: Path, source: Path, out: Path, piped: bool) -> float:
    """Extract from a file, or from the same file through a pipe; return the peak memory in MiB."""
    asked = ("extract", folder / "bundle", "--in", "-" if piped else source, "--out", out)
    command = [sys.executable, "-c", INSIDE, *map(str, asked)]
    with source.open("rb") as stream:
        done = subprocess.run(
            command, stdin=stream if piped else subprocess.DEVNULL, capture_output=True, check=True
        )
    return int(done.stdout.split()[-1]) / 1024


def write_bundle(folder: Path) -> Path:
    """Write a bundle whose student is the scripted one."""
    prompt = Prompt(guides={"pain": Guide(look_for=("pain", "numbness"))})
    recipe = Recipe(model=ModelRef(spec="scripted"), mode="joint", prompt=prompt)
    made = bundle.Bundle(
        task="scale", task_fingerprint="0" * 20, synthetic=True, fields=FIELDS, recipe=recipe, seals={}
    )
    folder.mkdir()
    (folder / "bundle.json").write_text(made.to_json(), encoding="utf-8")
    return folder


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start a verb of the program."""
    command = [sys.executable, "-m", "preceptor", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def wait(process: subprocess.Popen[bytes], begun: float) -> Ran:
    """Wait for a process, and say what it took."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"a process ended with {process.returncode}")
    return Ran(time.perf_counter() - begun, used.ru_maxrss / 1024)


def run(*arguments: str | Path) -> Ran:
    """Run a verb to its end."""
    begun = time.perf_counter()
    return wait(start(*arguments), begun)


def named(path: Path) -> str:
    """Return the beginning of a file's content hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def workers(folder: Path, notes: Path, count: int) -> tuple[float, float, Path]:
    """Extract with so many processes and merge; return (seconds, of which merge, merged file)."""
    begun = time.perf_counter()
    parts = [folder / f"part-{count}-{i}.jsonl" for i in range(count)]
    running = []
    for i, part in enumerate(parts):
        shard = ("--shards", str(count), "--shard-index", str(i))
        running.append(start("extract", folder / "bundle", "--in", notes, "--out", part, *shard))
    for process in running:
        wait(process, begun)
    out = folder / f"merged-{count}.jsonl"
    merged = run("merge", *parts, "--out", out)
    return time.perf_counter() - begun, merged.seconds, out


def killed(folder: Path, notes: Path, shares: tuple[float, ...], total: int) -> Path:
    """Extract, killed each time so many answers are there, then to the end; return the answers."""
    out = folder / "killed.jsonl"
    for share in shares:
        process = start("extract", folder / "bundle", "--in", notes, "--out", out)
        size = share * total * 300  # bytes: a row has about 300
        while process.poll() is None and not (out.exists() and out.stat().st_size > size):
            time.sleep(0.02)
        if process.poll() is not None:
            raise SystemExit("it was over before it could be killed: take more notes")
        process.send_signal(signal.SIGKILL)
        process.wait()
    run("extract", folder / "bundle", "--in", notes, "--out", out)
    return out


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=100_000)
    parser.add_argument("--memory", action="store_true", help="only peak memory, by format")
    asked = parser.parse_args()
    if asked.memory:
        with tempfile.TemporaryDirectory() as name:
            print(memory(Path(name), min(asked.notes, 20_000)), end="")
        return
    growth: list[str] = []
    rows: list[str] = []
    places = (0.2, 0.4, 0.6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bundle(folder / "bundle")
        for count in (asked.notes // 10, asked.notes):
            notes = write_notes(folder / f"notes-{count}.jsonl", count)
            out = folder / f"answers-{count}.jsonl"
            ran = run("extract", folder / "bundle", "--in", notes, "--out", out)
            growth.append(
                f"| {count:,} | {ran.seconds:.1f} | {count / ran.seconds:,.0f} | {ran.peak:,.0f} |"
            )
        merged: set[str] = set()
        for count in (1, 2, 4):
            seconds, merging, file = workers(folder, notes, count)
            merged.add(named(file))
            pace = asked.notes / seconds
            rows.append(f"| {count} | {seconds:.1f} | {merging:.1f} | {pace:,.0f} | `{named(file)}` |")
        resumed = killed(folder, notes, places, asked.notes)
        same = resumed.read_bytes() == out.read_bytes()
        again = folder / "again.jsonl"
        run("merge", resumed, "--out", again)
        merged.add(named(again))
        assert sum(1 for _ in answers.read(again)) == asked.notes
        last = named(again)
    print(
        PAGE.format(
            cores=os.cpu_count(),
            load=os.getloadavg()[0],
            growth="\n".join(growth),
            workers="\n".join(rows),
            notes=asked.notes,
            kills=len(places),
            killed=last,
            same="the same, byte by byte" if len(merged) == 1 else "NOT the same",
            places=", ".join(f"{share:.0%}" for share in places),
            resumed="the same as without" if same else "NOT the same as without",
        ),
        end="",
    )


if __name__ == "__main__":
    main()
