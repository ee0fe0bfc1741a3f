"""Fine-tuning a student that Ollama serves: back to the server, through the gate, and asked there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import JsonValue

pytest.importorskip("torch")
pytest.importorskip("trl", reason="pip install preceptor[local]")

from preceptor.agents.publish import Publisher
from preceptor.agents.scripted import ScriptedTeacher
from preceptor.agents.servers.hosting import Created, Engine, Library
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.core import egress
from preceptor.core.egress import Egress
from preceptor.core.errors import InputError
from preceptor.core.ledger import Budget
from preceptor.core.ports import Evidence
from preceptor.core.records import ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.core.trace import Event, read
from preceptor.evals.report import Report
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import (
    bundle,
    comparing,
    curve,
    exporting,
    measuring,
    moves,
    refine,
    returned,
    returning,
    rollback,
    training,
    wiring,
)
from preceptor.graphs.session import Limits, Session
from preceptor.graphs.state import RunState
from preceptor.tools.sft import base
from preceptor.tools.sft.faces import IMPORTABLE
from preceptor.tools.sft.job import Job, Result
from preceptor.tools.sft.runner import Runner
from tests.agents.students import tiny
from tests.graphs import hosted, small

TASK = "tests.graphs.test_returning:task"
BASE = "base:1"
TUNE: dict[str, dict[str, JsonValue]] = {
    "fine_tune": {
        "change": {"epochs": 5, "rate": 0.01, "validation": 0, "patience": 0, "batch": 4},
        "recombined": 0,
    }
}
OPTIONS = wiring.Options(
    task=TASK,
    student=f"ollama:{BASE}",
    limits=Limits(rounds=3, plateau=3),
    parallel=1,
    metric="accuracy",  # a tiny model learns the commonest letter, which F1 gives nothing for
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # a training process on a busy machine


def task() -> Task:
    """Return a task that a random model cannot do, and a trained one can: mostly the text says it."""
    notes = [
        e.model_copy(
            update={
                "text": f"Visit {i}. {('no ' if i % 5 == 0 and i % 20 else 'yes ') * 20}{e.text}",
                "gold": {f.name: f.values[i % 5 == 0] for f in hosted.FIELDS},
            }
        )
        for i, e in enumerate(small.task().examples[:68])
    ]
    split = SplitSpec(train=36, dev=24, test=8)
    return Task(
        name="letters", fields=hosted.FIELDS, examples=tuple(notes), split=split, synthetic=True
    )


@dataclass
class Hosting:
    """Loads what is created; each tuned model as ``spoil`` leaves it.

    Attributes:
        spoil: Changes what was created before it is loaded.
    """

    spoil: Callable[[Created], Created] = lambda made: made
    loaded: int = 0

    def __call__(self, created: Created) -> Engine:
        self.loaded += 1
        return hosted.host(created if self.loaded == 1 else self.spoil(created))


@pytest.fixture
def hosting() -> Hosting:
    return Hosting()


@pytest.fixture
def server(hosting: Hosting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    """Serve the tiny model, imported as Ollama would."""
    library = Library(host=hosting, architectures=IMPORTABLE)
    with OllamaServer(library=library, models={}) as made:
        monkeypatch.setenv("OLLAMA_HOST", made.url)
        plain = Recipe(model=ModelRef(spec=f"hf:{hosted.model()}"))
        source = exporting.Source(_bundle(plain), tmp_path, hosted.model(), "", None)
        work = tmp_path / "base"
        work.mkdir()
        serving = exporting.weights(source, work)
        publisher = Publisher(made.url)
        publisher.create(exporting.to_create(work / "model", serving, BASE), lambda _: None)
        publisher.close()
        yield made


def _bundle(recipe: Recipe) -> bundle.Bundle:
    letters = task()
    return bundle.Bundle(
        task="letters",
        task_fingerprint=letters.fingerprint,
        synthetic=True,
        fields=letters.fields,
        recipe=recipe,
        seals={},
    )


def settings(**more: object) -> Settings:
    return Settings.model_validate({"faces": {BASE: hosted.model()}, "concurrency": 1, **more})


@contextmanager
def opened(root: Path, options: wiring.Options = OPTIONS) -> Iterator[Session]:
    path = root / "run"
    if path.exists():
        with wiring.reopen(path, settings()) as session:
            yield session
    else:
        with wiring.create(options, root, "run", settings()) as session:
            yield session


def played(
    root: Path, rounds: Sequence[Sequence[object]], options: wiring.Options = OPTIONS
) -> RunState:
    with opened(root, options) as session:
        teacher = ScriptedTeacher(rounds)  # type: ignore[arg-type]
        return refine.run(replace(session, teacher=teacher))


def events(root: Path, kind: str) -> list[Event]:
    return [e for e in read(root / "run" / "trace.jsonl") if e.kind == kind]


def recipe(root: Path, digest: object) -> Recipe:
    from preceptor.core.runs import RunStore

    return RunStore.open(root / "run").artefacts.get_record(str(digest), Recipe)


def test_a_training_in_vain_is_remembered_and_serves_nothing(
    tmp_path: Path, server: OllamaServer
) -> None:
    low: dict[str, dict[str, JsonValue]] = {
        "fine_tune": {"change": {"epochs": 1, "rate": 1e-6, "validation": 0}, "recombined": 0}
    }
    state = played(tmp_path, [[low], []])
    assert events(tmp_path, "move") == []
    assert "Nothing was learned" in str(events(tmp_path, "corrected")[0].data["why"])
    assert state["incumbent"] == state["baseline"]
    assert set(server.library.created) == {BASE}
    [tried] = Report.from_json((tmp_path / "run" / "report.json").read_bytes()).attempts
    assert (tried.tool, tried.outcome) == ("fine_tune", "no_effect")


def test_tuned_served_evaluated_and_tuned_further(tmp_path: Path, server: OllamaServer) -> None:
    hint: dict[str, JsonValue] = {"kind": "add_rule", "field": "", "text": "One letter."}
    again: dict[str, dict[str, JsonValue]] = {
        "fine_tune": {"change": {"epochs": 1, "validation": 0}, "recombined": 0}
    }
    rounds: list[list[object]] = [[TUNE], [{"edit_prompt": {"patches": [hint]}}], [again]]
    state = played(tmp_path, rounds)
    [tuned, edited, further] = [recipe(tmp_path, e.data["candidate"]) for e in events(tmp_path, "move")]
    name = tuned.model.spec.removeprefix("ollama:")
    assert name.startswith("preceptor/letters:")
    assert (tuned.model.base, bool(tuned.model.digest)) == (f"ollama:{BASE}", True)
    assert tuned.adapter is not None
    assert further.model.base == tuned.model.base
    assert further.adapter not in (None, tuned.adapter)
    assert set(server.library.created) == {BASE, name, further.model.spec.removeprefix("ollama:")}
    jobs = [Job.from_json(f.read_bytes()) for f in (tmp_path / "run").glob("training/jobs/*/job.json")]
    starts = sorted(j.start.digest if j.start else "" for j in jobs)
    assert starts == ["", tuned.adapter.digest], "it went on from what it had learned"
    assert {j.base.spec for j in jobs} == {f"ollama:{BASE}"}
    assert edited.model == tuned.model, "a changed prompt is asked of the same weights"
    [first, *_] = events(tmp_path, "verdict")
    assert first.data["outcome"] == "accepted", first.data["reason"]
    assert state["incumbent"] != state["baseline"]
    assert name not in str(_report(tmp_path)["left_behind"])

    asked = [r.body for r in server.requests if r.body.get("model") == name]
    generated = [b for b in asked if "prompt" in b]
    assert all(b["raw"] is True for b in generated)
    # 40 prompts of the gate, then 12 held-out and 24 dev notes with two fields each, at least.
    assert len(generated) >= 40 + 2 * (12 + 24)
    assert len([b for b in asked if "messages" in b]) == 40, "the gate asks by chat, too"
    train = {e.text for e in task().examples}
    dev = {e.text for e in task().examples if e.id in _ids("dev") | _ids("test")}
    gate = [str(b["messages"]) for b in asked if "messages" in b]
    assert not any(text in shown for shown in gate for text in dev)
    assert all(any(text in shown for text in train) for shown in gate)

    place = training.served_folder(tmp_path / "run", tuned.adapter)
    assert sorted(p.name for p in place.iterdir()) == ["parity.json", "returned.json", "tokenizer"]
    rollback.roll_back(tmp_path / "run", 1)
    made = bundle.read(tmp_path / "run")
    assert made.recipe == tuned
    assert (tmp_path / "run" / "bundle" / "tokenizer" / "tokenizer.json").is_file()
    exporting.export(tmp_path / "run", tmp_path / "out", training.faces(settings()))
    assert exporting.read(tmp_path / "out").base == base.model_digest(hosted.model())
    undone = rollback.roll_back(tmp_path / "run", 0)
    assert recipe(tmp_path, undone.recipe).model.spec == f"ollama:{BASE}"
    assert not (tmp_path / "run" / "bundle" / "tokenizer").exists()
    assert rollback.roll_back(tmp_path / "run", 1).recipe == tuned.fingerprint

    before = len(server.requests)
    request = measuring.Request(student=str(tmp_path / "run" / "bundle"), task=TASK, split="dev")
    measuring.measure(request, settings(runs_dir=tmp_path / "other"), lambda _: None)
    used = [r.body for r in server.requests[before:] if r.path in ("/api/chat", "/api/generate")]
    assert {(b["model"], b.get("raw")) for b in used} == {(name, True)}
    shutil.rmtree(tmp_path / "run" / "bundle" / "tokenizer")
    with pytest.raises(InputError, match=r"the tokenizer of .* is not here"):
        measuring.measure(request, settings(runs_dir=tmp_path / "third"), lambda _: None)


@pytest.fixture
def no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every training give the same random weights at once."""
    ref = hosted.adapter(tmp_path / "adapter", hosted.model())

    def trained(runner: Runner, job: Job) -> Result:
        """Give the weights that lie there already."""
        place = base.adapter_folder(tmp_path / "run" / training.FOLDER, ref)
        if not place.exists():
            shutil.copytree(tmp_path / "adapter", place)
        numbers = dict.fromkeys(("rows", "validation_rows", "tokens", "steps", "best_step"), 1)
        more = {**numbers, "seconds": 1, "losses": (1, 1), "rate": 1, "parts": 1, "memory_mb": 1}
        told = {"job": job.fingerprint, "base": "", "adapter": ref, "files": {}, "device": "cpu"}
        return Result.model_validate({**more, **told, "stopped": "done"})

    monkeypatch.setattr(Runner, "result", trained)


