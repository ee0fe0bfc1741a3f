"""The voter ``teacher``: asked as a student is, through gate, ledger and cache, alone or in batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.agents.batch.service import Service
from preceptor.agents.batch.slips import Slips
from preceptor.agents.batch.watch import Watch
from preceptor.agents.servers.batches import Course
from preceptor.agents.servers.openai import OpenAIServer, completion, from_schema, tool_call
from preceptor.agents.servers.scripted import Body, Response, Trouble
from preceptor.cli import main
from preceptor.core import egress
from preceptor.core.errors import BudgetStop, InputError, Interrupted
from preceptor.core.fields import object_schema
from preceptor.core.ledger import Budget
from preceptor.core.ports import Evidence
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.core.render import messages
from preceptor.core.settings import LabellerSettings, Settings
from preceptor.evals import splits
from preceptor.evals.task import Task
from preceptor.graphs import labelling, leaving, moves, refine, weak, wiring
from preceptor.graphs.labelling import Labeller
from preceptor.graphs.retrieval import Retrievers
from preceptor.graphs.session import Limits, Session
from preceptor.graphs.state import RunState
from preceptor.tools.distill.weak import read as read_labels
from tests.contracts.evidence import blind, evidence_of
from tests.graphs import private, small

NOTES = 12
AT_ONCE = Course(states=())
PRICES: dict[str, dict[str, JsonValue]] = {"openai:*": {"input": 1.0, "output": 2.0, "batch": 0.5}}


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as made:
        made.script_batches(*[AT_ONCE] * 9)
        yield made


def _more(whole: Task, text: str) -> Task:
    more = [Example(id=f"u{i}", group=f"q{i}", text=text.format(i)) for i in range(NOTES)]
    return whole.model_copy(update={"examples": (*whole.examples, *more)})


def task() -> Task:
    """Return the small task with notes that nobody has labelled."""
    return _more(small.task(), "He was burning up, seen on day {}.")


def private_task() -> Task:
    """Return the task whose notes name persons, with such notes that nobody has labelled."""
    text = "Mrs. Ottilie Fairweather, MRN 8877{0:03d}, was burning up. Dr. Ebersbacher heard hacking."
    return _more(private.task(), text)


OPTIONS = small.OPTIONS.model_copy(update={"task": "tests.graphs.test_labelling:task"})


def options_for(server: OpenAIServer, **update: object) -> wiring.Options:
    return OPTIONS.model_copy(update={"teacher": f"openai:big@{server.base_url}", **update})


def settings_for(server: OpenAIServer, batch: str = "never", **update: object) -> Settings:
    given = {"batch": batch, "batch_url": server.base_url, **update}
    return Settings(labeller=LabellerSettings.model_validate(given), prices=dict(PRICES))


def evidence(whole: Task) -> Evidence:
    shown = splits.make(whole).examples(whole, "train")[:10]
    return evidence_of(tuple(shown), blind, Recipe(model=ModelRef(spec="simulated")), whole.fields)


def unlabelled(whole: Task) -> list[Example]:
    return [e for e in whole.examples if e.gold is None]


def voter(session: Session, settings: Settings, options: wiring.Options) -> Labeller:
    drawn = session.splits
    gate = leaving.gate_of(session.store.path, settings, session.task, drawn)
    place = labelling.Place(
        task=session.task,
        allowed=frozenset((*drawn.train, *drawn.unlabelled)),
        options=options,
        chosen=settings.labeller,
        gate=gate,
        cache=session.store.cache,
        ledger=session.ledger,
        retrievers=Retrievers(session.store.artefacts.get),
        folder=session.store.path / "batches",
        cancel=session.cancel,
        heard=lambda _: None,
    )
    return Labeller(place, Watch(session.cancel, lambda _: None))


@contextmanager
def opened(
    root: Path, options: wiring.Options, settings: Settings
) -> Iterator[tuple[Session, Labeller]]:
    with wiring.create(options, root, "run", settings) as session:
        labeller = voter(session, settings, options)
        yield session, labeller
        labeller.close()


@pytest.mark.parametrize("batch", ["never", "always"])
def test_it_is_asked_as_the_student_is_and_booked(
    server: OpenAIServer, tmp_path: Path, batch: str
) -> None:
    options = options_for(server)
    with opened(tmp_path, options, settings_for(server, batch)) as (session, labeller):
        seen, notes = evidence(session.task), unlabelled(session.task)
        votes = labeller(seen, notes)
        spent = session.ledger.spent()
        sent = [json.loads(r.raw) for r in server.requests if r.path == "/v1/chat/completions"]
        if batch == "always":
            (content,) = [c for _, purpose, c in _uploads(server)]
            sent = [json.loads(line)["body"] for line in content.splitlines()]
        assert len(sent) == NOTES * 3
        field = session.task.fields[0]
        wanted = messages(seen.recipe, (field,), notes[0])
        (asked,) = [
            b for b in sent if b["messages"] == [{"role": m.role, "content": m.content} for m in wanted]
        ]
        assert asked["response_format"]["json_schema"] == {
            "name": "answer", "strict": True, "schema": object_schema((field,)),
        }  # fmt: skip
        assert all(v.values == {"fever": "no", "cough": "no", "rash": "no"} for v in votes)
        assert spent["student_calls"] == 0
        assert spent["teacher_tokens"] > NOTES * 3
        assert session.ledger.unknown() == {}
        again = len(server.requests)
        assert [v.values for v in labeller(seen, notes)] == [v.values for v in votes]
        assert len(server.requests) == again, "what was answered comes from the cache"
        assert session.ledger.spent() | {"wall_seconds": 0} == spent | {"wall_seconds": 0}


def _uploads(server: OpenAIServer) -> list[tuple[str, str, bytes]]:
    kept = [r for r in server.requests if (r.method, r.path) == ("POST", "/v1/files")]
    from preceptor.agents.servers.batches import _form

    return [(f["file"][0], f["purpose"][1].decode(), f["file"][1]) for f in map(_form, kept)]


def test_a_batch_costs_half(server: OpenAIServer, tmp_path: Path) -> None:
    dollars = {}
    for batch in ("never", "always"):
        with opened(tmp_path / batch, options_for(server), settings_for(server, batch)) as (s, v):
            v(evidence(s.task), unlabelled(s.task))
            dollars[batch] = s.ledger.spent()["dollars"]
    assert dollars["never"] > 0
    assert dollars["always"] == pytest.approx(dollars["never"] / 2)


@pytest.mark.parametrize(("least", "batches"), [(NOTES * 3, 1), (NOTES * 3 + 1, 0)])
def test_by_itself_it_takes_a_batch_for_many(
    server: OpenAIServer, tmp_path: Path, least: int, batches: int
) -> None:
    settings = settings_for(server, "auto", batch_from=least)
    with opened(tmp_path, options_for(server), settings) as (session, labeller):
        labeller(evidence(session.task), unlabelled(session.task))
    assert len(server.counter.batches) == batches


def test_where_there_is_no_batch_endpoint_none_is_used(server: OpenAIServer, tmp_path: Path) -> None:
    settings = settings_for(server, "auto", batch_from=1, batch_url="")
    with opened(tmp_path, options_for(server), settings) as (session, labeller):
        labeller(evidence(session.task), unlabelled(session.task))
    assert server.counter.kinds == []
    assert labelling.has_batches("openai:gpt-4o", LabellerSettings())
    assert not labelling.has_batches("ollama:llama3", LabellerSettings(batch_url="http://x/v1"))
    with pytest.raises(InputError, match="no batch endpoint is known for"):
        wiring.create(
            options_for(server),
            tmp_path,
            "other",
            settings_for(server, "always", batch_url=""),
        ).__enter__()
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("batch", ["never", "always"])
def test_missing_usage_is_unknown(tmp_path: Path, batch: str) -> None:
    def silent(body: Body) -> Body:
        said = from_schema(body)
        del said["usage"]
        return said

    with OpenAIServer(iter(lambda: silent, None)) as server:
        server.script_batches(AT_ONCE)
        with opened(tmp_path, options_for(server), settings_for(server, batch)) as (s, v):
            assert all(vote.values for vote in v(evidence(s.task), unlabelled(s.task)))
            assert set(s.ledger.unknown()) == {"teacher_tokens", "dollars"}
            assert s.ledger.spent()["dollars"] > 0, "what was reserved stays counted"


@pytest.mark.parametrize("batch", ["never", "always"])
def test_what_does_not_fit_the_budget_is_not_asked(
    server: OpenAIServer, tmp_path: Path, batch: str
) -> None:
    options = options_for(server, budget=Budget(teacher_tokens=100))
    with opened(tmp_path, options, settings_for(server, batch)) as (session, labeller):
        with pytest.raises(BudgetStop):
            labeller(evidence(session.task), unlabelled(session.task))
        assert session.ledger.spent()["teacher_tokens"] == 0
    assert server.asked == []
    assert server.counter.kinds == []


def test_no_dev_or_test_note_is_asked_about(server: OpenAIServer, tmp_path: Path) -> None:
    with opened(tmp_path, options_for(server), settings_for(server)) as (session, labeller):
        for part in ("dev", "test"):
            notes = session.examples(session.splits.ids(part)[:1])
            with pytest.raises(InputError, match="sees no dev or test note"):
                labeller(evidence(session.task), notes)
    assert server.asked == []


@pytest.mark.parametrize("batch", ["never", "always"])
def test_what_leaves_is_redacted_logged_and_mapped_back(
    server: OpenAIServer, tmp_path: Path, batch: str
) -> None:
    far = server.base_url.replace("127.0.0.1", "127.1")
    options = OPTIONS.model_copy(
        update={"task": "tests.graphs.test_labelling:private_task", "teacher": f"openai:big@{far}"}
    )
    settings = settings_for(server, batch, batch_url=far)
    with opened(tmp_path, options, settings) as (session, labeller):
        votes = labeller(evidence(session.task), unlabelled(session.task))
    assert all(vote.values for vote in votes)
    sent = b"".join(r.raw for r in server.requests).decode()
    assert "burning up" in sent
    assert [s for s in private.SECRETS if s in sent] == []
    assert "u1" not in {w.strip('"') for w in sent.split()}, "no id of a note"
    lines = list(egress.read(tmp_path / "run/egress.jsonl"))
    assert {(line.what, line.policy, line.allowed) for line in lines} == {
        ("labeller", "redacted", True)
    }
    assert len(lines) == (1 if batch == "always" else NOTES * 2)


def test_under_local_only_a_remote_labeller_is_refused_before_a_run_is_made(tmp_path: Path) -> None:
    settings = Settings(
        egress="local-only", labeller=LabellerSettings(model="openai:big@http://far/v1")
    )
    options = wiring.options(settings, {"task": OPTIONS.task, "student": "simulated"})
    with pytest.raises(InputError, match="nothing is sent to 'far'"):
        wiring.create(options, tmp_path, "run", settings).__enter__()
    assert not (tmp_path / "run").exists()
    nonsense = options.model_copy(update={"labeller": "rules"})
    with pytest.raises(InputError, match=r"labeller\.model: no chat model 'rules'"):
        wiring.create(nonsense, tmp_path, "run", settings).__enter__()


def test_a_few_lines_that_failed_are_asked_one_by_one(server: OpenAIServer, tmp_path: Path) -> None:
    failing = {4: Response.of({"error": {"code": "server_error"}}, 500)}
    server.script_batches(Course(states=(), lines=failing))
    with opened(tmp_path, options_for(server), settings_for(server, "always")) as (session, labeller):
        votes = labeller(evidence(session.task), unlabelled(session.task))
        assert all(len(vote.values) == 3 for vote in votes)
    assert len(server.asked) == 3, "one note"


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_many_lines_without_an_answer_are_no_votes_and_the_rest_counts(
    server: OpenAIServer, tmp_path: Path, end: str
) -> None:
    server.script_batches(Course(states=(), end=end, answered=6), AT_ONCE)
    with opened(tmp_path, options_for(server), settings_for(server, "always")) as (session, labeller):
        seen, notes = evidence(session.task), unlabelled(session.task)
        labeller.ahead(seen, notes)
        votes = labeller(seen, notes)
        assert [bool(v.values) for v in votes] == [True] * 2 + [False] * 10
        assert server.asked == []
        assert len(server.counter.batches) == 1, "not asked again within one look"
        labeller.ahead(seen, notes)
        assert all(v.values for v in labeller(seen, notes))
    assert [b["request_counts"]["total"] for b in server.counter.batches] == [36, 30]  # type: ignore[call-overload, index]


@pytest.mark.parametrize("batch", ["never", "always"])
def test_a_server_that_answers_html_is_told_to_the_teacher_in_one_line(
    server: OpenAIServer, tmp_path: Path, batch: str
) -> None:
    page = Response(b"<html>Sign in</html>", type="text/html")
    server._troubles = iter([Trouble(page)] * 99)
    server.script_batches(before={"upload": [Trouble(page)]})
    with opened(tmp_path, options_for(server), settings_for(server, batch)) as (session, labeller):
        with pytest.raises(InputError, match="voter 'teacher': "):
            labeller(evidence(session.task), unlabelled(session.task))
        left = session.ledger.spent()["teacher_tokens"]
        assert (left == 0) is (batch == "always")


def _scripted(body: Body) -> Body:
    """Answer as the teacher where tools are offered, and as a labeller else."""
    if not body.get("tools"):
        return from_schema(body)
    said = body["messages"]
    assert isinstance(said, list)
    if any(isinstance(m, dict) and m.get("role") == "tool" for m in said):
        return completion(calls=[tool_call("finish", {"reason": "labelled"}, "c2")])
    args: Body = {"voters": ["teacher"], "notes": 8}
    return completion(calls=[tool_call("label_examples", args, "c1")])


@pytest.fixture
def chatting(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A server that teaches and labels; the simulated student passes for one that can be trained."""
    monkeypatch.setattr(moves, "untrainable", lambda *_: None)
    with OpenAIServer(iter(lambda: _scripted, None)) as made:
        made.script_batches(*[AT_ONCE] * 9)
        yield made


