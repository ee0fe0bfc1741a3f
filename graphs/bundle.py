"""The bundle: what a run leaves behind for use, a folder that stands on its own.

Owns its files and reading it back. Recipe, task schema, split seals and metrics; no note, no gold
answer (worked examples in the recipe and its index are the exception: they are train text, and the
README of the bundle says so).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from preceptor.core import private
from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, object_schema
from preceptor.core.files import store_error
from preceptor.core.folders import put_in_place
from preceptor.core.reading import loads
from preceptor.core.record import Record
from preceptor.core.records import OLDEST_TEXT, RENDER_VERSION, Precision, Recipe
from preceptor.core.runs import RunStore
from preceptor.graphs import training
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState

VERSION = 1

_README = """# Bundle of {task}

Made by Preceptor from run `{run}`. It extracts {fields} fields with the student `{student}`.

    preceptor extract <this folder> --in notes.jsonl --out answers.jsonl
    preceptor eval <this folder> --task {named} --split dev

- `bundle.json`: what is asked and by which recipe (prompt, mode, decoding); `recipe` is its hash.
- `schema.json`: JSON Schema of one answer.
- `index/`: the snapshot of the index of worked examples, if the recipe retrieves any ({index}).
- `adapter/`: the weights that were trained, if any were ({adapter}). Where the student is served by
  Ollama they are merged into what is served, and `tokenizer/` renders what it is asked.
- `metrics.json`: {metrics}.

Worked examples in the recipe ({shots} here) and in an index are text of training notes: with either,
this folder is as private as the notes.
"""


REPORT = "the report of the run, with the sealed test, intervals, costs and split seals"
UNSEALED = "the numbers on dev; the sealed test was not opened"
UNMEASURED = "the report of the run, with the numbers on dev; the sealed test was **not measured**"


class Bundle(Record):
    """What is needed to answer notes as the final student does.

    ``template`` says how the task puts its texts together from columns, if it does.
    """

    version: int = VERSION
    render_version: int = RENDER_VERSION
    task: str
    task_fingerprint: str
    synthetic: bool
    fields: tuple[FieldSpec, ...]
    recipe: Recipe
    seals: dict[str, str]
    template: str = ""


def at(made: Bundle, precision: Precision | None) -> Bundle:
    """Return a bundle whose student computes in ``precision``; None: as it was measured."""
    if precision is None:
        return made
    model = made.recipe.model.model_copy(update={"precision": precision})
    return made.model_copy(update={"recipe": made.recipe.model_copy(update={"model": model})})


def write(session: Session, state: RunState) -> Path:
    """Write the bundle of a finished run, whole or not at all; return its folder."""
    made = Bundle(
        task=session.task.name,
        task_fingerprint=session.task.fingerprint,
        synthetic=session.task.synthetic,
        fields=session.task.fields,
        recipe=session.recipe(state["incumbent"]),
        seals={part: session.splits.digest(part) for part in ("train", "dev", "test")},
        template=session.task.template,
    )
    metrics: dict[str, JsonValue] = loads((session.store.path / "report.json").read_text("utf-8"))
    return export(session.store, made, metrics)


def export(store: RunStore, made: Bundle, metrics: Mapping[str, JsonValue], remark: str = "") -> Path:
    """Write a bundle into a run's folder, in place of the one that is there.

    Args:
        store: The run.
        made: What is asked, and by which recipe.
        metrics: What ``metrics.json`` says.
        remark: A paragraph more for the bundle's README.

    Raises:
        StoreError: If the disk is full or read-only; the bundle that was there stays.
    """
    recipe = made.recipe
    adapter = recipe.adapter
    served = training.served_folder(store.path, adapter) if recipe.model.base and adapter else None
    kept = Kept(
        source=store.path.name,
        adapter=training.adapter_folder(store.path, adapter) if adapter else None,
        tokenizer=served / "tokenizer" if served else None,
        index=store.artefacts.get(recipe.index.digest) if recipe.index else None,
        remark=remark,
        named=_named(store),
    )
    return write_to(store.path / "bundle", made, metrics, kept)


@dataclass(frozen=True)
class Kept:
    """What a bundle takes along.

    Attributes:
        source: The name of what it was made from.
        adapter: The folder of the trained weights, if its recipe has any.
        index: The snapshot of the index, if its recipe has one.
        tokenizer: The folder of a served student's tokenizer, if it was trained here.
        remark: A paragraph more for its README.
        named: How the task is named on a command line; its name if empty.
    """

    source: str
    adapter: Path | None = None
    index: bytes | None = None
    tokenizer: Path | None = None
    remark: str = ""
    named: str = ""


def _named(store: RunStore) -> str:
    """Return how a run's task was named: what is a file stands for any place where it may lie."""
    options = store.config.get("options")
    given = str(options.get("task", "")) if isinstance(options, dict) else ""
    return Path(given).name if given.endswith((".yaml", ".yml")) else given


