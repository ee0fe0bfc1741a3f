"""Reading prompts: several rows share one prefix, which the model reads once.

Owns the forward passes and the cache. Prefixes are padded on the left; everything after them is fed
without padding (rows that go on together are of equal length), because a convolution's state, unlike
attention, cannot step over padding in the middle. Where a cache is of a kind whose continuation is
not known to be exact, nothing is reused: each step reads the whole rows again. Leaves to ``attention``
how rows see a prefix that is not copied for each of them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from preceptor.agents.students import attention

if TYPE_CHECKING:
    import torch
    from transformers import Cache, PreTrainedModel

Logits = NDArray[np.float32]

EXACT = ("DynamicLayer", "LinearAttentionLayer")
"""Cache layers of plain attention and of convolutions."""

WORTH_READING_ONCE = 8
"""Prefixes that begin with so many tokens in common are read from there on."""


class Rows(Protocol):
    """Rows that are being read on."""

    def feed(self, tokens: Sequence[Sequence[int]]) -> Logits:
        """Read the same number of tokens on in each row; return the logits after them, (rows, v)."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        ...


class Prefixes(Protocol):
    """Prefixes that were read."""

    def rows(self, of: Sequence[int]) -> Rows:
        """Return one row per number in ``of``, each going on from that prefix."""
        ...


def read(model: PreTrainedModel, prefixes: Sequence[Sequence[int]], pad: int, reuse: bool) -> Prefixes:
    """Read prefixes (none empty) and return them; ``reuse`` off, or an unknown cache: read later."""
    if reuse:
        found = _Cached(model, prefixes, pad)
        if found.exact:
            return found
    return _Again(model, prefixes, pad)


