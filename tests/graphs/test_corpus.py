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
