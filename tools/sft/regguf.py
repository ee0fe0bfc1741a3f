"""Trained weights in place of those in a GGUF file, whose metadata and tokenizer stay as they are.

Owns where each weight stands, and the one order that differs: llama's queries and keys have the halves
of a head's rows one after the other in transformers, and in turns in GGUF.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.core import model_folder
from preceptor.core.errors import InputError, StoreError, boundary
from preceptor.tools.sft.routes import REWRITABLE

if TYPE_CHECKING:
    import numpy as np

_TURNED = ("attn_q.weight", "attn_k.weight", "attn_q.bias", "attn_k.bias")
_EMBEDDED, _OUTPUT, _TYPE = "token_embd.weight", "output.weight", "general.file_type"


def rewrite(file: Path, model: Path, out: Path) -> None:
    """Write a GGUF file with a file's metadata and a model's weights, in 16 bits.

    Args:
        file: The served base's.
        model: The folder of the merged weights.
        out: The file; nothing is left of it if it cannot be written.

    Raises:
        InputError: If a package is missing, or the weights are not those of such a model.
        StoreError: If the disk has no room for it.
    """
    if find_spec("gguf") is None:
        raise InputError("writing a GGUF file needs the package gguf", "pip install 'preceptor[local]'")
    needed = sum(one.stat().st_size for one in model_folder.files(model)) + file.stat().st_size
    if shutil.disk_usage(out.parent).free < needed:
        raise StoreError(f"{needed // 2**20 + 1} MiB of disk are needed", "make room")
    done = False
    try:
        with boundary(InputError, f"{file.name} cannot be written with the trained weights"):
            _write(file, model, out)
        done = True
    finally:
        if not done:
            out.unlink(missing_ok=True)


def _write(file: Path, model: Path, out: Path) -> None:
    gguf: Any = import_module("gguf")
    reader = gguf.GGUFReader(file)
    kind = str(reader.get_field("general.architecture").contents())
    if kind not in REWRITABLE:
        raise InputError(f"it is not known how {kind!r} orders its weights", "set llama_cpp")
    writer = gguf.GGUFWriter(out, kind)
    for known in reader.fields.values():
        if known.name.startswith("GGUF.") or known.name in ("general.architecture", _TYPE):
            continue
        listed = known.types[0] == gguf.GGUFValueType.ARRAY
        writer.add_key_value(
            known.name, known.contents(), known.types[0], sub_type=known.types[-1] if listed else None
        )
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    fresh = dict(_weights(gguf, reader, kind, model))
    for tensor in reader.tensors:
        weight = fresh.pop(tensor.name, None)
        if weight is None and tensor.name == _OUTPUT and _EMBEDDED in fresh:
            weight = fresh[_EMBEDDED]
        if weight is None:  # Tables that are computed, as Llama 3's of rotations.
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            continue
        if [*reversed(weight.shape)] != [int(n) for n in tensor.shape]:
            raise InputError(f"{tensor.name} has another shape", "are these the weights of that file?")
        writer.add_tensor(tensor.name, weight)
    if fresh:
        raise InputError(f"{min(fresh)} has no place in it", "are these the weights of that file?")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(gguf: Any, reader: Any, kind: str, model: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a model's weights under GGUF's names and in its order: matrices in 16 bits."""
    import numpy as np
    from safetensors.torch import load_file

    number = {
        name: int(reader.get_field(f"{kind}.{key}").contents())
        for name, key in (
            ("layers", "block_count"),
            ("q", "attention.head_count"),
            ("k", "attention.head_count_kv"),
        )
    }
    arch = next(one for one, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
    names = gguf.get_tensor_name_map(arch, number["layers"])
    for file in model_folder.files(model):
        for name, tensor in load_file(file).items():
            there = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if there is None:
                raise InputError(f"{name} has no place in it", "are these the weights of that file?")
            weight = tensor.float().numpy()
            if kind == "llama" and there.endswith(_TURNED):
                heads = number["q" if "attn_q" in there else "k"]
                halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
                weight = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))
            yield there, weight.astype(np.float16) if weight.ndim > 1 else weight
