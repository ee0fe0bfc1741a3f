"""The weights that are trained: loading them before, saving them after.

Owns precision, adapters and the folder of trained weights. A training entry point: it imports torch.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from preceptor.core import foreign
from preceptor.core.files import write_whole
from preceptor.core.reading import loads
from preceptor.core.record import canonical
from preceptor.tools.sft import attention, packing, ranks
from preceptor.tools.sft.job import Failed, Job

_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Learner:
    """A model in memory, ready to be trained.

    Attributes:
        model: With adapters, if they are what is trained.
        tokenizer: Its tokenizer.
        parameters: How many weights it has.
        context: The most tokens of a row, None if it does not say.
        ends: The tokens that end an answer.
        device: ``cpu`` or ``cuda``.
        bf16: Whether products are computed in bfloat16.
        packs: Whether its attention takes rows one after the other in one sequence.
    """

    model: Any
    tokenizer: Any
    parameters: int
    context: int | None
    ends: frozenset[int]
    device: str
    bf16: bool
    packs: bool = False


def load(job: Job, folder: Path, start: Path | None, *, pack: bool = False) -> Learner:
    """Load what a job trains.

    Args:
        job: The job.
        folder: The base model's.
        start: The weights to go on from.
        pack: Whether its rows would better be packed, if there are kernels for that.

    Raises:
        Failed: If that cannot be done here.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if job.hyper.method == "qlora" and (device == "cpu" or find_spec("bitsandbytes") is None):
        raise Failed("4-bit training needs a GPU and bitsandbytes", "use method 'lora'", "setup")
    whole = (
        start if start is not None and job.start is not None and job.start.kind == "merged" else None
    )
    more: dict[str, Any] = {}
    if job.hyper.method == "qlora":
        more = {"quantization_config": _four_bits(), "device_map": {"": ranks.local()}}
    kernels = packing.implementation(device, job.hyper.method) if pack else None
    if kernels is not None:
        more["attn_implementation"] = kernels
    for place in {folder, whole or folder}:
        foreign.check_model(place)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = AutoModelForCausalLM.from_pretrained(
        whole or folder,
        dtype=torch.bfloat16 if device == "cuda" and job.hyper.method != "full" else torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        **more,
    )
    bf16 = job.hyper.bf16 and _has_bf16(device)
    if bf16 and kernels is None:
        attention.install(model)
    parameters = sum(p.numel() for p in model.parameters())
    context, ends = _context(model, tokenizer), _ends(model, tokenizer)
    adapter = None if whole is not None else start
    if job.hyper.method != "full":
        model = _with_adapters(model, job, adapter)
    elif adapter is not None:
        foreign.check_adapter(adapter)
        model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    packs = kernels is not None
    return Learner(model, tokenizer, parameters, context, ends, device, bf16, packs)


def _four_bits() -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _has_bf16(device: str) -> bool:
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported is not None and supported())


def _with_adapters(model: Any, job: Job, start: Path | None) -> Any:
    from peft import LoraConfig, PeftModel, get_peft_model

    if start is not None:
        foreign.check_adapter(start)
        return PeftModel.from_pretrained(model, str(start), is_trainable=True)
    config = LoraConfig(
        r=job.hyper.rank,
        lora_alpha=job.hyper.alpha,
        target_modules="all-linear",
        exclude_modules=[*job.hyper.skip] or None,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _context(model: Any, tokenizer: Any) -> int | None:
    stated = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    known = [n for n in (stated, tokenizer.model_max_length) if isinstance(n, int) and 0 < n < 10**9]
    return min(known, default=None)


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    found = getattr(model.generation_config, "eos_token_id", None)
    listed = found if isinstance(found, list) else [found]
    return frozenset(i for i in (*listed, tokenizer.eos_token_id) if isinstance(i, int))


def save(model: Any, job: Job, folder: Path, stored: str) -> None:
    """Write trained weights; the same weights make the same bytes.

    Args:
        model: What was trained.
        job: The job; its ``kind`` says whether adapters or whole weights are written.
        folder: Where; what is there is replaced.
        stored: The base model's folder, whose precision whole weights are written in.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if job.kind == "merged":
        save_whole(model, folder, stored)
        return
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    config = loads((folder / _CONFIG).read_bytes())
    # A set without an order, and a path of this machine, would give each run another content hash.
    config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = job.base.spec
    write_whole(folder / _CONFIG, canonical(config).encode())


def save_whole(model: Any, folder: Path, stored: str) -> None:
    """Write whole weights, adapters merged into them, in the base model's precision."""
    import torch
    from transformers import AutoConfig

    merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    config = AutoConfig.from_pretrained(stored, local_files_only=True, trust_remote_code=False)
    kept = getattr(config, "dtype", None)
    if isinstance(kept, torch.dtype):
        merged = merged.to(kept)
    folder.mkdir(parents=True, exist_ok=True)
    merged.save_pretrained(str(folder))
