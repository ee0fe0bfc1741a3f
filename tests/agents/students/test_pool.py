"""Many calls to one server: what is abandoned ends, what fails alike stops, what is known is reused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from preceptor.agents.servers.ollama import OllamaServer
from preceptor.agents.servers.openai import OpenAIServer
from preceptor.agents.servers.scripted import ScriptedServer, Trouble
from preceptor.agents.servers.slots import SlotServer
from preceptor.agents.students import StudentOptions, make, pool
from preceptor.agents.students.lanes import Lanes
from preceptor.core import render
from preceptor.core.errors import StudentError
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.ports import Student
from preceptor.core.records import Call, Example, ModelRef, Recipe

Start = Callable[..., ScriptedServer]
KINDS = {"ollama": OllamaServer, "openai": OpenAIServer}


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Return what starts a server of either kind; all are closed in the end."""
    servers: list[ScriptedServer] = []

    def started(**options: object) -> ScriptedServer:
        servers.append(KINDS[request.param](**options))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


def student_of(server: ScriptedServer, **options: object) -> Student:
    kind = f"openai:scripted@{server.url}" if isinstance(server, OpenAIServer) else "ollama:scripted"
    given = {"parallel": 4, "retries": 0, **options}
    return make(ModelRef(spec=kind), options=StudentOptions(base_url=server.url, **given))  # type: ignore[arg-type]


def asked(notes: int, fields: int = 3, words: int = 8) -> list[Call]:
    specs: tuple[FieldSpec, ...] = tuple(
        LabelField(name=f"sign {i}", values=("present", "absent")) for i in range(fields)
    )
    recipe = Recipe(model=ModelRef(spec="any"))
    texts = [" ".join(f"word{(31 * n + k) % 977}" for k in range(words)) for n in range(notes)]
    made = [Example(id=f"n{n}", group=f"p{n}", text=text, gold={}) for n, text in enumerate(texts)]
    return [call for note in made for call in render.calls(recipe, specs, note)]


