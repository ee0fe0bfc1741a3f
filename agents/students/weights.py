"""A model's folder: is it there, and loading it, with the adapter on top of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.agents.students import precision as short
from preceptor.core import foreign, model_folder
from preceptor.core.errors import StudentError, boundary
from preceptor.core.records import AdapterRef, Precision

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    Attributes:
        model: Ready for inference.
        tokenizer: A fast one.
        context: The most tokens of prompt and answer, None if it does not say.
        ends: The tokens that end an answer.
        vocabulary: How many logits it gives.
        pad: What fills up short rows; masked, so that any token will do.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    context: int | None
    ends: frozenset[int]
    vocabulary: int
    pad: int


def folder_of(path: str) -> Path:
    """Return the model's folder.

    Raises:
        StudentError: If there is no model in it.
    """
    folder = Path(path).expanduser()
    if not (folder / "config.json").is_file():
        hint = f"get it: hf download {path} --local-dir FOLDER, then hf:FOLDER"
        if folder.is_absolute() or path.startswith("."):
            hint = "name a folder with config.json and weights"
        raise StudentError(f"no model in {path!r}", hint)
    if not model_folder.files(folder):
        raise StudentError(f"no weights in {path!r}", "the folder must hold *.safetensors")
    return folder


def load(
    folder: Path,
    adapter: AdapterRef | None = None,
    at: Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> Loaded:
    """Load a model, with the adapter in folder ``at`` if there is one.

    Raises:
        StudentError: If the libraries are missing or the folder cannot be loaded.
    """
    with boundary(StudentError, "models in process need more packages", "pip install preceptor[local]"):
        import llguidance  # noqa: F401
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    merged = at if adapter is not None and adapter.kind == "merged" else None
    for place in {folder, merged or folder}:
        foreign.check_model(place, StudentError)
    what = f"the model in {str(folder)!r} cannot be loaded"
    with foreign.loading(StudentError, what), silence():
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            merged or folder,
            dtype=short.dtype(precision, device),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
        if adapter is not None and at is not None and merged is None:
            model = _with_lora(model, at)
        if precision == "bf16" and device == "cpu":
            short.shorten(model)
        torch.nn.Module.to(torch.nn.Module.eval(model), device)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise StudentError(f"the model in {str(folder)!r} has no fast tokenizer")
    size = int(model.config.get_text_config().vocab_size)
    context, ends = _context(model, tokenizer), _ends(model, tokenizer)
    return Loaded(model, tokenizer, context, ends, size, _pad(tokenizer))


@contextmanager
def silence() -> Iterator[None]:
    """Show no progress bars and no advice to developers meanwhile: the front door shows progress."""
    import warnings
    from logging import ERROR, getLogger

    from transformers.utils import logging

    # It advises a GPU kernel at the first convolution, on machines without a GPU too.
    getLogger("transformers.integrations.hub_kernels").setLevel(ERROR)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _with_lora(model: PreTrainedModel, at: Path) -> PreTrainedModel:
    from peft import PeftModel

    foreign.check_adapter(at, StudentError)
    merged: PreTrainedModel = PeftModel.from_pretrained(model, str(at)).merge_and_unload()
    return merged


def _context(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int | None:
    stated = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    # Without a limit of its own, a tokenizer states an absurdly large number.
    known = [n for n in (stated, tokenizer.model_max_length) if isinstance(n, int) and 0 < n < 10**9]
    return min(known, default=None)


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> frozenset[int]:
    found = getattr(model.generation_config, "eos_token_id", None)
    listed = found if isinstance(found, list) else [found]
    return frozenset(i for i in (*listed, tokenizer.eos_token_id) if isinstance(i, int))


def _pad(tokenizer: PreTrainedTokenizerFast) -> int:
    pad = tokenizer.pad_token_id
    return pad if isinstance(pad, int) else 0
