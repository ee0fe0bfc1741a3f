"""Joint training from the command line: what is refused, left out, trained, measured and used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.core.errors import InputError
from preceptor.core.fields import LabelField
from preceptor.core.records import Example
from preceptor.evals import splits
from preceptor.evals.joint import Joint
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import joint, leaks
from tests.graphs import small

Captured = pytest.CaptureFixture[str]
FIRST, SECOND = "tests.graphs.small:task", "tests.graphs.test_joint:other"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def other() -> Task:
    """Return a task of other notes and fields, whose notes and patients have the names of the first's.

    One of its train notes repeats a dev note of the first task.
    """
    fields = tuple(LabelField(name=name, values=("yes", "no")) for name in ("smoker", "drinker"))
    notes = []
    for i in range(60):
        smokes, drinks = i % 2 == 0, i % 3 == 0
        said = [f"Asked in week {i} at home by the {i % 7}th nurse."]
        said += [f"Smokes {i} a day."] if smokes else []
        said += [f"Beer with meal {i}."] if drinks else []
        gold = {"smoker": "yes" if smokes else "no", "drinker": "yes" if drinks else "no"}
        notes.append(Example(id=f"n{i}", group=f"p{i}", text=" ".join(said), gold={**gold}))
    task = Task(
        name="habits",
        fields=fields,
        examples=tuple(notes),
        split=SplitSpec(train=24, dev=20, test=16),
        synthetic=True,
    )
    first = small.task()
    taken = splits.make(task).train[0]
    dev = splits.make(first).examples(first, "dev")
    copied = next(e.text for e in dev if e.id != taken)  # of a patient of another name
    changed = tuple(e.model_copy(update={"text": copied}) if e.id == taken else e for e in notes)
    return task.model_copy(update={"examples": changed})


def test_a_mix_is_read() -> None:
    assert joint.read_mix("a=2, b=0.5") == {"a": 2.0, "b": 0.5}
    assert joint.read_mix("pkg:x=1") == {"pkg:x": 1.0}
    for wrong in ("a", "a=", "=2", "a=0", "a=-1", "a=nan", "a=inf", "a=11", "a=1,a=2", "a=x"):
        with pytest.raises(InputError, match="is none"):
            joint.read_mix(wrong)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([FIRST], "two tasks at least"),
        ([FIRST, FIRST], "two tasks are named 'small'"),
        ([FIRST, SECOND, "--mix", "small=2,smoking=1"], "'smoking' is none of the tasks"),
        ([FIRST, SECOND, "--mix", "small=0"], "mix 'small=0' is none"),
        ([FIRST, SECOND, "--notes", "3"], "notes"),
        ([FIRST, SECOND, "--epochs", "50"], "change.epochs"),
        ([FIRST, SECOND, "--mix", "habits=0.1"], "weight 0.1 leaves"),
        ([FIRST, SECOND, "--student", "simulated"], "'simulated' cannot be trained"),
        ([FIRST, SECOND, "--processes", "2"], "need a launcher"),
        ([FIRST, SECOND, "--out", "taken"], "is there and is no bundle"),
    ],
)
def test_refusals_are_one_line(given: list[str], said: str, capsys: Captured) -> None:
    Path("taken/habits").mkdir(parents=True)
    student = [] if "--student" in given else ["--student", "nano"]
    assert main(["joint", *given, *student]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) <= 2
    assert not list(Path().glob("runs/*/training"))


def test_a_note_that_repeats_another_tasks_dev_is_left_out() -> None:
    tasks = [small.task(), other()]
    drawn = [splits.make(task) for task in tasks]
    found = leaks.across(list(zip(tasks, drawn, strict=True)))
    assert found.patients == ("small", "habits")
    assert found.forbidden[1] & set(drawn[1].train) == {drawn[1].train[0]}
    assert not found.forbidden[0] & set(drawn[0].train)


def test_tasks_about_the_same_patients_keep_each_others_patients_out() -> None:
    first = small.task()
    second = first.model_copy(update={"name": "again"})
    drawn = [splits.make(first, 0), splits.make(second, 1)]
    found = leaks.across([(first, drawn[0]), (second, drawn[1])])
    assert found.patients == ("small", "small")
    for mine, theirs, forbidden in ((0, 1, found.forbidden[0]), (1, 0, found.forbidden[1])):
        held = {*drawn[theirs].dev, *drawn[theirs].test}  # of this task each patient has one note
        assert forbidden >= held & set(drawn[mine].train)


@pytest.mark.slow
def test_one_adapter_is_measured_on_each_and_used(capsys: Captured) -> None:
    pytest.importorskip("trl", reason="pip install preceptor[local]")
    from tests.tools.sft import small as tiny

    student = f"hf:{tiny.model()}"
    given = ["joint", FIRST, SECOND, "--student", student, "--profile", "quick", "--epochs", "1"]
    given += ["--mix", "habits=1.5", "--notes", "12", "--dev", "6", "--json"]
    assert main(given) == 0
    first = Joint.from_json(capsys.readouterr().out)
    one, two = first.tasks
    assert (one.task, one.weight, one.notes, one.rows, one.shown) == ("small", 1.0, 12, 36, 36)
    assert (two.task, two.weight, two.notes, two.rows, two.shown) == ("habits", 1.5, 12, 24, 36)
    assert two.left_out == 1
    readme = Path("runs/joint-small-habits/habits/README.md").read_text("utf-8")
    assert "`metrics.json`: the numbers on dev; the sealed test was not opened." in readme
    assert one.joint.gain is not None
    assert (one.alone, one.over_alone) == (None, None)
    (job,) = Path("runs/joint-small-habits/training/jobs").iterdir()
    rows = [json.loads(line) for line in (job / "data.jsonl").read_text().splitlines()]
    for task, name in ((small.task(), "small"), (other(), "habits")):
        trained = {row["id"].partition("/")[2] for row in rows if row["id"].startswith(f"{name}/")}
        assert trained <= set(splits.make(task).train)
    events = (job / "events.jsonl").read_bytes()
    assert main([*given, "--alone", "--out", "out"]) == 0
    again = Joint.from_json(capsys.readouterr().out)
    assert (job / "events.jsonl").read_bytes() == events
    assert again.adapter == first.adapter
    assert [t.joint for t in again.tasks] == [t.joint for t in first.tasks]
    assert all(t.alone is not None and t.over_alone is not None for t in again.tasks)
    aside = [*given]
    aside[aside.index("quick")] = "standard"
    assert main(aside) == 0
    stopping = Joint.from_json(capsys.readouterr().out)
    log = [json.loads(x) for j in Path("runs/joint-small-habits/training/jobs").iterdir()
           for x in (j / "events.jsonl").read_text().splitlines()]  # fmt: skip
    assert sum(t.shown for t in stopping.tasks) in {e["rows"] for e in log if e["event"] == "start"}
    assert sum(t.shown for t in stopping.tasks) < 72
    assert {p.name for p in Path("out").iterdir()} == {"joint.json", "joint.md", "small", "habits"}
    assert main(["eval", "out/habits", "--task", SECOND, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == 20
    assert not Path("runs/openings.jsonl").exists()
