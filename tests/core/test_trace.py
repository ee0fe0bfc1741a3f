import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from preceptor.core.errors import StoreError
from preceptor.core.trace import SCHEMA_VERSION, Trace, committed, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.jsonl"


def test_an_event_says_what_when_and_by_which_process(path: Path) -> None:
    Trace(path).append("round", {"n": 1, "who": "é\u2028\n"}, "round:1")
    line = json.loads(path.read_bytes())
    assert list(line) == ["v", "seq", "time", "attempt", "kind", "key", "data"]
    (event,) = read(path)
    assert (event.v, event.seq, event.attempt) == (SCHEMA_VERSION, 1, 1)
    assert (event.kind, event.key, event.data) == ("round", "round:1", {"n": 1, "who": "é\u2028\n"})
    assert event.time.endswith("+00:00")


def test_opening_and_reading_write_nothing(path: Path) -> None:
    assert list(Trace(path)) == list(read(path)) == []
    assert not path.exists()


def test_a_resumed_process_repeats_nothing(path: Path) -> None:
    first = Trace(path)
    first.append("a", {}, "1")
    first.append("a", {"other": 1}, "1")
    second = Trace(path)
    second.append("a", {}, "1")
    second.append("b", {}, "2")
    first.append("b", {}, "2")
    assert [(e.seq, e.key, e.attempt) for e in read(path)] == [(1, "1", 1), (2, "2", 2)]


@pytest.mark.parametrize("cut", [1, 2, 20, 60])
def test_a_torn_last_line_costs_only_itself(path: Path, cut: int) -> None:
    trace = Trace(path)
    for key in "abc":
        trace.append("k", {"text": "é"}, key)
    path.write_bytes(path.read_bytes()[:-cut])
    whole = ["a", "b"] if cut > 1 else ["a", "b", "c"]
    assert [e.key for e in read(path)] == whole
    resumed = Trace(path)
    resumed.append("k", {"text": "é"}, "c")
    resumed.append("k", {}, "d")
    assert [e.key for e in read(path)] == ["a", "b", "c", "d"]
    assert [e.seq for e in read(path)] == [1, 2, 3, 4]


@given(st.data())
def test_wherever_it_is_torn_the_rest_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("t") / "trace.jsonl"
    line = b'{"v":1,"seq":%d,"time":"t","attempt":1,"kind":"k","key":"k%d","data":{"a":"\xc3\xa9"}}\n'
    raw = line % (1, 1) + line % (2, 2)
    cut = data.draw(st.integers(0, len(raw)))
    path.write_bytes(raw[:cut])
    Trace(path).append("k", {}, "end")
    whole = [n for n, end in ((1, len(raw) // 2), (2, len(raw))) if cut >= end - 1]
    assert [e.key for e in read(path)] == [*(f"k{n}" for n in whole), "end"]


def test_a_newer_line_is_refused_with_what_to_do(path: Path) -> None:
    Trace(path).append("k", {}, "a")
    newer = {"v": SCHEMA_VERSION + 1, "event": "something else"}
    with path.open("a") as file:
        file.write(json.dumps(newer) + "\n")
    with pytest.raises(StoreError, match=r"line 2: trace version 2.*newer preceptor"):
        list(read(path))
    with pytest.raises(StoreError, match="trace version 2"):
        Trace(path).append("k", {}, "b")


def test_a_line_that_is_no_event_is_refused(path: Path) -> None:
    path.write_text('{"v":1,"note":"the patient denies pain"}\n')
    with pytest.raises(StoreError, match="line 1: not an event") as caught:
        list(read(path))
    assert "pain" not in str(caught.value)


def test_an_unknown_kind_of_event_is_read(path: Path) -> None:
    Trace(path).append("invented-later", {"deep": [{"x": None}]}, "a")
    assert next(read(path)).kind == "invented-later"


def test_two_runs_are_compared_without_clock_and_attempt(path: Path) -> None:
    def write(target: Path, seconds: float) -> list[dict[str, JsonValue]]:
        data: dict[str, JsonValue] = {
            "seconds": seconds,
            "score": 0.5,
            "spent": {"wall_seconds": seconds, "dollars": 1.0},
            "parts": [{"duration": seconds, "n": 1}],
        }
        Trace(target).append("k", data, "a")
        return committed(read(target))

    once, twice = write(path, 1.0), write(path.with_name("other"), 2.0)
    assert once == twice
    assert once == [
        {
            "seq": 1,
            "kind": "k",
            "key": "a",
            "data": {"score": 0.5, "spent": {"dollars": 1.0}, "parts": [{"n": 1}]},
        }
    ]


def test_several_processes_write_an_event_once_and_in_one_order(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from preceptor.core.trace import Trace\n"
        "trace = Trace(Path(sys.argv[1]))\n"
        "for i in range(60): trace.append('k', {}, f'k{i}')"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    events = list(read(path))
    assert [event.key for event in events] == [f"k{i}" for i in range(60)]
    assert [event.seq for event in events] == list(range(1, 61))
