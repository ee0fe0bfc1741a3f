"""Which way trained weights go back into Ollama: each of them gives the model that was trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from preceptor.agents.publish import Publisher
from preceptor.agents.servers.hosting import Created, Engine, Library
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.core.egress import Egress
from preceptor.core.errors import InputError, Unserved
from preceptor.core.ports import Evidence
from preceptor.core.records import AdapterRef, Recipe
from preceptor.core.settings import Settings
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.graphs import adapting, exporting, grounds, returning, training, wiring
from preceptor.graphs.session import Session
from preceptor.tools.sft import base, routes
from preceptor.tools.sft.faces import IMPORTABLE, Face
from tests.agents.students import tiny
from tests.graphs import hosted, small

BASE = "small:135m"
TASK = "tests.graphs.test_ways_back:task"
OPTIONS = wiring.Options(task=TASK, student=f"ollama:{BASE}", parallel=1, metric="accuracy")
LIGHT = ["v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def task() -> Task:
    """Return a task whose notes have punctuation that two pre-tokenizers split otherwise."""
    notes = [
        e.model_copy(
            update={
                "text": f"Visit {i} (12.03.): BP 135/80... {e.text}",
                "gold": {f.name: f.values[i % 5 == 0] for f in hosted.FIELDS},
            }
        )
        for i, e in enumerate(small.task().examples[:68])
    ]
    split = SplitSpec(train=36, dev=24, test=8)
    return Task(name="signs", fields=hosted.FIELDS, examples=tuple(notes), split=split, synthetic=True)


@dataclass
class Hosting:
    """Loads what is created, once per content.

    Attributes:
        starts: Whether a start token is put before every prompt.
        fails: What it says instead of loading a model with an adapter.
    """

    starts: bool = False
    fails: str = ""
    engines: list[Created] = field(default_factory=list)

    def __call__(self, created: Created) -> Engine:
        if created.adapters and self.fails:
            raise ValueError(self.fails)
        self.engines.append(created)
        told = json.loads(created.files["tokenizer_config.json"])
        config = json.dumps({**told, "add_bos_token": self.starts}).encode()
        return hosted.host(replace(created, files={**created.files, "tokenizer_config.json": config}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a llama whose tokenizer is split as SmolLM2's."""
    return tiny.save("llama", tmp_path_factory.mktemp("llama") / "llama", digits=True)


@pytest.fixture
def hosting() -> Hosting:
    return Hosting()


