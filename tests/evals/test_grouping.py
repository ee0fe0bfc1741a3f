"""``tasks check --group-duplicates``: a task whose near-duplicates share a group."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.core.errors import InputError, TaskError
from preceptor.evals import check, grouping, taskfile

Captured = pytest.CaptureFixture[str]

YAML = """\
# by hand
name: falls
rules: [family history does not count]
fields:
  - name: fall
    values: [yes, no]
    meanings: {yes: stated}
  - {name: aids, kind: list, of: aids}
data:
  path: notes.csv
  columns: {GROUPtext: note, fields: {fall: "Sturz?"}, id: null}
  delimiter: ";"
  items: "|"
"""


def given(folder: Path, group: str = "group: patient, ", split: str = "") -> Path:
    """Write 90 notes of 45 patients; notes 10 and 50, 20 and 60 are the same."""
    with (folder / "notes.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter=";")
        out.writerow(["note", "patient", "Sturz?", "aids", *(["split"] if split else [])])
        for i in range(90):
            n = i - 40 if i in (50, 60) else i
            text = f"Note {n}: number {n} fell over {n} steps,\nthen {n} got up and went on {n} ways."
            part = [("train", "dev", "test")[i // 2 % 3]] if split else []
            out.writerow([text, f"p{i // 2}", ("yes", "no")[i % 2], ("cane|dog", "")[i % 2], *part])
    path = folder / "falls.yaml"
    path.write_text(YAML.replace("GROUP", group), "utf-8")
    return path


def test_duplicates_come_into_one_group(tmp_path: Path) -> None:
    path = given(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    old = taskfile.load(path)
    assert check.check(old).near_duplicates
    made = grouping.write(path, old)
    new = taskfile.load(made.file)
    assert (made.before, made.after, made.duplicates) == (45, 43, 4)
    assert check.check(new).near_duplicates == ()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name in before} == before
    assert [(e.id, e.text, e.gold) for e in new.examples] == [
        (e.id, e.text, e.gold) for e in old.examples
    ]
    assert (new.fields, new.prompt, new.name) == (old.fields, old.prompt, old.name)
    groups = {e.id: e.group for e in new.examples}
    ids = [e.id for e in old.examples]
    assert groups[ids[10]] == groups[ids[11]] == groups[ids[50]] == groups[ids[51]] == "p5"
    assert groups[ids[12]] == "p6"


def test_rows_without_a_group_are_joined_as_well(tmp_path: Path) -> None:
    path = given(tmp_path, group="group: null, ")
    made = grouping.write(path, taskfile.load(path))
    assert (made.before, made.after) == (90, 88)
    assert len({e.group for e in taskfile.load(made.file).examples}) == 88


def test_nothing_is_overwritten_or_half_written(tmp_path: Path) -> None:
    path = given(tmp_path)
    task = taskfile.load(path)
    (tmp_path / "falls-grouped.yaml").write_text("mine", "utf-8")
    with pytest.raises(InputError, match=r"falls-grouped\.yaml' exists already"):
        grouping.write(path, task)
    assert not (tmp_path / "falls-grouped.jsonl").exists()
    assert (tmp_path / "falls-grouped.yaml").read_text("utf-8") == "mine"


def test_duplicates_in_parts_that_the_data_prescribe_are_refused(tmp_path: Path) -> None:
    path = given(tmp_path, split="yes")
    with pytest.raises(TaskError, match="near-duplicates cannot be joined: group 'p5' stands in two"):
        grouping.write(path, taskfile.load(path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["falls.yaml", "notes.csv"]


def test_as_a_user_meets_it(tmp_path: Path, capsys: Captured) -> None:
    path = given(tmp_path)
    assert main(["tasks", "check", str(path)]) == 2  # too few patients in dev for a run
    assert "--group-duplicates writes a task that does" in capsys.readouterr().out
    assert main(["tasks", "check", str(path), "--group-duplicates"]) == 0
    assert "joins 4 near-duplicates: 45 groups became 43" in capsys.readouterr().out
    new = str(tmp_path / "falls-grouped.yaml")
    assert main(["tasks", "check", new]) == 2
    said = capsys.readouterr().out
    assert "near-duplicate" not in said
    assert "column '" not in said  # patients were joined, so none stands on both sides
    assert main(["tasks", "check", new, "--group-duplicates"]) == 2
    assert "there is nothing to join" in capsys.readouterr().err
    assert main(["tasks", "check", "toxicity", "--group-duplicates"]) == 2
    assert "give a .yaml file" in capsys.readouterr().err


def test_it_can_be_read_by_programs(tmp_path: Path, capsys: Captured) -> None:
    assert main(["tasks", "check", str(given(tmp_path)), "--group-duplicates", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["before"], told["after"], told["column"]) == (45, 43, "joined_group")
