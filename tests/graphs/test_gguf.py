"""A student that was trained, converted to GGUF and served by llama.cpp, behind the real parity gate.

Runs where the extra ``gguf`` is installed and ``PRECEPTOR_LLAMA_CPP`` names llama.cpp's converter (the
source archive of llama-cpp-python); says why it does not elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'local'")
pytest.importorskip("trl", reason="needs the extra 'local'")
pytest.importorskip("gguf", reason="needs the extra 'gguf'")
pytest.importorskip("xllamacpp", reason="needs the extra 'gguf'")

from preceptor import nano
from preceptor.agents import students
from preceptor.agents.servers.llamacpp import LlamaCppServer
from preceptor.cli import main
from preceptor.core.errors import InputError, StudentError
from preceptor.core.ports import Student
from preceptor.core.records import ModelRef
from preceptor.core.settings import Settings
from preceptor.graphs import bundle, comparing, exporting, gguf, serving
from preceptor.tools.sft import base
from tests.contracts.student import StudentContract
from tests.graphs import hosted

CONVERTER = os.environ.get("PRECEPTOR_LLAMA_CPP", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CONVERTER, reason="PRECEPTOR_LLAMA_CPP names no converter"),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the serving folder of the embedded student, trained for two epochs on 20 notes."""
    place = tmp_path_factory.mktemp("gguf")
    made = hosted.make_bundle(place / "bundle", nano.path(), hosted.trained)
    exporting.export(made, place / "out")
    return place / "out"


@pytest.fixture(scope="module")
def kept(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, comparing.Verdict]:
    """Return a folder whose file passed, and what the gate found."""
    folder = Path(shutil.copytree(exported, tmp_path_factory.mktemp("kept") / "out"))
    return folder, write(folder)


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """Return a copy of the serving folder, to be spoilt."""
    return Path(shutil.copytree(exported, tmp_path / "serving"))


def write(folder: Path, quantize: str = "", replace: bool = False) -> comparing.Verdict:
    said: list[str] = []
    target = serving.Target(quantize=quantize, replace=replace)
    return gguf.write(folder, folder, target, Settings(llama_cpp=Path(CONVERTER)), said.append)


def left(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.name.endswith((".gguf", "served"))}


def test_what_was_trained_is_what_llama_cpp_serves(kept: tuple[Path, comparing.Verdict]) -> None:
    folder, verdict = kept
    found = [(c.route, c.prompts, c.tokens_equal, c.fields_equal) for c in verdict.checks]
    assert found == [("raw", 44, 44, 44), ("chat", 44, 44, 44)]
    assert [c.texts_equal for c in verdict.checks] == [None, 44]
    assert left(folder) == {"model.gguf", "served"}
    assert json.loads((folder / "parity.json").read_text("utf-8"))["checks"][0]["prompts"] == 44
    spec = bundle.read(folder / "served").recipe.model.spec
    assert spec == f"openai:{exporting.read(folder).name}@http://127.0.0.1:8080"
    assert (folder / "served" / "tokenizer" / "tokenizer.json").is_file()


class TestServedFile(StudentContract):
    @pytest.fixture
    def student(self, kept: tuple[Path, comparing.Verdict]) -> Iterator[Student]:
        folder, _ = kept
        with LlamaCppServer(folder / "model.gguf", threads=1) as server:
            options = students.StudentOptions(tokenizer=folder / "served" / "tokenizer", retries=0)
            made = students.make(ModelRef(spec=f"openai:tuned@{server.url}"), options=options)
            yield made
            made.close()


def _reseal(folder: Path) -> None:
    """Make the folder's own word fit what was done to it, so that only the gate can tell."""
    said = json.loads((folder / "serving.json").read_text("utf-8"))
    said["files"] = base.file_hashes(folder / "model")
    (folder / "serving.json").write_text(json.dumps(said), "utf-8")


def longer_template(folder: Path) -> None:
    file = folder / "model" / "chat_template.jinja"
    file.write_text(file.read_text("utf-8").replace("'<|assistant|>'", "'<|assistant|>\\n'"), "utf-8")


def other_template(folder: Path) -> None:
    """As many tokens, but a user says all of them."""
    file = folder / "model" / "chat_template.jinja"
    file.write_text(file.read_text("utf-8").replace("message['role']", "'user'"), "utf-8")


def wrong_bos(folder: Path) -> None:
    file = folder / "model" / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "add_bos_token": True}))


def not_merged(folder: Path) -> None:
    shutil.copyfile(nano.path() / "model.safetensors", folder / "model" / "model.safetensors")


def merged_twice(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model" / "model.safetensors"
    before, merged = load_file(nano.path() / "model.safetensors"), load_file(file)
    save_file({k: (2 * t.float() - before[k].float()).to(t.dtype) for k, t in merged.items()}, file)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (longer_template, "chat: 44 of 44 prompts have another number of tokens"),
        (other_template, "chat: 44 of 44 prompts are rendered otherwise"),
        (wrong_bos, "raw: 44 of 44 prompts have another number of tokens"),
        (not_merged, "raw: [0-9]+ of 44 fields are answered otherwise"),
        (merged_twice, "raw: [0-9]+ of 44 fields are answered otherwise"),
    ],
)
def test_the_gate_catches(spoil: Callable[[Path], None], words: str, folder: Path) -> None:
    spoil(folder)
    _reseal(folder)
    with pytest.raises(InputError, match=words):
        write(folder)
    assert left(folder) == set()
    assert json.loads((folder / "parity.json").read_text("utf-8"))["name"] == "model.gguf"


def test_what_is_refused_replaces_nothing(kept: tuple[Path, comparing.Verdict], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(kept[0], tmp_path / "out"))
    before = (folder / "model.gguf").read_bytes()
    with pytest.raises(InputError, match=r"there is a model\.gguf .* already \(say --replace\)"):
        write(folder)
    not_merged(folder)
    _reseal(folder)
    with pytest.raises(InputError, match="answered otherwise"):
        write(folder, replace=True)
    assert (folder / "model.gguf").read_bytes() == before


def test_sixteen_bits_must_answer_alike_and_eight_not_worse(folder: Path) -> None:
    assert [c.quantised for c in write(folder, "f16").checks] == [False, False]
    whole = (folder / "model.gguf").stat().st_size
    verdict = write(folder, "q8_0", replace=True)
    assert [c.quantised for c in verdict.checks] == [True, True]
    assert (folder / "model.gguf").stat().st_size < 0.6 * whole


def test_at_the_command_line(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(folder), "--to", "gguf"]) == 0
    shown = capsys.readouterr()
    assert "model.gguf: it answers as the model that was measured." in shown.out
    assert "raw: 44/44 prompts with equal token counts, 44/44 fields equal" in shown.err
    wrong_bos(folder)
    _reseal(folder)
    assert main(["export", str(folder), "--to", "gguf", "--replace", "--json"]) == 2
    assert "'model.gguf' is not the model that was measured" in capsys.readouterr().err


def test_a_file_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF and nothing else")
    with pytest.raises(StudentError, match=r"llama\.cpp cannot serve 'model\.gguf': ."):
        LlamaCppServer(tmp_path / "model.gguf")
