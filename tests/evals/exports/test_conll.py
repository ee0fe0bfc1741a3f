"""CoNLL files become tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.core.errors import TaskError
from preceptor.evals.exports.conll import entities
from tests.evals.exports.given import made, nothing_written

SENTENCES = (
    "Aspirin NN B-NP B-Drug\nand CC O O\nlow JJ B-NP B-Drug\nheparin NN I-NP I-Drug\n. . O O",
    "Nothing NN B-NP O\nwas VB O O\ngiven VB O O",
    "Fever NN B-NP I-Sign\nand CC O O\ncough NN B-NP I-Sign",
)


def test_sentences_are_notes(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("-DOCSTART- -X- O O\n\n" + "\n\n".join(SENTENCES * 3) + "\n", "utf-8")
    got = made(path)
    assert (got.found.tool, len(got.task.examples)) == ("CoNLL", 9)
    assert got.example("1").text == "Aspirin and low heparin ."
    assert got.gold("1") == {"Drug": ["Aspirin", "low heparin"], "Sign": []}
    assert got.gold("3") == {"Drug": [], "Sign": ["Fever", "cough"]}
    assert "notes are sentences, their tokens joined by spaces" in got.remarks()


def test_documents_are_notes_where_they_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    two = "\n\n".join(SENTENCES[:2])
    path.write_text(f"-DOCSTART- O\r\n\r\n{two}\n\n-DOCSTART- O\n\n{SENTENCES[2]}\n", "utf-8")
    got = made(path)
    assert [e.text for e in got.task.examples] == [
        "Aspirin and low heparin .\nNothing was given",
        "Fever and cough",
    ]
    assert got.gold("1") == {"Drug": ["Aspirin", "low heparin"], "Sign": []}


def test_files_of_a_folder_are_parts(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for part in ("train", "devel", "test"):
        lines = "\n".join(line.replace(" ", "\t") for line in "\n\n".join(SENTENCES).split("\n"))
        (folder / f"{part}.tsv").write_text(lines, "utf-8")
    got = made(folder)
    assert (got.found.split, len(got.task.examples)) == ("split", 9)
    assert got.gold("devel-1") == {"Drug": ["Aspirin", "low heparin"], "Sign": []}


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("B-A I-A O I-A", [("A", 0, 1), ("A", 3, 3)]),
        ("I-A I-A B-A I-B", [("A", 0, 1), ("A", 2, 2), ("B", 3, 3)]),
        ("S-A B-A E-A U-B B-B L-B", [("A", 0, 0), ("A", 1, 2), ("B", 3, 3), ("B", 4, 5)]),
        ("B-A B-A", [("A", 0, 0), ("A", 1, 1)]),
    ],
)
def test_schemes(tags: str, found: list[tuple[str, int, int]]) -> None:
    assert list(entities(tags.split())) == found


BAD = {
    "columns": ("a O\nb\n", "line 2: 1 columns, the first token has 2"),
    "tag": ("a O\nb B-A\nc drug\n", "line 3: the last column is no tag"),
    "nothing": ("a O\nb O\n", "no annotation in it"),
    "empty": ("\n", "no notes in it"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_broken_file_is_one_line(case: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(case[0], "utf-8")
    with pytest.raises(TaskError, match=case[1]):
        made(path)
    assert nothing_written(path)


@pytest.mark.parametrize(
    ("name", "begin", "do"),
    [
        ("a.tsv", "#FORMAT=WebAnno TSV 3.3\n", "export CoNLL 2003 instead"),
        ("a.zip", "PK", "unzip it"),
        ("a.xmi", "<xmi/>", "export CoNLL 2003 instead"),
        ("a.json", '{"%TYPES": {}, "%FEATURE_STRUCTURES": []}', "export CoNLL 2003 instead"),
    ],
)
def test_formats_without_a_reader_say_what_to_export(
    name: str, begin: str, do: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(begin, "utf-8")
    with pytest.raises(TaskError, match=do):
        made(path)
