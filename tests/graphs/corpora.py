"""Bundles, notes and readers for the tests of extraction."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Guide, ModelRef, Prompt, Recipe
from preceptor.core.settings import Settings
from preceptor.graphs import answers, bundle, corpus, extracting

FIELDS: tuple[FieldSpec, ...] = (
    LabelField(name="cough", values=("yes", "no")),
    ListField(name="drugs", of="drugs"),
)
PROMPT = Prompt(guides={"cough": Guide(look_for=("hacking", "barking chest"))})


def make_bundle(folder: Path, mode: str = "joint") -> Path:
    """Write a bundle whose student is the scripted one; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = bundle.Bundle(
        task="small",
        task_fingerprint="0" * 20,
        synthetic=True,
        fields=FIELDS,
        recipe=Recipe(
            model=ModelRef(spec="scripted"),
            prompt=PROMPT,
            mode="joint" if mode == "joint" else "per_field",
        ),
        seals={},
    )
    (folder / "bundle.json").write_text(made.to_json(), "utf-8")
    return folder


def rows(count: int) -> list[dict[str, JsonValue]]:
    """Return notes: two per patient."""
    return [
        {"id": f"n{i}", "text": f"He was hacking. Given aspirin {i}.", "group": f"p{i // 2}"}
        for i in range(count)
    ]


def write_notes(path: Path, found: Sequence[dict[str, JsonValue]]) -> Path:
    """Write notes as the ending says."""
    if path.suffix == ".parquet":
        arrow, parquet = corpus.pyarrow(), corpus.pyarrow("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(list(found)), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, list(found[0]))
            out.writeheader()
            out.writerows(found)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in found), "utf-8")
    return path


def extract(job: extracting.Job) -> extracting.Extracted:
    """Run a job without showing anything."""
    return extracting.extract(job, Settings(), lambda _: None)


def read(path: Path) -> list[answers.Row]:
    """Return the rows of a file of answers."""
    return list(answers.read(path))
