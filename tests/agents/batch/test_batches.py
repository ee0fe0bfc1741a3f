"""Batches over real HTTP with the real client: results, bad endings, and dying in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

from preceptor.agents.batch import lines
from preceptor.agents.batch.desk import LOST_AFTER, Desk, Patience
from preceptor.agents.batch.lines import Limits
from preceptor.agents.batch.service import Service
from preceptor.agents.batch.slips import Slips
from preceptor.agents.batch.student import BatchStudent
from preceptor.agents.batch.watch import Watch
from preceptor.agents.servers.batches import Course
from preceptor.agents.servers.openai import OpenAIServer, completion
from preceptor.agents.servers.scripted import Body, Response, Trouble
from preceptor.agents.students import StudentOptions
from preceptor.agents.students.openai import OpenAIStudent
from preceptor.agents.students.retry import Backoff
from preceptor.core.errors import Interrupted, StudentError
from preceptor.core.records import Call, Reply
from tests.contracts.student import EXAMPLES, SECRET, calls_about
from tests.hostile.tls import openssl, self_signed

GOOD = '{"pain": "present"}'
HTML = Response(b"<html><h1>Sign in</h1></html>", type="text/html")


class Clock:
    """Time that passes only in waits."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with OpenAIServer() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., BatchStudent]


@pytest.fixture
def make(server: OpenAIServer, tmp_path: Path, clock: Clock) -> Make:
    """Return what makes a student as a new process would: same server, same folder."""

    def made(
        cancel: Callable[[], bool] = lambda: False, hours: float = 26.0, limits: Limits | None = None
    ) -> BatchStudent:
        student = OpenAIStudent("scripted", server.url, StudentOptions(timeout=5.0, retries=1))
        watch = Watch(cancel, clock.sleep)
        service = Service(student.client, Backoff(2), watch)
        desk = Desk(service, Slips(tmp_path / "batches", clock), watch, Patience(hours=hours))
        return BatchStudent(student, desk, None, limits or Limits())

    return made


def calls() -> list[Call]:
    return calls_about(EXAMPLES)


def by_status(replies: list[Reply]) -> dict[str, int]:
    return {s: sum(r.status == s for r in replies) for s in {r.status for r in replies}}


def test_answers_come_back_to_their_calls_and_ask_the_same_as_one_by_one(
    server: OpenAIServer, make: Make
) -> None:
    student = make()
    asked = calls()
    replies = list(student.complete(asked))
    assert [r.key for r in replies] == [c.key for c in asked]
    direct = {r.key: r for r in student.student.complete(asked)}
    for reply in replies:
        alone = direct[reply.key]
        assert (reply.raw, reply.status) == (alone.raw, alone.status)
        assert (reply.prompt_tokens, reply.completion_tokens) == (
            alone.prompt_tokens,
            alone.completion_tokens,
        )
    name, purpose, content = server.counter.files["file-1"]
    sent = [json.loads(line) for line in content.splitlines()]
    assert (purpose, name.startswith("preceptor-")) == ("batch", True)
    assert sent[0]["url"] == "/v1/chat/completions"
    assert sent[0]["body"] in server.asked
    assert not any(note.id in json.dumps([line["custom_id"] for line in sent]) for note in EXAMPLES)
    assert server.counter.batches[0]["completion_window"] == "24h"


def test_the_servers_copies_go_once_the_results_are_kept(server: OpenAIServer, make: Make) -> None:
    student = make()
    list(student.complete(calls()))
    assert len(server.counter.files) == 2
    assert not student.under_way
    student.close_books()
    assert server.counter.files == {}
    assert all(slip.closed for slip in student.desk.slips.all())


