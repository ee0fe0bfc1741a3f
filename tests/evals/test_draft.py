"""A first task file from somebody's spreadsheet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from preceptor.core.errors import InputError, TaskError
from preceptor.core.fields import LabelField, ListField
from preceptor.evals import check, draft, splits, taskfile

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


NOTE = "A note about a man who was seen on the ward under number {}."


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def table(path: Path, head: str, line: str, count: int = 60) -> Path:
    """Write a CSV file; in ``line`` stand {i}, {two} (same in two rows), {note} and {label}."""
    made = (
        line.format(i=i, two=f"F{i // 2}", note=NOTE.format(i), label=("yes", "no")[i // 2 % 2])
        for i in range(count)
    )
    path.write_text("\n".join([head, *made]) + "\n", "utf-8")
    return path


def test_a_column_split_is_no_field(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": i, "text": NOTE.format(i), "split": part, "pain": "no" if i % 2 else "yes"}
        for i, part in enumerate(["train", "dev", "test"] * 10)
    ]
    file, found = draft.write("one", lines(tmp_path / "in.jsonl", *rows), tmp_path)
    assert (found.split, list(found.labels)) == ("split", ["pain"])
    assert splits.make(taskfile.load(file)).dev == tuple(str(i) for i in range(1, 30, 3))
    other = [{**row, "split": f"fold {row['id'] % 3}"} for row in rows]
    file, found = draft.write("two", lines(tmp_path / "in.jsonl", *other), tmp_path)
    assert (found.split, list(found.labels), found.unused) == (None, ["pain"], ("split",))
    assert found.remarks == ("'split' is not used: it holds other values than train, dev, test",)
    assert len(taskfile.load(file).examples) == 30


def test_gold_objects_are_looked_into(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": f"n{i}", "group": f"p{i // 2}", "text": NOTE.format(i), "gold": {"drugs": []}}
        for i in range(30)
    ]
    for i, row in enumerate(rows[1:]):
        row["gold"] = {"pain": ("yes", "no")[i % 2], "drugs": ["aspirin"]}
    file, found = draft.write("it", lines(tmp_path / "in.jsonl", *rows), tmp_path)
    assert (found.gold, found.group, found.unused) == ("gold", "group", ())
    assert (found.labels, found.lists) == ({"pain": ("yes", "no")}, ("drugs",))
    examples = taskfile.load(file).examples
    assert [e.gold for e in examples[:2]] == [{"drugs": []}, {"pain": "yes", "drugs": ["aspirin"]}]
    for row in rows:
        row["gold"] = {"pain": "yes", "pain?": "no"}
    with pytest.raises(TaskError, match=r"'pain\?' in column 'gold' cannot be a field's name \(rename"):
        draft.draft(lines(tmp_path / "in.jsonl", *rows))
    for row in rows:
        row["gold"] = {"pain": "yes"}
    with pytest.raises(TaskError, match=r"'pain' in column 'gold' looks like no field"):
        draft.draft(lines(tmp_path / "in.jsonl", *rows))


def test_a_label_column_may_be_called_gold(tmp_path: Path) -> None:
    path = table(tmp_path / "n.csv", "id,text,gold", "{i},{note},{label}")
    file, found = draft.write("it", path, tmp_path)
    assert (found.gold, list(found.labels)) == (None, ["gold"])
    assert taskfile.load(file).examples[0].gold == {"gold": "yes"}


def test_an_empty_note_does_not_hide_the_notes(tmp_path: Path) -> None:
    path = table(tmp_path / "n.csv", "id,text,remark,pain", "{i},{note},longer: {note},{label}")
    path.write_text(path.read_text("utf-8").replace(NOTE.format(3), "", 1), "utf-8")
    found = draft.draft(path)
    assert found.text == "text"
    assert found.remarks == ("'text' is empty in line 5: fill it or drop the row",)


def test_a_header_that_is_no_field_s_name_is_cleaned(tmp_path: Path) -> None:
    head = "id,text,Sturz?,Sturz,(1) Sturz!,???"
    path = table(tmp_path / "n.csv", head, "{i},{note},{label},{label},{label},{label}")
    file, found = draft.write("it", path, tmp_path)
    assert found.columns == {"Sturz_": "Sturz?", "Sturz__": "(1) Sturz!", "field 4": "???"}
    assert list(found.labels) == ["Sturz_", "Sturz", "Sturz__", "field 4"]
    gold = taskfile.load(file).examples[2].gold
    assert gold == dict.fromkeys(found.labels, "no")


def test_a_field_that_the_first_row_leaves_out_is_seen(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": i, "text": NOTE.format(i), "pain": "no" if i % 2 else "yes", "drugs": ["x"]}
        for i in range(30)
    ]
    del rows[0]["drugs"]
    file, found = draft.write("it", lines(tmp_path / "in.jsonl", *rows), tmp_path)
    assert found.lists == ("drugs",)
    assert taskfile.load(file).examples[0].gold == {"pain": "yes"}


GERMAN = {
    "case and patient": ("Fallnummer,PatientenID,Befund,Sturz", "c{i},{two},{note},{label}"),
    "case alone": ("Fall,Befund,Sturz", "{two},{note},{label}"),
    "number": ("Befund-ID,Patienten-Nr.,Brief,Sturz", "c{i},{two},{note},{label}"),
    "a fall": ("ID,Patient,Text,Fall", "c{i},{two},{note},{label}"),
}
OWNERS = [
    ("Fallnummer", "PatientenID"),
    (None, "Fall"),
    ("Befund-ID", "Patienten-Nr."),
    ("ID", "Patient"),
]


@pytest.mark.parametrize(
    ("case", "owners"), list(zip(GERMAN.values(), OWNERS, strict=True)), ids=GERMAN.keys()
)
def test_german_ids_are_known(
    case: tuple[str, str], owners: tuple[str | None, str], tmp_path: Path
) -> None:
    file, found = draft.write("it", table(tmp_path / "n.csv", *case), tmp_path)
    assert (found.id, found.group) == owners
    assert list(found.labels) == [case[0].rpartition(",")[2]]
    assert len({e.group for e in taskfile.load(file).examples}) == 30


def test_ids_that_stand_twice_are_remarked(tmp_path: Path) -> None:
    path = table(tmp_path / "n.csv", "note_id,text,pain", "n{i},{note},{label}")
    path.write_text(path.read_text("utf-8").replace("n7,", "n3,"), "utf-8")
    found = draft.draft(path)
    assert (found.id, found.unused) == (None, ("note_id",))
    assert found.remarks == ("'note_id' holds the same in lines 5 and 9, so the row number is the id",)
    path.write_text(path.read_text("utf-8").replace("n3,", ","), "utf-8")
    assert draft.draft(path).remarks == ("'note_id' is empty in line 5, so the row number is the id",)


AIDS = ("cane", "cane; walker", "walker; rollator", "", "rollator; cane")
PARTED = {
    "semicolons": (AIDS, ";"),
    "commas": (tuple(cell.replace(";", ",") for cell in AIDS), ","),
    "labels": (("yes", "no", "yes; probable"), None),
    "labels of two parts": (("mild, acute", "mild, late", "severe, acute", "severe, late"), None),
    "numbers": (("37,5", "37", "38,5", "38", "5", "36"), None),
}


@pytest.mark.parametrize("case", PARTED.values(), ids=PARTED.keys())
def test_lists_that_are_written_as_texts(
    case: tuple[tuple[str, ...], str | None], tmp_path: Path
) -> None:
    cells, mark = case
    rows = [(i, NOTE.format(i), ("yes", "no")[i % 2], cells[i % len(cells)]) for i in range(60)]
    path = tmp_path / "n.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text", "pain", "aids"), *rows])
    file_, found = draft.write("it", path, tmp_path)
    assert (found.items, found.lists) == ((mark, ("aids",)) if mark else (None, ()))
    assert list(found.labels) == (["pain"] if mark else ["pain", "aids"])
    gold = taskfile.load(file_).examples[1].gold
    assert gold == {"pain": "no", "aids": ["cane", "walker"] if mark else cells[1]}
    remarks = (
        "'aids' is empty 12 times and not scored there: write [] where it means \"none\"",
        "'aids' holds 3 different items; a closed list says values: [cane, rollator, walker]",
    )
    assert found.remarks == (remarks if mark else ())


def test_many_different_items_are_no_closed_list(tmp_path: Path) -> None:
    cells = [f"drug {i // 2}; drug {i // 3}" if i % 2 else f"drug {i // 2}" for i in range(60)]
    rows = [(i, NOTE.format(i), ("yes", "no")[i % 2], cells[i]) for i in range(60)]
    path = tmp_path / "n.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text", "pain", "drugs"), *rows])
    found = draft.draft(path)
    assert found.lists == ("drugs",)
    assert found.remarks == ()


def test_a_visit_of_one_row_is_the_id_where_patients_have_several(tmp_path: Path) -> None:
    several = table(tmp_path / "n.csv", "visit_id,person_id,text,pain", "v{i},{two},{note},{label}")
    found = draft.draft(several)
    assert (found.id, found.group, found.unused) == ("visit_id", "person_id", ())
    once = table(tmp_path / "m.csv", "visit_id,ward,text,pain", "v{i},A,{note},{label}")
    assert draft.draft(once).group == "visit_id"


def test_a_column_of_yes_and_empty_cells_is_remarked(tmp_path: Path) -> None:
    rows = [(i, NOTE.format(i), ("yes", "no")[i % 2], "yes" if i % 9 == 0 else "") for i in range(60)]
    path = tmp_path / "n.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text", "pain", "fall"), *rows])
    found = draft.draft(path)
    assert (list(found.labels), found.unused) == (["pain"], ("fall",))
    assert found.remarks == (
        "'fall' is not used: it holds 'yes' or nothing; if its 53 empty cells mean another label, "
        "write it there",
    )


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
