"""Calling llama.cpp's converter, with a converter that is written here."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from preceptor.core.errors import InputError, StoreError
from preceptor.tools.sft import conversion, converter

SCRIPT = """
import sys
from conversion.base import TextModel
def main():
    model, _, out, _, kind = sys.argv[1:]
    with open(out, "w") as file:
        file.write(kind + " " + TextModel().get_vocab_base_pre(None))
"""
STRANGER = "raise NotImplementedError('BPE pre-tokenizer was not recognized')"
KNOWN = "return 'known'"


def checkout(folder: Path, does: str) -> Path:
    """Write what looks like llama.cpp's converter, with a way to recognise tokenizers."""
    (folder / "conversion").mkdir(parents=True)
    (folder / "convert_hf_to_gguf.py").write_text(SCRIPT)
    (folder / "conversion" / "base.py").write_text(
        f"class TextModel:\n    def get_vocab_base_pre(self, tokenizer):\n        {does}\n"
    )
    return folder


def archive(folder: Path, does: str = STRANGER) -> Path:
    """Write a source archive that has the converter where llama-cpp-python has it."""
    checkout(folder / "llama_cpp_python-1.0" / "vendor" / "llama.cpp", does)
    (folder / "llama_cpp_python-1.0" / "setup.py").write_text("raise SystemExit('never run')")
    file = folder / "source.tar.gz"
    with tarfile.open(file, "w:gz") as made:
        made.add(folder / "llama_cpp_python-1.0", "llama_cpp_python-1.0")
    return file


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(conversion, "PACKAGES", ())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    _split(folder, next(iter(converter.SPLITS)))
    return folder


def _split(folder: Path, pattern: str) -> None:
    first = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    second = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    said = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [first, second]}}
    (folder / "tokenizer.json").write_text(json.dumps(said))


def test_an_own_vocabulary_is_split_as_llama_3_splits(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    conversion.convert(model, out, "f16", archive(tmp_path))
    assert out.read_text() == "f16 llama-bpe"


def test_what_the_converter_recognises_is_left_to_it(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    conversion.convert(model, out, "f32", checkout(tmp_path / "llama.cpp", KNOWN))
    assert out.read_text() == "f32 known"


def test_another_way_of_splitting_is_refused_in_one_line(model: Path, tmp_path: Path) -> None:
    _split(model, r"\w+")
    with pytest.raises(InputError, match=r"cannot convert the model: .* was not recognized"):
        conversion.convert(model, tmp_path / "out.gguf", "f32", archive(tmp_path))
    assert not (tmp_path / "out.gguf").exists()


def test_what_is_missing_is_named_with_what_to_do(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, plain, other = tmp_path / "out.gguf", tmp_path / "plain.txt", tmp_path / "other"
    plain.write_text("no archive")
    other.mkdir()
    fetch = "pip download .*llama-cpp-python.*PRECEPTOR_LLAMA_CPP"
    for named, words in (
        (None, f"not known where llama.cpp's converter is .*{fetch}"),
        (tmp_path / "gone.tar.gz", f"no such file .*{fetch}"),
        (plain, f"no source archive .*{fetch}"),
        (other, f"converter is not in .*{fetch}"),
    ):
        with pytest.raises(InputError, match=words):
            conversion.convert(model, out, "f32", named)
    with pytest.raises(InputError, match=r"makes no 'q4_k_m' \(say --quantize with f32, f16"):
        conversion.convert(model, out, "q4_k_m", archive(tmp_path))
    monkeypatch.setattr(conversion, "_ROOM", {"f32": 1e15})
    with pytest.raises(StoreError, match="MiB of disk are needed"):
        conversion.convert(model, out, "f32", archive(tmp_path / "again"))
    monkeypatch.setattr(conversion, "PACKAGES", ("nowhere_to_be_found",))
    with pytest.raises(
        InputError, match=r"nowhere_to_be_found \(pip install 'preceptor\[local,gguf\]'"
    ):
        conversion.convert(model, out, "f32", tmp_path)
    assert not out.exists()