def test_too_many_requests_for_one_batch_are_split(server: OpenAIServer, make: Make) -> None:
    asked = calls()
    student = make(limits=Limits(requests=4))
    assert [r.key for r in student.complete(asked)] == [c.key for c in asked]
    assert len(server.counter.batches) == -(-len(asked) // 4)
    kinds = server.counter.kinds
    assert kinds.index("look") > len(kinds) - 1 - kinds[::-1].index("create"), "all are handed in first"


@pytest.mark.parametrize(
    ("sizes", "limits", "cut"),
    [
        ([], Limits(), []),
        ([1] * 5, Limits(2, 99), [(0, 2), (2, 4), (4, 5)]),
        ([3, 3, 3], Limits(9, 6), [(0, 2), (2, 3)]),
        ([9, 1], Limits(9, 6), [(0, 1), (1, 2)]),
    ],
)
def test_parts(sizes: list[int], limits: Limits, cut: list[tuple[int, int]]) -> None:
    assert list(lines.parts(sizes, limits)) == cut


def test_the_published_limits_hold() -> None:
    assert (lines.MOST_REQUESTS, lines.MOST_BYTES) == (50_000, 200_000_000)
    assert Limits().size < lines.MOST_BYTES


def test_single_lines_may_fail(server: OpenAIServer, make: Make) -> None:
    long: Body = {"error": {"code": "context_length_exceeded", "message": SECRET}}
    server.script_batches(
        Course(
            lines={
                0: Trouble.status(500).response or HTML,
                1: Response.of({"error": {"code": "rate_limit", "message": SECRET}}, 429),
                2: Response.of({"ok": True}),
                3: Response.of(long, 400),
                4: Response.of(completion(GOOD, usage=None)),
                5: HTML,
            },
            tail=b'{"custom_id": "nobody", "response": null}\nno json\n[1]\n{"custom_id": "r6"',
        )
    )
    replies = list(make().complete(calls()))
    assert [r.status for r in replies[:6]] == [
        "failed", "failed", "failed", "truncated", "ok", "failed",
    ]  # fmt: skip
    assert {r.status for r in replies[6:]} == {"ok"}
    assert (replies[4].prompt_tokens, replies[4].completion_tokens) == (None, None)
    assert "rate_limit" in replies[1].error
    assert SECRET not in "".join(r.error for r in replies)


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_a_batch_that_ends_early_gives_what_it_has(server: OpenAIServer, make: Make, end: str) -> None:
    server.script_batches(Course(end=end, answered=4))
    student = make()
    replies = list(student.complete(calls()))
    assert [r.status for r in replies[:4]] == ["ok"] * 4
    assert {r.status for r in replies[4:]} == {"failed"}
    assert list(student.closed_early.values()) == [end]


def test_a_refused_batch_says_its_code_and_the_next_try_is_a_new_one(
    server: OpenAIServer, make: Make
) -> None:
    server.script_batches(Course(end="failed", code="token_limit_exceeded"))
    with pytest.raises(StudentError, match=r"refused the batch: token_limit_exceeded.*labeller\.batch"):
        list(make().complete(calls()))
    assert by_status(list(make().complete(calls()))) == {"ok": len(calls())}
    assert [b["status"] for b in server.counter.batches] == ["failed", "completed"]


def test_of_two_batches_one_may_be_refused(server: OpenAIServer, make: Make) -> None:
    server.script_batches(Course(), Course(end="failed"))
    replies = list(make(limits=Limits(requests=5)).complete(calls()))
    assert [r.status for r in replies[:5]] == ["ok"] * 5
    assert {r.status for r in replies[5:]} == {"failed"}


@pytest.mark.parametrize("kind", ["upload", "create", "look", "content", "list", "files"])
@pytest.mark.parametrize(
    "trouble",
    [Trouble.status(429, retry_after="7"), Trouble.status(503), Trouble(drop=True)],
    ids=["429", "503", "dropped"],
)
def test_passing_trouble_is_waited_out_and_nothing_is_handed_in_twice(
    server: OpenAIServer, make: Make, clock: Clock, kind: str, trouble: Trouble
) -> None:
    server.script_batches(before={kind: [trouble]}, after={"create": [Trouble(drop=True)]})
    assert by_status(list(make().complete(calls()))) == {"ok": len(calls())}
    assert len(server.counter.batches) == 1
    if trouble.response is not None and trouble.response.headers and kind != "files":
        assert sum(clock.waits) >= 7, "Retry-After is obeyed"


@pytest.mark.parametrize(
    "lost",
    [Trouble(drop=True), Trouble.status(502), Trouble.status(500)],
    ids=["dropped", "502", "500"],
)
def test_a_batch_whose_creation_was_not_confirmed_is_found(
    server: OpenAIServer, make: Make, lost: Trouble
) -> None:
    server.script_batches(after={"create": [lost]})
    assert by_status(list(make().complete(calls()))) == {"ok": len(calls())}
    assert len(server.counter.batches) == 1
    assert "list" in server.counter.kinds


class Killed(BaseException):
    """Ends everything, as ``kill -9`` does: nothing is written down after it."""


def _dying_at(student: BatchStudent, kind: str, after: bool) -> None:
    """Make the process die right before, or right after, one request of this kind."""
    service = student.desk.service
    whole = getattr(service, kind)

    def die(*args: object) -> object:
        if after:
            whole(*args)
        raise Killed

    setattr(service, kind, die)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["upload", "create", "look", "content"])
def test_whenever_it_dies_the_same_batch_is_taken_up(
    server: OpenAIServer, make: Make, kind: str, after: bool
) -> None:
    dying = make()
    _dying_at(dying, kind, after)
    name = dying.name(calls())
    with pytest.raises(Killed):
        list(dying.complete(calls()))
    again = make()
    assert again.name(calls()) == name, "the claim in the ledger keeps its name"
    assert by_status(list(again.complete(calls()))) == {"ok": len(calls())}
    assert len(server.counter.batches) == 1
    assert server.counter.kinds.count("upload") == 1


def test_other_work_is_another_batch(server: OpenAIServer, make: Make) -> None:
    list(make().complete(calls()))
    list(make().complete(calls()[:3]))
    assert len(server.counter.batches) == 2


