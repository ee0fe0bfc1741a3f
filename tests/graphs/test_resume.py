"""After a kill at any point the resumed run is the run that was never killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.agents import students
from preceptor.core.ports import Student
from preceptor.core.records import AdapterRef, ModelRef
from preceptor.core.text import sentences
from preceptor.core.trace import committed, read
from preceptor.graphs import refine
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState
from tests.graphs.small import Dying, die, finished, in_child, opened


def outcome(root: Path) -> tuple[str, list[object]]:
    state, onward = refine.state_of(root / "run")
    assert onward == ()
    return state["incumbent"], list(committed(read(root / "run" / "trace.jsonl")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[object]]:
    root = tmp_path_factory.mktemp("whole")
    finished(root)
    return outcome(root)


def test_the_uninterrupted_run_does_something(whole: tuple[str, list[object]]) -> None:
    kinds = [event["kind"] for event in whole[1]]  # type: ignore[index]
    assert kinds.count("verdict") >= 2
    assert kinds[-1] == "report"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", list(refine.NODES))
def test_killed_at_a_node(
    name: str, when: str, tmp_path: Path, whole: tuple[str, list[object]]
) -> None:
    def killed() -> None:
        node = refine.NODES[name]

        def dying(session: Session, state: RunState) -> RunState:
            if when == "after":
                node(session, state)
            die()
            return {}

        refine.NODES[name] = dying
        finished(tmp_path)

    assert in_child(killed) == -9
    assert in_child(lambda: (finished(tmp_path), None)[1]) == 0
    assert outcome(tmp_path) == whole


@pytest.mark.parametrize("replies", [1, 40, 300])
def test_killed_inside_an_evaluation(
    replies: int, tmp_path: Path, whole: tuple[str, list[object]]
) -> None:
    def killed() -> None:
        make = students.make

        def dying(
            ref: ModelRef,
            adapter: AdapterRef | None = None,
            options: students.StudentOptions | None = None,
        ) -> Student:
            return Dying(make(ref, adapter, options), replies)

        students.make = dying
        finished(tmp_path)

    assert in_child(killed) == -9
    assert in_child(lambda: (finished(tmp_path), None)[1]) == 0
    assert outcome(tmp_path) == whole


def test_the_checkpoint_holds_no_note(tmp_path: Path) -> None:
    finished(tmp_path)
    stored = b"".join(p.read_bytes() for p in (tmp_path / "run").glob("checkpoint.sqlite*"))
    with opened(tmp_path) as session:
        texts = [e.text for e in session.task.examples]
    said = {sentence.encode() for text in texts for sentence in sentences(text)}
    long = [sentence for sentence in said if len(sentence) >= 20]
    assert len(long) > 40
    assert not [sentence for sentence in long if sentence in stored]
    assert len(stored) < 600_000
