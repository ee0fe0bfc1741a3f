"""The doctor on a student's two faces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from preceptor.agents.publish import Model, Publisher
from preceptor.agents.servers.hosting import Created, Library
from preceptor.agents.servers.ollama import OllamaServer
from preceptor.cli import faces, main
from preceptor.core.records import ModelRef, Recipe
from preceptor.graphs import exporting
from preceptor.graphs.sameness import Sameness
from tests.agents.students import tiny
from tests.graphs import hosted

NAME = "twin:1"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaServer]:
    """Serve the tiny model under its own template."""
    monkeypatch.chdir(tmp_path)
    with OllamaServer(library=Library(host=hosted.host), models={}) as made:
        monkeypatch.setenv("OLLAMA_HOST", made.url)
        told, _ = exporting.told(hosted.model(), Recipe(model=ModelRef(spec="nano")))
        files = {p.name: p for p in hosted.model().iterdir()}
        config = json.loads(files["tokenizer_config.json"].read_text("utf-8"))
        plain = tmp_path / "tokenizer_config.json"
        plain.write_text(json.dumps({**config, "add_bos_token": False}), "utf-8")
        files["tokenizer_config.json"] = plain
        publisher = Publisher(made.url)
        publisher.create(Model(NAME, files, told.template), lambda _: None)
        publisher.close()
        yield made


def doctor(
    capsys: pytest.CaptureFixture[str], folder: Path | None, name: str = NAME
) -> tuple[int, dict[str, dict[str, str]]]:
    more = ["--set", f'faces."{name}"={folder}'] if folder is not None else []
    code = main(["doctor", "--student", f"ollama:{name}", "--json", *more])
    return code, {one["what"]: one for one in json.loads(capsys.readouterr().out)}


def test_the_same_model(server: OllamaServer, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(capsys, hosted.model())
    assert code == 0
    assert found["weights"]["found"] == str(hosted.model())
    for what in ("vocabulary", "chat template"):
        assert (found[what]["state"], found[what]["found"][:6]) == ("ok", "8 of 8")
    assert found["continuations"]["found"] == "8 of 8 greedy continuations are equal"
    server.levels[NAME] = "Q4_K_M"
    _, found = doctor(capsys, hosted.model())
    assert found["continuations"]["found"].endswith("served as Q4_K_M, so that some may differ")


def test_other_weights_are_asked_about(
    server: OllamaServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, found = doctor(capsys, tiny.save("llama", tmp_path / "other"))
    assert code == 0, "only other token counts are an error"
    server.levels[NAME] = "Q4_K_M"
    _, quantised = doctor(capsys, tmp_path / "other")
    assert quantised["continuations"]["state"] == "note", "bits do not explain another model"
    assert "same version" in quantised["continuations"]["mend"]
    assert found["vocabulary"]["state"] == "ok"
    assert found["continuations"]["state"] == "note"
    assert "same version" in found["continuations"]["mend"]


def test_another_vocabulary_or_template_is_an_error(
    server: OllamaServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tiny.save("lfm2", tmp_path / "other")
    raw = json.loads((other / "tokenizer.json").read_text("utf-8"))
    merges = raw["model"]["merges"]
    raw["model"]["merges"] = merges[: len(merges) // 2]
    (other / "tokenizer.json").write_text(json.dumps(raw), "utf-8")
    code, found = doctor(capsys, other)
    assert (code, found["vocabulary"]["state"]) == (2, "missing")
    assert "tokens here" in found["vocabulary"]["found"]
    assert found["vocabulary"]["mend"] == f'set faces."{NAME}" to the weights it was made of'
    made = server.library.created[NAME]
    object.__setattr__(made, "template", "{{ .System }}{{ .Prompt }}")
    code, found = doctor(capsys, hosted.model())
    assert (code, found["vocabulary"]["state"], found["chat template"]["state"]) == (2, "ok", "missing")
    assert "ollama show" in found["chat template"]["mend"]


def test_a_server_that_adds_a_start_token_has_the_same_vocabulary(
    server: OllamaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {p.name: p for p in hosted.model().iterdir()}
    template = server.library.created[NAME].template.replace("<|bos|>", "")
    publisher = Publisher(server.url)
    publisher.create(Model("starts:1", files, template), lambda _: None)
    publisher.close()
    code, found = doctor(capsys, hosted.model(), "starts:1")
    assert (code, found["chat template"]["found"][:6]) == (0, "8 of 8")
    assert "a second start token" in found["vocabulary"]["found"]
    assert "two start tokens" in found["continuations"]["found"]


@pytest.mark.parametrize(
    ("equal", "first", "level", "state", "said"),
    [
        (0, 8, "Q4_1", "note", "no greedy continuation is equal; 8 of 8 begin with the same token; "),
        (0, 2, "Q4_1", "note", "no greedy continuation is equal; 2 of 8 begin with the same token"),
        (0, 8, "F16", "note", "no greedy continuation is equal; 8 of 8 begin with the same token"),
        (3, 8, "Q4_1", "ok", "3 of 8 greedy continuations are equal; it is served as Q4_1"),
        (8, 8, "F16", "ok", "8 of 8 greedy continuations are equal"),
    ],
)
def test_where_no_continuation_is_equal_it_says_so_and_marks_it(
    equal: int, first: int, level: str, state: str, said: str
) -> None:
    found = Sameness(
        prompts=8, raw_equal=8, chat_equal=8, continued_equal=equal, first_equal=first, level=level
    )
    check = list(faces._said(found, "x"))[-1]
    assert (check.what, check.state) == ("continuations", state)
    assert check.found.startswith(said)
    assert bool(check.mend) == (state == "note")


@pytest.mark.parametrize("spelt", ["Twin:1", "library/twin:1", "registry.ollama.ai/library/TWIN:1"])
def test_weights_are_found_under_any_spelling(
    server: OllamaServer, capsys: pytest.CaptureFixture[str], spelt: str
) -> None:
    code = main(
        [
            "doctor",
            "--student",
            f"ollama:{spelt}",
            "--json",
            "--set",
            f'faces."{NAME}"={hosted.model()}',
        ]
    )
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert code == 0
    assert found["weights"]["found"] == str(hosted.model())
    assert found["vocabulary"]["found"][:6] == "8 of 8"


def test_weights_that_are_not_here(server: OllamaServer, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor(capsys, None)
    assert (code, found["weights"]["state"]) == (0, "note")
    assert found["weights"]["mend"] == f"name their folder in the settings: faces.\"{NAME}\" = 'FOLDER'"
    _, found = doctor(capsys, Path("nowhere"))
    assert found["weights"]["found"] == "no model in 'nowhere'"
    assert "config.json" in found["weights"]["mend"]


def test_the_way_back_is_named(
    server: OllamaServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = doctor(capsys, hosted.model())
    assert found["way back"]["state"] == "ok"
    assert "merged weights, which Ollama imports (tokenizer: llama-bpe)" in found["way back"]["found"]
    server.levels[NAME] = "Q4_K_M"
    _, found = doctor(capsys, hosted.model())
    assert "answers differ by the quantisation" in found["trained weights"]["found"]
    split = tiny.save("llama", tmp_path / "split", digits=True)
    files = {p.name: p.read_bytes() for p in split.iterdir()}
    server.library.pull("small:1", Created(files))
    _, found = doctor(capsys, split, "small:1")
    assert found["way back"]["found"] == "an adapter on the served base; adapters are trained"
    config = json.loads((split / "config.json").read_bytes())
    odd = json.dumps({**config, "architectures": ["OddForCausalLM"]})
    (split / "config.json").write_text(odd)
    server.library.pull("odd:1", replace(Created(files), files={**files, "config.json": odd.encode()}))
    _, found = doctor(capsys, split, "odd:1")
    assert found["way back"]["state"] == "note"
    assert "no way leads back into Ollama" in found["way back"]["found"]
