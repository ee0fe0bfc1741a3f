"""What a scripted Ollama server makes of files that it is given: architectures, tokenizers, adapters.

Owns the importer's behaviour as it was measured on a real server and read in its source
(ollama/ollama, ``convert/``): a pre-tokenizer that it does not know by its ``Split`` expressions
becomes ``default``; an adapter in safetensors is taken for bases of two architectures only; one whose
shapes do not fit is refused. Which tokens follow, and what an adapter changes, a ``Host`` decides.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

from preceptor.core import pretokenizer

ADAPTABLE = ("llama", "gemma2")
"""Architectures of bases whose adapters are converted."""

_GGUF = {
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3",
    "Lfm2ForCausalLM": "lfm2",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Phi3ForCausalLM": "phi3",
    "Qwen2ForCausalLM": "qwen2",
}
_TEXT = 8
"""GGUF's number for a text."""

_A, _B = ".lora_A.weight", ".lora_B.weight"


def config(files: Mapping[str, bytes]) -> dict[str, object]:
    """Return a model's ``config.json``; empty if it has none."""
    said = json.loads(files.get("config.json", b"{}"))
    return said if isinstance(said, dict) else {}


def named(files: Mapping[str, bytes]) -> str:
    """Return the architecture that ``config.json`` names; empty if it names none."""
    found = config(files).get("architectures")
    return str(found[0]) if isinstance(found, list) and found else ""


def architecture(files: Mapping[str, bytes]) -> str:
    """Return a model's architecture as GGUF calls it; ``scripted`` where it is not known."""
    for name, content in files.items():
        if name.endswith(".gguf"):
            return _told(content)
    return _GGUF.get(named(files), "scripted")


def _told(gguf: bytes) -> str:
    """Return the architecture that a GGUF file names; it stands among the first of its metadata."""
    key = b"general.architecture"
    at = gguf.find(key, 0, 1 << 16)
    if at < 0:
        return "scripted"
    at += len(key)
    kind, size = struct.unpack_from("<IQ", gguf, at)
    return gguf[at + 12 : at + 12 + size].decode() if kind == _TEXT else "scripted"


def pre_tokenizer(files: Mapping[str, bytes]) -> str:
    """Return what the importer calls a tokenizer; empty where there is none to look at."""
    if "tokenizer.model" in files or "tokenizer.json" not in files:
        return ""
    return pretokenizer.named(files["tokenizer.json"])


def check_adapter(base: str, files: Mapping[str, bytes], adaptable: tuple[str, ...]) -> None:
    """Refuse an adapter that cannot be put on a base of an architecture.

    Raises:
        ValueError: With the server's words.
    """
    if "adapter_config.json" not in files or "adapter_model.safetensors" not in files:
        raise ValueError("adapter has no adapter_config.json or no adapter_model.safetensors")
    if base not in adaptable:
        raise ValueError("unsupported architecture")
    rank = json.loads(files["adapter_config.json"]).get("r")
    sizes = shapes(files["adapter_model.safetensors"])
    for name, size in sizes.items():
        if (name.endswith(_A) and size[0] != rank) or (name.endswith(_B) and size[1] != rank):
            raise ValueError(f"adapter tensor {name} does not have rank {rank}")


def shapes(content: bytes) -> dict[str, list[int]]:
    """Return the shape of each tensor in the content of a safetensors file."""
    (size,) = struct.unpack("<Q", content[:8])
    told = json.loads(content[8 : 8 + size])
    return {name: about["shape"] for name, about in told.items() if name != "__metadata__"}