@pytest.mark.usefixtures("no_training")
def test_a_killed_run_goes_on_with_the_model_that_is_there(
    tmp_path: Path, server: OllamaServer
) -> None:
    def killed() -> None:
        comparing.judge = lambda *_: small.die()  # type: ignore[assignment]
        played(tmp_path, [[TUNE]])

    assert small.in_child(killed) == -9
    assert _creations(server) == 2
    assert not events(tmp_path, "move")
    played(tmp_path, [[TUNE]])
    [move] = events(tmp_path, "move")
    served = recipe(tmp_path, move.data["candidate"]).model.spec.removeprefix("ollama:")
    assert set(server.library.created) == {BASE, served}
    assert _creations(server) == 2
    [verdict] = events(tmp_path, "verdict")
    assert verdict.data["outcome"] == "rejected"
    assert _report(tmp_path)["left_behind"] == [served]
    assert f"ollama rm {served}" in (tmp_path / "run" / "report.txt").read_text("utf-8")


def _report(root: Path) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = json.loads((root / "run" / "report.json").read_text("utf-8"))
    return found


@pytest.mark.usefixtures("no_training")
def test_a_refused_model_leaves_the_incumbent(
    tmp_path: Path, server: OllamaServer, hosting: Hosting
) -> None:
    untouched = (hosted.model() / "model.safetensors").read_bytes()
    hosting.spoil = lambda made: replace(made, files={**made.files, "model.safetensors": untouched})
    state = played(tmp_path, [[TUNE, {"finish": {"reason": "seen"}}]])
    assert state["incumbent"] == state["baseline"] == state["working"]
    [told] = events(tmp_path, "corrected")
    assert "is not the one that was trained (it was deleted)" in str(told.data["why"])
    [unserved] = events(tmp_path, "unserved")
    assert "is not the one that was trained" in str(unserved.data["why"])
    [tried] = Report.from_json((tmp_path / "run" / "report.json").read_bytes()).attempts
    assert (tried.tool, tried.outcome) == ("fine_tune", "no_effect"), "the move ended, with its reason"
    assert "is not the one that was trained" in tried.reason
    assert not events(tmp_path, "test_opened"), "nobody asked for the sealed test"
    [test] = events(tmp_path, "test")
    assert "what was trained in round 1 could not be served" in str(test.data["why"])
    assert not events(tmp_path, "move")
    assert list(server.library.created) == [BASE]
    assert bundle.read(tmp_path / "run").recipe.model.spec == f"ollama:{BASE}"