def padded(
    rows: Sequence[Sequence[int]], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (token ids, mask), both (rows, longest), padded on the left."""
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(r)) + list(r) for r in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows], device=device)
    return ids, mask


class _Cached:
    def __init__(self, model: PreTrainedModel, prefixes: Sequence[Sequence[int]], pad: int) -> None:
        self._model = model
        import torch

        self._cache: Cache | None = None
        opening = common([list(p) for p in prefixes])
        if len(prefixes) == 1 or opening < WORTH_READING_ONCE or not _steps_over_padding(model):
            opening = 0
        else:
            self._cache = self._opening(list(prefixes[0][:opening]), len(prefixes))
        ids, mask = padded([p[opening:] for p in prefixes], pad, model.device)
        self._mask = torch.cat([torch.ones_like(mask[:, :1]).expand(-1, opening), mask], dim=-1)
        places = (self._mask.cumsum(-1) - 1).clamp(min=0)[:, opening:]
        got = model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=places,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = got.past_key_values
        self.exact = self._cache is not None and all(map(_exact, self._cache.layers))

    def _opening(self, tokens: list[int], rows: int) -> Cache:
        """Read what all prefixes begin with."""
        import torch

        ids = torch.tensor([tokens], device=self._model.device)
        cache: Cache = self._model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
        return _fork(cache, torch.zeros(rows, dtype=torch.long, device=ids.device))

    def rows(self, of: Sequence[int]) -> Rows:
        import torch

        assert self._cache is not None
        index = torch.tensor(of, device=self._mask.device)
        if attention.installed(self._model):
            return _Beside(self._model, self._cache, self._mask, of)
        return _Going(self._model, _fork(self._cache, index), self._mask[index])


def _steps_over_padding(model: PreTrainedModel) -> bool:
    """Tell whether padding may stand after what was read: only attention steps over it."""
    from transformers import DynamicCache

    layers = DynamicCache(config=model.config).layers
    return bool(layers) and all(type(layer).__name__ == EXACT[0] for layer in layers)


def common(rows: Sequence[list[int]]) -> int:
    """Return how many tokens all rows begin with; at least one of each row is left over."""
    low, high = min(rows), max(rows)
    most = min(map(len, rows)) - 1
    return next((i for i in range(most) if low[i] != high[i]), most)


def _exact(layer: object) -> bool:
    recurrent = getattr(layer, "is_recurrent_states_initialized", {})
    return type(layer).__name__ in EXACT and not any(recurrent.values())


def _fork(cache: Cache, index: torch.Tensor) -> Cache:
    """Return a cache of the rows in ``index`` that shares no state with ``cache``."""
    fork = copy.copy(cache)
    fork.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in fork.layers:
        for name, value in vars(layer).items():
            if isinstance(value, dict):
                setattr(layer, name, dict(value))
    # It selects into new tensors, so what is fed later leaves the original as it is.
    fork.reorder_cache(cast("torch.LongTensor", index))
    return fork


class _Going:
    def __init__(self, model: PreTrainedModel, cache: Cache, mask: torch.Tensor) -> None:
        self._model = model
        self._cache = cache
        self._mask = mask
        self._read = mask.sum(-1, keepdim=True)

    def feed(self, tokens: Sequence[Sequence[int]]) -> Logits:
        import torch

        ids = torch.tensor(tokens, device=self._mask.device)
        self._mask = torch.cat([self._mask, torch.ones_like(ids)], dim=-1)
        places = self._read + torch.arange(ids.shape[1], device=ids.device)
        self._read = self._read + ids.shape[1]
        return _read_on(self._model, ids, places, self._cache, self._mask)

    def keep(self, rows: Sequence[int]) -> None:
        import torch

        index = torch.tensor(rows, device=self._mask.device)
        self._cache.reorder_cache(cast("torch.LongTensor", index))
        self._mask, self._read = self._mask[index], self._read[index]


class _Beside:
    """Rows that hold what they read themselves; their prefixes stay where they are."""

    def __init__(
        self, model: PreTrainedModel, cache: Cache, mask: torch.Tensor, of: Sequence[int]
    ) -> None:
        import torch

        self._model = model
        self._layers = [attention.Layer.of(layer) for layer in cache.layers]
        whole = bool(mask.all())
        self._padding = None if whole else (1.0 - mask.float()) * attention.FAR
        self._of = list(of)
        self._ahead = attention.Ahead.of(self._layers, self._padding, self._of)
        self._read = mask.sum(-1, keepdim=True)[self._of]
        self._cache = _fork(_own(cache), torch.tensor(self._of))

    def feed(self, tokens: Sequence[Sequence[int]]) -> Logits:
        import torch

        ids = torch.tensor(tokens)
        places = self._read + torch.arange(ids.shape[1])
        self._read = self._read + ids.shape[1]
        with attention.after(self._ahead):
            return _read_on(self._model, ids, places, self._cache)

    def keep(self, rows: Sequence[int]) -> None:
        import torch

        index = torch.tensor(rows)
        self._cache.reorder_cache(cast("torch.LongTensor", index))
        self._of, self._read = [self._of[i] for i in rows], self._read[index]
        self._ahead = attention.Ahead.of(self._layers, self._padding, self._of)


def _read_on(
    model: PreTrainedModel,
    ids: torch.Tensor,
    places: torch.Tensor,
    cache: Cache,
    mask: torch.Tensor | None = None,
) -> Logits:
    """Read tokens on after what a cache holds, and return the logits after the last of them."""
    got = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=places,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return _array(got.logits)


def _own(cache: Cache) -> Cache:
    """Return a cache whose layers of attention are empty."""
    from transformers.cache_utils import DynamicLayer

    own = copy.copy(cache)
    own.layers = list(cache.layers)
    for i, layer in enumerate(own.layers):
        if type(layer) is DynamicLayer:
            own.layers[i] = DynamicLayer()  # type: ignore[no-untyped-call]
    return own


class _Again:
    """Prefixes and rows of a model whose cache is not used: they are just token ids."""

    def __init__(self, model: PreTrainedModel, rows: Sequence[Sequence[int]], pad: int) -> None:
        self._model = model
        self._rows = [list(row) for row in rows]
        self._pad = pad

    def rows(self, of: Sequence[int]) -> Rows:
        return _Again(self._model, [self._rows[i] for i in of], self._pad)

    def feed(self, tokens: Sequence[Sequence[int]]) -> Logits:
        for row, more in zip(self._rows, tokens, strict=True):
            row += more
        ids, mask = padded(self._rows, self._pad, self._model.device)
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        got = self._model(
            input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False, logits_to_keep=1
        )
        return _array(got.logits)

    def keep(self, rows: Sequence[int]) -> None:
        self._rows = [self._rows[i] for i in rows]


def _array(logits: torch.Tensor) -> Logits:
    found: Logits = logits[:, -1].float().cpu().numpy()
    return found
