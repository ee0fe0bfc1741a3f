"""Exporting a tuned student, serving it, and the gate between the two."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace as changed
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from preceptor import nano
from preceptor.agents.servers.hosting import Library
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.core.errors import InputError, StoreError
from preceptor.core.records import AdapterRef
from preceptor.core.settings import Settings
from preceptor.graphs import bundle, comparing, exporting, serving
from preceptor.graphs.comparing import Verdict
from preceptor.tools.sft import base, merge
from preceptor.tools.sft.faces import IMPORTABLE, Faces
from tests.graphs import hosted


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hosted.make_bundle(tmp_path_factory.mktemp("export") / "bundle")


@pytest.fixture(scope="module")
def exported(source: Path) -> Path:
    exporting.export(source, source.parent / "out")
    return source.parent / "out"


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """Return a copy of the exported folder, to be spoilt."""
    return Path(shutil.copytree(exported, tmp_path / "serving"))


@pytest.fixture
def server() -> Iterator[OllamaServer]:
    library = Library(host=hosted.host, architectures=IMPORTABLE)
    with OllamaServer(library=library, models={}) as made:
        yield made


def serve(folder: Path, server: OllamaServer, quantize: str = "", replace: bool = False) -> Verdict:
    said: list[str] = []
    target = serving.Target(host=server.url, quantize=quantize, replace=replace)
    return serving.serve(folder, folder, target, Settings(), said.append)


def test_the_folder_holds_what_serving_needs(exported: Path) -> None:
    found = {str(p.relative_to(exported)) for p in exported.rglob("*") if p.is_file()}
    assert {
        "Modelfile", "README.md", "bundle.json", "schema.json", "metrics.json", "prompt.json",
        "serving.json", "splits.json", "adapter/adapter_model.safetensors", "model/config.json",
        "model/model.safetensors", "model/tokenizer.json", "model/tokenizer_config.json",
    } <= found  # fmt: skip
    text = (exported / "Modelfile").read_text("utf-8")
    assert text == (
        "FROM ./model\n"
        'TEMPLATE """{{ if .System }}<|bos|><|system|>{{ .System }}<|end|><|user|>{{ .Prompt }}<|end|>'
        '<|assistant|>{{ else }}<|bos|><|user|>{{ .Prompt }}<|end|><|assistant|>{{ end }}"""\n'
        'SYSTEM """Read the note and fill in the field.\nRules:\n1. One letter."""\n'
        "PARAMETER temperature 0\nPARAMETER num_ctx 1024\n"
        'PARAMETER stop "<|end|>"\n'
    )
    told = json.loads((exported / "model" / "tokenizer_config.json").read_text("utf-8"))
    assert (told["add_bos_token"], told["add_eos_token"]) == (False, False)
    assert bundle.read(exported).recipe.adapter is not None, "it is a bundle, too"
    assert not list(exported.parent.glob(".*")), "nothing is left of the work"
    assert exporting.read(exported).name.startswith("preceptor/tests.graphs.hosted-task:")


def test_the_served_model_passes_and_is_asked_raw(folder: Path, server: OllamaServer) -> None:
    verdict = serve(folder, server)
    assert [(c.route, c.prompts, c.fields_equal) for c in verdict.checks] == [
        ("raw", 44, 44),
        ("chat", 44, 44),
    ]
    assert list(server.library.created) == [verdict.name]
    raw = [r.body for r in server.requests if r.path == "/api/generate"]
    assert len(raw) == 44
    assert raw[0]["raw"] is True
    assert str(raw[0]["prompt"]).startswith("<|bos|><|system|>Read the note")
    assert bundle.read(folder / "served").recipe.model.spec == f"ollama:{verdict.name}"
    assert (folder / "served" / "tokenizer" / "tokenizer.json").is_file()
    with pytest.raises(InputError, match="already"):
        serve(folder, server)


def _reseal(folder: Path) -> None:
    """Make the folder's own word fit what was done to it, so that only the gate can tell."""
    serving_ = json.loads((folder / "serving.json").read_text("utf-8"))
    serving_["files"] = base.file_hashes(folder / "model")
    (folder / "serving.json").write_text(json.dumps(serving_), "utf-8")


def wrong_template(folder: Path) -> None:
    file = folder / "serving.json"
    file.write_text(file.read_text("utf-8").replace("<|system|>{{ .System }}<|end|>", ""), "utf-8")


def longer_template(folder: Path) -> None:
    file = folder / "serving.json"
    file.write_text(file.read_text("utf-8").replace("<|assistant|>", "<|assistant|>\\n"), "utf-8")


def wrong_bos(folder: Path) -> None:
    file = folder / "model" / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "add_bos_token": True}))
    _reseal(folder)


