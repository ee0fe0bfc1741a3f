"""``preceptor doctor``: check this machine, and say the command that mends what is missing."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from preceptor.cli import checks, faces
from preceptor.cli.checks import Check, State
from preceptor.cli.options import add_json, add_settings, settings
from preceptor.core.settings import Settings

LEAST_CONTEXT = 1024
"""Tokens; a note of two pages and its prompt do not fit in fewer."""

LOCAL = ("torch", "transformers", "trl", "peft", "datasets", "llguidance")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--student", help="also check this student: nano, ollama:NAME, openai:NAME@URL …"
    )
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; exit code 2 if something that every run needs is missing, 5 if the student is."""
    chosen = settings(args)
    found = [*_machine(chosen), *_packages(), *_data(chosen), _ollama(), *_services(chosen)]
    student = _student(args.student) if args.student else None
    if student:
        found.append(student)
        found += _more(args.student, student, chosen)
    if args.json:
        print(json.dumps([asdict(check) for check in found], indent=2))
    for check in found if not args.json else []:
        mark = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}[check.state]
        print(f"{mark} {check.what:<18} {check.found}" + (f"  → {check.mend}" if check.mend else ""))
    if student and student.state == "missing":
        return 5
    return 2 if any(check.state == "missing" for check in found) else 0


def _machine(chosen: Settings) -> Iterator[Check]:
    fine = sys.version_info >= (3, 11)
    yield Check(
        "python", "ok" if fine else "missing", sys.version.split()[0], "" if fine else "use 3.11+"
    )
    free = shutil.disk_usage(Path(chosen.runs_dir).absolute().anchor).free / 2**30
    enough = free > 1
    yield Check(
        "disk", "ok" if enough else "missing", f"{free:.1f} GiB free", "" if enough else "make room"
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check("cores", "ok", str(cores))
    yield checks.memory()
    yield checks.gpu()
    runs = Path(chosen.runs_dir)
    nearest = next(p for p in [runs.absolute(), *runs.absolute().parents] if p.exists())
    writable = os.access(nearest, os.W_OK)
    mend = "" if writable else "choose another with --runs-dir"
    yield Check("runs folder", "ok" if writable else "missing", str(runs), mend)


def _services(chosen: Settings) -> Iterator[Check]:
    yield checks.keys(os.environ)
    yield from checks.teacher(chosen, os.environ)
    yield from checks.qdrant(chosen)


def _more(spec: str, student: Check, chosen: Settings) -> list[Check]:
    """Return what else there is to say of a student that answers."""
    if student.state == "missing":
        return []
    return [checks.template(spec), *faces.checks(spec, chosen)]


def _packages() -> Iterator[Check]:
    for name in LOCAL:
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(
                name, "note", "not installed", "for local students: pip install 'preceptor[local]'"
            )
    from preceptor import nano

    weights = nano.path() / "model.safetensors"
    found = f"{weights.stat().st_size / 2**20:.1f} MiB" if weights.exists() else "no weights"
    state: State = "ok" if weights.exists() else "note"
    yield Check("embedded student", state, found, "" if weights.exists() else "train it: make nano")


def _data(chosen: Settings) -> Iterator[Check]:
    from preceptor.evals.tasks.fetch import DATA_DIR

    folder = (chosen.data_dir or DATA_DIR) / "psytar"
    there = folder.is_dir()
    mend = "" if there else "preceptor tasks fetch psytar"
    yield Check("psytar data", "ok" if there else "note", "there" if there else "not here", mend)


def _ollama() -> Check:
    import httpx

    url = os.environ.get("OLLAMA_HOST") or "http://127.0.0.1:11434"
    url = url if "://" in url else f"http://{url}"
    try:
        found = httpx.get(f"{url}/api/tags", timeout=2.0).json()
        return Check("ollama", "ok", f"{len(found.get('models', []))} models at {url}")
    except (httpx.HTTPError, ValueError):
        return Check(
            "ollama", "note", f"no server at {url}", "for ollama: students start: ollama serve"
        )


def _student(spec: str) -> Check:
    from preceptor.agents import students
    from preceptor.core.errors import PreceptorError
    from preceptor.core.fields import LabelField
    from preceptor.core.records import Example, ModelRef, Recipe
    from preceptor.core.render import calls

    try:
        student = students.make(ModelRef(spec=spec))
        field = LabelField(name="pain", values=("yes", "no"))
        note = Example(id="doctor", group="doctor", text="He reports pain.")
        reply = next(iter(student.complete(calls(Recipe(model=student.ref), (field,), note))))
        student.close()
    except PreceptorError as error:
        return Check(spec, "missing", error.message, error.hint)
    if reply.status == "failed":
        return Check(spec, "missing", reply.error)
    if student.context is None:
        return Check(spec, "ok", f"answers {reply.raw!r}, context unknown (the server's own limit)")
    short = student.context < LEAST_CONTEXT
    mend = "take a student with a longer context, or cut the notes into parts" if short else ""
    said = f"answers {reply.raw!r}, context {student.context} tokens"
    return Check(spec, "note" if short else "ok", said, mend)
