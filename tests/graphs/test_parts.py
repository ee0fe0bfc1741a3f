"""Which note stood where, and the answers to the sealed test: a person can count the figures again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.core.errors import StoreError
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import answered, answers, parts
from tests.graphs import small
from tests.graphs.small import OPTIONS, finished, opened, task

ROOT = Path(__file__).parents[2]
MIXED = OPTIONS.model_copy(update={"task": "tests.graphs.test_parts:mixed"})


def mixed() -> Task:
    """Return the small task with unlabelled notes: of a patient of their own, and of each other one."""
    told = task()
    own = told.examples[0].model_copy(update={"id": "u-own", "group": "u", "gold": None})
    others = tuple(
        e.model_copy(update={"id": f"u-{e.id}", "text": f"{e.text} Again.", "gold": None})
        for e in told.examples
    )
    split = SplitSpec(train=30, dev=30, test=20)
    return told.model_copy(update={"examples": (*told.examples, own, *others), "split": split})


def test_every_note_stands_in_one_part(tmp_path: Path) -> None:
    with opened(tmp_path, MIXED) as session:
        drawn = session.splits
    found = parts.of_run(tmp_path / "run")
    place = {one.id: one.part for one in found}
    assert [one.id for one in found] == [e.id for e in mixed().examples]
    for part in ("train", "dev", "test"):
        assert [i for i, p in place.items() if p == part] == [*drawn.ids(part)]
    assert place["u-own"] == "unlabelled"
    hidden = {f"u-{i}" for i in (*drawn.dev, *drawn.test)}
    assert {place[i] for i in hidden} == {"rest"}
    assert sum(p == "rest" for p in place.values()) == len(hidden) + 10


def test_changed_data_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path):
        pass
    changed = task().model_copy(update={"examples": task().examples[:-1]})
    monkeypatch.setattr("tests.graphs.small.task", lambda: changed)
    with pytest.raises(StoreError, match="have changed since run 'run' began") as caught:
        parts.of_run(tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_a_run_without_parts_is_one_line(tmp_path: Path) -> None:
    from preceptor.core.errors import InputError
    from preceptor.core.runs import RunStore

    RunStore.create(tmp_path, "other", {})
    with pytest.raises(InputError, match="has no parts"):
        parts.of_run(tmp_path / "other")


def snippet() -> str:
    text = (ROOT / "docs" / "runs.md").read_text("utf-8")
    (found,) = re.finditer(r"```python\n(.*?)```", text, re.DOTALL)
    return found.group(1)


def test_ten_lines_of_ones_own_give_the_report_s_figure(tmp_path: Path) -> None:
    finished(tmp_path, OPTIONS.model_copy(update={"metric": "accuracy"}))
    folder = tmp_path / "run"
    told = json.loads((folder / "report.json").read_text("utf-8"))["test"]
    rows = {name: [*answers.read(folder / name)] for name in (answered.FINAL, answered.BASELINE)}
    assert {len(found) for found in rows.values()} == {24}
    assert rows[answered.FINAL] != rows[answered.BASELINE]
    assert all(row.status == "ok" and row.key for row in rows[answered.FINAL])
    notes, table = tmp_path / "notes.jsonl", tmp_path / "splits.csv"
    notes.write_text(
        "".join(json.dumps({"id": e.id, "gold": e.gold}) + "\n" for e in small.task().examples), "utf-8"
    )
    table.write_text(parts.as_csv(parts.of_run(folder)), "utf-8")
    script = snippet()
    assert len([row for row in script.splitlines() if row.strip()]) <= 10
    for name, side in ((answered.FINAL, "final"), (answered.BASELINE, "baseline")):
        code = script.replace(answered.FINAL, name)
        said = subprocess.run(
            [sys.executable, "-c", code, str(folder), str(notes), str(table)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert said == f"{told[side]['value']:.6f} on 24 notes\n"
    assert told["final"]["value"] != told["baseline"]["value"]
