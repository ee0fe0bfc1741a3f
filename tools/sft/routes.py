"""The ways by which trained weights get back into Ollama, and which of them a training takes.

Owns the choice, which is made before anything is trained, from the base model and its tokenizer:

    adapter      what was trained lies on the served base; tokenizer and metadata stay the base's own
    safetensors  merged weights go through Ollama's importer
    gguf         merged weights in a GGUF file, which is taken as it is

The first needs an architecture whose adapters Ollama converts, and a training of adapters. The second
needs an architecture that the importer knows, and a pre-tokenizer that it knows by its hash: any other
becomes "default" and splits text otherwise. What each way does is ``graphs.returning``'s affair.

Ollama's converter of adapters (``convert/convert_llama_adapter.go``) orders ``lora_A`` of queries and
keys as an MLX adapter has it, and those of PEFT come out scrambled. So adapters that go this way leave
the two out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from preceptor.core import model_folder, pretokenizer
from preceptor.core.errors import InputError
from preceptor.core.record import Record
from preceptor.tools.sft import base
from preceptor.tools.sft.faces import IMPORTABLE

Kind = Literal["lora", "merged"]

ADAPTABLE: dict[str, tuple[str, ...]] = {"llama": ("q_proj", "k_proj"), "gemma2": ()}
"""Architectures (GGUF's names) whose adapters are converted, and what such an adapter leaves out."""

GGUF_NAMES = {
    "Gemma2ForCausalLM": "gemma2",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
"""What GGUF calls the architectures that ``config.json`` names."""

REWRITABLE = ("llama", "qwen2", "qwen3")
"""Architectures whose tensors GGUF has as transformers does, but for llama's order of heads."""

_A, _B, _UNDER = ".lora_A.weight", ".lora_B.weight", "base_model.model."


class Route(Record):
    """A way back.

    Attributes:
        way: Which.
        kind: What has to be trained for it.
        skip: Linear layers that get no adapters.
        words: What a person is told of it.
    """

    way: Literal["adapter", "safetensors", "gguf"]
    kind: Kind
    skip: tuple[str, ...] = ()
    words: str


@dataclass(frozen=True)
class Ground:
    """What the choice is made from.

    Attributes:
        folder: The base model's weights here.
        served: The served base's architecture, as the server tells it; empty if it was not asked.
        form: The format of the served base's weights; empty if it was not asked.
        file: The served GGUF file, where it is on this machine.
        converter: Whether llama.cpp's converter is here.
        importable: Architectures that the importer knows.
        refused: Why the server puts no adapters on the base; empty if it does, or was not asked.
    """

    folder: Path
    served: str = ""
    form: str = ""
    file: Path | None = None
    converter: bool = False
    importable: Collection[str] = IMPORTABLE
    refused: str = ""

    @property
    def architecture(self) -> str:
        """The base's architecture as GGUF names it; empty if it is none of those known here."""
        return self.served or GGUF_NAMES.get(base.architecture(self.folder), "")


def choose(ground: Ground, kind: Kind, trained: Iterable[str] = ()) -> Route:
    """Return the first way that holds for what is trained.

    Args:
        ground: What is known of base and server.
        kind: Adapters or whole weights.
        trained: The layers that an adapter which is there already changes.

    Raises:
        InputError: If none does, with what stands in the way of each.
    """
    found = [_adapter(ground, kind, trained), _safetensors(ground, kind), _gguf(ground, kind)]
    for route in found:
        if isinstance(route, Route):
            return route
    raise InputError(
        "no way leads back into Ollama from this training: " + "; ".join(map(str, found)),
        "set llama_cpp to llama.cpp's converter, or train a student of another model",
    )


def settle(ground: Ground, method: str | None, whole: bool, start: Kind | None) -> Route:
    """Return the way of a training that is yet to be done, and with it what is trained.

    Whole weights are trained where that is asked for, and where they would be anyway and the importer
    takes them; else adapters, where those have a way.

    Args:
        ground: What is known of base and server.
        method: The method that was asked for; None if none was.
        whole: Whether all weights would be trained if nothing is asked for.
        start: What the weights are that it goes on from, None if there are none.

    Raises:
        InputError: If no way leads back.
    """
    if method is not None or start == "merged":
        return choose(ground, "merged" if method == "full" or start == "merged" else "lora")
    if whole and isinstance(known := _safetensors(ground, "merged"), Route):
        return known
    if isinstance(light := _adapter(ground, "lora", ()), Route):
        return light
    return choose(ground, "merged" if whole else "lora")


def _adapter(ground: Ground, kind: Kind, trained: Iterable[str]) -> Route | str:
    named = ground.architecture
    if kind != "lora":
        return "whole weights are no adapter"
    if named not in ADAPTABLE:
        return f"Ollama converts no adapters of {named or base.architecture(ground.folder)!r}"
    if ground.form not in ("", "gguf"):
        return f"the served base is no GGUF file ({ground.form})"
    if ground.refused:
        return ground.refused
    skip = ADAPTABLE[named]
    wrong = sorted({*trained} & {*skip})
    if wrong:
        return f"the adapter changes {', '.join(wrong)}, which Ollama would convert wrongly"
    return Route(way="adapter", kind="lora", skip=skip, words="an adapter on the served base")


def _safetensors(ground: Ground, kind: Kind) -> Route | str:
    named, pre = base.architecture(ground.folder), pretokenizer.imported(ground.folder)
    if named not in ground.importable:
        return f"Ollama cannot import weights of architecture {named!r}"
    if pre in ("", pretokenizer.DEFAULT):
        return "Ollama's importer does not know how the tokenizer splits text"
    return Route(
        way="safetensors", kind=kind, words=f"merged weights, which Ollama imports (tokenizer: {pre})"
    )


def _gguf(ground: Ground, kind: Kind) -> Route | str:
    if ground.file is not None and ground.architecture in REWRITABLE:
        return Route(way="gguf", kind=kind, words=f"merged weights in {ground.file.name}'s metadata")
    if ground.converter:
        return Route(way="gguf", kind=kind, words="a GGUF file by llama.cpp's converter")
    return "neither the served GGUF file nor llama.cpp's converter is here"


def modules(adapter: Path) -> set[str]:
    """Return the names of the layers that an adapter changes."""
    return {n.removesuffix(_A).rpartition(".")[2] for n in shapes(adapter) if n.endswith(_A)}


def check_fits(adapter: Path, folder: Path) -> None:
    """Refuse an adapter of another rank than it says, or of another base model.

    Raises:
        InputError: Saying which of the two it is.
    """
    rank = json.loads((adapter / "adapter_config.json").read_bytes()).get("r")
    under = [size for file in model_folder.files(folder) for size in header(file).items()]
    known = dict(under)
    for name, size in shapes(adapter).items():
        side = 0 if name.endswith(_A) else 1
        if size[side] != rank:
            raise InputError(
                f"the adapter says rank {rank} and has rank {size[side]}", "train it again"
            )
        layer = name.removeprefix(_UNDER).removesuffix(_A).removesuffix(_B) + ".weight"
        if known.get(layer, [0, 0])[1 - side] != size[1 - side]:
            raise InputError(
                f"the adapter is of another base model: {layer} has another shape", "train it again"
            )


def shapes(adapter: Path) -> dict[str, list[int]]:
    """Return the shapes of an adapter's tensors by name.

    Raises:
        InputError: If there is none in the folder.
    """
    try:
        return header(adapter / "adapter_model.safetensors")
    except OSError as cause:
        raise InputError(f"no adapter in {str(adapter)!r}", "train it again") from cause


def header(file: Path) -> dict[str, list[int]]:
    """Return the shapes of a safetensors file's tensors; the weights are not read."""
    try:
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            told = json.loads(stream.read(size))
        return {name: about["shape"] for name, about in told.items() if name != "__metadata__"}
    except (ValueError, struct.error, KeyError, TypeError) as cause:
        raise InputError(f"{file.name} is no safetensors file", "train it again") from cause
