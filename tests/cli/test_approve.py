"""Approval as a user meets it: at a terminal, and from another process."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.cli.asking import plain
from preceptor.tools.prompt import EditPrompt

ROOT = Path(__file__).parents[2]
REFINE = [
    "refine", "tests.graphs.small:task", "--student", "simulated", "--rounds", "1",
    "--moves", "edit_prompt",
    "--name", "one", "--approve",
]  # fmt: skip
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_another_process_answers(capsys: Captured) -> None:
    assert main(REFINE) == 130
    assert "preceptor approve runs/one" in capsys.readouterr().err
    assert main(["resume", "one"]) == 130
    assert "preceptor approve runs/one" in capsys.readouterr().err
    assert main(["approve", "one", "--show"]) == 0
    shown = capsys.readouterr().out
    assert "the teacher wants edit_prompt" in shown
    assert "Cost: at most 126 student calls" in shown
    assert main(["approve", "one", "--show", "--json"]) == 0
    args = json.loads(capsys.readouterr().out)["call"]["args"]
    Path("bad.json").write_text("[1]", "utf-8")
    assert main(["approve", "one", "--edit", "bad.json"]) == 2
    Path("bad.json").write_text('{"labels": []}', "utf-8")
    assert main(["approve", "one", "--edit", "bad.json"]) == 2
    assert main(["approve", "one", "--reject", "too long"]) == 130
    assert "edit_prompt: reject by a person: too long" in capsys.readouterr().err
    Path("mine.json").write_text(json.dumps(args), "utf-8")
    assert main(["approve", "one", "--edit", "mine.json"]) == 0
    assert main(["approve", "one"]) == 2
    assert "waits for nobody" in capsys.readouterr().err


def edit(**patch: object) -> None:
    Path("edit.json").write_text(json.dumps({"patches": [patch]}), "utf-8")


UNKNOWN = {"kind": "add_look_for", "field": "nope", "phrases": ["hot"]}
IDLE = {"kind": "drop_look_for", "field": "fever", "phrases": ["unheard"]}


def test_a_mistaken_edit_leaves_the_run_as_it_was(capsys: Captured) -> None:
    assert main(REFINE) == 130
    trace = Path("runs/one/trace.jsonl").read_bytes()
    for patch, words in ((UNKNOWN, "no field 'nope'"), (IDLE, "Nothing changed")):
        edit(**patch)
        capsys.readouterr()
        assert main(["approve", "one", "--edit", "edit.json"]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
        assert Path("runs/one/trace.jsonl").read_bytes() == trace
    assert main(["runs"]) == 0
    assert "waiting      for your word: preceptor approve runs/one" in capsys.readouterr().out
    assert main(["approve", "one"]) == 0


def test_an_edit_answers_one_question_only(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule teacher makes the same proposal again when a costly move's edit is refused."""
    monkeypatch.setattr(EditPrompt, "costly", True, raising=False)
    assert main(REFINE) == 130
    edit(**IDLE)
    assert main(["approve", "one", "--edit", "edit.json"]) == 130
    assert "preceptor approve runs/one" in capsys.readouterr().err
    assert main(["runs"]) == 0
    assert "waiting      for your word: preceptor approve runs/one" in capsys.readouterr().out
    assert main(["approve", "one"]) == 0
    trace = [json.loads(x) for x in Path("runs/one/trace.jsonl").read_text("utf-8").splitlines()]
    assert [e["data"]["action"] for e in trace if e["kind"] == "approval"] == ["edit", "approve"]
    assert "move" in [e["kind"] for e in trace]


