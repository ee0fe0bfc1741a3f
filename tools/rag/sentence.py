"""``st:``: a sentence embedder in this process, from a folder in sentence-transformers' layout.

Owns reading the layout (``modules.json``, ``1_Pooling``, ``sentence_bert_config.json``) and computing
what it says with transformers: tokens, mean or first-token pooling, vectors of length 1. Safetensors
only, and no code of the model's own is run. On one machine a text has one vector, whatever it is
embedded together with: small models are computed in double precision, whose errors the rounding of
vectors swallows; larger ones differ in the sixth digit now and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.core import foreign, model_folder, model_home
from preceptor.core.errors import StudentError, boundary
from preceptor.core.reading import loads
from preceptor.core.record import digest
from preceptor.tools.rag.embed import Vector, unit

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BATCH_TOKENS = 4096
DOUBLE_UP_TO = 150_000_000
"""Weights up to which a model is computed in double precision."""

_KINDS = {"Transformer", "Pooling", "Normalize"}
_MODES = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}


@dataclass(frozen=True)
class Layout:
    """What the files beside the weights say.

    Attributes:
        transformer: The folder of model and tokenizer.
        pooling: ``mean`` over the tokens, or ``cls``: the first one.
        most: Tokens that a text is cut to; None if that is the model's own limit.
        lower: Whether texts are put in lower case first.
        prefix: What stands before every text.
    """

    transformer: Path
    pooling: str
    most: int | None
    lower: bool
    prefix: str


class SentenceEmbedder:
    """Makes vectors with a model in this process, on the CPU.

    Args:
        spec: How it was asked for.
        folder: The model's.

    Raises:
        StudentError: If transformers is missing, or the folder cannot be used.
    """

    def __init__(self, spec: str, folder: Path) -> None:
        self.spec = spec
        self._what = f"the embedder {spec!r}"
        if not folder.is_dir():
            hint = "name a model of: preceptor models list, or a folder"
            raise StudentError(f"{self._what} cannot be loaded: there is no such folder", hint)
        self._layout = layout(folder)
        self.digest = identity(self._layout)
        self._model, self._tokenizer = self._load()
        self._most = self._limit()

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector per text; texts of similar length are read together."""
        import torch

        with boundary(StudentError, f"{self._what} failed"), torch.inference_mode():
            ids = self._ids(texts)
            found: list[Vector] = [()] * len(ids)
            for batch in _batches(ids):
                for place, vector in zip(batch, self._pooled([ids[i] for i in batch]), strict=True):
                    found[place] = unit(vector)
            return found

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        # Half a surrogate pair is no text for a tokenizer.
        whole = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        shown = [self._layout.prefix + (t.lower() if self._layout.lower else t) for t in whole]
        encoded = self._tokenizer(shown, truncation=True, max_length=self._most)
        return [list(row) for row in encoded["input_ids"]]

    def _pooled(self, rows: Sequence[list[int]]) -> list[list[float]]:
        import torch

        longest = max(map(len, rows))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        states: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        if self._layout.pooling == "cls":
            pooled = states[:, 0]
        else:
            weights = mask.unsqueeze(-1).to(states.dtype)
            pooled = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        if not bool(torch.isfinite(pooled).all()):
            raise StudentError(f"{self._what} computes no numbers: its weights are damaged")
        return [[float(value) for value in row] for row in pooled.tolist()]

    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        need = "models in process need more packages"
        with boundary(StudentError, need, "pip install 'preceptor[local]'"):
            import torch
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging
        folder = self._layout.transformer
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        foreign.check_model(folder, StudentError)
        hint = "fetch or download it again"
        with foreign.loading(StudentError, f"{self._what} cannot be loaded", hint):
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model: PreTrainedModel = AutoModel.from_pretrained(
                folder,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
        small = sum(p.numel() for p in model.parameters()) <= DOUBLE_UP_TO
        torch.nn.Module.to(torch.nn.Module.eval(model), torch.float64 if small else torch.float32)
        return model, tokenizer

    def _limit(self) -> int:
        stated = getattr(self._model.config, "max_position_embeddings", None)
        limits = (self._layout.most, self._tokenizer.model_max_length, stated)
        # Without a limit of its own, a tokenizer states an absurdly large number.
        return min((n for n in limits if isinstance(n, int) and 0 < n < 10**9), default=512)


def layout(folder: Path) -> Layout:
    """Read how a folder's vectors are made.

    Raises:
        StudentError: If there are no safetensors, or a step that is not known here.
    """
    what = f"the embedder in {str(folder)!r}"
    modules = _read(folder / "modules.json")
    listed = [m for m in modules if isinstance(m, dict)] if isinstance(modules, list) else []
    steps = [(str(m.get("type", "")).rsplit(".", 1)[-1], str(m.get("path", ""))) for m in listed]
    unknown = [kind for kind, _ in steps if kind not in _KINDS]
    if unknown:
        hint = "take one of transformer, pooling and normalisation"
        raise StudentError(f"{what} has a step that is not known here: {unknown[0]}", hint)
    paths = dict(steps)
    inner = _inside(folder, paths.get("Transformer", ""))
    if not (inner / "config.json").is_file():
        raise StudentError(f"{what} cannot be loaded: no config.json", "name a model's folder")
    if not any(inner.glob("*.safetensors")):
        raise StudentError(f"{what} has no *.safetensors; other weights are not read", "convert them")
    pooling = _said(_inside(folder, paths.get("Pooling", "1_Pooling")) / "config.json")
    limits = _said(inner / "sentence_bert_config.json")
    most = limits.get("max_seq_length")
    slip = model_home.read(folder)
    return Layout(
        inner,
        _pooling(pooling, what),
        most if isinstance(most, int) else None,
        bool(limits.get("do_lower_case")),
        (slip.prefix if slip else "") or _prompt(folder),
    )


def identity(found: Layout) -> str:
    """Return the content hash of what makes the vectors: weights, tokenizer, and how they are used."""
    said = [found.pooling, found.most, found.lower, found.prefix]
    vocabularies = [
        hashlib.sha256(file.read_bytes()).hexdigest()
        for name in ("vocab.txt", "sentencepiece.bpe.model", "spiece.model")
        if (file := found.transformer / name).is_file()
    ]
    return digest([model_folder.known_digest(found.transformer), *said, *vocabularies])


def _pooling(said: dict[str, object], what: str) -> str:
    chosen = [str(said["pooling_mode"])] if isinstance(said.get("pooling_mode"), str) else []
    flags = [name for name, on in said.items() if name.startswith("pooling_mode_") and on is True]
    chosen += [name.removeprefix("pooling_mode_") for name in flags]
    modes = {_MODES.get(mode, "") for mode in chosen} or {"mean"}
    if len(modes) > 1 or "" in modes:
        raise StudentError(f"{what} pools by {', '.join(chosen)}", "mean and cls are known here")
    return modes.pop()


def _prompt(folder: Path) -> str:
    """Return the prompt that sentence-transformers puts before every text, empty if there is none."""
    said = _said(folder / "config_sentence_transformers.json")
    prompts, name = said.get("prompts"), said.get("default_prompt_name")
    found = prompts.get(name) if isinstance(prompts, dict) else None
    return found if isinstance(found, str) else ""


def _inside(folder: Path, path: str) -> Path:
    """Return a folder below another; what would lead out of it counts as the folder itself."""
    found = folder / path
    return found if found.resolve().is_relative_to(folder.resolve()) else folder


def _read(file: Path) -> object:
    try:
        found: object = loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise StudentError(f"{str(file)!r} is damaged", "fetch or download it again") from None
    return found


def _said(file: Path) -> dict[str, object]:
    found = _read(file)
    return found if isinstance(found, dict) else {}


def _batches(ids: Sequence[list[int]]) -> Iterator[list[int]]:
    """Yield places of texts, shortest first, of at most ``BATCH_TOKENS`` tokens, paddings and all."""
    batch: list[int] = []
    for place in sorted(range(len(ids)), key=lambda i: (len(ids[i]), i)):
        if batch and len(ids[place]) * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
