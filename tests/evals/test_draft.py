"""A first task file from somebody's spreadsheet."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from preceptor.core.errors import InputError, TaskError
from preceptor.core.fields import LabelField, ListField
from preceptor.evals import check, draft, taskfile

HEAD = ("Note ID", "patient", "report", "fever", "drugs", "author", "ward")


def spreadsheet(path: Path, count: int = 60) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEAD)
        for i in range(count):
            fever = ("Yes", "no", "not mentioned", "yes")[i % 4]
            drugs = json.dumps(["aspirin"] if i % 2 else [])
            text = f"Note {i} about a man who was seen on the ward.\nNothing else, really."
            out.writerow([f"d{i}", f"p{i // 2}", text, fever, drugs, f"Dr {i}", "A"])
    return path


def test_a_task_is_guessed_and_checks(tmp_path: Path) -> None:
    file, found = draft.write("fevers", spreadsheet(tmp_path / "my.csv"), tmp_path)
    assert (found.id, found.group, found.text) == ("Note ID", "patient", "report")
    assert found.labels == {"fever": ("Yes", "no", "not mentioned")}
    assert found.defaults == {"fever": "not mentioned"}
    assert found.lists == ("drugs",)
    assert found.unused == ("author", "ward")
    task = taskfile.load(file)
    assert [type(f) for f in task.fields] == [LabelField, ListField]
    assert len(task.examples) == 60
    assert len({e.group for e in task.examples}) == 30
    assert check.check(task).unlabelled == 0


def test_json_lines_do_as_well(tmp_path: Path) -> None:
    rows = [
        {"text": f"A note of some length, number {i}.", "pain": i % 2 == 0, "given": ["x"]}
        for i in range(40)
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    file, found = draft.write("pain", path, tmp_path)
    assert (found.id, found.group) == (None, None)
    assert found.defaults == {"pain": "false"}
    assert taskfile.load(file).examples[0].gold == {"pain": "true", "given": ["x"]}


@pytest.mark.parametrize(("between", "mark"), [(";", b"\xef\xbb\xbf"), ("\t", b""), ("|", b"")])
def test_a_spreadsheet_without_commas_is_understood(between: str, mark: bytes, tmp_path: Path) -> None:
    plain = spreadsheet(tmp_path / "plain.csv")
    with plain.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    path = tmp_path / "n.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, delimiter=between).writerows(rows)
    path.write_bytes(mark + path.read_bytes())
    file_, found = draft.write("fevers", path, tmp_path)
    assert found == draft.draft(plain).model_copy(update={"delimiter": between})
    assert taskfile.load(file_).examples[3].text.startswith("Note 3 about a man")


def test_what_is_no_text_says_how_to_save_it(tmp_path: Path) -> None:
    path = tmp_path / "n.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(TaskError, match="save it as CSV in UTF-8"):
        draft.write("it", path, tmp_path)
    wide = tmp_path / "n.csv"
    wide.write_bytes("id,text\n".encode("utf-16"))
    with pytest.raises(TaskError, match="iconv -f utf-16 -t utf-8"):
        draft.write("it", wide, tmp_path)


BAD = {
    "no notes": ("a,b\nx,y\nx,z\n", "no column looks like notes"),
    "no labels": ("id,text\n1,abc\n2,def\n", "no column looks like a field"),
    "empty": ("", "no rows"),
    "torn": ("id,text\n1\n", "1 cells, the header has 2"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_guessed_is_said_in_a_line(case: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text(case[0], "utf-8")
    with pytest.raises(TaskError, match=case[1]):
        draft.write("it", path, tmp_path)
    assert not (tmp_path / "it").exists()


def test_names_are_checked_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = spreadsheet(tmp_path / "n.csv")
    with pytest.raises(InputError, match="task name"):
        draft.write("../x", path, tmp_path)
    draft.write("one", path, tmp_path)
    with pytest.raises(InputError, match="exists already"):
        draft.write("one", path, tmp_path)
    with pytest.raises(TaskError, match="there is no file"):
        draft.write("two", tmp_path / "no.csv", tmp_path)
