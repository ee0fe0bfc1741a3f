"""A GGUF file becomes a folder that transformers, and so students and trainings, can load.

Owns the conversion: weights out of their quantisation, the tokenizer as its makers meant it, and no
trace of a quantizer. Numbers stay in the precision that the file has: matrices in 16 bits, which is
what the scales of its quantised blocks have, vectors in 32; all are computed in 32 (the card says so).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, cast

from preceptor.core.errors import InputError, boundary
from preceptor.core.files import write_whole

if TYPE_CHECKING:
    import torch
    from tokenizers.pre_tokenizers import PreTokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

NEEDED = ("torch", "transformers", "gguf")
_BYTES = "gpt2"
"""What GGUF calls a byte-level BPE vocabulary."""


@dataclass(frozen=True)
class Converted:
    """What came of a conversion.

    Attributes:
        parameters: How many weights it has.
        context: The most tokens that it reads, None if it does not say.
        error: The largest difference of a stored weight to the file's, in parts of its matrix's
            largest weight.
    """

    parameters: int
    context: int | None
    error: float


def check_packages() -> None:
    """Refuse to begin without the packages that a conversion needs.

    Raises:
        InputError: Naming them, and how to install them.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"reading a GGUF file needs more packages: {', '.join(missing)}",
            "pip install 'preceptor[local]'",
        )


def convert(file: Path, into: Path) -> Converted:
    """Write the model of a GGUF file as a folder for transformers.

    Args:
        file: The GGUF file.
        into: The folder; what is there stays.

    Raises:
        InputError: If it cannot be read, transformers does not know its architecture, weights are
            missing, or it has no chat template.
    """
    check_packages()
    what = f"{file.name} cannot be converted"
    with boundary(InputError, what, "take the model from the hub, or serve it: ollama pull"), _quiet():
        tokenizer = _tokenizer(file)
        model = _model(file)
        context = getattr(model.config, "max_position_embeddings", None)
        if isinstance(context, int):
            tokenizer.model_max_length = context
        tokenizer.save_pretrained(into)
        error = _save(model, into)
        _check_tokenizer(tokenizer, into)
        parameters = sum(p.numel() for p in model.parameters())
    return Converted(parameters, context if isinstance(context, int) else None, error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let transformers show nothing meanwhile; one of its progress bars knows no switch."""
    from preceptor.agents.students.weights import silence

    with silence(), redirect_stderr(StringIO()):
        yield


def _fields(file: Path) -> dict[str, str]:
    """Return the texts among a file's metadata, by key."""
    from importlib import import_module

    gguf = import_module("gguf")
    fields = gguf.GGUFReader(file).fields
    texts = {k: field for k, field in fields.items() if field.types == [gguf.GGUFValueType.STRING]}
    return {key: str(field.contents()) for key, field in texts.items()}


def _tokenizer(file: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    said = _fields(file)
    made = AutoTokenizer.from_pretrained(
        file.parent, gguf_file=file.name, local_files_only=True, trust_remote_code=False
    )
    if not isinstance(made, PreTrainedTokenizerFast):
        raise InputError(f"{file.name} has no fast tokenizer", "take the model from the hub")
    if not made.chat_template:
        raise InputError(f"{file.name} has no chat template", "take an instruction-tuned model")
    if said.get("tokenizer.ggml.model") == _BYTES:
        made.backend_tokenizer.pre_tokenizer = _splitter(file, said.get("tokenizer.ggml.pre", ""))
    return made


def _splitter(file: Path, named: str) -> PreTokenizer:
    """Return what cuts texts before a byte-level BPE; transformers takes GPT-2's for all of them.

    ``smollm`` as in llama.cpp (LLAMA_VOCAB_PRE_TYPE_SMOLLM) and in the makers' tokenizer.json.
    """
    from tokenizers import pre_tokenizers

    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if named == "gpt-2":
        return gpt2
    if named == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    raise InputError(
        f"{file.name} cuts texts in a way that is not known here: {named or 'none named'!r}",
        "take the model from the hub, or serve it with llama.cpp or Ollama",
    )


def _model(file: Path) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM

    loaded: object = AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    made, told = cast("tuple[PreTrainedModel, dict[str, list[str]]]", loaded)
    missing = sorted(told.get("missing_keys", ()))
    if missing:
        raise InputError(f"{file.name} has no weights for {missing[0]!r}", "it is damaged")
    broken = next((n for n, w in made.state_dict().items() if not bool(torch.isfinite(w).all())), "")
    if broken:
        raise InputError(f"{file.name} holds no numbers in {broken!r}", "it is damaged")
    return made


def _save(model: PreTrainedModel, into: Path) -> float:
    """Save without a trace of the quantizer; return the largest error of a stored weight."""
    # With these a saved model would claim to be a quantised one, and not load.
    for name, value in (("hf_quantizer", None), ("is_quantized", False), ("quantization_method", None)):
        setattr(model, name, value)
    if hasattr(model.config, "quantization_config"):
        delattr(model.config, "quantization_config")
    model.config._name_or_path = ""
    # Two names of one tensor (tied embeddings) must stay one, or it is stored twice.
    once = {weight.data_ptr(): _stored(weight) for weight in model.state_dict().values()}
    kept = {name: once[weight.data_ptr()][0] for name, weight in model.state_dict().items()}
    model.save_pretrained(into, state_dict=kept)
    # What it is computed in, here and on a GPU: its activations come near the end of 16 bits.
    _rewrite(into / "config.json", {"dtype": "float32"})
    _rewrite(into / "generation_config.json", {})
    for file in into.glob("*.safetensors"):
        file.chmod(0o644)  # its writer gives it to its owner alone
    return max(error for _, error in once.values())


def _rewrite(file: Path, more: dict[str, str]) -> None:
    """Leave out what is not the model's: its digest shall not tell the version that converted it."""
    if not file.is_file():
        return
    said = {**json.loads(file.read_text("utf-8")), **more}
    for name in ("transformers_version", "_model_name_or_path"):
        said.pop(name, None)
    write_whole(file, (json.dumps(said, indent=2, sort_keys=True) + "\n").encode(), public=True)


def _stored(weight: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return a weight as it is stored, and its largest error by its largest number."""
    import torch

    if weight.dim() < 2 or weight.dtype != torch.float32:
        return weight, 0.0
    half = weight.to(torch.float16)
    largest = float(weight.abs().max())
    error = float((half.to(torch.float32) - weight).abs().max()) / largest if largest else 0.0
    # More than 16 bits can hold: only unquantised weights ever are.
    return (half, error) if error < 1e-3 else (weight, 0.0)


def _check_tokenizer(made: PreTrainedTokenizerFast, folder: Path) -> None:
    """Refuse a tokenizer that reads otherwise once it is saved."""
    from transformers import AutoTokenizer

    again = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    probe = "On 12.03.2024:\n\n  grade 2 (0.45 ng/ml), Müdigkeit – no pain."
    turns = [{"role": "user", "content": probe}]
    ids = [
        t(str(t.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))).input_ids
        for t in (made, again)
    ]
    if ids[0] != ids[1]:
        raise InputError("its tokenizer cannot be saved without a change", "")
