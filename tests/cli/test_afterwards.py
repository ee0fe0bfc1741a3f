"""What is said of a finished run afterwards: its trace, its report, a bundle that was rolled back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.agents.students import StudentOptions
from preceptor.agents.students.openai import OpenAIStudent
from preceptor.cli import main

Captured = pytest.CaptureFixture[str]
REFINE = [
    "refine", "tests.graphs.small:task", "--student", "simulated", "--looks", "4", "--plateau", "3",
    "--rounds", "4", "--name", "one", "--metric", "accuracy",
]  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_finished_run_is_told_in_words(capsys: Captured) -> None:
    assert main(REFINE) == 0
    capsys.readouterr()
    assert main(["trace", "one"]) == 0
    said = capsys.readouterr().out
    assert "Sealed test: 0." in said
    assert "The report is written; the final recipe is " in said
    assert not [line for line in said.splitlines() if line.startswith("{")]
    assert main(["trace", "one", "--round", "99"]) == 2
    assert "has no round 99" in capsys.readouterr().err

    assert main(["rollback", "one", "1"]) == 0
    other = Path("runs/one/bundle/README.md").read_text("utf-8")
    assert main(["rollback", "one", "0"]) == 0
    readme = " ".join(Path("runs/one/bundle/README.md").read_text("utf-8").split())
    assert "rolled back to round 0, the untouched student. Of the sealed test" in readme
    assert "the untouched student" not in other
    metrics = json.loads(Path("runs/one/bundle/metrics.json").read_text("utf-8"))
    assert metrics["rollback"]["note"] == "the sealed test's baseline is this bundle's recipe"
    capsys.readouterr()
    assert main(["report", "one"]) == 0
    assert "The bundle was rolled back to round 0" in capsys.readouterr().out
    assert main(["report", "one", "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_no_move_is_no_choice(capsys: Captured) -> None:
    assert main([*REFINE, "--moves", ""]) == 2
    assert "--moves names no move" in capsys.readouterr().err


def test_a_larger_model_that_is_none_is_refused_before_anything(capsys: Captured) -> None:
    assert main(["curve", "tests.graphs.small:task", "--student", "nano", "--larger", "foo"]) == 2
    assert "no such model: 'foo'" in capsys.readouterr().err
    assert not list(Path().glob("runs/*"))


def test_an_empty_address_is_openais_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setattr(OpenAIStudent, "_longest", lambda *_: None)
    student = OpenAIStudent("gpt-4o", "", StudentOptions())
    assert str(student.client.base_url) == "https://api.openai.com/v1/"
    student.close()
