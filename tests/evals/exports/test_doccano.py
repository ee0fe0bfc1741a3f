"""doccano's JSON lines, JSON and CSV become tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.core.errors import TaskError
from tests.evals.exports.given import drug, made, note, nothing_written, write

Object = dict[str, JsonValue]


def row(i: int, label: list[JsonValue], **more: JsonValue) -> Object:
    return {"id": i, "text": note(i), "label": label, "Comments": [], **more}


def spans(i: int) -> list[JsonValue]:
    start, end = drug(i)
    return [[0, 3, "Place"], [start, end, "Drug"], [0, 5, "Place"]]


@pytest.mark.parametrize("name", ["admin.jsonl", "all.json"])
def test_one_label_for_each_note(name: str, tmp_path: Path) -> None:
    rows: list[JsonValue] = [row(i, [("yes", "no")[i % 2]], patient=f"p{i // 3}") for i in range(15)]
    got = made(write(tmp_path / name, [*rows, row(99, [])]))
    assert got.found.tool == "doccano"
    assert got.found.labels == {"label": ("yes", "no")}
    assert (got.gold("1"), got.gold("99")) == ({"label": "no"}, None)
    assert got.found.group is None  # note 99 has no patient
    assert "'patient' would be the group, but 1 notes have none" in got.remarks()


def test_several_labels_of_a_note_are_a_list(tmp_path: Path) -> None:
    rows: list[JsonValue] = [row(i, ["a", "b"] if i % 2 else ["c"]) for i in range(10)]
    got = made(write(tmp_path / "a.jsonl", [*rows, row(10, [])]))
    assert (got.gold("1"), got.gold("2"), got.gold("10")) == (
        {"label": ["a", "b"]}, {"label": ["c"]}, {"label": []},
    )  # fmt: skip
    assert [f.values for f in got.task.fields] == [("c", "a", "b")]
    assert "1 notes have no item at all" in got.remarks()


def test_labels_of_a_csv_are_parted_by_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "admin.csv"
    lines = [f'{i},"{note(i)}",{("a#b", "a", "c")[i % 3]},' for i in range(12)]
    path.write_text("\n".join(["id,text,label,Comments", *lines]), "utf-8")
    got = made(path)
    assert [got.gold(str(i)) for i in range(3)] == [{"label": x} for x in (["a", "b"], ["a"], ["c"])]


def entities(i: int) -> list[JsonValue]:
    places = [(0, 3, "Place"), (*drug(i), "Drug"), (0, 5, "Place")]
    return [
        {"id": n, "start_offset": start, "end_offset": end, "label": kind}
        for n, (start, end, kind) in enumerate(places)
    ]


FORMS: dict[str, list[JsonValue]] = {
    "tuples": [row(i, spans(i)) for i in range(8)],
    "entities": [
        {"id": i, "text": note(i), "relations": [{"id": 1}], "entities": entities(i), "Comments": []}
        for i in range(8)
    ],
    "slots": [
        {"id": i, "text": note(i), "cats": [("x", "y")[i % 2]], "entities": spans(i)} for i in range(8)
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_spans_become_a_list_for_each_type(form: str, tmp_path: Path) -> None:
    got = made(write(tmp_path / "a.jsonl", FORMS[form]))
    gold = {"Drug": ["ibuprofen"], "Place": ["Bed", "Bed 1"]}
    assert got.gold("1") == (gold | {"label": "y"} if form == "slots" else gold)
    assert "Place (8 notes)" in got.remarks()
    assert ("relations of 8 notes are left out" in got.remarks()) == (form == "entities")


def test_a_folder_holds_one_file_for_each_annotator(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    for who, shift in (("ana", 0), ("ben", 1)):
        rows: list[JsonValue] = [
            row(i, [("yes", "no")[(i + (shift if i < 3 else 0)) % 2]]) for i in range(12)
        ]
        write(folder / f"{who}.jsonl", rows)
    write(folder / "unknown.jsonl", [row(99, [])])
    got = made(folder)
    assert len(got.task.examples) == 12
    assert (got.gold("0"), got.gold("3")) == (None, {"label": "no"})
    assert "2 annotators (ana, ben)" in got.remarks()


BAD: dict[str, tuple[str, str]] = {
    "none": (json.dumps(row(1, [])), "no annotation in it"),
    "torn": (json.dumps(row(1, ["a"])) + '\n{"id": 2, "text": "Be', "line 2: not JSON"),
    "outside": (json.dumps(row(1, [[5, 999, "X"]])), "line 1: offsets 5 to 999 do not lie in the text"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_broken_export_is_one_line(case: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(case[0] + "\n", "utf-8")
    with pytest.raises(TaskError, match=case[1]) as error:
        made(path)
    assert "Bed" not in str(error.value)
    assert nothing_written(path)


def test_plain_rows_with_lists_stay_a_table(tmp_path: Path) -> None:
    rows: list[JsonValue] = [
        {"id": i, "text": note(i), "labels": ["x"], "pain": ("yes", "no")[i % 2]} for i in range(10)
    ]
    got = made(write(tmp_path / "a.jsonl", rows))
    assert got.found.tool is None
    assert got.gold("1") == {"pain": "no", "labels": ["x"]}


def test_types_may_be_called_like_columns(tmp_path: Path) -> None:
    names = ("id", "text", "split", "gold", "group", "1st (new)")
    rows: list[JsonValue] = [
        row(i, [[0, 3, name] for name in names], text_="x", gold_=f"g{i}") for i in range(6)
    ]
    got = made(write(tmp_path / "a.jsonl", rows))
    assert got.gold("1") == {
        name: ["Bed"] for name in ("id", "text", "split", "gold", "group", "st new")
    }
    assert got.example("1").text == note(1)
    assert "'1st (new)' as 'st new'" in got.remarks()


def test_one_id_with_two_texts_is_refused(tmp_path: Path) -> None:
    rows: list[JsonValue] = [{**row(i, ["a"]), "id": i % 3} for i in range(6)]
    path = write(tmp_path / "a.jsonl", rows)
    with pytest.raises(TaskError, match=r"line 1 and .*line 4: one id, but two texts"):
        made(path)
    assert nothing_written(path)