def _ids(part: str) -> set[str]:
    from preceptor.evals import splits

    return {e.id for e in splits.make(task()).examples(task(), part)}  # type: ignore[arg-type]


@pytest.fixture
def brought(
    tmp_path: Path, server: OllamaServer
) -> Iterator[tuple[Session, Recipe, Callable[[], Recipe]]]:
    """Return a run, a recipe with weights that lie in it, and what brings them to the server."""
    with opened(tmp_path) as session:
        trainings = tmp_path / "run" / training.FOLDER
        (trainings / "adapters").mkdir(parents=True)
        ref = hosted.adapter(tmp_path / "adapter", hosted.model())
        (tmp_path / "adapter").rename(base.adapter_folder(trainings, ref))
        tuned = session.start.model_copy(update={"adapter": ref})
        face = training.faces(settings())(tuned.model)

        def bring() -> Recipe:
            return _home(session).bring(tuned, face, _shown(session, tuned))[0]

        yield session, tuned, bring


def _home(session: Session, **more: object) -> returning.ServerHome:
    return returning.ServerHome(
        folder=session.store.path / training.FOLDER,
        task=session.task,
        splits=session.splits,
        settings=settings(**more),
        gate=Egress("open", session.store.path / "egress.jsonl"),
        ledger=session.ledger,
        retriever=lambda _: None,
    )


