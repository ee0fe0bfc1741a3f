"""Which rows of a corpus are notes: a column is there in all rows or in none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from preceptor.core.errors import InputError
from preceptor.evals.data import Columns
from preceptor.graphs import corpus


def written(path: Path, patients: Sequence[str | None], gone: Sequence[int]) -> Path:
    rows = [
        {"id": f"n{i}", "text": "He was well.", **({} if i in gone else {"group": patient})}
        for i, patient in enumerate(patients)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def groups(path: Path) -> list[str]:
    return [note.group for _, note in corpus.notes(path, Columns())]


def test_a_group_that_vanishes_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    path = written(tmp_path / "n.jsonl", ["p"] * 60, range(50, 60))
    with pytest.raises(InputError, match=r"n\.jsonl, row 51: no column 'group' \(there are: id, text"):
        groups(path)


def test_so_is_one_that_comes_late(tmp_path: Path) -> None:
    path = written(tmp_path / "n.jsonl", ["p"] * 4, [0, 1])
    with pytest.raises(InputError, match=r"row 3: a column 'group', which the first row does not have"):
        groups(path)


def test_no_group_at_all_and_an_empty_one_are_the_note_itself(tmp_path: Path) -> None:
    assert groups(written(tmp_path / "a.jsonl", ["p"] * 3, range(3))) == ["n0", "n1", "n2"]
    assert groups(written(tmp_path / "b.jsonl", ["p", None, ""], [])) == ["p", "n1", "n2"]


def test_one_patient_however_it_is_spelt(tmp_path: Path) -> None:
    assert groups(written(tmp_path / "a.jsonl", ["p", "p ", "\u00a0p"], [])) == ["p"] * 3
    umlauts = ["M\u00fcller", "Mu\u0308ller"]
    assert groups(written(tmp_path / "b.jsonl", umlauts, [])) == ["M\u00fcller"] * 2


SPELT = {
    "n.csv": "sep=;\nid;title; text ;\na;Ward;Well.;\n;;;\nb;;Tired.;\n",
    "n.txt": "id\ttitle\ttext\na\tWard\tWell.\nb\t\tTired.\n",
    "n.json": '[{"id": "a", "title": "Ward", "text": "Well."},\n'
    '{"id": "b", "title": "", "text": "Tired."}]',
}


@pytest.mark.parametrize("name", SPELT)
def test_notes_are_read_as_task_data_are(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(SPELT[name], "utf-8")
    found = [(n.id, n.text) for _, n in corpus.notes(path, Columns())]
    assert found == [("a", "Well."), ("b", "Tired.")]
    made = [n.text for _, n in corpus.notes(path, Columns(text="{title}: {text}"))]
    assert made == ["Ward: Well.", ": Tired."]


def said(path: Path, columns: Columns, by: str = "") -> str:
    with pytest.raises(InputError) as caught:
        list(corpus.notes(path, columns, by))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_column_that_is_not_there_is_named_with_what_to_say(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("id,body\na,Well.\n", "utf-8")
    assert "row 2: no column 'text' (there are: id, body; say which is" in said(path, Columns())
    template = Columns(text="{title}: {body}")
    assert "no column 'title' (there are: id, body; say which" in said(path, template)
    assert "the bundle puts texts together from '{title}: {body}': say --text" in said(
        path, template, "the bundle"
    )
    assert "'{' names no column" in said(path, Columns(text="{body"))


def test_parquet_gives_only_what_is_needed(tmp_path: Path) -> None:
    arrow, parquet = corpus.pyarrow(), corpus.pyarrow("pyarrow.parquet")
    path = tmp_path / "n.parquet"
    columns = {
        "id": arrow.array([0.0, 1.0]),
        "text": arrow.array([b"Well.", b"M\xc3\xbcde."]),
        "valid_to": arrow.array([2**62, 2**62], arrow.timestamp("us", tz="Europe/Berlin")),
    }
    parquet.write_table(arrow.table(columns), path)
    found = [(n.id, n.text) for _, n in corpus.notes(path, Columns())]
    assert found == [("0", "Well."), ("1", "Müde.")]
    assert "no column 'body' (there are: id, text, valid_to; say which" in said(
        path, Columns(text="body")
    )
    parquet.write_table(arrow.table({"id": ["a"], "text": [b"\xff"]}), path)
    assert "row 1: bytes that are not UTF-8" in said(path, Columns())
