"""A folder of brat's becomes a task."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.core.errors import TaskError
from tests.evals.exports.given import DRUGS, drug, made, note, nothing_written


def folder(path: Path, count: int = 8) -> Path:
    path.mkdir(parents=True)
    for i in range(count):
        start, end = drug(i)
        lines = [
            f"T1\tDrug {start} {end}\t{DRUGS[i % 4]}",
            f"T2\tPlace 0 3;{end + 14} {end + 18}\tBed ward",
            "A1\tNegated T1",
            "R1\tgiven-in Arg1:T1 Arg2:T2",
            "#1\tAnnotatorNotes T1\tsee above",
        ]
        (path / f"note{i}.txt").write_text(note(i), "utf-8")
        (path / f"note{i}.ann").write_text("\n".join(lines if i else []) + "\n", "utf-8")
    return path


def test_types_become_lists(tmp_path: Path) -> None:
    got = made(folder(tmp_path / "brat"))
    assert got.found.tool == "brat"
    assert got.gold("note1") == {"Drug": ["ibuprofen"], "Place": ["Bed ward"]}
    assert got.gold("note0") == {"Drug": [], "Place": []}
    assert got.found.copied == ("Drug",)
    assert "spans in several pieces are joined by a space" in got.remarks()
    assert "left out, as no field is like it: attributes (7), relations (7)" in got.remarks()


def test_folders_are_parts_or_annotators(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        made_part = folder(tmp_path / "parts" / part)
        for file in [*made_part.iterdir()]:
            file.rename(file.with_name(f"{part}-{file.name}"))
    got = made(tmp_path / "parts")
    assert (got.found.split, len(got.task.examples)) == ("split", 24)
    other = tmp_path / "people"
    for who in ("ana", "ben"):
        folder(other / "both" / who)
    got = made(other / "both")
    assert len(got.task.examples) == 8
    assert "2 annotators (ana, ben)" in got.remarks()


BAD = {
    "moved": ("T1\tDrug 0 7\taspirin\n", "note1.ann, line 1: offsets 0 to 7 cover another text"),
    "outside": ("T1\tDrug 3 999\taspirin\n", "line 1: offsets 3 to 999 do not lie in the text"),
    "no line": ("Drug aspirin\n", "line 1: not an annotation of brat"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_broken_file_is_one_line(case: tuple[str, str], tmp_path: Path) -> None:
    path = folder(tmp_path / "brat")
    (path / "note1.ann").write_text(case[0], "utf-8")
    with pytest.raises(TaskError, match=case[1]):
        made(path)
    assert nothing_written(path)


def test_files_without_their_partner(tmp_path: Path) -> None:
    path = folder(tmp_path / "brat")
    (path / "note3.ann").unlink()
    assert "1 texts have no .ann and are left out" in made(path).remarks()
    (path / "note1.txt").unlink()
    with pytest.raises(TaskError, match=r"note1\.ann: no note1\.txt beside it"):
        made(path)
    with pytest.raises(TaskError, match="give its folder"):
        made(path / "note2.txt")


def test_a_folder_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.mkdir()
    with pytest.raises(TaskError, match=r"a folder without \.ann or other annotations \(readable are"):
        made(path)
    (path / "a.ann").write_text("", "utf-8")
    (path / "a.txt").write_text("Nothing.", "utf-8")
    with pytest.raises(TaskError, match="no annotation in it"):
        made(path)
    assert nothing_written(path)
