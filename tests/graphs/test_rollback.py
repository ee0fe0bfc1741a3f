"""Going back to an earlier round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.core.errors import InputError
from preceptor.core.records import Recipe
from preceptor.core.runs import openings
from preceptor.core.trace import read
from preceptor.graphs import bundle
from preceptor.graphs.rollback import roll_back
from tests.graphs.small import OPTIONS, finished, opened

SEED = 1


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rolled")
    finished(folder, OPTIONS.model_copy(update={"seed": SEED}))
    return folder


def verdicts(root: Path) -> list[dict[str, object]]:
    return [{**e.data} for e in read(root / "run" / "trace.jsonl") if e.kind == "verdict"]


def test_the_bundle_is_that_of_the_round_and_says_so(root: Path) -> None:
    run = root / "run"
    accepted = [v for v in verdicts(root) if v["outcome"] == "accepted"]
    assert accepted, "this run accepts something"
    final = bundle.read(run).recipe
    done = roll_back(run, 0)
    start = Recipe.model_validate(json.loads((run / "run.json").read_text("utf-8"))["config"]["start"])
    assert bundle.read(run).recipe == start
    assert done.tested == final.fingerprint
    metrics = json.loads((run / "bundle" / "metrics.json").read_text("utf-8"))
    assert metrics["rollback"]["test_measured_for"] == final.fingerprint
    assert "rolled back to round 0" in (run / "bundle" / "README.md").read_text("utf-8")
    first = accepted[0]
    roll_back(run, int(str(first["round"])))
    assert bundle.read(run).recipe.fingerprint == first["incumbent"]
    roll_back(run, len(verdicts(root)))
    assert bundle.read(run).recipe == final
    assert "rollback" not in json.loads((run / "bundle" / "metrics.json").read_text("utf-8"))


def test_it_is_logged_once_each_and_opens_no_test(root: Path) -> None:
    run = root / "run"
    before = sum(e.kind == "rollback" for e in read(run / "trace.jsonl"))
    roll_back(run, 0)
    roll_back(run, 0)
    kinds = [e.kind for e in read(run / "trace.jsonl")]
    assert kinds.count("rollback") == before + 1
    assert len(openings(root, "small")) == 1


def test_only_rounds_that_were_and_finished_runs(root: Path, tmp_path: Path) -> None:
    for wrong in (-1, 99):
        with pytest.raises(InputError, match=f"no round {wrong}"):
            roll_back(root / "run", wrong)
    with opened(tmp_path):
        pass
    with pytest.raises(InputError, match="not finished"):
        roll_back(tmp_path / "run", 0)