def _shown(session: Session, tuned: Recipe, notes: int = 24) -> Evidence:
    shown = tuple(session.examples(session.splits.train))[:notes]
    return Evidence(session.task.fields, tuned, shown, (), ())


Brought = tuple[Session, Recipe, Callable[[], Recipe]]


def _creations(server: OllamaServer) -> int:
    return sum(r.path == "/api/create" for r in server.requests)


def test_what_is_on_the_server_is_not_made_again(brought: Brought, server: OllamaServer) -> None:
    session, tuned, bring = brought
    first = bring()
    asked = len([r for r in server.requests if r.path == "/api/generate"])
    assert (bring(), _creations(server)) == (first, 2)
    assert len([r for r in server.requests if r.path == "/api/generate"]) == asked
    assert session.ledger.spent()["student_calls"] == 120, "the gate's calls are booked, once"
    assert session.ledger.spent()["compute_seconds"] > 0.01, "so is the time of merging and comparing"
    # Killed between the server's word and ours: its name names its content, so it is taken.
    assert tuned.adapter is not None
    state = training.served_folder(session.store.path, tuned.adapter) / returned.STATE
    known = returned.Returned.from_json(state.read_bytes())
    state.write_text(known.model_copy(update={"digest": "", "passed": False}).to_json())
    assert (bring(), _creations(server)) == (first, 2)
    # Deleted by hand: made again, and judged again.
    del server.library.created[known.name]
    assert (bring(), _creations(server)) == (first, 3)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("template", "{{ .System }}{{ .Prompt }}", "chat: 40 of 40 prompts have another number"),
        ("weights", "", "raw: .* fields are answered otherwise"),
    ],
)
def test_what_is_not_the_same_is_refused_and_deleted(
    field: str, value: str, words: str, brought: Brought, server: OllamaServer, hosting: Hosting
) -> None:
    def spoil(made: Created) -> Created:
        if field == "template":
            object.__setattr__(made, "template", value)
            return made
        untouched = (hosted.model() / "model.safetensors").read_bytes()
        return replace(made, files={**made.files, "model.safetensors": untouched})

    hosting.spoil = spoil
    _, _, bring = brought
    for _ in range(2):  # The second time nothing is asked again.
        with pytest.raises(
            InputError, match=f"is not the one that was trained .it was deleted.: .*{words}"
        ):
            bring()
        assert list(server.library.created) == [BASE]
    assert _creations(server) == 2