def write_to(target: Path, made: Bundle, metrics: Mapping[str, JsonValue], kept: Kept) -> Path:
    """Write a bundle whole or not at all, in place of the one that is there; return its folder.

    Raises:
        StoreError: If the disk is full or read-only; the bundle that was there stays.
    """
    fresh = target.with_name(f".{target.name}-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fill(fresh, made, metrics, kept)
        private.close(fresh)
        put_in_place(fresh, target)
    except OSError as cause:
        raise store_error("write", target, cause) from cause
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def _fill(fresh: Path, made: Bundle, metrics: Mapping[str, JsonValue], kept: Kept) -> None:
    private.make_folder(fresh)
    _json(fresh / "bundle.json", made.model_dump(mode="json"))
    _json(fresh / "schema.json", object_schema(made.fields))
    _json(fresh / "metrics.json", dict(metrics))
    recipe = made.recipe
    if recipe.index is not None and kept.index is not None:
        (fresh / "index").mkdir()
        (fresh / "index" / f"{recipe.index.digest}.jsonl").write_bytes(kept.index)
    if kept.adapter is not None:
        shutil.copytree(kept.adapter, fresh / "adapter")
    if kept.tokenizer is not None:
        shutil.copytree(kept.tokenizer, fresh / "tokenizer")
    text = _README.format(
        task=made.task,
        named=kept.named or made.task,
        run=kept.source,
        fields=len(made.fields),
        student=recipe.model.title,
        shots=len(recipe.shots),
        adapter=recipe.adapter.digest if recipe.adapter else "none here",
        index=f"{recipe.index.k} per field" if recipe.index else "none here",
        metrics=_told(metrics),
    )
    (fresh / "README.md").write_text(text + (f"\n{kept.remark}\n" if kept.remark else ""), "utf-8")


def _told(metrics: Mapping[str, JsonValue]) -> str:
    if "test" not in metrics:
        return UNSEALED
    return REPORT if metrics["test"] is not None else UNMEASURED


def folder_name(task: str) -> str:
    """Return what a task's folder is called: letters, digits and ``-_.`` of its name."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in task)
    return kept.strip(".-") or "task"


def check_replaceable(target: Path) -> None:
    """Refuse to write a bundle over something else.

    Raises:
        InputError: If there is something that is no bundle.
    """
    if target.exists() and not (target / "bundle.json").is_file():
        raise InputError(f"{str(target)!r} is there and is no bundle", "name another folder")


def _json(path: Path, value: JsonValue) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def place(folder: Path) -> Path:
    """Return the bundle's own folder; ``folder`` may also be a finished run."""
    return folder if (folder / "bundle.json").exists() else folder / "bundle"


def read(folder: Path) -> Bundle:
    """Read a bundle; ``folder`` may also be a finished run.

    Raises:
        InputError: If it is none, or of a newer version.
    """
    file = place(folder) / "bundle.json"
    if not file.exists():
        raise InputError(f"{str(folder)!r} is no bundle", "name the folder that holds bundle.json")
    try:
        raw = loads(file.read_text("utf-8"))
        if raw.get("version", 0) > VERSION or raw.get("render_version", 0) > RENDER_VERSION:
            raise InputError(f"{str(file)!r} is of a newer version", "update preceptor")
        version = raw.get("render_version", 0)
        if version < OLDEST_TEXT:
            raise InputError(
                f"{str(file)!r} was made when prompts were written otherwise", "refine and export again"
            )
        recipe = raw["recipe"]
        if recipe.get("mode") == "joint":  # Before version 5 a recipe did not name it.
            recipe.setdefault("render_version", version)
        return Bundle.model_validate(raw)
    except (ValueError, ValidationError, AttributeError, TypeError, KeyError) as cause:
        raise InputError(f"{str(file)!r} cannot be read as a bundle", "export it again") from cause
