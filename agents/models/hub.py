"""Weights from the Hugging Face hub, where it can be reached: safetensors and tokenizer files only."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from preceptor.core.catalogue import Entry
from preceptor.core.errors import InputError, boundary

WANTED = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "chat_template.jinja",
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "README.md",
    "LICENSE*",
)
TIMEOUT = 30.0
UNWANTED = ("*/*.safetensors", "*/*.index.json")


def download(entry: Entry, into: Path) -> str:
    """Bring a model's files into a folder; return where they come from, with the revision.

    Raises:
        InputError: If the hub cannot be reached, or gives it to nobody without a token.
    """
    if find_spec("huggingface_hub") is None:
        raise InputError("fetching from the hub needs a package more", "pip install 'preceptor[local]'")
    from huggingface_hub import HfApi, constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise InputError(f"{entry.hub} cannot be fetched: HF_HUB_OFFLINE is set", ways(entry))
    try:
        with boundary(InputError, f"{entry.hub} cannot be fetched", ways(entry)):
            revision = HfApi().model_info(entry.hub, timeout=TIMEOUT).sha or "main"
            snapshot_download(
                entry.hub,
                revision=revision,
                local_dir=into,
                allow_patterns=list(WANTED),
                ignore_patterns=list(UNWANTED),
            )
    except InputError as error:
        raise _refused(entry, error) from error.__cause__
    shutil.rmtree(into / ".cache", ignore_errors=True)
    if not any(into.glob("*.safetensors")):
        raise InputError(f"{entry.hub} has no *.safetensors; other weights are not read", ways(entry))
    return f"{entry.hub} at {revision}"


def ways(entry: Entry) -> str:
    """Return the commands that bring a model where there is a network, in one line."""
    found = [f"hf download {entry.hub} --local-dir FOLDER, then hf:FOLDER"] if entry.hub else []
    if entry.kind == "embedder" and found:
        found = [found[0].replace("then hf:", "then st:")]
    if entry.ollama:
        found.append(f"ollama pull {entry.ollama}")
    return "; or ".join(["where there is a network: " + found[0], *found[1:]]) if found else ""


def _refused(entry: Entry, error: InputError) -> InputError:
    """Return the error for what the hub's client raised, with a better hint where there is one."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error.__cause__, GatedRepoError | RepositoryNotFoundError) and entry.gated:
        return InputError(
            f"{entry.hub} is given only to those who accepted its terms",
            f"accept them at https://huggingface.co/{entry.hub}, and set HF_TOKEN",
        )
    return error