def test_a_model_that_was_there_before_is_left_where_it_is_refused(
    brought: Brought, server: OllamaServer, hosting: Hosting
) -> None:
    session, tuned, bring = brought
    name = bring().model.spec.removeprefix("ollama:")
    assert tuned.adapter is not None
    place = training.served_folder(session.store.path, tuned.adapter)
    shutil.rmtree(place)
    made = server.library.created[name]
    untouched = (hosted.model() / "model.safetensors").read_bytes()
    wrong = replace(made, files={**made.files, "model.safetensors": untouched})
    server.library._engines[name] = hosted.host(wrong)
    with pytest.raises(InputError, match="it was there before and was left"):
        bring()
    assert name in server.library.created


@pytest.mark.parametrize(("level", "made"), [("Q4_K_M", "q4_K_M"), ("Q5_0", "q8_0"), ("F16", "")])
def test_a_quantised_student_stays_quantised(
    level: str, made: str, brought: Brought, server: OllamaServer
) -> None:
    _, _, bring = brought
    server.levels[BASE] = level
    name = bring().model.spec.removeprefix("ollama:")
    assert server.library.created[name].quantize == made
    assert name.endswith(f"-{made}") == bool(made)


def test_a_server_that_cannot_import_fails_the_move_and_not_the_run(
    brought: Brought, server: OllamaServer
) -> None:
    server.library.architectures = ()
    with pytest.raises(InputError, match=r"could not create .*: unsupported architecture"):
        brought[2]()


def test_what_would_come_to_nothing_is_refused_before_training(
    brought: Brought, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, tuned, _ = brought
    face = training.faces(settings())(tuned.model)
    few = _shown(session, tuned, 19)
    _home(session).check(tuned, face, _shown(session, tuned, 20))
    with pytest.raises(InputError, match="make 38 prompts, too few"):
        _home(session).check(tuned, face, few)
    session.ledger.budget = Budget(student_calls=100)
    with pytest.raises(InputError, match="takes 120 student calls, 100 are left"):
        _home(session).check(tuned, face, _shown(session, tuned))
    monkeypatch.setenv("OLLAMA_HOST", "http://192.0.2.1:11434")
    for policy in ("redacted", "local-only"):
        with pytest.raises(InputError, match="weights learned from notes cannot be redacted"):
            _home(session, egress=policy).check(tuned, face, _shown(session, tuned))
    _home(session, egress="open")._log(tuned, "0" * 20)
    [line] = egress.read(session.store.path / "egress.jsonl")
    assert (line.what, line.host, line.allowed) == ("weights", "192.0.2.1", True)


def test_the_move_is_offered_where_its_weights_can_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert moves.untrainable(f"ollama:{BASE}", settings()) is None
    mistral = tiny.save("mistral", tmp_path / "mistral")
    by_adapter = settings(faces={BASE: mistral})
    assert moves.untrainable(f"ollama:{BASE}", by_adapter) is None, "as an adapter on the served base"
    config = json.loads((mistral / "config.json").read_bytes())
    strange = tmp_path / "strange"
    shutil.copytree(mistral, strange)
    (strange / "config.json").write_text(json.dumps({**config, "architectures": ["OddForCausalLM"]}))
    for spec, chosen, words in (
        ("ollama:unheard-of", settings(), "not known which weights"),
        ("ollama:qwen2.5:0.5b", settings(faces={"qwen2.5:0.5b": tmp_path}), "no model in"),
        (f"ollama:{BASE}", settings(faces={BASE: strange}), "no way leads back into Ollama"),
        ("openai:gpt-4o", settings(), "cannot be fine-tuned here"),
    ):
        refused = moves.untrainable(spec, chosen)
        assert refused is not None
        assert words in refused.message
        options = OPTIONS.model_copy(update={"student": spec, "moves": ("fine_tune",)})
        with pytest.raises(InputError, match=words):
            moves.check(options, chosen)
    monkeypatch.setenv("OLLAMA_HOST", "http://192.0.2.1:11434")
    assert moves.untrainable(f"ollama:{BASE}", settings()) is not None
    assert moves.untrainable(f"ollama:{BASE}", settings(egress="open")) is None
    with pytest.raises(InputError, match="in this process"):
        curve.measure(curve.Request(task=TASK, student=f"ollama:{BASE}"), settings(), lambda *_: None)