def test_in_a_run_the_labels_are_kept_for_the_move_that_names_them(
    chatting: OpenAIServer, tmp_path: Path
) -> None:
    settings = settings_for(chatting, "always")
    options = options_for(chatting, limits=Limits(rounds=1))
    with wiring.create(options, tmp_path, "run", settings) as session:
        state = refine.run(session)
        assert state["stop"] == "finished"
        named = _labels_hash(session, state)
        made = read_labels(session.store.artefacts.get(named))
        assert made.voters == ("teacher",)
        assert len(made.notes) == 8
        found = weak.reader(session.store.artefacts.get, session.task, session.splits)(named)
        assert found.labels == made
    assert len(chatting.counter.batches) == 1, "labelled and shown notes go in one batch"
    assert chatting.counter.files == {}


def _labels_hash(session: Session, state: RunState) -> str:
    (answer,) = [m for m in session.get_list(state["transcript"]) if m.get("type") == "tool"]
    data = answer["data"]
    assert isinstance(data, dict)
    return str(data["content"]).split()[2].rstrip(":")


@pytest.mark.parametrize("where", ["created", "fetched"])
def test_after_kill_9_the_run_takes_up_its_batch_and_pays_once(
    chatting: OpenAIServer, tmp_path: Path, where: str
) -> None:
    settings = settings_for(chatting, "always")
    options = options_for(chatting, limits=Limits(rounds=1))
    kind = {"created": "create", "fetched": "content"}[where]
    whole = getattr(Service, kind)

    def work() -> None:
        def fatal(*args: object) -> None:
            whole(*args)
            small.die()

        setattr(Service, kind, fatal)
        with wiring.create(options, tmp_path, "run", settings) as session:
            refine.run(session)

    assert small.in_child(work) == -9
    (slip,) = Slips(tmp_path / "run/batches").all()
    assert not slip.closed
    with wiring.reopen(tmp_path / "run", settings) as session:
        refine.run(session)
        once = session.ledger.spent()["dollars"]
        assert session.ledger.assumed() == {}
    assert len(chatting.counter.batches) == 1
    with wiring.create(options, tmp_path, "straight", settings) as session:
        refine.run(session)
        assert session.ledger.spent()["dollars"] == pytest.approx(once)


