"""The everyday commands as a user meets them: config, plan, extract, merge, rollback, runs, tasks."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.core import lock
from preceptor.graphs import bundle
from tests.evals.test_draft import spreadsheet
from tests.graphs.corpora import make_bundle, rows, write_notes
from tests.graphs.small import OPTIONS, finished

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_config_tells_origins_and_no_secret(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("preceptor.toml").write_text('student = "ollama:x"\n[budget]\ndollars = 3\n', "utf-8")
    monkeypatch.setenv("PRECEPTOR_CONCURRENCY", "2")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    monkeypatch.setenv("PRECEPTOR_MY_TOKEN", "tok-planted")
    url = "https://me:pw-planted@host:6333/?api_key=q-planted"
    arguments = ["config", "--set", f"qdrant_url={url}", "--set", "budget.dollars=4"]
    assert main([*arguments, "--json"]) == 0
    shown = capsys.readouterr().out
    found = json.loads(shown)
    by_key = {one["key"]: one for one in found["settings"]}
    assert by_key["student"] == {
        "key": "student", "value": "ollama:x", "origin": "file", "where": "preceptor.toml"
    }  # fmt: skip
    assert (by_key["concurrency"]["origin"], by_key["concurrency"]["where"]) == (
        "variable", "PRECEPTOR_CONCURRENCY"
    )  # fmt: skip
    assert by_key["budget.dollars"]["value"] == 4
    assert by_key["budget.dollars"]["origin"] == "option"
    assert by_key["teacher"]["origin"] == "default"
    assert by_key["qdrant_url"]["value"] == "https://***@host:6333/?api_key=***"
    assert found["secrets"]["OPENAI_API_KEY"] is True
    assert found["secrets"]["PRECEPTOR_MY_TOKEN"] is True
    assert found["secrets"]["HF_TOKEN"] is bool(__import__("os").environ.get("HF_TOKEN"))
    assert main(arguments) == 0
    assert "planted" not in shown + capsys.readouterr().out


def test_plan_speaks_and_says_unknown(capsys: Captured) -> None:
    arguments = ["plan", "tests.graphs.small:task", "--student", "simulated"]
    assert main([*arguments, "--teacher", "openai:mystery"]) == 0
    said = capsys.readouterr().out
    assert "unknown" in said
    assert "No price is known for openai:mystery" in said
    assert main([*arguments, "--measure", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["likely"]["seconds"] is not None
    assert not Path("runs").exists()


def test_extract_in_shards_and_merge(capsys: Captured) -> None:
    made, notes = make_bundle(Path("bundle")), write_notes(Path("n.csv"), rows(30))
    for i in range(2):
        shard = ["--shards", "2", "--shard-index", str(i)]
        assert main(["extract", str(made), "--in", str(notes), "--out", f"{i}.jsonl", *shard]) == 0
    assert "notes/s" in capsys.readouterr().err
    assert main(["merge", "0.jsonl", "--out", "all.csv"]) == 2
    assert "shard 1 of 2 is missing" in capsys.readouterr().err
    assert main(["merge", "0.jsonl", "1.jsonl", "--out", "all.csv"]) == 0
    assert "30 answers (30 ok)" in capsys.readouterr().err


def test_columns_can_be_named(capsys: Captured) -> None:
    notes = write_notes(Path("n.csv"), [{"nr": "1", "body": "He was well.", "who": "p"}])
    asked = ["extract", str(make_bundle(Path("b"))), "--in", str(notes), "--out", "o.jsonl"]
    assert main(asked) == 2
    assert "--columns" in capsys.readouterr().err
    assert main([*asked, "--columns", "id=nr,text=body,group=who"]) == 0
    assert main([*asked, "--columns", "ID=nr"]) == 2


def test_too_many_failures_have_their_exit_code(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preceptor.agents import students
    from preceptor.agents.students.scripted import ScriptedStudent

    faulty = ScriptedStudent({}, faults=dict.fromkeys((1, 3, 5), "garble"))
    monkeypatch.setattr(students, "make", lambda *_: faulty)
    notes = write_notes(Path("n.jsonl"), rows(10))
    asked = ["extract", str(make_bundle(Path("b"))), "--in", str(notes), "--out", "o.jsonl"]
    assert main([*asked, "--max-failed", "0.2"]) == 5
    assert "3 of 10 notes are not answered whole" in capsys.readouterr().err
    assert main([*asked, "--max-failed", "0.3"]) == 0
    assert main([*asked, "--max-failed", "3"]) == 2


def test_rollback_and_removal(elsewhere: Path, capsys: Captured) -> None:
    finished(elsewhere / "runs", OPTIONS.model_copy(update={"seed": 1}))
    assert main(["rollback", "run", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["round"] == 0
    assert main(["trace", "run", "--kind", "rollback"]) == 0
    assert "Rolled back to round 0" in capsys.readouterr().out
    assert main(["rollback", "run", "77"]) == 2
    capsys.readouterr()
    assert main(["runs", "rm", "run"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert (elsewhere / "runs/run/run.json").exists()
    assert main(["runs", "rm", "run", "nope", "--yes"]) == 2
    assert (elsewhere / "runs/run/run.json").exists(), "nothing goes unless all are there"
    before = (elsewhere / "runs/openings.jsonl").read_bytes()
    assert main(["runs", "rm", "run", "--yes"]) == 0
    assert [p.name for p in (elsewhere / "runs").iterdir()] == ["openings.jsonl"]
    assert (elsewhere / "runs/openings.jsonl").read_bytes() == before


def test_a_disk_that_fills_during_a_rollback_leaves_the_bundle(
    elsewhere: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(elsewhere / "runs", OPTIONS.model_copy(update={"seed": 1}))
    folder = elsewhere / "runs/run/bundle"
    before = {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    with monkeypatch.context() as patched:
        patched.setattr(bundle, "_json", full)
        assert main(["rollback", "run", "0"]) == 2
    assert "the disk is full: make room" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert not list(folder.parent.glob(".bundle*"))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", full)
        assert main(["report", "run"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert main(["rollback", "run", "0"]) == 0


def test_a_run_in_use_is_not_removed_and_nothing_else_is(elsewhere: Path, capsys: Captured) -> None:
    for name in ("free", "used"):
        finished(elsewhere / "runs")
        (elsewhere / "runs/run").rename(elsewhere / "runs" / name)
    with lock.lock(elsewhere / "runs/used"):
        assert main(["runs", "rm", "free", "used", "--yes"]) == 2
        assert "run 'used' is in use by process" in capsys.readouterr().err
        assert main(["rollback", "used", "0"]) == 2
    assert (elsewhere / "runs/free/run.json").exists()
    twice = [str(elsewhere / "runs/free"), "free", "runs/free/"]
    assert main(["runs", "rm", *twice, "--yes"]) == 0
    assert not (elsewhere / "runs/free").exists()


WRONG: dict[str, list[str]] = {
    "round": ["rollback", "run", "x"],
    "a choice": ["runs", "foo"],
    "a run to list": ["runs", "list", "foo"],
    "both": ["approve", "run", "--edit", "f", "--reject", "no"],
    "missing": ["extract", "b", "--in", "x"],
    "unknown": ["report", "--no-such"],
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_argument_is_one_line(given: list[str], capsys: Captured) -> None:
    assert main(given) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("preceptor: ")
    assert "see: preceptor" in said[0]


def test_notes_through_a_pipe(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    made, notes = make_bundle(Path("bundle")), write_notes(Path("n.csv"), rows(30))
    asked = ["extract", str(made), "--out", "a.jsonl", "--in"]
    assert main([*asked, "n.csv", "--in-format", "csv"]) == 2
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(notes.read_bytes())))
    assert main([*asked, "-", "--in-format", "csv"]) == 0
    assert "30 ok" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(notes.read_bytes())))
    assert main([*asked, "-"]) == 2
    assert "standard input, line 1: not JSON" in capsys.readouterr().err


def test_a_new_task_checks(capsys: Captured) -> None:
    spreadsheet(Path("notes.csv"))
    assert main(["tasks", "new", "fevers", "--from", "notes.csv"]) == 0
    assert "tasks check fevers/task.yaml" in capsys.readouterr().out
    # Its 30 patients leave too few for dev: the figures are shown, and why it is no task yet.
    assert main(["tasks", "check", "fevers/task.yaml"]) == 2
    assert "60 examples of 30 groups" in capsys.readouterr().out
    assert main(["tasks", "new", "fevers"]) == 2
