"""Naming a run instead of a bundle's folder, and files that are in the way, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.core.records import ModelRef, Precision
from preceptor.graphs import bundle
from tests.graphs.corpora import FIELDS, make_bundle, read, rows, write_notes

Captured = pytest.CaptureFixture[str]
NOTES = ["--in", "n.jsonl", "--out"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_notes(Path("n.jsonl"), rows(3))


def made_run(root: str, name: str) -> None:
    """Make a run that waits: its bundle is put there by hand, for a student that answers any note."""
    refine = [
        "refine", "tests.graphs.small:task", "--student", "simulated", "--rounds", "1",
        "--moves", "edit_prompt", "--name", name, "--runs-dir", root, "--approve",
    ]  # fmt: skip
    assert main(refine) == 130


@pytest.mark.parametrize("name", ["one", "last", "runs/one", "runs/one/bundle"])
def test_a_run_may_be_named(name: str) -> None:
    made_run("runs", "one")
    make_bundle(Path("runs/one/bundle"))
    assert main(["extract", name, *NOTES, "a.jsonl"]) == 0
    assert [row.id for row in read(Path("a.jsonl"))] == ["n0", "n1", "n2"]


def test_runs_are_looked_for_where_they_are_kept(capsys: Captured) -> None:
    made_run("kept", "one")
    make_bundle(Path("kept/one/bundle"))
    assert main(["extract", "one", *NOTES, "a.jsonl", "--runs-dir", "kept"]) == 0
    capsys.readouterr()
    assert main(["extract", "one", *NOTES, "a.jsonl"]) == 2
    assert "'one' is no bundle and no run" in capsys.readouterr().err


def test_a_run_without_a_bundle_says_so(capsys: Captured) -> None:
    assert main(["extract", "last", *NOTES, "a.jsonl"]) == 2
    assert "there is no run in 'runs'" in capsys.readouterr().err
    made_run("runs", "one")
    capsys.readouterr()
    for name in ("one", "last", "runs/one"):
        assert main(["extract", name, *NOTES, "a.jsonl"]) == 2
        said = capsys.readouterr().err
        assert "run 'one' has no bundle yet (finish it: preceptor resume runs/one)" in said


def test_a_bundle_comes_before_a_run_of_its_name() -> None:
    made_run("runs", "one")
    make_bundle(Path("last"))
    assert main(["extract", "last", *NOTES, "a.jsonl"]) == 0


def test_files_of_something_else_are_refused_in_one_line(capsys: Captured) -> None:
    make_bundle(Path("bundle"))
    mine = Path("mine.csv")
    mine.write_text("id,text\nn0,half a ro", "utf-8")
    assert main(["extract", "bundle", *NOTES, "mine.csv"]) == 2
    said = capsys.readouterr().err
    assert "--out 'mine.csv' is there and holds no answers (choose another --out)" in said
    assert main(["extract", "bundle", *NOTES, "a.jsonl"]) == 0
    capsys.readouterr()
    assert main(["merge", "a.jsonl", "--out", "mine.csv"]) == 2
    assert "is no earlier result of this corpus" in capsys.readouterr().err
    assert mine.read_text("utf-8") == "id,text\nn0,half a ro"
    assert not list(Path().glob(".*"))


def two_columns() -> None:
    found = [{"id": f"n{i}", "title": "Ward", "body": f"He was hacking {i}."} for i in range(3)]
    write_notes(Path("two.jsonl"), [{**row} for row in found])


def keys(path: str) -> list[str]:
    return [row.key for row in read(Path(path))]


def test_texts_are_put_together_from_columns(capsys: Captured) -> None:
    make_bundle(Path("bundle"))
    two_columns()
    notes = [{"id": f"n{i}", "text": f"Ward\nHe was hacking {i}."} for i in range(3)]
    write_notes(Path("joined.jsonl"), [{**row} for row in notes])
    assert main(["extract", "bundle", "--in", "joined.jsonl", "--out", "a.jsonl"]) == 0
    asked = ["extract", "bundle", "--in", "two.jsonl", "--out", "b.jsonl", "--text"]
    assert main([*asked, r"{title}\n{body}"]) == 0
    assert keys("a.jsonl") == keys("b.jsonl"), "the same texts"
    capsys.readouterr()
    assert main([*asked, "{title}: {answer}"]) == 2
    assert "no column 'answer' (there are: id, title, body; say which" in capsys.readouterr().err
    assert main([*asked, "body", "--columns", "text=title"]) == 2
    assert "--text 'body' (name the texts once" in capsys.readouterr().err


def test_a_bundle_knows_how_its_texts_are_put_together(capsys: Captured) -> None:
    folder = make_bundle(Path("bundle"))
    two_columns()
    made = bundle.read(folder)
    assert made.template == "", "a bundle that was made before there were templates"
    known = made.model_copy(update={"template": "{title}: {body}"})
    (folder / "bundle.json").write_text(known.to_json(), "utf-8")
    asked = ["extract", "bundle", "--in", "two.jsonl", "--out"]
    assert main([*asked, "a.jsonl"]) == 0
    assert main([*asked, "b.jsonl", "--text", "{title}: {body}"]) == 0
    assert keys("a.jsonl") == keys("b.jsonl")
    assert main([*asked, "c.jsonl", "--columns", "text=body"]) == 0
    assert keys("a.jsonl") != keys("c.jsonl")
    capsys.readouterr()
    assert main(["extract", "bundle", *NOTES, "d.jsonl"]) == 2
    assert (
        "the bundle puts texts together from '{title}: {body}': say --text" in capsys.readouterr().err
    )
    assert main(["extract", "bundle", *NOTES, "d.jsonl", "--text", "text"]) == 0


def test_a_precision_of_its_own_makes_another_student(capsys: Captured) -> None:
    folder = make_bundle(Path("bundle"))
    made = bundle.read(folder)
    recipe = made.recipe.model_copy(update={"model": ModelRef(spec="nano"), "mode": "per_field"})
    nano = made.model_copy(update={"recipe": recipe, "fields": FIELDS[:1]})
    (folder / "bundle.json").write_text(nano.to_json(), "utf-8")
    told = {}
    both: tuple[Precision, ...] = ("auto", "bf16")
    for precision in both:
        out = f"{precision}.jsonl"
        assert main(["extract", "bundle", *NOTES, out, "--precision", precision]) == 0
        told[precision] = {row.id: (row.key, row.confidence) for row in read(Path(out))}
        slip = json.loads(Path(f"{out}.extract.json").read_text("utf-8"))
        assert slip["recipe"] == bundle.at(nano, precision).recipe.fingerprint
    assert told["auto"].keys() == told["bf16"].keys()
    assert all(told["auto"][note] != told["bf16"][note] for note in told["auto"])
    capsys.readouterr()
    assert main(["extract", "bundle", *NOTES, "auto.jsonl", "--precision", "bf16"]) == 2
    assert "--again" in capsys.readouterr().err


def test_a_precision_is_refused_for_a_student_that_is_not_in_process(capsys: Captured) -> None:
    make_bundle(Path("bundle"))
    assert main(["extract", "bundle", *NOTES, "a.jsonl", "--precision", "bf16"]) == 2
    assert "a precision is for nano and hf: only" in capsys.readouterr().err
    assert not Path("a.jsonl").exists()
