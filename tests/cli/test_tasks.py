"""``preceptor tasks new`` as a user meets it: what was guessed is said, and what is odd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.cli import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_was_guessed_is_said(capsys: Captured) -> None:
    rows = [
        f"n{i % 59},p{i // 6},{('train', 'dev', 'test')[i // 6 % 3]},"
        f"A note about a man who was seen on the ward under number {i}.,{('ja', 'nein')[i % 2]}"
        for i in range(60)
    ]
    Path("n.csv").write_text("\n".join(["note_id,Patient,split,text,Sturz?", *rows]), "utf-8")
    assert main(["tasks", "new", "falls", "--from", "n.csv"]) == 0
    said = capsys.readouterr().out
    assert "text text, id (row number), patient Patient" in said
    assert "split split: train, dev and test as it says" in said
    assert "Sturz: ja, nein (nothing found: nein), column 'Sturz?'" in said
    assert "note: 'note_id' holds the same in lines 2 and 61, so the row number is the id" in said
    assert main(["tasks", "check", "falls/task.yaml"]) == 2
    heard = capsys.readouterr()
    assert "dev needs 15 patients" in heard.err
    said = heard.out
    assert "60 examples of 10 groups" in said
    assert [line.split()[1] for line in said.splitlines()[2:5]] == ["24", "18", "18"]


def test_a_label_for_nothing_found_that_is_not_called_so_is_told_as_a_guess(capsys: Captured) -> None:
    rows = [
        f"A long enough note under number {i},{('heart', 'lung', 'skin')[i % 3]}" for i in range(60)
    ]
    Path("n.csv").write_text("\n".join(["text,organ", *rows]), "utf-8")
    assert main(["tasks", "new", "organs", "--from", "n.csv"]) == 0
    assert "organ: heart, lung, skin (nothing found: heart, a guess)" in capsys.readouterr().out


def test_the_baselines_of_a_task_are_shown_where_they_are_asked_for(capsys: Captured) -> None:
    rows = [
        f"p{i},{'cane in hand' if i % 2 else 'on foot'} number {i},{'yes' if i % 2 else 'no'}"
        for i in range(60)
    ]
    Path("n.csv").write_text("\n".join(["patient,text,aid", *rows]), "utf-8")
    assert main(["tasks", "new", "aid", "--from", "n.csv"]) == 0
    capsys.readouterr()
    assert main(["tasks", "check", "aid/task.yaml", "--baselines"]) == 0
    *_, last = said = capsys.readouterr().out.splitlines()
    assert last == "Next: preceptor plan aid/task.yaml --student STUDENT, then refine"
    shown = {line.split()[0]: line for line in said[-8:-1]}
    assert set(shown) == {
        "majority", "always-positive", "keyword", "context", "keyword+mined", "context+mined", "tfidf",
    }  # fmt: skip
    assert "1.000 [" in shown["tfidf"]
    assert shown["majority"].endswith("trivial")
    assert main(["tasks", "check", "aid/task.yaml", "--baselines", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["name"]: row["kind"] for row in told["baselines"]}["tfidf"] == "supervised"
    assert main(["tasks", "check", "aid/task.yaml", "--json"]) == 0
    assert "baselines" not in json.loads(capsys.readouterr().out)