def wrong_merge(folder: Path) -> None:
    shutil.copyfile(hosted.model() / "model.safetensors", folder / "model" / "model.safetensors")
    _reseal(folder)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (wrong_template, "chat: 44 of 44 prompts have another number of tokens"),
        (longer_template, "chat: 44 of 44 prompts have another number of tokens"),
        (wrong_bos, "raw: 44 of 44 prompts have another number of tokens"),
        (wrong_merge, "raw: .* fields are answered otherwise"),
    ],
)
def test_the_gate_catches(
    spoil: Callable[[Path], None], words: str, folder: Path, server: OllamaServer
) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=words):
        serve(folder, server)
    assert not server.library.created, "the model was deleted"
    assert not (folder / "served").exists()
    kept = (folder / "parity.json").read_text("utf-8")
    assert json.loads(kept)["checks"][0]["prompts"] == 44
    assert "days" not in kept, "no text of a note"


@pytest.mark.parametrize("passes", [True, False])
def test_what_has_the_name_stays_until_the_gate_has_spoken(
    passes: bool, folder: Path, server: OllamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = exporting.read(folder).name
    serve(folder, server)
    before = server.library.created[name]
    server.library.created[name] = mine = changed(before, system="What stood there before.")
    judge, there = comparing.judge, []

    def judged(*asked: object) -> comparing.Verdict:
        there.append(server.library.created[name])
        return judge(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(comparing, "judge", judged)
    if passes:
        serve(folder, server, replace=True)
    else:
        wrong_merge(folder)
        with pytest.raises(InputError, match="is not the model that was measured"):
            serve(folder, server, replace=True)
    assert there == [mine]
    assert server.library.created == {name: before if passes else mine}


def test_quantised_weights_are_judged_by_their_score(folder: Path, server: OllamaServer) -> None:
    verdict = serve(folder, server, "q8_0")
    [made] = server.library.created.values()
    assert made.quantize == "q8_0"
    assert all(c.quantised for c in verdict.checks)


def test_a_file_is_uploaded_once_and_errors_of_the_stream_are_one_line(folder: Path) -> None:
    library = Library(architectures={"LlamaForCausalLM"})
    with OllamaServer(library=library, models={}) as server:
        for _ in range(2):
            with pytest.raises(
                Exception, match=r"Ollama could not create .*: unsupported architecture"
            ):
                serve(folder, server)
        posted = [r.path for r in server.requests if r.method == "POST" and "/blobs/" in r.path]
        asked = [r.path for r in server.requests if r.method == "HEAD"]
    assert len(posted) == len(set(posted))
    assert len(asked) == 2 * len(exporting.read(folder).files)


@pytest.mark.parametrize("what", ["architecture", "adapter", "base", "room", "full"])
def test_what_cannot_be_served_is_refused_before_anything_is_written(
    what: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(shutil.copytree(source, tmp_path / "bundle"))
    made = bundle.read(place)
    out = tmp_path / "out"
    error, words = InputError, ""
    if what == "architecture":
        monkeypatch.setattr(exporting, "IMPORTABLE", frozenset({"LlamaForCausalLM"}))
        words = "cannot import"
    elif what == "adapter":
        (place / "adapter" / "adapter_config.json").write_text("{}")
        words = "damaged"
    elif what == "base":
        model = made.recipe.model.model_copy(update={"digest": "0" * 20})
        recipe = made.recipe.model_copy(update={"model": model})
        (place / "bundle.json").write_text(made.model_copy(update={"recipe": recipe}).to_json())
        words = "is not the model"
    elif what == "room":
        monkeypatch.setattr(merge, "ROOM", 1e12)
        error, words = StoreError, "MiB of disk are needed"
    else:
        out.mkdir()
        (out / "mine").write_text("")
        words = "not empty"
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(error, match=words):
        exporting.export(place, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_merge_that_fails_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match="another model"):
        exporting.export(source, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_student_that_is_served_as_it_is_needs_no_export(source: Path, tmp_path: Path) -> None:
    made = bundle.read(source)
    model = made.recipe.model.model_copy(update={"spec": "ollama:qwen2.5:0.5b", "digest": ""})
    place = tmp_path / "bundle"
    place.mkdir()
    for adapter, words in ((None, "nothing was trained"), (AdapterRef(digest="0" * 20), "hf download")):
        recipe = made.recipe.model_copy(update={"model": model, "adapter": adapter})
        (place / "bundle.json").write_text(made.model_copy(update={"recipe": recipe}).to_json())
        with pytest.raises(InputError, match=words):
            exporting.export(place, tmp_path / "out", Faces(hub=tmp_path))


def test_the_embedded_student_can_be_exported_as_it_stands(source: Path, tmp_path: Path) -> None:
    made = bundle.read(source)
    model = made.recipe.model.model_copy(update={"spec": "nano", "digest": ""})
    recipe = made.recipe.model_copy(update={"model": model, "adapter": None})
    place = tmp_path / "bundle"
    place.mkdir()
    (place / "bundle.json").write_text(made.model_copy(update={"recipe": recipe}).to_json())
    report = {"test": {"final": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    (place / "metrics.json").write_text(json.dumps(report))
    found = exporting.export(place, tmp_path / "out")
    assert (found.architecture, found.merge_difference) == ("Lfm2ForCausalLM", 0.0)
    assert found.modelfile.stop == ("<|end|>",)
    assert "Sealed test: 0.500 [0.400, 0.600]" in (tmp_path / "out" / "README.md").read_text("utf-8")
    assert base.model_bytes(tmp_path / "out" / "model") == base.model_bytes(nano.path())
