"""``preceptor doctor``: check this machine, and say the command that mends what is missing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from preceptor.cli import checks, faces, student_trial
from preceptor.cli.checks import Check, State
from preceptor.cli.options import add_json, add_settings, settings
from preceptor.core import machine, model_home, served, wire
from preceptor.core.errors import PreceptorError
from preceptor.core.settings import Settings

LOCAL = ("torch", "transformers", "trl", "peft", "datasets", "llguidance", "gguf")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--student",
        help="also check this student, ollama:NAME …; else the configured one",
    )
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; exit code 2 if something that every run needs is missing, 5 if the student is."""
    chosen = settings(args)
    found = [*_machine(chosen), *_packages(), *_models(chosen), *_data(chosen)]
    found += [_ollama(), *_services(chosen)]
    spec = args.student or (chosen.student if chosen.student != Settings().student else "")
    tried = student_trial.student(spec, chosen) if spec else []
    student = tried[0] if tried else None
    if student:
        found += tried
        found += _more(spec, student, chosen)
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
    runs = Path(chosen.runs_dir)
    nearest = next(p for p in [runs.absolute(), *runs.absolute().parents] if p.exists())
    yield checks.disk(nearest)
    yield Check("cores", "ok", str(machine.cores()))
    yield checks.memory()
    yield checks.gpu()
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    mend = "" if writable else "choose another with --runs-dir"
    yield Check("runs folder", "ok" if writable else "missing", str(runs), mend)
    yield checks.privacy(runs)


def _services(chosen: Settings) -> Iterator[Check]:
    yield checks.keys(os.environ)
    yield from checks.teacher(chosen, os.environ)
    yield from checks.embedder(chosen)
    yield from checks.qdrant(chosen)


def _more(spec: str, student: Check, chosen: Settings) -> list[Check]:
    """Return what else there is to say of a student that answers."""
    if student.state == "missing":
        return []
    return [checks.template(spec, chosen.models_dir), *faces.checks(spec, chosen)]


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


def _models(chosen: Settings) -> Iterator[Check]:
    there = model_home.listed(chosen.models_dir)
    for slip in there:
        wrong = model_home.changed(model_home.place(slip.name, chosen.models_dir), slip, deep=True)
        said = f"changed since it was fetched: {wrong[0]}" if wrong else f"fetched {slip.date}"
        mend = f"preceptor models fetch {slip.name}" if wrong else ""
        yield Check(slip.name, "note" if wrong else "ok", said, mend)
    if not there:
        yield Check("models", "note", "none fetched by name", "preceptor models fetch smollm2-135m")


def _data(chosen: Settings) -> Iterator[Check]:
    from preceptor.evals.tasks.fetch import DATA_DIR, DOWNLOADS

    for name, known in DOWNLOADS.items():
        there = ((chosen.data_dir or DATA_DIR) / (known.folder or name)).is_dir()
        mend = "" if there else f"preceptor tasks fetch {name}"
        yield Check(f"{name} data", "ok" if there else "note", "there" if there else "not here", mend)


def _ollama() -> Check:
    import httpx

    try:
        address = served.ollama()
    except PreceptorError as error:
        return Check("ollama", "note", error.message, error.hint)
    try:
        with wire.client(address, 2.0) as client:
            found = client.get("/api/tags").json()
        return Check("ollama", "ok", f"{len(found['models'])} models at {address.url}")
    except PreceptorError as error:
        return Check("ollama", "note", error.message, error.hint)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        mend = "for ollama: students start: ollama serve"
        return Check("ollama", "note", f"no server at {address.url}", mend)
