"""Files of something else in the way of answers, and what a refused command leaves behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.agents import students
from preceptor.agents.students.scripted import ScriptedStudent
from preceptor.core.errors import InputError, Interrupted, StudentError
from preceptor.core.records import Call
from preceptor.core.settings import Settings
from preceptor.graphs import answers, extracting, merging
from tests.graphs.corpora import extract, make_bundle, read, rows, write_notes
from tests.graphs.small import Dying, in_child


def said(call: Call) -> str:
    return json.dumps({f.name: {"cough": "yes", "drugs": []}[f.name] for f in call.fields})


@pytest.fixture(autouse=True)
def student(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(students, "make", lambda *_: ScriptedStudent(said))


@pytest.fixture
def job(tmp_path: Path) -> extracting.Job:
    source = write_notes(tmp_path / "notes.jsonl", rows(100))
    return extracting.Job(make_bundle(tmp_path / "bundle"), source, tmp_path / "out.jsonl")


ROW = b'{"id": "n0", "text": "My own note."}'
FOREIGN: dict[str, tuple[str, bytes]] = {
    "one line, not ended": ("mine.jsonl", ROW),
    "two lines, the last not ended": ("mine.jsonl", ROW + b"\n" + ROW),
    "whole lines": ("mine.jsonl", ROW + b"\n"),
    "no json": ("mine.jsonl", b"a diary"),
    "blank lines": ("mine.jsonl", b"\n\n"),
    "a header": ("mine.csv", b"id,text\n"),
    "a header, not ended": ("mine.csv", b"id,text"),
    "a header and a torn row": ("mine.csv", b"id,text\nn0,My own no"),
    "whole rows": ("mine.csv", b"id,text\nn0,My own note.\n"),
    "an open quote": ("mine.csv", b'id,text\nn0,"My own\nnote\n'),
    "latin-1": ("mine.tsv", b"id\ttext\nn0\t\xe9\n"),
}


@pytest.mark.parametrize("case", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_file_of_something_else_is_not_touched(
    case: tuple[str, bytes], tmp_path: Path, job: extracting.Job
) -> None:
    name, content = case
    target = tmp_path / name
    target.write_bytes(content)
    with pytest.raises(InputError, match=r"--out .*mine.* holds no answers.*choose another --out"):
        extract(replace(job, target=target))
    assert target.read_bytes() == content
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("count", [0, 2])
def test_a_parquet_of_something_else_is_not_touched(
    count: int, tmp_path: Path, job: extracting.Job
) -> None:
    target = write_notes(tmp_path / "mine.parquet", rows(2))
    if count == 0:
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(parquet.read_table(target).slice(0, 0), target)
    content = target.read_bytes()
    with pytest.raises(InputError, match=r"--out .*mine.parquet.* holds no answers"):
        extract(replace(job, target=target))
    assert target.read_bytes() == content
    assert not list(tmp_path.glob(".*"))


def test_a_folder_in_the_way_is_named(job: extracting.Job) -> None:
    job.target.mkdir()
    with pytest.raises(InputError, match=r"--out .* is there and holds no answers"):
        extract(job)


def test_rows_of_something_else_after_answers_are_not_touched(job: extracting.Job) -> None:
    extract(job)
    content = job.target.read_bytes() + ROW + b"\n" + ROW
    job.target.write_bytes(content)
    with pytest.raises(InputError, match="row 101: not an answer"):
        extract(job)
    assert job.target.read_bytes() == content


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_an_empty_file_and_a_torn_first_row_of_ours_go_on(
    ending: str, tmp_path: Path, job: extracting.Job
) -> None:
    whole = replace(job, target=tmp_path / f"whole.{ending}")
    extract(whole)
    text = whole.target.read_bytes()
    torn = replace(job, target=tmp_path / f"torn.{ending}")
    torn.target.touch()
    extract(torn)
    assert torn.target.read_bytes() == text
    answers.slip_path(torn.target).unlink()
    torn.target.unlink()

    def dying() -> None:
        students.make = lambda *_: Dying(ScriptedStudent(said), 30)
        extract(torn)

    assert in_child(dying) == -9
    for at in (5, len(answers.head(torn.target, ["cough", "drugs"])) + 9):
        torn.target.write_bytes(text[:at])
        extract(torn)
        assert torn.target.read_bytes() == text


def test_a_refused_input_leaves_no_folder(tmp_path: Path, job: extracting.Job) -> None:
    write_notes(job.source, [*rows(3), rows(1)[0]])
    with pytest.raises(InputError, match="stands in rows"):
        extract(job)
    with pytest.raises(Interrupted):
        extracting.extract(
            replace(job, source=write_notes(tmp_path / "n.jsonl", rows(3))),
            Settings(), lambda _: None, lambda: True,
        )  # fmt: skip
    assert not list(tmp_path.glob(".*"))


def test_a_student_that_never_answered_leaves_no_folder(
    tmp_path: Path, job: extracting.Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(ScriptedStudent):
        def complete(self, calls, cancel=None):  # type: ignore[no-untyped-def]
            raise StudentError("nobody there", "start it")

    monkeypatch.setattr(students, "make", lambda *_: Away(said))
    with pytest.raises(StudentError):
        extract(job)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_folder_with_answers_stays_after_a_refused_input(
    ending: str, tmp_path: Path, job: extracting.Job
) -> None:
    job = replace(job, target=tmp_path / f"out.{ending}")
    asked: list[Call] = []

    def counted(call: Call) -> str:
        asked.append(call)
        return said(call)

    students.make = lambda *_: ScriptedStudent(counted)
    with pytest.raises(Interrupted):
        extracting.extract(job, Settings(), lambda _: None, lambda: len(asked) >= 70)
    write_notes(job.source, [*rows(100), rows(1)[0]])
    with pytest.raises(InputError, match="stands in rows"):
        extract(job)
    assert (tmp_path / f".{job.target.name}.work").is_dir()
    write_notes(job.source, rows(100))
    asked.clear()
    assert extract(job).all == {"ok": 100}
    assert len(asked) <= 36


def parts_of(job: extracting.Job, name: str = "part") -> list[Path]:
    parts = [job.target.with_name(f"{name}-{i}.jsonl") for i in range(2)]
    for i, part in enumerate(parts):
        extract(replace(job, target=part, shards=2, shard_index=i))
    return parts


def test_a_merge_writes_over_nothing_but_its_own_results(tmp_path: Path, job: extracting.Job) -> None:
    parts = parts_of(job)
    out = tmp_path / "mycorpus.jsonl"
    merging.merge(parts, out)
    first = out.read_bytes()
    merging.merge(parts, out)
    assert out.read_bytes() == first
    slip = answers.slip_path(out).read_bytes()
    refused = r"--out .*mycorpus.* no earlier result of this corpus.*choose another --out"
    for content, beside in ((ROW + b"\n", slip), (ROW, None), (first, None)):
        out.write_bytes(content)
        answers.slip_path(out).unlink(missing_ok=True)
        if beside:
            answers.slip_path(out).write_bytes(beside)
        with pytest.raises(InputError, match=refused):
            merging.merge(parts, out)
        assert out.read_bytes() == content
    with pytest.raises(InputError, match="no earlier result of this corpus"):
        merging.merge(parts, job.source)
    assert len(job.source.read_text("utf-8").splitlines()) == 100


def test_a_merge_does_not_write_over_another_corpus_or_a_part(
    tmp_path: Path, job: extracting.Job
) -> None:
    parts = parts_of(job)
    other = replace(
        job, source=write_notes(tmp_path / "o.jsonl", rows(90)), target=tmp_path / "all.csv"
    )
    extract(other)
    with pytest.raises(InputError, match="no earlier result of this corpus"):
        merging.merge(parts, other.target)
    assert len(read(other.target)) == 90
    before = parts[0].read_bytes()
    link = tmp_path / "link.jsonl"
    link.hardlink_to(parts[0])
    for target in (parts[0], link):
        with pytest.raises(InputError, match="--out is one of the parts"):
            merging.merge(parts, target)
    assert parts[0].read_bytes() == before
