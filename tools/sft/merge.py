"""Whole weights out of a base model and what was trained on it, and the proof that they are the same.

Owns the folder of a model that is served: weights, configuration and tokenizer. The proof has two
parts: in memory, the merged model gives the logits of base and adapter; and on the disk stand these
weights, bit for bit, in the base model's precision. A training entry point: it imports torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from preceptor.core import foreign, model_folder
from preceptor.core.errors import InputError, StoreError, boundary
from preceptor.core.files import compact
from preceptor.core.reading import loads
from preceptor.core.records import AdapterRef
from preceptor.tools.sft import base
from preceptor.tools.sft.job import Failed
from preceptor.tools.sft.model import save_whole

TOLERANCE = 1e-3
"""The largest difference of two logits that counts as none, as a part of the largest logit: merging
adds the same numbers in another order."""

ROOM = 1.3
"""Disk that must be free, in sizes of base model and adapter."""

_CODE = "auto_map"

_BESIDE = (
    "generation_config.json", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json",
    "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
)  # fmt: skip


def check_room(at: Path, folder: Path, adapter: Path | None) -> None:
    """Refuse to begin what could not be written.

    Raises:
        StoreError: If the disk of ``at`` has no room for the whole weights and the adapter.
    """
    sizes = [base.model_bytes(folder)]
    if adapter is not None:
        sizes.append(sum(p.stat().st_size for p in adapter.iterdir() if p.is_file()))
    needed, free = int(sum(sizes) * ROOM), shutil.disk_usage(at).free
    if free < needed:
        raise StoreError(
            f"{needed // 2**20 + 1} MiB of disk are needed, {free // 2**20} are free",
            "make room, or name a folder on another disk",
        )


def whole(
    folder: Path, trained: tuple[AdapterRef, Path] | None, out: Path, prompts: Sequence[str]
) -> float:
    """Write the folder of a model that can be served.

    Args:
        folder: The base model's.
        trained: What was trained on it, and where that lies.
        out: A folder that is not there yet.
        prompts: What the logits are compared on.

    Returns:
        The largest difference of a logit between base with adapter and merged, in memory.

    Raises:
        InputError: If the weights cannot be loaded, or merging gives another model.
    """
    out.mkdir()
    difference = 0.0
    if trained is not None and trained[0].kind == "lora":
        hint = "train them again"
        with boundary(InputError, "the trained weights cannot be merged", hint):
            difference = _merged(folder, trained[1], out, prompts)
    else:
        source = folder if trained is None else trained[1]
        for file in [*model_folder.files(source), *source.glob("*.index.json"), source / "config.json"]:
            shutil.copyfile(file, out / file.name)
    for name in _BESIDE:
        if (folder / name).is_file() and not (out / name).exists():
            shutil.copyfile(folder / name, out / name)
    _no_second_start(out / "tokenizer_config.json")
    _no_code(out / "config.json")
    return difference


def _no_second_start(file: Path) -> None:
    """Say that the server adds no token: the rendered prompt has all of them.

    Where nothing is said, Ollama puts a token in front of every prompt for some architectures.
    """
    said = _said(file)
    said.pop(_CODE, None)
    file.write_bytes(compact({**said, "add_bos_token": False, "add_eos_token": False}))


def _no_code(file: Path) -> None:
    """Take out where a model's own Python is: converters and servers may run what stands there."""
    said = _said(file)
    if said.pop(_CODE, None) is not None:
        file.write_bytes(compact(said))


def _said(file: Path) -> dict[str, JsonValue]:
    try:
        said = loads(file.read_bytes()) if file.is_file() else {}
    except ValueError as cause:
        raise InputError(
            f"{file.name} of the base model is no JSON", "fetch the model again"
        ) from cause
    return dict(said)


def _merged(folder: Path, adapter: Path, out: Path, prompts: Sequence[str]) -> float:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    foreign.check_model(folder)
    foreign.check_adapter(adapter)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    ids = [
        tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"] for text in prompts
    ]
    net: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
    adapted: Any = PeftModel.from_pretrained(net, str(adapter)).eval()
    wanted = _logits(adapted, ids)
    merged: Any = adapted.merge_and_unload().eval()
    difference = check_same(wanted, _logits(merged, ids))
    save_whole(merged, out, str(folder))
    again = AutoModelForCausalLM.from_pretrained(
        out, dtype="auto", local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    kept = again.state_dict()
    for name, tensor in merged.state_dict().items():
        if name not in kept or not torch.equal(kept[name], tensor):
            raise Failed(f"the file does not hold the merged weights ({name})", "export again", "setup")
    return difference


def _logits(net: Any, ids: Sequence[Any]) -> list[Any]:
    import torch

    with torch.inference_mode():
        return [net(input_ids=one).logits for one in ids]


def check_same(wanted: Sequence[Any], found: Sequence[Any]) -> float:
    """Return the largest difference of two lists of logits.

    Raises:
        InputError: If it is more than ``TOLERANCE`` of the largest logit, or no number.
    """
    difference = max(float((a - b).abs().max()) for a, b in zip(wanted, found, strict=True))
    largest = max(float(a.abs().max()) for a in wanted)
    if not difference <= TOLERANCE * largest:
        raise InputError(
            f"the merged weights are another model: logits differ by {difference:.3g} of {largest:.3g}",
            "train them again",
        )
    return difference
