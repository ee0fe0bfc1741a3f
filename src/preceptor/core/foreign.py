"""What a folder of weights from somebody else may say before a library reads it.

Owns the look at ``config.json`` and ``adapter_config.json``. Weights are numbers, but the files beside
them name code: Python of their own (``auto_map``), attention kernels to be fetched and run, modules to
be imported, regular expressions to be matched. Every model is loaded with ``trust_remote_code=False``
(a test reads the source for it); what that does not cover is refused here, in one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from preceptor.core.errors import InputError, PreceptorError, boundary

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
MOST_BYTES = 1 << 20
"""No configuration is longer."""

_MODULE = re.compile(r"[A-Za-z_][\w.\-]{0,199}", re.ASCII)
_LIBRARY = re.compile(r"transformers\.models\.[a-z0-9_]+\.modeling_[a-z0-9_]+")
_WORDS = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM",),
    "bias": ("none", "all", "lora_only"),
    "init_lora_weights": ("gaussian",),
    "megatron_core": ("megatron.core",),  # PEFT's default; it imports what stands there
}
_FREE = ("base_model_name_or_path", "peft_version", "revision")
"""Texts that nothing is done with: what an adapter goes on is chosen by the recipe."""


def check_model(folder: Path, error: type[PreceptorError] = InputError) -> None:
    """Refuse a model's folder that would have transformers load more than the model in it.

    Args:
        folder: The folder of ``config.json``.
        error: What to raise.

    Raises:
        PreceptorError: ``error``, if it is an adapter's folder too, or asks for code to be fetched.
    """
    what = f"the model in {str(folder)!r}"
    if (folder / ADAPTER).is_file():
        # Instead of this model transformers would load the one that the adapter names.
        raise error(f"{what} is an adapter too ({ADAPTER})", "merge it, or take that file away")
    said = _read(folder / "config.json", what, error)
    if _kernel(said):
        raise error(
            f"{what} asks for attention that is code to be fetched",
            "take attn_implementation out of it",
        )


@contextmanager
def loading(error: type[PreceptorError], what: str, hint: str = "") -> Iterator[None]:
    """Turn what a library raises at a model into one error, as ``errors.boundary`` does.

    Args:
        error: What to raise.
        what: What was being done.
        hint: What to do about it, unless the model would have to run its own Python.

    Raises:
        PreceptorError: ``error``.
    """
    with boundary(error, what, hint):
        try:
            yield
        except ValueError as cause:
            if "trust_remote_code" not in str(cause):
                raise
            # The library's advice is to trust it.
            raise error(
                f"{what}: it brings Python of its own, which is never run",
                "take one that transformers knows, without auto_map",
            ) from cause


def check_adapter(folder: Path, error: type[PreceptorError] = InputError) -> None:
    """Refuse an adapter that is more than low-rank matrices for modules named one by one.

    Args:
        folder: The folder of ``adapter_config.json``.
        error: What to raise.

    Raises:
        PreceptorError: ``error``, naming the key.
    """
    what = f"the adapter in {str(folder)!r}"
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise error(f"{what} has no {ADAPTER_WEIGHTS}; other weights are not read", "train it again")
    said = _read(folder / ADAPTER, what, error)
    if said.get("peft_type") not in _WORDS["peft_type"]:
        raise error(f"{what} is no LoRA adapter", "train it with preceptor")
    for key, value in said.items():
        wrong = _unknown(key, value)
        if wrong:
            shown = key if _MODULE.fullmatch(key) and len(key) <= 60 else "one of its keys"
            raise error(f"{what}: {shown} {wrong}", "train it with preceptor, or take that key out")


def _unknown(key: str, value: JsonValue) -> Literal["", "is a pattern", "is not known here"]:
    """Return what is wrong with one key of an adapter's configuration."""
    if value is None or isinstance(value, bool | int | float) or value in ("", [], {}):
        return ""
    if key == "target_modules":
        if isinstance(value, str):
            return "" if value == "all-linear" else "is a pattern"
        plain = isinstance(value, list) and all(
            isinstance(v, str) and _MODULE.fullmatch(v) for v in value
        )
        return "" if plain else "is a pattern"
    if key == "auto_mapping":
        # PEFT imports the library that it names, in ways that are not used here.
        library = value.get("parent_library") if isinstance(value, dict) else None
        known = isinstance(library, str) and _LIBRARY.fullmatch(library)
        return "" if known else "is not known here"
    if isinstance(value, str) and (key in _FREE or value in _WORDS.get(key, ())):
        return ""
    return "is not known here"


def _kernel(said: JsonValue) -> bool:
    """Return whether an attention is named as ``owner/repository``, at any depth."""
    if isinstance(said, list):
        return any(map(_kernel, said))
    if not isinstance(said, dict):
        return False
    named = [
        v for k, v in said.items() if k.endswith(("attn_implementation", "experts_implementation"))
    ]
    return any("/" in json.dumps(v) for v in named) or any(map(_kernel, said.values()))


def _read(file: Path, what: str, error: type[PreceptorError]) -> dict[str, JsonValue]:
    try:
        content = file.read_bytes()
        if len(content) > MOST_BYTES:
            raise error(f"{what}: {file.name} is longer than any configuration", "fetch it again")
        said: JsonValue = json.loads(content)
    except (OSError, ValueError, RecursionError) as cause:
        raise error(f"{what}: {file.name} cannot be read", "fetch it again") from cause
    if not isinstance(said, dict):
        raise error(f"{what}: {file.name} is no JSON object", "fetch it again")
    return said
