"""Invented notes, and a task made from a file that holds them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.records import Example
from preceptor.evals import draft, taskfile
from preceptor.evals.task import Task

DRUGS = ("aspirin", "ibuprofen", "digoxin", "heparin")


def note(i: int) -> str:
    """Return a note that names one drug and the place where it was given."""
    return f"Bed {i}: {DRUGS[i % 4]} was given in ward {chr(65 + i % 7)} and nothing else happened."


def drug(i: int) -> tuple[int, int]:
    """Return where the drug stands in ``note(i)``."""
    start = note(i).index(DRUGS[i % 4])
    return start, start + len(DRUGS[i % 4])


@dataclass(frozen=True)
class Made:
    """A new task, and what was said about it."""

    task: Task
    found: draft.Draft

    def gold(self, name: str) -> object:
        """Return the gold of one note."""
        return self.example(name).gold

    def example(self, name: str) -> Example:
        """Return one note."""
        return next(e for e in self.task.examples if e.id == name)

    def remarks(self) -> str:
        """Return all remarks."""
        return "\n".join(self.found.remarks)


def made(source: Path, annotator: str | None = None) -> Made:
    """Return the task that ``tasks new`` makes of an export, loaded as anybody would."""
    out = source.parent / "out"
    name = f"made{len(list(out.iterdir())) if out.exists() else 0}"
    file, found = draft.write(name, source, out, annotator)
    return Made(taskfile.load(file), found)


def write(path: Path, value: JsonValue) -> Path:
    """Write a JSON file, or JSON lines by the file's ending."""
    rows = value if isinstance(value, list) else [value]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(lines if path.suffix == ".jsonl" else json.dumps(value, indent=1), "utf-8")
    return path


def nothing_written(source: Path) -> bool:
    """Return whether ``made`` left no folder, half a one included."""
    out = source.parent / "out"
    return not out.exists() or not list(out.iterdir())