def test_a_person_who_stops_leaves_the_batch_and_resume_waits_for_it(
    chatting: OpenAIServer, tmp_path: Path
) -> None:
    chatting.script_batches(Course(states=("in_progress",)))
    settings = settings_for(chatting, "always")
    with wiring.create(
        options_for(chatting, limits=Limits(rounds=1)), tmp_path, "run", settings
    ) as session:
        assert isinstance(session.cancel, wiring.Cancel)
        cancel = session.cancel
        look = chatting.counter._look

        def stopping(name: str) -> Response:
            cancel.asked = True
            return look(name)

        chatting.counter._look = stopping  # type: ignore[method-assign]
        with pytest.raises(Interrupted, match="goes on at"):
            refine.run(session)
    with wiring.reopen(tmp_path / "run", settings) as session:
        assert refine.run(session)["stop"] == "finished"
    assert len(chatting.counter.batches) == 1


def test_a_resumed_process_that_would_redact_otherwise_finds_its_batch(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = server.base_url.replace("127.0.0.1", "127.1")
    options = OPTIONS.model_copy(
        update={"task": "tests.graphs.test_labelling:private_task", "teacher": f"openai:big@{far}"}
    )
    settings = settings_for(server, "always", batch_url=far)
    with monkeypatch.context() as patched:
        patched.setattr(Service, "look", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with opened(tmp_path, options, settings) as (session, labeller):
            notes = unlabelled(session.task)
            with pytest.raises(KeyboardInterrupt):
                labeller(evidence(session.task), notes)
    (tmp_path / "run/pseudonyms.jsonl").unlink()
    with wiring.reopen(tmp_path / "run", settings) as session:
        again = voter(session, settings, options)
        again(evidence(session.task), notes)
        again.close()
    assert len(server.counter.batches) == 1
    assert len(list(egress.read(tmp_path / "run/egress.jsonl"))) == 1, "sent once, logged once"


def test_a_person_sees_the_batches_of_a_run_and_stops_them(
    chatting: OpenAIServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chatting.script_batches(Course(states=("in_progress",) * 99, answered=9))
    settings = settings_for(chatting, "always")

    def work() -> None:
        setattr(Service, "look", lambda *_: small.die())  # noqa: B010
        options = options_for(chatting, limits=Limits(rounds=1))
        with wiring.create(options, tmp_path, "run", settings) as session:
            refine.run(session)

    assert small.in_child(work) == -9
    where = ["runs", "batches", str(tmp_path / "run")]
    assert main([*where, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["batch"], told["status"], told["closed"]) == ("batch_1", "validating", False)
    assert main([*where, "--cancel"]) == 0
    assert "cancelling" in capsys.readouterr().out
    with wiring.reopen(tmp_path / "run", settings) as session:
        assert refine.run(session)["stop"] == "finished"
    assert chatting.counter.batches[0]["status"] == "cancelled"
    assert main([*where, "--cancel"]) == 0
    assert capsys.readouterr().out == "nothing to stop\n"


def test_the_paid_voter_labels_only_if_it_is_named(server: OpenAIServer, tmp_path: Path) -> None:
    with opened(tmp_path, options_for(server), settings_for(server)) as (session, labeller):
        from preceptor.graphs import training
        from preceptor.tools.distill.label import LabelExamplesArgs

        guard = training.guard(session.task, session.splits)
        tool = weak.labeller(session.task, session.splits, guard, None, labeller)
        assert tool is not None
        assert "only if named, since they cost money: teacher" in tool.description
        tool.run(LabelExamplesArgs(notes=8), evidence(session.task))
        assert server.asked == []
        result = tool.run(LabelExamplesArgs(notes=8, voters=("teacher",)), evidence(session.task))
        assert len(server.asked) == (8 + 10) * 3
        assert "by teacher" in result.text
