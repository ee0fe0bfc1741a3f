"""A kill in mid-work, as a user meets it: real processes, real SIGKILL, a server over real HTTP."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from preceptor.agents.servers.openai import OpenAIServer
from preceptor.core.records import ModelRef
from preceptor.graphs import bundle
from tests.graphs.corpora import make_bundle, rows, write_notes

ROOT = Path(__file__).parents[2]
TASK = "tests.graphs.small:task"
DEV = 30 * 3
LIVE = os.environ.get("PRECEPTOR_OLLAMA_URL", "")
MODEL = os.environ.get("PRECEPTOR_OLLAMA_MODEL", "smollm2:135m")


def kept(file: Path) -> int:
    """Return how many answers are committed in a cache, 0 if there is none yet."""
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as opened:
            return int(opened.execute("SELECT count(*) FROM answers").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # Its table is only being made.


@contextmanager
def working(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program in a process of its own, which does not outlive this."""
    paths = [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "preceptor", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def killed(folder: Path, cache: str, *arguments: str, within: float = 120.0) -> int:
    """Kill the program as soon as an answer is committed; return how many are there then."""
    file, until = folder / cache, time.monotonic() + within
    with working(folder, *arguments) as process:
        while not kept(file) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        assert process.poll() is None, (process.stderr.read() if process.stderr else b"").decode()
        process.send_signal(signal.SIGKILL)
        process.wait()
    return kept(file)


def finished(folder: Path, *arguments: str) -> int:
    """Run the program to its end; return its exit code."""
    with working(folder, *arguments) as process:
        return process.wait()


def test_a_killed_eval_goes_on_with_what_was_answered(tmp_path: Path) -> None:
    with OpenAIServer(latency=0.06) as server:
        asked = ["eval", f"openai:scripted@{server.url}", "--task", TASK, "--set", "concurrency=1"]
        there = killed(tmp_path, "runs/eval-cache.sqlite", *asked)
        before = len(server.asked)
        assert 0 < there < 30, "the dev part is one chunk: nothing of it was there before"
        assert finished(tmp_path, *asked) == 0
        assert len(server.asked) - before == DEV - 3 * there
    assert kept(tmp_path / "runs/eval-cache.sqlite") == 30


def test_a_killed_run_is_resumed_with_what_was_answered(tmp_path: Path) -> None:
    with OpenAIServer(latency=0.06) as server:
        student = ["--student", f"openai:scripted@{server.url}", "--set", "concurrency=1"]
        there = killed(
            tmp_path,
            "runs/one/cache.sqlite",
            "refine",
            TASK,
            *student,
            "--name",
            "one",
            "--rounds",
            "1",
        )
        assert 0 < there < 30
        before = len(server.asked)
        again = killed_later(tmp_path, server, before + DEV - 3 * there)
        texts = [str(body["messages"]) for body in again]
        assert len(set(texts)) == len(texts), "no call of the first part was made twice"
    assert kept(tmp_path / "runs/one/cache.sqlite") >= 30


def killed_later(folder: Path, server: OpenAIServer, until: int) -> list[dict[str, object]]:
    """Resume the run, and kill it when so many calls were made; return those of the resumed part."""
    begun, end = len(server.asked), time.monotonic() + 120
    with working(folder, "resume", "one") as process:
        while len(server.asked) < until + 3 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
    return [{**body} for body in server.asked[begun:until]]


def test_a_killed_extract_goes_on_with_what_was_answered(tmp_path: Path) -> None:
    write_notes(tmp_path / "n.jsonl", rows(60))
    with OpenAIServer(latency=0.15) as server:
        made = make_bundle(tmp_path / "b")
        found = bundle.read(made)
        recipe = found.recipe.model_copy(update={"model": ModelRef(spec=f"openai:x@{server.url}")})
        (made / "bundle.json").write_text(
            found.model_copy(update={"recipe": recipe}).to_json(), "utf-8"
        )
        asked = ["extract", "b", "--in", "n.jsonl", "--out", "o.jsonl", "--set", "concurrency=1"]
        there = killed(tmp_path, ".o.jsonl.work/cache.sqlite", *asked)
        before = len(server.asked)
        assert 0 < there < 60
        assert finished(tmp_path, *asked) == 0
        assert len(server.asked) - before == 60 - there
    assert len((tmp_path / "o.jsonl").read_text("utf-8").splitlines()) == 60


def test_a_killed_process_leaves_the_server_nothing_to_do(tmp_path: Path) -> None:
    with OpenAIServer(latency=60.0) as server:
        with working(tmp_path, "eval", f"openai:scripted@{server.url}", "--task", TASK) as process:
            until = time.monotonic() + 60
            while server.working < 8 and time.monotonic() < until:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
        until = time.monotonic() + 10
        while server.working and time.monotonic() < until:
            time.sleep(0.01)
        assert (server.working, server.abandoned) == (0, 8)


@pytest.mark.live
@pytest.mark.skipif(not LIVE, reason="PRECEPTOR_OLLAMA_URL names no server")
def test_a_killed_eval_on_a_real_server_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set ``PRECEPTOR_OLLAMA_MODEL`` to a model that the server has, ``smollm2:135m`` if not."""
    monkeypatch.setenv("OLLAMA_HOST", LIVE)
    asked = ["eval", f"ollama:{MODEL}", "--task", TASK]
    there = killed(tmp_path, "runs/eval-cache.sqlite", *asked, within=600)
    assert 0 < there < 30
    assert finished(tmp_path, *asked) == 0
    assert kept(tmp_path / "runs/eval-cache.sqlite") == 30