def test_a_person_may_leave_and_come_back(server: OpenAIServer, make: Make, clock: Clock) -> None:
    server.script_batches(Course(states=("in_progress",) * 9))
    with pytest.raises(Interrupted, match=r"goes on at '127\.0\.0\.1'.*runs batches RUN --cancel"):
        list(make(cancel=lambda: len(clock.waits) > 30).complete(calls()))
    assert server.counter.batches[0]["status"] == "in_progress"
    assert by_status(list(make().complete(calls()))) == {"ok": len(calls())}
    assert len(server.counter.batches) == 1


def test_after_the_time_limit_it_is_told_to_stop_and_what_it_has_is_kept(
    server: OpenAIServer, make: Make, clock: Clock
) -> None:
    server.script_batches(Course(states=("in_progress",) * 10_000, answered=3))
    replies = list(make(hours=0.5).complete(calls()))
    assert by_status(replies) == {"ok": 3, "failed": len(calls()) - 3}
    assert server.counter.kinds.count("cancel") == 1
    assert 1800 <= sum(clock.waits) <= 1800 + 120


def test_looks_become_rarer(server: OpenAIServer, make: Make, clock: Clock) -> None:
    server.script_batches(Course(states=("in_progress",) * 40))
    list(make().complete(calls()))
    assert server.counter.kinds.count("look") == 41
    assert 60 * 30 < sum(clock.waits) < 60 * 41


OTHER, BROKEN = Response.of({"ok": True}), Response(b"not json")


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        *((kind, page) for kind in ("upload", "create", "look") for page in (HTML, OTHER, BROKEN)),
        ("content", HTML),
        ("content", BROKEN),
    ],
)
def test_a_web_page_is_no_batch_api(
    server: OpenAIServer, make: Make, kind: str, page: Response
) -> None:
    server.script_batches(before={kind: [Trouble(page)] * 9})
    with pytest.raises(StudentError, match=r"something that is no batch API.*labeller\.batch"):
        list(make().complete(calls()))
    server.script_batches()


@pytest.mark.parametrize("status", [401, 403])
def test_no_access_is_told_at_once(server: OpenAIServer, make: Make, status: int) -> None:
    server.script_batches(before={"upload": [Trouble.status(status)] * 9})
    with pytest.raises(StudentError, match=f"refused access .status {status}.*OPENAI_API_KEY"):
        list(make().complete(calls()))
    assert server.counter.kinds == ["upload"]


def test_a_server_that_is_gone_for_long_loses_nothing(
    server: OpenAIServer, make: Make, clock: Clock
) -> None:
    server.script_batches(before={"look": [Trouble.status(503)] * 3 * LOST_AFTER})
    with pytest.raises(StudentError, match="nothing is lost"):
        list(make().complete(calls()))
    assert by_status(list(make().complete(calls()))) == {"ok": len(calls())}
    assert len(server.counter.batches) == 1


def test_a_server_without_batches_says_so(server: OpenAIServer, make: Make) -> None:
    server.script_batches(before={"upload": [Trouble.status(404)]})
    with pytest.raises(StudentError, match=r"status 404.*labeller\.batch to 'never'"):
        list(make().complete(calls()))


def test_the_scripted_server_refuses_what_openai_refuses(server: OpenAIServer, make: Make) -> None:
    client = make().student.client
    line = {"custom_id": "a", "method": "POST", "url": lines.ENDPOINT, "body": {"model": "m"}}
    other = {**line, "custom_id": "b", "body": {"model": "n"}}
    wrong = [line, line, other, {**line, "custom_id": "c", "url": "/v1/embeddings"}]
    data = "".join(json.dumps(one) + "\n" for one in wrong).encode() + b"no json\n"
    file = client.files.create(file=("x.jsonl", data), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint=lines.ENDPOINT, completion_window="24h"
    )
    while made.status != "failed":
        made = client.batches.retrieve(made.id)
    assert made.errors is not None
    assert [e.code for e in made.errors.data or []] == [
        "duplicate_custom_id", "mismatched_model", "mismatched_url", "invalid_json_line",
    ]  # fmt: skip
    assert made.output_file_id is None


@openssl
def test_a_certificate_that_nobody_trusts_is_named_at_once(tmp_path: Path) -> None:
    with self_signed(tmp_path) as host:
        url, clock = f"{host}/v1", Clock()
        client = openai.OpenAI(api_key="none", base_url=url, max_retries=0, timeout=10)
        service = Service(client, Backoff(3), Watch(lambda: False, clock.sleep))
        for ask in (
            lambda: service.upload("x", b"{}"),
            lambda: service.create("file-1", "m", 0.0),
            lambda: service.look("batch_1"),
            lambda: service.content("file-2"),
        ):
            with pytest.raises(StudentError, match=r"'localhost' is not trusted .set SSL_CERT_FILE"):
                ask()
        with pytest.raises(StudentError, match=r"certificate is not trusted .set SSL_CERT_FILE"):
            OpenAIStudent("m", url, StudentOptions())
        assert clock.waits == []
