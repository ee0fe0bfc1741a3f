"""The command line as a user meets it: verbs, errors in one line, exit codes, JSON."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from preceptor.cli import VERBS, main

ROOT = Path(__file__).parents[2]
HERE = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
"""This checkout comes first, whichever one is installed."""


def preceptor(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "preceptor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": HERE, **(environment or {})},
    )


REFINE = ("refine", "tests.graphs.small:task", "--student", "simulated", "--rounds", "2")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("done")
    made = preceptor(folder, *REFINE, "--name", "one")
    assert made.returncode == 0, made.stderr
    return folder


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in VERBS)


def test_refine_says_where_report_and_bundle_are(done: Path) -> None:
    again = preceptor(done, "report", "one")
    assert again.returncode == 0
    assert again.stdout.startswith("Synthetic data.")
    assert (done / "runs/one/bundle/bundle.json").exists()


@pytest.mark.parametrize("verb", [("report", "one"), ("runs", "list"), ("tasks", "list"), ("doctor",)])
def test_every_read_speaks_json(verb: Sequence[str], done: Path) -> None:
    shown = preceptor(done, *verb, "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)


def test_the_trace_is_readable_both_ways(done: Path) -> None:
    lines = preceptor(done, "trace", "last", "--json").stdout.splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds[0] == "prepared"
    assert kinds[-1] == "report"
    text = preceptor(done, "trace").stdout
    assert "edit_prompt" in text
    only = preceptor(done, "trace", "--kind", "verdict", "--json").stdout.splitlines()
    assert {json.loads(line)["kind"] for line in only} == {"verdict"}


def test_a_bundle_answers_notes_and_goes_on_where_it_was(done: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.jsonl"
    rows = [{"id": f"n{i}", "text": "He was hacking for 3 days."} for i in range(5)]
    notes.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    bundle = done / "runs/one/bundle"
    changed = json.loads((bundle / "bundle.json").read_text("utf-8"))
    changed["recipe"]["model"] = {"spec": "scripted", "digest": ""}
    mine = tmp_path / "bundle"
    shutil.copytree(bundle, mine)
    (mine / "bundle.json").write_text(json.dumps(changed), "utf-8")
    out = tmp_path / "out.jsonl"
    first = preceptor(tmp_path, "extract", str(mine), "--in", str(notes), "--out", str(out))
    assert first.returncode == 0, first.stderr
    answers = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [a["id"] for a in answers] == [f"n{i}" for i in range(5)]
    assert all(set(a["record"]) == {"fever", "cough", "rash"} for a in answers)
    out.write_text("\n".join(out.read_text("utf-8").splitlines()[:3]) + '\n{"id": "n3", "sta', "utf-8")
    again = preceptor(tmp_path, "extract", str(mine), "--in", str(notes), "--out", str(out))
    assert again.returncode == 0, again.stderr
    resumed = [json.loads(line)["id"] for line in out.read_text("utf-8").splitlines()]
    assert resumed == [f"n{i}" for i in range(5)]


BAD: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no verb": (("refien",), 2, "no verb 'refien'"),
    "no task": (("refine", "nope"), 2, "no task 'nope'"),
    "no file": (("refine", "./nope.yaml"), 2, "nope.yaml"),
    "no model": (("refine", "toxicity", "--student", "hf:/nowhere"), 5, "/nowhere"),
    "no teacher": (("refine", "toxicity", "--student", "simulated", "--teacher", "gpt"), 2, "'gpt'"),
    "no run": (("report", "nope"), 2, "no run 'nope'"),
    "bad number": (("refine", "toxicity", "--rounds", "0"), 2, "limits.rounds"),
    "bad set": (("runs", "list", "--set", "budget.dolars=1"), 2, "budget.dolars"),
    "sealed": (("eval", "simulated", "--task", "toxicity", "--split", "test"), 2, "sealed"),
    "server down": (("refine", "toxicity", "--student", "ollama:x"), 5, "ollama serve"),
    "no bundle": (("extract", ".", "--in", "x", "--out", "y"), 2, "no bundle"),
    "no price": (
        (
            "refine",
            "toxicity",
            "--student",
            "simulated",
            "--teacher",
            "openai:mystery",
            "--dollars",
            "1",
        ),
        2,
        "price",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_gets_one_line_and_leaves_nothing(
    case: tuple[tuple[str, ...], int, str], tmp_path: Path
) -> None:
    arguments, code, named = case
    environment = {"OLLAMA_HOST": "http://127.0.0.1:9", "OPENAI_API_KEY": "none"}
    shown = preceptor(tmp_path, *arguments, environment=environment)
    assert shown.returncode == code, shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1, shown.stderr
    assert named in shown.stderr
    assert shown.stderr.startswith("preceptor: ")
    assert not list(tmp_path.glob("runs/*"))


def test_ctrl_c_leaves_a_run_that_resumes(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "preceptor", *REFINE, "--name", "two"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": HERE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    trace = tmp_path / "runs/two/trace.jsonl"
    for _ in range(600):
        if trace.exists() and trace.stat().st_size:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "preceptor resume" in said
    resumed = preceptor(tmp_path, "resume", "two")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "runs/two/report.json").exists()


def test_a_budget_stop_has_its_own_exit_code(tmp_path: Path) -> None:
    calls = (30 + 2 * 24) * 3 + 9
    shown = preceptor(tmp_path, *REFINE, "--student-calls", str(calls))
    assert shown.returncode == 3
    assert "best bundle is kept" in shown.stderr
