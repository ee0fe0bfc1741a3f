"""What is shown of a long wait: where nobody watches, a line now and then, also while nothing comes."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from preceptor.agents.servers.openai import OpenAIServer
from preceptor.agents.servers.scripted import Trouble
from preceptor.cli import main, waiting
from preceptor.cli.show import Console
from preceptor.cli.waiting import Waiting, line
from preceptor.core.ports import Progress

Captured = pytest.CaptureFixture[str]


def until(found: Callable[[], bool]) -> bool:
    """Wait until it is so."""
    end = time.monotonic() + 10
    while not found() and time.monotonic() < end:
        time.sleep(0.01)
    return found()


def threads_end(shown: Waiting) -> bool:
    return until(lambda: shown._thread is None)


def test_a_line_comes_now_and_then_though_nothing_else_does() -> None:
    stream = io.StringIO()
    shown = Waiting(stream, every=0.02)
    shown.show("dev", Progress(0, 66))
    assert until(lambda: stream.getvalue().count("dev: 0/66 notes") >= 3)
    shown.show("dev", Progress(3, 66))
    assert until(lambda: "dev: 3/66 notes, " in stream.getvalue())
    assert " left · " in stream.getvalue()
    assert "\r" not in stream.getvalue(), "a log is no terminal"
    shown.close()
    assert threads_end(shown)


def test_what_is_over_or_forgotten_is_not_shown_again() -> None:
    stream = io.StringIO()
    shown = Waiting(stream, every=0.02)
    shown.show("dev", Progress(0, 4))
    shown.show("dev", Progress(4, 4))
    assert threads_end(shown)
    shown.show("train", Progress(1, 4))
    shown.close()
    assert threads_end(shown)
    there = stream.getvalue()
    time.sleep(0.1)
    assert stream.getvalue() == there


def test_short_work_says_nothing() -> None:
    stream = io.StringIO()
    shown = Waiting(stream)
    for done in range(5):
        shown.show("dev", Progress(done, 4))
    shown.close()
    assert stream.getvalue() == ""


def test_an_event_of_a_run_ends_what_was_under_way() -> None:
    stream = io.StringIO()
    console = Console(stream, every=0.02)
    console.progress("dev", Progress(1, 30))
    console.event("budget", {"why": "0 wall_seconds are left"})
    there = stream.getvalue()
    time.sleep(0.1)
    assert stream.getvalue() == there


def test_a_stream_that_was_closed_is_no_traceback() -> None:
    stream = io.StringIO()
    shown = Waiting(stream, every=0.02)
    shown.show("dev", Progress(0, 4))
    stream.close()
    assert threads_end(shown)


@pytest.mark.parametrize(
    ("done", "base", "seconds", "said"),
    [
        (0, 0, 40.0, "dev: 0/66 notes, nothing yet · 40 s"),
        (12, 0, 120.0, "dev: 12/66 notes, 6.0/min, 9 min left · 2 min"),
        (36, 6, 10.0, "dev: 36/66 notes, 3.0/s, 10 s left · 10 s"),
        (2, 1, 7200.0, "dev: 2/66 notes, 0.5/h, 128.0 h left · 2.0 h"),
        (66, 66, 0.0, "dev: 66/66 notes · 0 s"),
    ],
)
def test_count_rate_and_time_left(done: int, base: int, seconds: float, said: str) -> None:
    assert line("dev", Progress(done, 66), base, seconds) == said


def test_eval_on_a_hanging_server_is_not_silent(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(waiting, "EVERY", 0.2)
    with OpenAIServer(troubles=[*[None] * 6, *[Trouble(delay=60.0)] * 999]) as server:
        student = f"openai:scripted@{server.url}"
        asked = ["eval", student, "--task", "tests.graphs.small:task", "--set", "timeouts.student=1"]
        assert main(asked) == 5
    said = capsys.readouterr().err
    assert re.search(r"^  dev: [12]/30 notes, .* left · ", said, re.MULTILINE)
    last = said.splitlines()[-1]
    assert last.startswith("preceptor: 8 calls in a row failed in the same way: no answer within 1 s")
    assert "timeouts.student" in last
    assert "memory" in last