def rests(server: ScriptedServer, after: int) -> bool:
    """Wait until the server works on nothing and has given up ``after`` requests."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if server.working == 0 and server.abandoned == after:
            return True
        time.sleep(0.01)
    return False


def test_a_cancelled_batch_leaves_the_server_nothing_to_do(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "GRACE", 0.05)
    server = start(latency=60.0)
    assert list(student_of(server).complete(asked(9), lambda: server.working == 4)) == []
    assert rests(server, after=4)
    assert len(server.asked) == 4


def test_so_does_one_that_is_left_half_way(start: Start) -> None:
    server = start(troubles=[None, *[Trouble(delay=60.0)] * 99])
    student = student_of(server)
    replies = student.complete(asked(9))
    assert next(replies).status == "ok"
    replies.close()  # type: ignore[attr-defined]
    assert rests(server, after=len(server.asked) - 1)
    server.troubled(())
    assert {r.status for r in student.complete(asked(2))} == {"ok"}


def test_and_a_call_that_takes_too_long(start: Start) -> None:
    server = start(troubles=[Trouble(delay=60.0)])
    replies = list(student_of(server, timeout=0.3, parallel=1).complete(asked(1)))
    assert [r.status for r in replies] == ["failed", "ok", "ok"]
    assert "0.3 s (timeouts.student)" in replies[0].error
    assert rests(server, after=1)


def test_and_one_that_is_closed(start: Start) -> None:
    server = start(latency=60.0)
    student = student_of(server)
    with pytest.raises(StudentError, match="3 calls in a row"):
        list(student_of(server, timeout=0.2, parallel=1).complete(asked(3, fields=1)))
    student.close()
    assert rests(server, after=3)


def test_a_server_that_hangs_stops_the_chunk_and_names_the_setting(start: Start) -> None:
    server = start(latency=60.0)
    student = student_of(server, timeout=0.2, retries=4)
    with pytest.raises(StudentError, match=r"no answer within 0\.2 s \(timeouts\.student\)") as told:
        list(student.complete(asked(64)))
    assert "memory" in told.value.hint
    assert len(server.asked) <= 16, "a wave is asked twice; those behind it may have begun"
    assert rests(server, after=len(server.asked))


@pytest.mark.parametrize("trouble", [Trouble.status(500), Trouble.status(400)], ids=["500", "400"])
def test_a_server_that_answers_every_call_with_the_same_error(start: Start, trouble: Trouble) -> None:
    server = start(troubles=[trouble] * 999)
    with pytest.raises(StudentError, match=r"calls in a row failed in the same way: .* status") as told:
        list(student_of(server).complete(asked(64)))
    assert "memory" in told.value.hint
    assert 8 <= len(server.asked) <= 40, "of 192; one that refuses a schema is asked without it"


def test_one_bad_note_is_no_bad_server(start: Start) -> None:
    server = start(troubles=[Trouble.status(500)] * 12)
    replies = list(student_of(server).complete(asked(3, fields=12)))
    assert [r.status for r in replies].count("ok") == 24


def test_a_slow_server_that_answers_now_and_then_goes_on(start: Start) -> None:
    slow, fine = Trouble(delay=60.0), None
    server = start(troubles=[slow, slow, fine] * 9)
    replies = list(student_of(server, timeout=0.2, parallel=1).complete(asked(9)))
    assert [r.status for r in replies].count("ok") == 9


def test_connections_are_kept(start: Start) -> None:
    server = start(latency=0.01)
    student = student_of(server)
    before = server.connections
    for _ in range(3):
        assert {r.status for r in student.complete(asked(9))} == {"ok"}
    assert server.connections - before <= 4


def test_a_connection_that_the_server_closed_meanwhile_is_no_failure(start: Start) -> None:
    server = start()
    student = student_of(server)
    assert {r.status for r in student.complete(asked(3))} == {"ok"}
    server.hang_up()
    time.sleep(0.1)
    assert {r.status for r in student.complete(asked(3))} == {"ok"}


def test_a_proxy_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        student = make(ModelRef(spec="openai:scripted@http://model.invalid:8000"))
        student.close()
        assert [r.path for r in proxy.requests] == ["http://model.invalid:8000/v1/models"]


def test_a_lane_works_through_one_note_at_a_time() -> None:
    calls = asked(4, fields=3)
    lanes = Lanes(calls, width=2)
    order = [lanes.take(worker % 2) for worker in range(12)]
    by_worker = [[c.example_id for c in order[w::2] if c] for w in (0, 1)]
    assert by_worker == [["n0"] * 3 + ["n2"] * 3, ["n1"] * 3 + ["n3"] * 3]
    assert lanes.take(0) is None


def test_nobody_is_idle_while_one_note_is_left() -> None:
    lanes = Lanes(asked(1, fields=8), width=8)
    assert len({c.key for worker in range(8) if (c := lanes.take(worker))}) == 8


def test_one_lane_keeps_the_order_that_was_given() -> None:
    calls = asked(4)
    lanes = Lanes(calls, width=1)
    taken = [lanes.take(worker) for worker in range(12)]
    assert taken == calls
    assert all(a.example_id <= b.example_id for a, b in pairwise(c for c in taken if c))


@pytest.mark.parametrize("slots", [1, 3])
def test_a_server_with_slots_reads_a_note_once(slots: int) -> None:
    """What is read is each note once, and what each field's question has of its own."""
    calls = asked(9, fields=6, words=300)
    with SlotServer(slots, pace=5e-5, each=0.03) as server:
        assert len(list(student_of(server, parallel=8).complete(calls))) == len(calls)
        assert server.most_parallel == slots, "the others would wait in its queue, and mix the notes"
        assert server.read / server.given < 0.35, "each note six times would be all of it"
