"""Own nano's architecture and the forward pass that training uses.

The model is transformers' own LFM2. Training runs the same weights through a leaner pass over
packed pages: one note, then several questions that each see the note and themselves only. A test
holds the two passes equal.
"""

# ruff: noqa: TID253  (a training entry point: torch is what it is about)
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Lfm2Config, PreTrainedModel

from preceptor.nano.encode import Encoded

HIDDEN, LAYERS, HEADS, INNER = 128, 8, 2, 256
SPOKEN = 0.4
"""Weight of a worked example's label beside the question's own."""


def config(vocabulary: int) -> Lfm2Config:
    """Return the architecture for a vocabulary size."""
    return Lfm2Config(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        layer_types=["conv", "full_attention"] * (LAYERS // 2),
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        conv_L_cache=3,
        block_auto_adjust_ff_dim=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


@dataclass(frozen=True)
class Batch:
    """Packed pages as tensors, ``b`` rows of ``n`` tokens.

    Attributes:
        ids: Token ids, (b, n).
        places: Position of each token in its own prompt, (b, n).
        before: Flat index (into b * n + 1 rows, the first of them zeros) of the token one and two
            places before, (2, b * n).
        mask: Which tokens each token sees, (b, 1, n, n).
        asked: Flat indices of tokens whose successor is learned, (m,).
        targets: Those successors, (m,).
        weights: Weight of each in the loss, (m,).
        question: Which question each belongs to, or -1 for tokens that are not its label, (m,).
        marked: Flat indices of the marks, (k,).
        kinds: The kind of mention of each, (k,).
    """

    ids: Tensor
    places: Tensor
    before: Tensor
    mask: Tensor
    asked: Tensor
    targets: Tensor
    weights: Tensor
    question: Tensor
    marked: Tensor
    kinds: Tensor


def collate(pages: list[Encoded], frame: float, every: bool = False) -> Batch:
    """Pack pages into tensors.

    Args:
        pages: Encoded pages.
        frame: Weight of the answer's tokens that are not the label (braces, name, end).
        every: Whether these are learned from every answer, or from one per page.
    """
    total = max(len(p.prefix) + sum(map(len, p.suffixes)) for p in pages)
    n, b = -(-total // 16) * 16, len(pages)
    ids = torch.zeros(b, n, dtype=torch.long)
    places = torch.zeros(b, n, dtype=torch.long)
    parts = torch.full((b, n), -1, dtype=torch.long)
    before = torch.zeros(2, b, n, dtype=torch.long)
    learned: list[tuple[int, int, float, int]] = []
    marks: list[tuple[int, int]] = []
    count = 0
    for row, page in enumerate(pages):
        base, p = row * n, len(page.prefix)
        line = list(page.prefix)
        place, part = list(range(p)), [0] * p
        one = [0, *range(base + 1, base + p)]
        two = [0, 0, *range(base + 1, base + p - 1)]
        for first, end in page.spoken if frame > 0 else ():
            learned += [(base + i - 1, page.prefix[i], SPOKEN, -1) for i in range(first, end)]
        for k, (suffix, start, label) in enumerate(
            zip(page.suffixes, page.starts, page.labels, strict=True)
        ):
            at, size = len(line), len(suffix)
            line += suffix
            place += range(p, p + size)
            part += [k + 1] * size
            inner = base + at + 1
            one += [base + p, *range(inner, inner + size - 1)]
            two += [base + p - 1, base + p, *range(inner, inner + size - 2)]
            # Early on the frame (braces, name, end) is learned from one answer per page: it is costly.
            whole = (k == 0 or every) and frame > 0
            for i in range(start if whole else label[0], size if whole else label[1]):
                inside = label[0] <= i < label[1]
                learned.append(
                    (base + at + i - 1, suffix[i], 1.0 if inside else frame, count if inside else -1)
                )
            count += 1
            marks += [(base + at + i, kind) for i, kind in page.marks[k]]
        size = len(line)
        ids[row, :size] = torch.tensor(line)
        places[row, :size] = torch.tensor(place)
        parts[row, :size] = torch.tensor(part)
        before[0, row, :size] = torch.tensor(one)
        before[1, row, :size] = torch.tensor(two)
    return _batch((ids, places, parts, before), learned, marks)


Learned = tuple[int, int, float, int]
"""Flat index, the token that follows, its weight, the question it belongs to or -1."""


def _batch(
    rows: tuple[Tensor, Tensor, Tensor, Tensor], learned: list[Learned], marks: list[tuple[int, int]]
) -> Batch:
    ids, places, parts, before = rows
    asked, targets, weights, question = zip(*learned, strict=True) if learned else ((),) * 4
    return Batch(
        ids,
        places,
        before.reshape(2, ids.numel()),
        _mask(parts),
        torch.tensor(asked, dtype=torch.long),
        torch.tensor(targets, dtype=torch.long),
        torch.tensor(weights, dtype=torch.float),
        torch.tensor(question, dtype=torch.long),
        torch.tensor([at for at, _ in marks], dtype=torch.long),
        torch.tensor([kind for _, kind in marks], dtype=torch.long),
    )


def _mask(parts: Tensor) -> Tensor:
    """Return who sees whom, (b, 1, n, n): the prefix and the own part, up to the own place."""
    n = parts.shape[1]
    causal = torch.ones(n, n, dtype=torch.bool).tril()
    same = (parts[:, None, :] == 0) | (parts[:, None, :] == parts[:, :, None])
    return (same & causal)[:, None]


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight, 1e-5)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def _attend(layer: Any, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
    b, n = mask.shape[0], mask.shape[-1]
    shape = (b, n, HEADS, HIDDEN // HEADS)
    q = _norm(layer.q_proj(x).view(shape), layer.q_layernorm.weight)
    k = _norm(layer.k_proj(x).view(shape), layer.k_layernorm.weight)
    v = layer.v_proj(x).view(shape).transpose(1, 2)
    q, k = _turn(q, cos, sin).transpose(1, 2), _turn(k, cos, sin).transpose(1, 2)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    joined: Tensor = layer.out_proj(out.transpose(1, 2).reshape(b * n, HIDDEN))
    return joined


def _convolve(layer: Any, x: Tensor, before: Tensor) -> Tensor:
    gate, out, value = layer.in_proj(x).chunk(3, dim=-1)
    now = gate * value
    padded = F.pad(now, (0, 0, 1, 0))
    w = layer.conv.weight[:, 0]
    mixed = w[:, 2] * now + w[:, 1] * padded[before[0]] + w[:, 0] * padded[before[1]]
    joined: Tensor = layer.out_proj(out * mixed)
    return joined


def states(model: PreTrainedModel, embedding: Tensor, batch: Batch) -> Tensor:
    """Return the last hidden states at the learned places and the marks, (m + k, hidden).

    Args:
        model: The weights.
        embedding: The embedding matrix, (vocabulary, hidden).
        batch: Packed pages.
    """
    inner: Any = model.model
    angles = batch.places[..., None].float() * inner.rotary_emb.inv_freq
    cos, sin = angles.cos()[:, :, None], angles.sin()[:, :, None]
    x = F.embedding(batch.ids.reshape(-1), embedding)
    for layer in inner.layers:
        y = _norm(x, layer.operator_norm.weight)
        if layer.is_attention_layer:
            x = x + _attend(layer.self_attn, y, cos, sin, batch.mask)
        else:
            x = x + _convolve(layer.conv, y, batch.before)
        y = _norm(x, layer.ffn_norm.weight)
        mlp = layer.feed_forward
        x = x + mlp.w2(F.silu(mlp.w1(y)) * mlp.w3(y))
    chosen = torch.cat((batch.asked, batch.marked))
    return _norm(x[chosen], inner.embedding_norm.weight)