def spoken(dialogue: list[tuple[str, str]], environment: dict[str, str]) -> tuple[int, str]:
    """Run refine on a terminal; answer each question when it comes; return (exit code, text)."""
    pid, fd = pty.fork()
    if pid == 0:
        env = {**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}", **environment}
        os.execvpe(sys.executable, [sys.executable, "-m", "preceptor", *REFINE], env)
    said, give_up = "", time.monotonic() + 120
    while time.monotonic() < give_up:
        ready, _, _ = select.select([fd], [], [], 1)
        try:
            said += os.read(fd, 4096).decode("utf-8", "replace") if ready else ""
        except OSError:
            break  # the terminal is closed: the program has ended
        if dialogue and said.endswith(dialogue[0][0]):
            os.write(fd, dialogue.pop(0)[1].encode() + b"\n")
    else:
        os.kill(pid, 9)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), said


ASK = "[l]eave it open? "


def test_a_person_at_a_terminal_rejects_edits_and_approves(tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text("import sys\nassert '\"patches\"' in open(sys.argv[1]).read()\n", "utf-8")
    dialogue = [(ASK, "what"), (ASK, "r"), ("reads it: ", "not this one"), (ASK, "e")]
    code, said = spoken(dialogue, {"EDITOR": f"{sys.executable} {editor}", "VISUAL": ""})
    assert code == 0, said
    trace = [json.loads(x) for x in Path("runs/one/trace.jsonl").read_text("utf-8").splitlines()]
    actions = [e["data"]["action"] for e in trace if e["kind"] == "approval"]
    assert actions == ["reject", "edit"]


@pytest.mark.parametrize("answer", ["l", "\x03", "\x04"], ids=["leave", "Ctrl-C", "Ctrl-D"])
def test_leaving_it_open_leaves_a_run_that_waits(answer: str, capsys: Captured) -> None:
    code, said = spoken([(ASK, answer)], {})
    assert code == 130, said
    assert "preceptor approve runs/one" in said
    assert main(["runs"]) == 0
    assert "waiting      for your word: preceptor approve runs/one" in capsys.readouterr().out


def test_a_slip_in_the_editor_does_not_lose_what_was_written(tmp_path: Path) -> None:
    """The editor spoils the text once, and finds it spoilt when it is opened again."""
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "text = file.read_text()\n"
        "file.write_text(text.replace(',,', ',', 1) if ',,' in text else text.replace(',', ',,', 1))\n",
        "utf-8",
    )
    dialogue = [(ASK, "e"), (ASK, "e")]
    code, said = spoken(dialogue, {"EDITOR": f"{sys.executable} {editor}", "VISUAL": ""})
    assert code == 0, said
    assert "what the editor left: not JSON" in said
    trace = [json.loads(x) for x in Path("runs/one/trace.jsonl").read_text("utf-8").splitlines()]
    assert [e["data"]["action"] for e in trace if e["kind"] == "approval"] == ["edit"]


def test_a_mistaken_edit_at_a_terminal_is_asked_about_again(tmp_path: Path, capsys: Captured) -> None:
    edit(**IDLE)
    editor = tmp_path / "editor.py"
    editor.write_text("import shutil, sys\nshutil.copy('edit.json', sys.argv[1])\n", "utf-8")
    dialogue = [(ASK, "e"), (ASK, "\x03")]
    code, said = spoken(dialogue, {"EDITOR": f"{sys.executable} {editor}", "VISUAL": ""})
    assert code == 130, said
    assert "Nothing changed" in said
    assert "preceptor approve runs/one" in said
    assert main(["runs"]) == 0
    assert "waiting      for your word: preceptor approve runs/one" in capsys.readouterr().out
    assert main(["approve", "one"]) == 0
    trace = [json.loads(x) for x in Path("runs/one/trace.jsonl").read_text("utf-8").splitlines()]
    assert [e["data"]["action"] for e in trace if e["kind"] == "approval"] == ["approve"]


def test_nothing_can_steer_the_terminal() -> None:
    assert "\x1b" not in plain("  rule \x1b[2J\x07 gone")


def test_without_approve_nothing_is_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "preceptor", *REFINE[:-1]],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "by a person" not in done.stderr
