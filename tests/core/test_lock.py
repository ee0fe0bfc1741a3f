import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.core.errors import StoreError
from preceptor.core.lock import LOCK_FILE, holder, lock

HOLDER = """
import os, sys, time
from pathlib import Path
from preceptor.core.lock import lock
with lock(Path(sys.argv[1])):
    worker = os.fork() if sys.argv[2] == "forks" else 1
    if worker:
        os.write(1, f"{worker}\\n".encode())
    time.sleep(60)
    os._exit(0)
"""


def start(folder: Path, how: str) -> "tuple[subprocess.Popen[str], int]":
    """Return a process that holds the folder's lock, and the process id of its child."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), how], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout:
        return child, int(child.stdout.readline())


def test_a_held_run_says_who_holds_it_and_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    child, _ = start(tmp_path, "alone")
    try:
        me = f"process {child.pid} on {socket.gethostname()}"
        with pytest.raises(StoreError, match=f"in use by {me} .wait until it ends"), lock(tmp_path):
            pass
        assert holder(tmp_path) == me
    finally:
        child.kill()
        child.wait(60)
    assert holder(tmp_path) is None
    with lock(tmp_path):
        assert holder(tmp_path) == f"process {os.getpid()} on {socket.gethostname()}"


def test_a_forked_child_does_not_keep_a_dead_parents_lock(tmp_path: Path) -> None:
    parent, worker = start(tmp_path, "forks")
    try:
        assert holder(tmp_path) is not None, "the child's start takes no lock from the parent"
        parent.kill()
        parent.wait(60)
        with lock(tmp_path):
            os.kill(worker, 0)
    finally:
        os.kill(worker, 9)


def test_one_process_cannot_hold_a_run_twice(tmp_path: Path) -> None:
    with lock(tmp_path):
        with pytest.raises(StoreError, match="in use"), lock(tmp_path):
            pass
        assert holder(tmp_path) is not None
    with lock(tmp_path):
        pass


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), lock(tmp_path):
        raise KeyboardInterrupt
    with lock(tmp_path):
        pass


def test_looking_takes_nothing_and_makes_nothing(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="cannot lock"), lock(tmp_path / "missing"):
        pass


def test_a_damaged_lock_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(b"\xff" * 5000)
    with lock(tmp_path):
        said = json.loads((tmp_path / LOCK_FILE).read_bytes())
    assert said == {"pid": os.getpid(), "host": socket.gethostname()}


def test_someone_who_only_looks_does_not_keep_a_run_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOCK_FILE).touch()
    looking = (tmp_path / LOCK_FILE).open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("preceptor.core.lock.time.sleep", lambda _: looking.close())
    with lock(tmp_path):
        assert looking.closed
