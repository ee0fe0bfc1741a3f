import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from preceptor.core.cache import AnswerCache
from preceptor.core.errors import StoreError
from preceptor.core.files import JsonLines, write_whole
from preceptor.core.records import Answer
from preceptor.core.runs import RunStore
from preceptor.core.trace import Trace, read

WRITER = """
import sys
from pathlib import Path
from preceptor.core.files import JsonLines
log = JsonLines(Path(sys.argv[1]))
for i in range(50):
    log.append({"who": sys.argv[2], "i": i, "text": "x" * 300})
"""


def test_a_whole_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        write_whole(tmp_path / "a", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(StoreError, match="No such file"):
        write_whole(tmp_path / "missing" / "b", b"one")


def test_two_processes_and_threads_lose_and_mix_no_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    children = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), who]) for who in ("a", "b")]
    log = JsonLines(path)

    def work() -> None:
        for i in range(20):
            log.append({"who": "t", "i": i})

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait(60) for child in children] == [0, 0]
    lines = [value for _, value in log.read()]
    assert len(path.read_bytes().splitlines()) == len(lines) == 140
    for who in ("a", "b"):
        assert [line["i"] for line in lines if line["who"] == who] == list(range(50))


def test_a_writer_meets_what_others_wrote_once(tmp_path: Path) -> None:
    mine, other = JsonLines(tmp_path / "l"), JsonLines(tmp_path / "l")
    other.append({"n": 1})
    with mine.writing() as writer:
        assert writer.unseen() == [{"n": 1}]
        writer.append({"n": 2})
        assert writer.unseen() == []
    other.append({"n": 3})
    with mine.writing() as writer:
        assert writer.unseen() == [{"n": 3}]


def test_what_is_no_json_is_refused_before_it_is_written(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "l")
    log.append({"n": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        log.append({"n": float("nan")})
    assert [value for _, value in log.read()] == [{"n": 1}]


# A disk that is full, in two ways: a file system of 256 kB, and a limit on the size of a file.


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root only; the file size limit is tested below")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _answers(start: int, count: int) -> dict[str, Answer]:
    return {
        str(i): Answer(example_id=str(i), record=None, raw=("x" * 500,)) for i in range(start, count)
    }


def test_a_full_disk_is_said_in_one_line_and_costs_nothing_committed(tiny_disk: Path) -> None:
    run = RunStore.create(tiny_disk, "r", {})
    run.trace.append("start", {}, "k0")
    run.cache.put_many("r", _answers(0, 10))
    filler = tiny_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * 10**6)
    with pytest.raises(StoreError, match="the disk is full: make room"):
        run.artefacts.put("y" * 100_000)
    with pytest.raises(StoreError, match="the disk is full: make room"):
        run.trace.append("more", {"text": "z" * 100_000}, "k1")
    with pytest.raises(StoreError, match="the disk is full"):
        run.cache.put_many("r", _answers(10, 1000))
    with pytest.raises(StoreError, match="the disk is full: make room"):
        RunStore.create(tiny_disk, "s", {"text": "y" * 100_000})
    filler.unlink()
    run.trace.append("more", {}, "k1")
    run.cache.put_many("r", _answers(20, 30))
    assert [event.key for event in run.trace] == ["k0", "k1"]
    assert set(run.cache.get_many("r", [str(i) for i in range(1000)])) == {
        *map(str, range(10)),
        *map(str, range(20, 30)),
    }
    assert not [path.name for path in tiny_disk.iterdir() if path.name not in {"r"}]
    assert not [path for path in (run.path / "artefacts").rglob("*") if path.is_file()]


LIMITED = """
import resource, sys
from pathlib import Path
from preceptor.core.cache import AnswerCache
from preceptor.core.errors import StoreError
from preceptor.core.records import Answer
from preceptor.core.trace import Trace
folder = Path(sys.argv[1])
trace, cache = Trace(folder / "t.jsonl"), AnswerCache(folder / "c.sqlite")
trace.append("start", {}, "k0")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
answers = {str(i): Answer(example_id=str(i), record=None, raw=("x" * 500,)) for i in range(1000)}
for work in (
    lambda: trace.append("more", {"text": "z" * 200_000}, "k1"),
    lambda: cache.put_many("r", answers),
):
    try:
        work()
    except StoreError as error:
        print(error)
"""


def test_a_file_that_may_not_grow_is_said_in_one_line(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert (said.returncode, said.stderr) == (0, "")
    first, second = said.stdout.splitlines()
    assert "raise the file size limit" in first
    assert "make room" in second
    assert [event.key for event in read(tmp_path / "t.jsonl")] == ["k0"]
    assert (tmp_path / "t.jsonl").read_bytes().endswith(b"}\n")
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        assert len(cache) == 0


def test_a_killed_writer_costs_only_what_it_was_writing(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    code = (
        "import sys; from pathlib import Path; from preceptor.core.trace import Trace\n"
        "trace = Trace(Path(sys.argv[1])); i = 0\n"
        "while True: trace.append('k', {'text': 'x' * 50000}, f'k{i}'); i += 1; print(i, flush=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    while int(child.stdout.readline()) < 20:
        pass
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    child.stdout.close()
    Trace(path).append("after", {}, "last")
    events = list(read(path))
    assert len(events) >= 21
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (events[-1].key, events[-1].attempt) == ("last", 2)
