"""Learning curves from the command line: sizes, refusals, and trainings that are not done again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.core.errors import InputError
from preceptor.core.settings import Settings
from preceptor.evals import splits
from preceptor.evals.curve import Curve
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import curve, lab
from tests.graphs import small

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sizes_are_read_and_trimmed() -> None:
    assert curve.read_sizes("50, 100,ALL") == (50, 100, curve.ALL)
    assert curve.trim((100, 50, curve.ALL, 200, 50), 94) == (50, 94)
    for wrong in ("", "7", "0", "-3", "many", "50,,100", "1.5"):
        with pytest.raises(InputError, match="is none"):
            curve.read_sizes(wrong)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--sizes", "3"], "size '3' is none"),
        (["--seeds", "0"], "seeds"),
        (["--epochs", "50"], "change.epochs"),
        (["--rate", "5", "--method", "full"], "change.rate"),
        (["--student", "simulated"], "'simulated' cannot be trained"),
        (["--student", "nonsense"], "nonsense"),
    ],
)
def test_refusals_are_one_line(given: list[str], said: str, capsys: Captured) -> None:
    assert main(["curve", "tests.graphs.small:task", *given]) in (2, 5)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_a_curve_is_measured_on_dev_and_goes_on_where_it_was(capsys: Captured) -> None:
    pytest.importorskip("trl", reason="pip install preceptor[local]")
    from tests.tools.sft import small as tiny

    student = f"hf:{tiny.model()}"
    given = ["curve", "tests.graphs.small:task", "--student", student, "--larger", "simulated"]
    given += ["--profile", "quick", "--epochs", "1", "--seeds", "1", "--json", "--dev", "10"]
    assert main([*given, "--sizes", "8"]) == 0
    first = Curve.from_json(capsys.readouterr().out)
    jobs = list(Path("runs/curve-small/training/jobs").iterdir())
    assert len(jobs) == 1
    trained = {json.loads(line)["id"] for line in (jobs[0] / "data.jsonl").read_text().splitlines()}
    assert trained <= set(splits.make(small.task()).train)
    events = (jobs[0] / "events.jsonl").read_bytes()
    assert main([*given, "--sizes", "8,16", "--out", "out"]) == 0
    again = Curve.from_json(capsys.readouterr().out)
    assert (jobs[0] / "events.jsonl").read_bytes() == events
    assert [(r.kind, r.notes) for r in again.rows] == [
        ("zero_shot", 0), ("trained", 8), ("trained", 16), ("larger", 0)
    ]  # fmt: skip
    assert [*again.rows[:2], again.rows[3]] == list(first.rows)
    assert (again.notes, again.patients, again.measured_on) == (10, 10, "dev")
    assert {p.name for p in Path("out").iterdir()} == {"curve.json", "curve.md", "curve.svg"}
    assert not Path("runs/openings.jsonl").exists()


def few_patients() -> Task:
    """Return the small task with a name that is a path, and patients of 18 notes each."""
    made = small.task()
    notes = [
        e.model_copy(update={"group": f"p{i // 18}", "text": f"Visit {i} in ward {i % 13}. {e.text}"})
        for i, e in enumerate(made.examples)
    ]
    split = SplitSpec(train=36, dev=36, test=18)
    named = {"name": "a/../../away", "examples": tuple(notes), "split": split}
    return made.model_copy(update=named)


def test_sizes_are_checked_before_anything_is_asked(tmp_path: Path) -> None:
    task = "tests.graphs.test_curve:few_patients"
    settings = Settings(runs_dir=tmp_path / "deep" / "runs")
    request = curve.Request(task=task, student="simulated", sizes=(8, curve.ALL), seeds=2)
    heard: list[str] = []
    with pytest.raises(InputError, match="no whole patient fits into 8 notes"):
        curve.measure(request, settings, lambda name, _: heard.append(name))
    with lab.opened(request, tmp_path / "lab", settings, lambda name, _: None) as opened:
        nearest = curve.subsets_of(opened, request.model_copy(update={"sizes": (16,)}))
        assert {len(notes) for _, notes in nearest[16]} == {18}
        assert [seed for seed, _ in nearest[16]] == [0, 1]
    assert heard == []
    place = curve.folder_of(request, settings)
    assert place.parent == tmp_path / "deep" / "runs", "a name leads nowhere else"
    assert {p.name for p in tmp_path.iterdir()} <= {"deep", "lab"}


def test_copies_of_dev_and_test_are_left_out(tmp_path: Path) -> None:
    settings = Settings(runs_dir=tmp_path / "runs")
    request = curve.Request(task="tests.graphs.small:task", student="simulated", dev=10)
    drawn = splits.make(small.task())
    with lab.opened(request, tmp_path / "lab", settings, lambda name, progress: None) as opened:
        assert opened.left_out == len(drawn.train) - len(opened.train) == 2
        assert {e.id for e in opened.train} < set(drawn.train)
        assert {e.id for e in opened.dev} < set(drawn.dev)
        opened.guard.check(opened.train)
