"""Corrupt and hostile files: one line that says what is wrong, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.core import trace as tracing
from preceptor.core.errors import TaskError
from preceptor.core.formulas import escaped
from preceptor.core.runs import RunStore
from preceptor.evals import taskfile
from preceptor.graphs import answers

ROOT = Path(__file__).parents[2]
DEEP = "[" * 200_000
DIGITS = "9" * 5_000
SECRET = "Torvald Eschenlohr"

Hurt = Callable[[Path], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    words = "refine tests.graphs.small:task --student simulated --rounds 1 --name r --runs-dir"
    assert main([*words.split(), str(folder)]) == 0
    return folder / "r"


def _without(key: str) -> Hurt:
    def hurt(run: Path) -> None:
        said = json.loads((run / "run.json").read_text())
        del said["config"][key]
        (run / "run.json").write_text(json.dumps(said))

    return hurt


def _write(name: str, text: str | bytes) -> Hurt:
    return lambda run: (run / name).write_bytes(text.encode() if isinstance(text, str) else text)


def _a_folder(run: Path) -> None:
    (run / "trace.jsonl").unlink()
    (run / "trace.jsonl").mkdir()


HURTS: dict[str, Hurt] = {
    "run.json deep": _write("run.json", DEEP),
    "run.json digits": _write("run.json", f'{{"format": {DIGITS}}}'),
    "run.json empty": _write("run.json", ""),
    "run.json not text": _write("run.json", b"\xff\xfe\x00"),
    "run.json without options": _without("options"),
    "run.json without a start": _without("start"),
    "report.txt empty": _write("report.txt", ""),
    "report.txt not text": _write("report.txt", b"\xff\xfe"),
    "report.json deep": _write("report.json", DEEP),
    "report.json a list": _write("report.json", "[]"),
    "report.json other attempts": _write("report.json", '{"attempts": [1, null]}'),
    "trace.jsonl no event": _write("trace.jsonl", '{"v": 1}\n'),
    "trace.jsonl of odd data": _write(
        "trace.jsonl",
        '{"v":1,"seq":1,"time":"x","attempt":1,"kind":"diagnosed","key":"k","data":{"findings":3}}\n',
    ),
    "trace.jsonl a folder": _a_folder,
    "egress.jsonl no line": _write("egress.jsonl", '{"v": 1}\n'),
    "checkpoint damaged": _write("checkpoint.sqlite", b"SQLite format 3\0" + b"x" * 4_000),
    "checkpoint no database": _write("checkpoint.sqlite", "hello" * 500),
    "ledger damaged": _write("ledger.sqlite", "hello" * 500),
    "cache damaged": _write("cache.sqlite", "hello" * 500),
    "bundle.json deep": _write("bundle/bundle.json", DEEP),
    "bundle.json digits": _write("bundle/bundle.json", f'{{"version": {DIGITS}}}'),
    "lock not text": _write("lock", b"\xff" * 100),
}
VERBS = (
    "runs list", "runs splits r", "runs batches r", "report r", "trace r", "trace r --egress",
    "resume r", "approve r --yes", "rollback r --to 0", "eval r",
    "extract r --in notes.jsonl --out out.csv",
)  # fmt: skip


@pytest.mark.parametrize("name", HURTS)
def test_a_damaged_run_is_told_in_one_line_by_every_verb(
    name: str,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.jsonl").write_text('{"id": "1", "text": "He has a fever."}\n')
    for verb in VERBS:
        shutil.rmtree("runs", ignore_errors=True)
        shutil.copytree(finished, "runs/r")
        HURTS[name](Path("runs/r"))
        code = main(verb.split())
        said = capfd.readouterr().err
        assert code in (0, 2, 4, 5), f"{verb}: {code}: {said}"
        assert "Traceback" not in said
        assert code == 0 or sum(line.startswith("preceptor: ") for line in said.splitlines()) == 1


@pytest.mark.parametrize("name", HURTS)
def test_one_bad_run_does_not_hide_the_others(
    name: str, finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for copy in ("bad", "good"):
        shutil.copytree(finished, tmp_path / copy)
    HURTS[name](tmp_path / "bad")
    assert main(["runs", "list", "--runs-dir", str(tmp_path)]) == 0
    shown = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown if line[:1].isalpha()].count("good") == 1
    assert any(line.startswith("bad") for line in shown)


YAML = {
    "a date that is none": "name: x\nfields: []\ndata: 2024-13-45\n",
    "a number of 5,000 digits": f"name: {DIGITS}\n",
    "deep": "name: " + "[" * 5_000,
    "laughs": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in pairwise("abcdefghi")),
    "itself": "name: &a [*a]\n",
    "a tag": "name: !!python/object/apply:os.system ['true']\n",
    "not text": "name: \x00\n",
}  # fmt: skip


@pytest.mark.parametrize("name", YAML)
def test_a_hostile_task_file_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(YAML[name])
    with pytest.raises(TaskError) as told:
        taskfile.read(tmp_path / "task.yaml")
    assert len(str(told.value).splitlines()) == 1
    assert len(str(told.value)) < 400


def test_a_path_that_is_no_text_and_a_locale_of_ascii_end_in_one_line(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(odd)).mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
    }
    environment |= {"PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    commands: tuple[list[str | bytes], ...] = (
        ["runs", "list", "--runs-dir", odd],
        ["doctor", "--runs-dir", odd],
        ["tasks", "check", odd + b"/t.yaml"],
        ["report", odd],
        ["extract", odd, "--in", odd + b"/a.jsonl", "--out", odd + b"/b.csv"],
    )
    for words in commands:
        command = [os.fsencode(word) for word in (sys.executable, "-m", "preceptor", *words)]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert b"Traceback" not in done.stderr, words
        assert done.returncode in (0, 2), (words, done.stderr)


def test_what_nothing_foresees_is_one_line_without_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        raise KeyError(f"{SECRET} has a fever")

    monkeypatch.setattr("preceptor.cli.runs.run", fail)
    assert main(["runs", "list"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "KeyError" in said
    assert SECRET not in said


def test_everything_that_is_printed_is_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shout(*_: object) -> int:
        print("\x1b[2J from a server \u202e", file=sys.stderr)
        print("\x9b1m\r from a file")
        return 0

    monkeypatch.setattr("preceptor.cli.runs.run", shout)
    assert main(["runs", "list"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (
        "\\u009b1m\\r from a file\n",
        "\\u001b[2J from a server \\u202e\n",
    )


def test_an_argument_is_escaped_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "rm", "--yes", "\x1b]0;owned\x07"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_the_trace_of_a_long_run_is_shown_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    RunStore.create(tmp_path, "long", {})
    read: list[int] = []
    shown: list[int] = []

    def events(_: Path) -> object:
        for number in range(1, 5_000):
            read.append(number)
            # What was read before is on its way: nothing waits for the end.
            shown.append(capsys.readouterr().out.count("\n"))
            yield tracing.Event(
                v=1, seq=number, time="2026-01-01T00:00", attempt=1, kind="x", key="k", data={}
            )

    monkeypatch.setattr(tracing, "read", events)
    assert main(["trace", "long", "--runs-dir", str(tmp_path)]) == 0
    assert shown[1:] == [1] * (len(read) - 1)


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", " =1", "＝1"]
)
def test_what_a_spreadsheet_would_run_is_text(cell: str) -> None:
    assert escaped(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-3", "+1.5", "-", "present", "a=b", ""])
def test_numbers_and_words_stay_as_they_are(cell: str) -> None:
    assert escaped(cell) == cell


def test_a_models_formula_is_no_formula_in_the_csv_and_reads_back_as_it_was(tmp_path: Path) -> None:
    row = answers.Row(id="=n1", status="ok", record={"pain": '=HYPERLINK("http://x.example")'})
    for name, exact, begins in (("safe.csv", False, "'=HYPER"), ("exact.csv", True, "=HYPER")):
        answers.write(tmp_path / name, [row], ["pain"], exact=exact)
        text = (tmp_path / name).read_text()
        assert f'"{begins}' in text
        assert list(answers.read(tmp_path / name)) == [row]
