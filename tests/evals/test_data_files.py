"""Files that hold the same notes however a program wrote them, and one line for those that cannot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example, Gold
from preceptor.evals import data

FEVER = LabelField(name="fever", values=("yes", "no"))
GRADE = LabelField(name="grade", values=("0", "1", "2"))
KNOWN = LabelField(name="known", values=("true", "false"))
DRUGS = ListField(name="drugs", of="drugs", max_items=4)

ROWS = [
    {"id": "a", "group": "p1", "text": "Fever, 39 °C; chills.", "fever": "yes"},
    {"id": "b", "group": "p2", "text": "No fever –\n„well“.", "fever": "no"},
]


def load(path: Path, *fields: FieldSpec, **source: Any) -> tuple[Example, ...]:
    return data.load(data.Source(path=str(path), **source), fields or (FEVER,))


def broken(path: Path, *fields: FieldSpec, **source: Any) -> str:
    with pytest.raises(TaskError) as caught:
        load(path, *fields, **source)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), path.name)


def table(between: str, head: str = "", end: str = "\n", more: str = "") -> str:
    lines = [between.join(ROWS[0]) + more]
    for row in ROWS:
        quoted = row["text"].replace('"', '""')
        cells = [row["id"], row["group"], f'"{quoted}"', row["fever"]]
        lines.append(between.join(cells) + more)
    return head + end.join(lines) + end


def lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


SAME = {
    "sep line": ("n.csv", table(";", "sep=;\n")),
    "sep line with mark and line ends": ("n.csv", table(";", "\ufeffsep=;\r\n", "\r\n")),
    "sep line that a program saved again": ("n.csv", table(",", '"sep=,",,,\n')),
    "sep line of tabs": ("n.csv", table("\t", "SEP=\t\n")),
    "empty columns at the end": ("n.csv", table(";", more=";;")),
    "empty cells behind the header": ("n.csv", table(",").replace("yes\n", "yes,,\n")),
    "blanks after commas": ("n.csv", table(", ")),
    "blanks around names": ("n.csv", table(";").replace("group;text", " group ;\u00a0text\ufeff")),
    "a column of row numbers": (
        "n.csv",
        "".join(f",{x}" if x[:2] in ("id", "a,", "b,") else x for x in table(",").splitlines(True)),
    ),
    "rows of nothing": ("n.csv", "\n;;;\n" + table(";") + "\n;;;\n ; ;;\n\n"),
    "quoted names": ("n.csv", table(",").replace("id,group,text", '"id","group","text"')),
    "tabs in csv": ("n.csv", table("\t")),
    "tabs in txt": ("n.txt", table("\t")),
    "tabs in tab": ("n.tab", table("\t")),
    "commas in txt": ("n.txt", table(",", "\ufeff")),
    "array": ("n.json", "\ufeff \n" + json.dumps(ROWS, indent=1)),
    "array of another name": ("n.data", json.dumps(ROWS)),
    "lines under json": ("n.json", lines(ROWS)),
    "lines under txt": ("n.txt", "\n" + lines(ROWS)),
    "array under txt": ("n.txt", json.dumps(ROWS)),
    "names with blanks": ("n.jsonl", lines(ROWS).replace('"group"', '" group "')),
}


@pytest.mark.parametrize("case", SAME.values(), ids=SAME.keys())
def test_the_same_notes_whoever_wrote_them(tmp_path: Path, case: tuple[str, str]) -> None:
    name, text = case
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8"))
    found = load(path, **({"format": "json"} if name == "n.data" else {}))
    assert [e.id for e in found] == ["a", "b"]
    assert [e.group for e in found] == ["p1", "p2"]
    assert [e.text for e in found] == [row["text"] for row in ROWS]
    assert [e.gold for e in found] == [{"fever": "yes"}, {"fever": "no"}]


def test_whole_numbers_and_truth_values_are_the_labels_that_they_stand_for(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    values = [(0, True), (1.0, "TRUE"), ("2.0", False), ("1", " False ")]
    path.write_text(
        lines([{"id": i, "text": "x", "grade": g, "known": k} for i, (g, k) in enumerate(values)])
    )
    found = [e.gold for e in load(path, GRADE, KNOWN)]
    assert [g and g["grade"] for g in found] == ["0", "1", "2", "1"]
    assert [g and g["known"] for g in found] == ["true", "true", "false", "false"]
    path.write_text(lines([{"id": 1, "text": "x", "grade": 1.5, "known": True}]))
    assert "field 'grade': 1.5 does not fit (allowed labels: 0, 1, 2)" in broken(path, GRADE, KNOWN)


def test_null_is_not_scored_wherever_it_stands(tmp_path: Path) -> None:
    pain = LabelField(name="pain", values=("severe", "none"))
    golds: list[Gold | None] = [
        {"pain": "none"},
        {"pain": None},
        {"pain": "severe", "drugs": None},
        None,
    ]
    path = tmp_path / "n.jsonl"
    path.write_text(lines([{"id": i, "text": "x", "gold": g} for i, g in enumerate(golds)]))
    wanted = [{"pain": "none"}, None, {"pain": "severe"}, None]
    assert [e.gold for e in load(path, pain, DRUGS)] == wanted
    own = [
        {"id": i, "text": "x", "pain": None, "drugs": None, **(g or {})} for i, g in enumerate(golds)
    ]
    path.write_text(lines(own).replace('"pain": null', '"pain": NaN', 1))
    assert [e.gold for e in load(path, pain, DRUGS)] == wanted
    assert [Example(id="1", group="1", text="x", gold=g).gold for g in golds] == wanted
    path = tmp_path / "n.csv"
    path.write_text(
        'id,text,gold\n1,x,"{""pain"": null}"\n2,x,\n3,x,"{"" pain "": ""None""}"\n4,x,null\n'
    )
    assert [e.gold for e in load(path, pain)] == [None, None, {"pain": "none"}, None]


def test_gold_lists_are_texts_numbers_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    path.write_text(lines([{"id": 1, "text": "x", "drugs": ["iron", None, 5, " ", 2.5]}]))
    assert load(path, DRUGS)[0].gold == {"drugs": ["iron", "5", "2.5"]}
    for bad in (True, ["iron", True], [["iron"]], {"iron": 1}, 7):
        path.write_text(lines([{"id": 1, "text": "x", "drugs": bad}]))
        assert "field 'drugs': does not fit (a list of at most 4 texts)" in broken(path, DRUGS)


CONVERT = "(convert the file, e.g. with: iconv -f {} -t utf-8)"
WELL, TIRED = "id,text,fever\n1,„Well“ – 5 €.,no\n", "id,text,fever\n1,Well; müde.,no\n"
ENCODED = [
    (WELL, "cp1252", CONVERT.format("cp1252")),
    (TIRED, "latin1", CONVERT.format("cp1252")),
    (WELL, "utf-16", f"line 1: UTF-16, not UTF-8 at byte 0 {CONVERT.format('utf-16')}"),
    (WELL, "utf-32", f"line 1: UTF-32, not UTF-8 at byte 0 {CONVERT.format('utf-32')}"),
    (WELL, "utf-16-le", f"UTF-16, not UTF-8 {CONVERT.format('utf-16le')}"),
    (WELL, "utf-16-be", f"UTF-16, not UTF-8 {CONVERT.format('utf-16be')}"),
    (TIRED, "cp850", "(convert the file with iconv from what it was written in (not cp1252; cp850"),
]


@pytest.mark.parametrize(("text", "encoding", "advice"), ENCODED)
def test_the_advice_about_an_encoding_loses_nothing(
    tmp_path: Path, text: str, encoding: str, advice: str
) -> None:
    path = tmp_path / "n.csv"
    path.write_bytes(text.encode(encoding))
    assert advice in broken(path)


def test_a_file_of_mixed_encodings_is_not_to_be_converted(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    good, bad = "2,Müde.,no\n".encode(), "1,Müde.,no\n".encode("cp1252")
    path.write_bytes(b"id,text,fever\n" + bad + good)
    said = broken(path)
    assert "line 2: not UTF-8" in said
    assert "the file mixes encodings: 1 line of 2 with letters beyond ASCII" in said
    assert "iconv" not in said


BAD = {
    "workbook": (
        "n.csv",
        b"PK\x03\x04\x00\x00",
        "n.csv is a ZIP file (an Excel workbook?) (save it as CSV",
    ),
    "gzip": ("n.csv", b"\x1f\x8b\x08\x00", "compressed with gzip"),
    "parquet by another name": ("n.txt", b"PAR1\x00", "a Parquet file (name it .parquet"),
    "two names alike": (
        "n.csv",
        b"id,text, text \n1,a,b\n",
        "line 1: a column name occurs twice: 'text'",
    ),
    "two keys alike": (
        "n.jsonl",
        b'{"id": 1, "text": "a", "text ": "b"}',
        "a column name occurs twice",
    ),
    "something behind the last name": (
        "n.csv",
        b"id;text;fever;;\n1;a;b;yes;\n",
        "line 2: 5 cells, the header has 3",
    ),
    "old Macs": ("n.csv", b"id,text,fever\r1,a,yes\r", "a carriage return inside a row"),
    "one object with the rows inside": (
        "n.json",
        b'{"version": 1,\n "notes": [{"id": 1, "text": "a"}]}',
        "one JSON object, not a list of rows (its rows seem to be under 'notes': write that list alone",
    ),
    "the same on one line": (
        "n.json",
        b'{"notes": [{"id": 1}]}\n',
        "its rows seem to be under 'notes'",
    ),
    "array of texts": ("n.json", b'["a", "b"]', "row 1: not a JSON object"),
    "a text": ("n.json", b'"a"', "no list of rows"),
    "too deep": ("n.json", b"[" * 100_000, "n.json: not JSON (nested too deep)"),
    "a row too deep": ("n.jsonl", b'{"a":' * 100_000, "line 1: not JSON (nested too deep)"),
    "too many digits": ("n.jsonl", b'{"id": ' + b"1" * 5000 + b"}", "a number that cannot be read"),
    "infinite": ("n.jsonl", b'{"id": Infinity}', "a number that cannot be read"),
    "array under jsonl": ("n.jsonl", b'[{"id": 1}]', "not a JSON object (for one array of rows say"),
    "torn array": ("n.json", b'[{"id": 1}, {', "n.json: not JSON ("),
    "empty array": ("n.json", b"[]", "no examples in it"),
    "an id that is no whole number": (
        "n.jsonl",
        b'{"id": 1.5, "text": "a", "fever": "no"}',
        "holds a number that is no id",
    ),
    "an id too long for a number": (
        "n.jsonl",
        b'{"id": 1e17, "text": "a", "fever": "no"}',
        "ids are whole numbers under 2^53",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_one_line(tmp_path: Path, case: tuple[str, bytes, str]) -> None:
    name, content, words = case
    (tmp_path / name).write_bytes(content)
    assert words in broken(tmp_path / name)


NOTE = "Seen with her sister on Monday, denies fever, walks with a cane"
QUOTING = {
    "no header": ("n.csv", f"17;{NOTE};yes\n18;well;no\n"),
    "plain text": ("n.txt", f"{NOTE}\n{NOTE}\n"),
    "label": ("n.jsonl", lines([{"id": 1, "text": "a", "fever": NOTE}])),
    "short label": ("n.jsonl", lines([{"id": 1, "text": "a", "fever": NOTE[:31]}])),
    "label as list": ("n.jsonl", lines([{"id": 1, "text": "a", "fever": [NOTE]}])),
    "unknown field": ("n.jsonl", lines([{"id": 1, "text": "a", "gold": {NOTE: "yes"}}])),
    "id twice": ("n.jsonl", lines([{"id": NOTE, "text": "a", "fever": "no"}] * 2)),
    "split": ("n.jsonl", lines([{"id": 1, "text": "a", "fever": "no", "split": NOTE}])),
    "header twice": ("n.csv", f"{NOTE};{NOTE}\nx;y\n"),
}


@pytest.mark.parametrize("case", QUOTING.values(), ids=QUOTING.keys())
def test_no_error_shows_a_note(tmp_path: Path, case: tuple[str, str]) -> None:
    name, content = case
    (tmp_path / name).write_text(content)
    said = broken(tmp_path / name)
    assert NOTE[:12] not in said
    assert len(said) < 300


def test_a_short_wrong_label_is_shown(tmp_path: Path) -> None:
    (tmp_path / "n.jsonl").write_text(lines([{"id": 1, "text": "a", "fever": "not sure"}]))
    assert "field 'fever': 'not sure' does not fit" in broken(tmp_path / "n.jsonl")


def test_parquet_is_task_data_and_columns_that_are_not_needed_cannot_fail(tmp_path: Path) -> None:
    arrow, parquet = data.pyarrow(), data.pyarrow("pyarrow.parquet")
    path = tmp_path / "n.parquet"
    end = arrow.array([2**62, 2**62], arrow.timestamp("us", tz="Europe/Berlin"))
    columns = {
        "id": arrow.array([0.0, 1.0]),
        "title": arrow.array(["Ward", None]),
        "body": arrow.array([b"M\xc3\xbcde.", b"Well."]),
        "gold": arrow.array([{"fever": "yes", "drugs": ["iron"]}, {"fever": None, "drugs": []}]),
        "until": end,
    }
    parquet.write_table(arrow.table(columns), path)
    said = {"text": "{title}: {body}"}
    found = load(path, FEVER, DRUGS, columns=said)
    assert [(e.id, e.text) for e in found] == [("0", "Ward: Müde."), ("1", ": Well.")]
    assert [e.gold for e in found] == [{"fever": "yes", "drugs": ["iron"]}, {"drugs": []}]
    with pytest.raises(TaskError, match="OverflowError"):
        list(data.rows(path, "parquet"))
    assert "no column 'text' (there are: id, title, body, gold, until)" in broken(path, FEVER)
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and nothing else")
    assert "cannot be read as Parquet" in broken(tmp_path / "no.parquet")
    assert "no such file" in broken(tmp_path / "gone.parquet")
