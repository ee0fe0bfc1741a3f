"""Extracting a corpus: formats, evidence, resuming, sharding, bad input, a disk that fills."""

from __future__ import annotations

import errno
import json
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from pydantic import JsonValue

from preceptor.agents import students
from preceptor.agents.students.scripted import ScriptedStudent
from preceptor.core import lock
from preceptor.core.errors import InputError, Interrupted, StoreError
from preceptor.core.ports import Student
from preceptor.core.records import AdapterRef, Call, ModelRef
from preceptor.core.settings import Settings
from preceptor.graphs import answers, corpus, extracting, merging
from tests.graphs.corpora import extract, make_bundle, read, rows, write_notes
from tests.graphs.small import Dying, in_child

Script = Callable[[Call], str]


def said(call: Call) -> str:
    known = {"cough": "yes", "drugs": ["aspirin"]}
    return json.dumps({f.name: known[f.name] for f in call.fields})


@pytest.fixture(autouse=True)
def student(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let ``scripted`` say something; return the ids that it was asked about."""
    asked: list[str] = []

    def answering(call: Call) -> str:
        asked.append(call.example_id)
        return said(call)

    def make(
        ref: ModelRef,
        adapter: AdapterRef | None = None,
        options: students.StudentOptions | None = None,
    ) -> Student:
        return ScriptedStudent(answering)

    monkeypatch.setattr(students, "make", make)
    return asked


@pytest.fixture
def job(tmp_path: Path) -> extracting.Job:
    source = write_notes(tmp_path / "notes.jsonl", rows(200))
    return extracting.Job(make_bundle(tmp_path / "bundle"), source, tmp_path / "out.jsonl")


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("came", ["jsonl", "csv", "parquet"])
def test_every_format_says_the_same(
    came: str, ending: str, tmp_path: Path, job: extracting.Job
) -> None:
    source = write_notes(tmp_path / f"in.{came}", rows(200))
    target = tmp_path / f"answers.{ending}"
    done = extract(replace(job, source=source, target=target))
    assert done.fresh == {"ok": 200}
    extract(job)
    assert read(target) == read(job.target)
    assert not list(tmp_path.glob(".*")), "nothing is left of the work"


def test_a_row_says_where_a_value_can_be_checked(job: extracting.Job) -> None:
    extract(job)
    row = json.loads(job.target.read_text("utf-8").splitlines()[7])
    assert list(row) == ["id", "status", "record", "problems", "evidence", "confidence", "key"]
    assert row["record"] == {"cough": "yes", "drugs": ["aspirin"]}
    assert row["evidence"] == {"cough": ["He was hacking."], "drugs": ["Given aspirin 7."]}
    assert row["confidence"] is None


def test_confidence_is_there_where_the_backend_tells_it(
    job: extracting.Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sure(ScriptedStudent):
        def complete(self, calls, cancel=None):  # type: ignore[no-untyped-def]
            for reply in super().complete(calls, cancel):
                yield replace(reply, probability=0.75)

    monkeypatch.setattr(students, "make", lambda *_: Sure(said))
    extract(replace(job, folder=make_bundle(job.folder, "per_field")))
    assert read(job.target)[0].confidence == {"cough": 0.75, "drugs": 0.75}


def test_csv_and_parquet_have_a_column_per_field(tmp_path: Path, job: extracting.Job) -> None:
    extract(replace(job, target=tmp_path / "a.csv"))
    head, first = (tmp_path / "a.csv").read_text("utf-8").splitlines()[:2]
    assert head.endswith("record.cough,record.drugs")
    assert first.endswith('yes,"[""aspirin""]"')


def test_what_is_answered_is_not_asked_again(job: extracting.Job, student: list[str]) -> None:
    extract(job)
    before = job.target.read_bytes()
    student.clear()
    assert extract(job).fresh.total() == 0
    assert student == []
    assert job.target.read_bytes() == before
    write_notes(job.source, rows(203))
    assert extract(job).fresh == {"ok": 3}
    assert student == ["n200", "n201", "n202"]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_another_text_under_the_same_id_is_an_error_until_said(
    ending: str, tmp_path: Path, job: extracting.Job, student: list[str]
) -> None:
    job = replace(job, target=tmp_path / f"x.{ending}")
    extract(job)
    changed = rows(200)
    changed[5]["text"] = "Now he is well."
    write_notes(job.source, changed)
    before = job.target.read_bytes()
    with pytest.raises(InputError, match=r"note 'n5' with another text.*--again"):
        extract(job)
    assert job.target.read_bytes() == before
    student.clear()
    assert extract(replace(job, again=True)).fresh == {"ok": 1}
    assert student == ["n5"]
    assert sorted(r.id for r in read(job.target)) == sorted(f"n{i}" for i in range(200))


def test_failed_answers_are_asked_again(job: extracting.Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(students, "make", lambda *_: ScriptedStudent(said, faults={3: "fail"}))
    assert extract(job).all == {"ok": 199, "failed": 1}
    monkeypatch.setattr(students, "make", lambda *_: ScriptedStudent(said))
    done = extract(job)
    assert done.fresh == {"ok": 1}
    assert done.all == {"ok": 200}
    assert sorted(r.id for r in read(job.target)) == sorted(f"n{i}" for i in range(200))


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_after_kills_the_answers_are_those_of_an_uninterrupted_run(
    ending: str, tmp_path: Path, job: extracting.Job, student: list[str]
) -> None:
    whole, killed = tmp_path / f"whole.{ending}", replace(job, target=tmp_path / f"killed.{ending}")
    extract(replace(job, target=whole))

    def dying() -> None:
        students.make = lambda *_: Dying(ScriptedStudent(said), 70)
        extract(killed)

    assert in_child(dying) == -9
    assert in_child(dying) == -9
    student.clear()
    extract(killed)
    assert student == [f"n{i}" for i in range(128, 200)]
    assert killed.target.read_bytes() == whole.read_bytes()


def test_a_torn_line_is_cut_off(job: extracting.Job) -> None:
    extract(job)
    whole = job.target.read_bytes()
    job.target.write_bytes(whole[: len(whole) // 2])
    extract(job)
    assert job.target.read_bytes() == whole
    job.target.write_bytes(b'{"id": "n0", "sta')
    extract(job)
    assert job.target.read_bytes() == whole


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_csv_grows_row_by_row_and_a_torn_row_is_cut_off(
    ending: str, tmp_path: Path, job: extracting.Job, student: list[str]
) -> None:
    """Line breaks and quotes inside of cells are no ends of rows."""
    odd = rows(70)
    odd[66]["id"] = 'n\n"66"\r\n'
    write_notes(job.source, odd)
    whole = replace(job, target=tmp_path / f"whole.{ending}")
    extract(whole)
    text = whole.target.read_bytes()
    torn = replace(job, target=tmp_path / f"torn.{ending}")
    first = text.index(b'"n\n') + 3
    for at in (first, first + 4, first + 40, text.index(b"\r\n", first + 20) + 1, len(text) - 1, 5):
        torn.target.write_bytes(text[:at])
        extract(torn)
        assert torn.target.read_bytes() == text
    torn.target.unlink()
    begun = len(student)
    with pytest.raises(Interrupted):
        extracting.extract(torn, Settings(), lambda _: None, lambda: len(student) >= begun + 66)
    assert text.startswith(torn.target.read_bytes())
    assert len(read(torn.target)) == 64, "what is finished stands in the file itself"


def test_a_file_that_a_spreadsheet_program_saved_again_goes_on(
    tmp_path: Path, job: extracting.Job, student: list[str]
) -> None:
    job = replace(job, target=tmp_path / "a.csv")
    extract(job)
    job.target.write_bytes(b"\xef\xbb\xbf" + job.target.read_bytes())
    student.clear()
    extract(job)
    assert student == []
    job.target.write_bytes(b"id,status\r\nn0,\xff\r\n")
    with pytest.raises(InputError, match="holds no answers"):
        extract(job)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_notes_may_come_through_a_pipe(ending: str, tmp_path: Path, job: extracting.Job) -> None:
    extract(job)
    source = write_notes(tmp_path / f"in.{ending}", rows(200))
    target = tmp_path / "piped.jsonl"

    def piped(stream: BinaryIO) -> extracting.Extracted:
        pipe = corpus.Pipe(stream, ending)
        return extract(replace(job, source=corpus.PIPE, target=target, pipe=pipe))

    with source.open("rb") as stream:
        piped(stream)
    assert target.read_bytes() == job.target.read_bytes()
    target.write_bytes(target.read_bytes()[:20_000])
    with source.open("rb") as stream:
        assert 0 < piped(stream).fresh.total() < 200, "the same pipe again goes on"
    assert target.read_bytes() == job.target.read_bytes()
    with pytest.raises(InputError, match=r"^standard input.*(holds no note|cannot be read)"):
        piped(BytesIO(b""))
    assert not list(tmp_path.glob(".*/input.*")), "no copy of the notes stays"


def test_a_pipe_that_was_interrupted_is_not_taken_for_the_whole(job: extracting.Job) -> None:
    pipe = corpus.Pipe(BytesIO(b'{"id": "1", "text": "He was well."}\n'))
    with pytest.raises(Interrupted):
        extracting.extract(
            replace(job, source=corpus.PIPE, pipe=pipe), Settings(), lambda _: None, lambda: True
        )
    assert not job.target.exists()


def test_what_is_no_ordinary_file_is_to_be_piped(tmp_path: Path, job: extracting.Job) -> None:
    fifo = tmp_path / "fifo.jsonl"
    os.mkfifo(fifo)
    with pytest.raises(InputError, match=r"no ordinary file.*pipe it to --in -"):
        extract(replace(job, source=fifo))


def test_a_stop_keeps_what_is_finished(job: extracting.Job, student: list[str]) -> None:
    with pytest.raises(Interrupted, match=r"128 of 200.*same command"):
        extracting.extract(job, Settings(), lambda _: None, lambda: len(student) >= 130)
    assert len(read(job.target)) == 128
    student.clear()
    extract(job)
    assert len(read(job.target)) == 200


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_shards_merge_to_what_one_would_have_said(
    ending: str, tmp_path: Path, job: extracting.Job
) -> None:
    merged = {}
    for count in (1, 2, 4):
        parts = [tmp_path / f"part-{count}-{i}.{ending}" for i in range(count)]
        for i, part in enumerate(parts):
            extract(replace(job, target=part, shards=count, shard_index=i))
        out = tmp_path / f"all-{count}.jsonl"
        assert merging.merge(parts, out).rows == 200
        merged[count] = out.read_bytes()
    assert merged[1] == merged[2] == merged[4]
    assert len(merged[1].splitlines()) == 200


def test_a_patient_s_name_may_go_along(job: extracting.Job) -> None:
    found = [note.group for _, note in corpus.notes(job.source, job.columns)]
    assert found[:3] == ["p0", "p0", "p1"]


def parts_of(job: extracting.Job, count: int = 2) -> list[Path]:
    parts = [job.target.with_name(f"part-{i}.jsonl") for i in range(count)]
    for i, part in enumerate(parts):
        extract(replace(job, target=part, shards=count, shard_index=i))
    return parts


def test_a_merge_checks_that_all_is_there_once(job: extracting.Job) -> None:
    first, second = parts_of(job)
    with pytest.raises(InputError, match="shard 1 of 2 is missing"):
        merging.merge([first], job.target)
    with pytest.raises(InputError, match="shard 0 is given twice"):
        merging.merge([first, second, first], job.target)
    whole = second.read_text("utf-8")
    second.write_text(whole + first.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    with pytest.raises(InputError, match="is answered twice"):
        merging.merge([first, second], job.target)
    second.write_text("\n".join(whole.splitlines()[1:]) + "\n", "utf-8")
    with pytest.raises(InputError, match="the parts answer 199 notes, the corpus has 200"):
        merging.merge([first, second], job.target)
    answers.slip_path(second).unlink()
    with pytest.raises(InputError, match="is not finished"):
        merging.merge([first, second], job.target)
    assert not job.target.exists()


def test_parts_of_two_corpora_do_not_merge(job: extracting.Job) -> None:
    first, _ = parts_of(job)
    other = rows(200)
    other[0]["text"] = "Another."
    write_notes(job.source, other)
    moved = replace(job, target=job.target.with_name("other.jsonl"), shards=2, shard_index=1)
    extract(moved)
    with pytest.raises(InputError, match="not shards of one corpus"):
        merging.merge([first, moved.target], job.target)


def bad(text: bytes | list[dict[str, JsonValue]]) -> bytes:
    return text if isinstance(text, bytes) else b"".join(json.dumps(r).encode() + b"\n" for r in text)


GOOD = rows(3)
BAD: dict[str, tuple[str, bytes, str]] = {
    "encodings": (
        "n.jsonl",
        bad(GOOD) + '{"id": "x", "text": "é"}'.encode("latin-1"),
        "line 4: not UTF-8",
    ),
    "double id": ("n.jsonl", bad([*GOOD, GOOD[1]]), "id 'n1' stands in rows 2 and 4"),
    "vanished": ("n.jsonl", bad([*GOOD, {"id": "x"}]), "row 4: no column 'text'"),
    "vanished in csv": ("n.csv", b"id,text\n1,a\n2\n", "line 3: 1 cells, the header has 2"),
    "no text": ("n.jsonl", bad([{"id": "x", "text": " "}]), "row 1: column 'text' holds no text"),
    "no id": ("n.jsonl", bad([{"id": None, "text": "a"}]), "row 1: column 'id' holds no id"),
    "half a character": ("n.jsonl", b'{"id": "x", "text": "\\ud800"}', "row 1: half a character"),
    "no json": ("n.jsonl", b"not json\n", "line 1: not JSON"),
    "empty": ("n.jsonl", b"", "holds no note"),
    "only a header": ("n.csv", b"id,text\n", "holds no note"),
    "unknown ending": ("n.xlsx", b"x", "cannot tell its format"),
    "no parquet": ("n.parquet", b"PAR1", "cannot be read as Parquet"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_before_anything_is_asked(
    case: tuple[str, bytes, str], tmp_path: Path, job: extracting.Job, student: list[str]
) -> None:
    name, content, words = case
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        extract(replace(job, source=tmp_path / name))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert student == []
    assert not job.target.exists()


def test_other_bad_arguments(tmp_path: Path, job: extracting.Job) -> None:
    for wrong, words in (
        (replace(job, target=tmp_path / "out.txt"), "--out .*cannot tell its format"),
        (replace(job, target=tmp_path / "no" / "out.csv"), "no folder"),
        (replace(job, target=job.source), "the same file"),
        (replace(job, source=tmp_path / "no.csv"), "no file"),
        (replace(job, shards=2, shard_index=2), "shard 2 of 2"),
    ):
        with pytest.raises(InputError, match=words):
            extract(wrong)


def test_a_bundle_of_another_version(job: extracting.Job) -> None:
    file = job.folder / "bundle.json"
    found = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**found, "version": 99}), "utf-8")
    with pytest.raises(InputError, match="newer version"):
        extract(job)
    file.write_text(json.dumps({**found, "render_version": 0}), "utf-8")
    with pytest.raises(InputError, match="refine and export again"):
        extract(job)
    file.write_text(json.dumps({**found, "fields": [{"kind": "number", "name": "n"}]}), "utf-8")
    with pytest.raises(InputError, match="cannot be read as a bundle"):
        extract(job)


def test_parquet_without_pyarrow_says_how_to_install_it(
    job: extracting.Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match="pip install pyarrow"):
        extract(replace(job, target=job.target.with_suffix(".parquet")))


def test_two_extracts_cannot_write_one_file(job: extracting.Job) -> None:
    work = job.target.with_name(f".{job.target.name}.work")
    work.mkdir()
    with lock.lock(work), pytest.raises(StoreError, match="another extract"):
        extract(job)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_disk_that_fills_keeps_what_is_finished(
    ending: str, tmp_path: Path, job: extracting.Job, student: list[str]
) -> None:
    """The limit on a file's size stands for the full disk: the kernel refuses to write further."""
    job = replace(job, target=tmp_path / f"out.{ending}")
    whole = job.target.with_name(f"whole.{ending}")
    long: list[dict[str, JsonValue]] = [
        {**r, "text": f"Given aspirin {'or so ' * 600}."} for r in rows(200)
    ]
    write_notes(job.source, long)
    extract(replace(job, target=whole))
    limit = 400_000 if ending == "parquet" else whole.stat().st_size // 2  # of 200 rows

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            extract(job)
        except StoreError as error:
            (tmp_path / "said").write_text(str(error), "utf-8")
            os._exit(error.exit_code)

    assert in_child(limited) == 2
    text = (tmp_path / "said").read_text("utf-8")
    assert "\n" not in text
    assert "then resume" in text
    kept = tmp_path / f".{job.target.name}.work/rows.jsonl" if ending == "parquet" else job.target
    assert [r.id for r in read(kept)] == [f"n{i}" for i in range(64)]
    student.clear()
    extract(job)
    assert not set(student) & {f"n{i}" for i in range(64)}
    assert job.target.read_bytes() == whole.read_bytes()


def test_a_disk_that_fills_while_the_file_is_made_keeps_the_journal(
    tmp_path: Path, job: extracting.Job, monkeypatch: pytest.MonkeyPatch, student: list[str]
) -> None:
    class Full:
        def __init__(self, *_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    job = replace(job, target=tmp_path / "out.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(corpus.pyarrow("pyarrow.parquet"), "ParquetWriter", Full)
        with pytest.raises(StoreError, match="the disk is full: make room, then resume"):
            extract(job)
    assert not job.target.exists()
    student.clear()
    extract(job)
    assert student == []
    assert len(read(job.target)) == 200