@pytest.fixture
def server(hosting: Hosting, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    library = Library(host=hosting, architectures=IMPORTABLE)
    with OllamaServer(library=library, models={}) as made:
        monkeypatch.setenv("OLLAMA_HOST", made.url)
        pull(made, folder)
        yield made


def pull(server: OllamaServer, folder: Path, **more: Any) -> None:
    """Put the base on the server, under the template of its makers."""
    told, _ = exporting.told(folder, Recipe.model_validate({"model": {"spec": "nano"}}))
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    server.library.pull(BASE, Created(files, told.template, **more))


def settings(folder: Path, **more: object) -> Settings:
    return Settings.model_validate({"faces": {BASE: folder}, "concurrency": 1, **more})


def adapter(
    at: Path, of: Path, layers: str | Sequence[str] = "all-linear", rank: int = 4
) -> AdapterRef:
    """Write a random adapter for some layers of a model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    net: Any = AutoModelForCausalLM.from_pretrained(of, dtype=torch.float32)
    wanted = layers if isinstance(layers, str) else [*layers]
    config = LoraConfig(
        r=rank,
        lora_alpha=4 * rank,
        target_modules=wanted,
        task_type="CAUSAL_LM",
        init_lora_weights=False,
    )
    made: Any = get_peft_model(net, config)
    made.save_pretrained(str(at), save_embedding_layers=False)
    (at / "README.md").unlink(missing_ok=True)
    ref = AdapterRef(digest=base.weights_digest(base.file_hashes(at)))
    note = base.About(adapter=ref, base=base.model_digest(of), spec=f"hf:{of}", job="0" * 20)
    base.write_about(at, note)
    return ref


@dataclass
class Run:
    """A run whose student is the served base, and what brings its weights back."""

    session: Session
    chosen: Settings
    face: Face

    @property
    def home(self) -> returning.ServerHome:
        store = self.session.store.path
        return returning.ServerHome(
            folder=store / training.FOLDER,
            task=self.session.task,
            splits=self.session.splits,
            settings=self.chosen,
            gate=Egress("open", store / "egress.jsonl"),
            ledger=self.session.ledger,
            retriever=lambda _: None,
        )

    def trained(self, layers: str | Sequence[str] = LIGHT, of: Path | None = None) -> Recipe:
        """Return the recipe with a random adapter that lies in the run's folder."""
        trainings = self.session.store.path / training.FOLDER
        (trainings / "adapters").mkdir(parents=True, exist_ok=True)
        fresh = trainings / "adapters" / "fresh"
        ref = adapter(fresh, of or self.face.folder, layers)
        fresh.rename(base.adapter_folder(trainings, ref))
        return self.session.start.model_copy(update={"adapter": ref})

    def shown(self, recipe: Recipe) -> Evidence:
        notes = tuple(self.session.examples(self.session.splits.train))[:24]
        return Evidence(self.session.task.fields, recipe, notes, (), ())

    def bring(self, recipe: Recipe) -> tuple[Recipe, str]:
        return self.home.bring(recipe, self.face, self.shown(recipe))


@contextmanager
def opened(root: Path, folder: Path, **more: object) -> Iterator[Run]:
    chosen = settings(folder, **more)
    with wiring.create(OPTIONS, root, "run", chosen) as session:
        yield Run(session, chosen, training.faces(chosen)(session.start.model))


@pytest.fixture
def run(tmp_path: Path, folder: Path, server: OllamaServer) -> Iterator[Run]:
    adapting._known.clear()
    with opened(tmp_path, folder) as made:
        yield made


def test_an_adapter_on_the_served_base_is_the_model_that_was_trained(
    run: Run, server: OllamaServer
) -> None:
    tuned, said = run.bring(run.trained())
    assert f"as an adapter on {BASE}" in said
    name = tuned.model.spec.removeprefix("ollama:")
    assert (tuned.model.base, set(server.library.created)) == (f"ollama:{BASE}", {BASE, name})
    made = server.library.created[name]
    assert (made.source, sorted(made.adapters)) == (BASE, sorted(adapting.FILES))
    [sent] = [r.body for r in server.requests if r.path == "/api/create" and r.body["model"] == name]
    assert "files" not in sent
    place = training.served_folder(run.session.store.path, tuned.adapter)  # type: ignore[arg-type]
    found = json.loads((place / "parity.json").read_text("utf-8"))
    assert [(c["tokens_equal"], c["prompts"]) for c in found["checks"]] == [(40, 40), (40, 40)]
    assert run.bring(run.session.start.model_copy(update={"adapter": tuned.adapter}))[0] == tuned
    assert sum(r.path == "/api/create" for r in server.requests) == 2, "the probe, and the model, once"


def test_merged_safetensors_of_such_a_tokenizer_read_other_tokens(
    run: Run, server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the route is chosen for: the importer makes "default" of pre-tokenizers unknown to it."""
    forced = routes.Route(way="safetensors", kind="lora", words="")
    monkeypatch.setattr(routes, "choose", lambda *_: forced)
    with pytest.raises(Unserved, match=r"raw: 40 of 40 prompts have another number of tokens"):
        run.bring(run.trained())
    assert list(server.library.created) == [BASE]


def test_adapters_for_queries_and_keys_would_come_out_otherwise_and_are_not_trained(
    run: Run, server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = run.trained("all-linear")
    with pytest.raises(Unserved, match="changes k_proj, q_proj, which Ollama would convert wrongly"):
        run.bring(tuned)
    way = run.home.way(run.session.start, run.face, None, whole=True)
    assert (way.way, way.kind, way.skip) == ("adapter", "lora", ("q_proj", "k_proj"))
    monkeypatch.setattr(routes, "modules", lambda _: set())
    with pytest.raises(Unserved, match=r"raw: .* fields are answered otherwise"):
        run.bring(tuned)
    assert list(server.library.created) == [BASE]


def test_a_start_token_that_the_server_adds_is_not_rendered_twice(
    tmp_path: Path, folder: Path, hosting: Hosting, server: OllamaServer
) -> None:
    hosting.starts = True
    pull(server, folder)
    adapting._known.clear()
    with opened(tmp_path, folder) as run:
        tuned, _ = run.bring(run.trained())
    assert tuned.model.base == f"ollama:{BASE}"


@pytest.mark.parametrize("trouble", ["architecture", "runner"])
def test_a_server_without_adapters_is_refused_before_anything_is_trained(
    trouble: str, run: Run, server: OllamaServer, hosting: Hosting
) -> None:
    if trouble == "architecture":
        server.library.adaptable = ()
    else:
        hosting.fails = "loras are not yet implemented"
    plain = run.session.start
    with pytest.raises(InputError, match=f"puts no adapters on '{BASE}'") as refused:
        run.home.check(plain, run.face, run.shown(plain))
    assert "does not know how the tokenizer splits text" in refused.value.message
    assert "\n" not in str(refused.value)
    assert list(server.library.created) == [BASE]


def test_a_base_that_changed_since_the_run_began_is_refused(
    run: Run, server: OllamaServer, folder: Path
) -> None:
    plain, tuned = run.session.start, run.trained()
    first, _ = run.bring(tuned)
    pull(server, folder, system="Another one.")
    for act in (
        lambda: run.home.check(plain, run.face, run.shown(plain)),
        lambda: run.bring(tuned),
        lambda: run.home.check(first, run.face, run.shown(first)),
    ):
        with pytest.raises(InputError, match=rf"served base '{BASE}' is another model now"):
            act()
    del server.library.created[BASE]
    with pytest.raises(InputError, match=rf"served base '{BASE}' is gone: this run began with"):
        run.home.check(plain, run.face, run.shown(plain))


def test_weights_of_another_tokenizer_are_refused_before_anything_is_trained(
    tmp_path: Path, server: OllamaServer
) -> None:
    other = tiny.save("llama", tmp_path / "other")
    said = json.loads((other / "tokenizer.json").read_bytes())
    said["model"]["merges"] = said["model"]["merges"][:20]
    (other / "tokenizer.json").write_text(json.dumps(said))
    adapting._known.clear()
    with opened(tmp_path, other) as run:
        way = run.home.way(run.session.start, run.face, None, whole=True)
        assert way.way == "safetensors", "the importer knows how this one splits text"
        with pytest.raises(InputError, match=r"reads other tokens than .*other.*: it is another model"):
            run.home.way(run.session.start, run.face, "lora", whole=True)


def test_an_adapter_of_another_base_or_rank_is_refused(
    run: Run, server: OllamaServer, tmp_path: Path, folder: Path
) -> None:
    tuned = run.trained()
    assert tuned.adapter is not None
    place = base.adapter_folder(run.session.store.path / training.FOLDER, tuned.adapter)
    foreign = tuned.model_copy(update={"adapter": tuned.adapter})
    note = base.read_about(place)
    base.write_about(place, note.model_copy(update={"base": "0" * 20}))
    with pytest.raises(Unserved, match=r"another|not"):
        run.bring(foreign)
    copied = Path(shutil.copytree(place, tmp_path / "copied"))
    routes.check_fits(copied, folder)
    config = json.loads((copied / "adapter_config.json").read_bytes())
    (copied / "adapter_config.json").write_text(json.dumps({**config, "r": 8}))
    with pytest.raises(InputError, match="says rank 8 and has rank 4"):
        routes.check_fits(copied, folder)
    with pytest.raises(InputError, match="is of another base model"):
        routes.check_fits(place, hosted.model())
    assert list(server.library.created) == [BASE]


def test_a_model_without_chat_template_is_refused_before_anything_is_trained(
    tmp_path: Path, folder: Path, run: Run
) -> None:
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    (bare / "chat_template.jinja").unlink()
    face = Face(bare, base.model_digest(bare), served=True)
    with pytest.raises(InputError, match="no chat template"):
        run.home.check(run.session.start, face, run.shown(run.session.start))


@pytest.mark.parametrize("name", ["SMALL:135M", "registry.ollama.ai/library/small:135m"])
def test_a_base_is_found_however_it_is_spelled(name: str, server: OllamaServer) -> None:
    publisher = Publisher(server.url)
    found = [grounds.of(publisher, one).digest for one in (name, BASE, "me/small:135m")]
    publisher.close()
    assert (found[0], found[2]) == (found[1], "")
    assert found[0]


def test_whole_weights_go_back_in_the_metadata_of_the_served_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosting: Hosting
) -> None:
    """Train what is served: the file is found by its content, taken out, trained whole, put back."""
    pytest.importorskip("gguf")
    import torch
    from transformers import AutoModelForCausalLM

    from preceptor.agents.models import gguf
    from tests.agents.models import shelf

    blob = _blob(tmp_path)
    chosen = settings(tmp_path, faces={}, models_dir=tmp_path / "models")
    with OllamaServer(library=Library(host=_from_gguf, architectures=IMPORTABLE), models={}) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        gguf.convert(shelf.write_gguf(tmp_path / "plain.gguf"), tmp_path / "plain")
        pull(server, tmp_path / "plain", blob=str(blob))
        server.levels[BASE] = "Q4_1"
        adapting._known.clear()
        with wiring.create(OPTIONS, tmp_path, "run", chosen) as session:
            face = training.faces(chosen)(session.start.model)
            assert face.folder.name == f"served-{blob.name.removeprefix('sha256-')[:20]}"
            run = Run(session, chosen, face)
            way = run.home.way(session.start, face, "full", whole=True)
            assert (way.way, way.kind) == ("gguf", "merged")
            assert run.home.way(session.start, face, None, whole=True).way == "adapter"
            torch.manual_seed(3)
            net: Any = AutoModelForCausalLM.from_pretrained(face.folder, dtype=torch.float32)
            for weight in net.parameters():
                weight.data += 0.05 * weight.abs().mean() * torch.randn_like(weight)
            fresh = tmp_path / "run" / training.FOLDER / "adapters" / "fresh"
            net.save_pretrained(fresh)
            ref = AdapterRef(digest=base.weights_digest(base.file_hashes(fresh)), kind="merged")
            base.write_about(
                fresh, base.About(adapter=ref, base=face.digest, spec=f"ollama:{BASE}", job="0" * 20)
            )
            fresh.rename(base.adapter_folder(tmp_path / "run" / training.FOLDER, ref))
            tuned, said = run.bring(session.start.model_copy(update={"adapter": ref}))
            assert "weights as q8_0" in said
            made = server.library.created[tuned.model.spec.removeprefix("ollama:")]
            assert (set(made.files), made.pre) == ({"model.gguf"}, "")
            place = training.served_folder(session.store.path, ref)
            for check in json.loads((place / "parity.json").read_text("utf-8"))["checks"]:
                # The scripted server rounds nothing: what was trained answers, weight by weight.
                assert (check["tokens_equal"], check["fields_equal"]) == (
                    check["prompts"],
                    check["fields"],
                )


def _blob(folder: Path) -> Path:
    """Write a file of quantised weights as a server keeps it: named by its content alone."""
    import hashlib

    from tests.agents.models import shelf

    file = shelf.write_gguf(folder / "served.gguf")
    blob = folder / "blobs" / f"sha256-{hashlib.sha256(file.read_bytes()).hexdigest()}"
    blob.parent.mkdir()
    return file.rename(blob)


def _from_gguf(created: Created) -> Engine:
    """Load a created model, out of a GGUF file where it was made from one."""
    from tempfile import mkdtemp

    from preceptor.agents.models import gguf

    if "model.gguf" not in created.files:
        return hosted.host(created)
    place = Path(mkdtemp(prefix="preceptor-gguf-"))
    (place / "model.gguf").write_bytes(created.files["model.gguf"])
    gguf.convert(place / "model.gguf", place / "model")
    files = {p.name: p.read_bytes() for p in (place / "model").iterdir()}
    told = json.loads(files["tokenizer_config.json"])
    files["tokenizer_config.json"] = json.dumps({**told, "add_bos_token": False}).encode()
    return hosted.host(replace(created, files=files))


def test_a_served_student_is_trained_as_its_way_back_needs(run: Run, tmp_path: Path) -> None:
    from preceptor.tools.sft.args import Changes, FineTuneArgs

    tuner: Any = run.session.toolbox["fine_tune"]
    plain = run.session.start
    job, _, _ = tuner.prepare(FineTuneArgs(recombined=0), run.shown(plain))
    assert (job.hyper.method, job.kind, job.hyper.skip) == ("lora", "lora", ("q_proj", "k_proj"))
    full = FineTuneArgs(recombined=0, change=Changes(method="full"))
    with pytest.raises(InputError, match="whole weights are no adapter") as refused:
        tuner.prepare(full, run.shown(plain))
    assert "neither the served GGUF file nor llama.cpp's converter is here" in str(refused.value)


def test_layers_that_are_left_out_get_no_adapters_and_hashes_of_jobs_stay(tmp_path: Path) -> None:
    from preceptor.tools.sft import model
    from preceptor.tools.sft.job import Base, Hyper, Job

    assert "skip" not in Hyper().to_json(), "jobs of before keep their hashes"
    folder = tiny.save("llama", tmp_path / "m")
    hyper = Hyper(rank=4, skip=("q_proj", "k_proj"))
    job = Job(base=Base(spec="hf:x", digest=""), data="", rows=1, hyper=hyper)
    assert Job.from_json(job.to_json()) == job
    learner = model.load(job, folder, None)
    model.save(learner.model, job, tmp_path / "adapter", str(folder))
    assert routes.modules(tmp_path / "adapter") == set(LIGHT)
