"""Rows on a shared prefix see what they would see on a copy; the last layer skips what is not asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

pytest.importorskip("torch", reason="pip install preceptor[local]")

from preceptor.agents.students import attention, last, prefix, weights
from tests.agents.students import tiny

if TYPE_CHECKING:
    from transformers import PreTrainedModel

KINDS: tuple[Literal["lfm2", "llama"], ...] = ("lfm2", "llama")
PREFIXES = [[1, 7, 8, 9, 10, 11, 12, 13, 14, 15], [1, 7, 8, 9, 10, 11, 12, 13, 16], [1, 7, 9]]
OF = [1, 0, 2, 1, 1, 0]
"""More rows on one prefix than on another, in no order."""


@pytest.fixture
def no_gradients() -> Iterator[None]:
    import torch

    with torch.inference_mode():
        yield


def read_on(model: PreTrainedModel) -> list[prefix.Logits]:
    """Read tokens on prefixes, in steps, with fewer and fewer rows; return the logits after each."""
    rows = prefix.read(model, PREFIXES, 0, reuse=True).rows(OF)
    found = [rows.feed([[20 + i, 30 + i, 40] for i in range(len(OF))])]
    rows.keep([0, 1, 3, 5])
    found.append(rows.feed([[50], [51], [52], [53]]))
    rows.keep([1, 3])
    return [*found, rows.feed([[60, 61], [62, 63]])]


@pytest.mark.usefixtures("no_gradients")
@pytest.mark.parametrize("kind", KINDS)
def test_rows_beside_a_prefix_compute_what_rows_with_a_copy_do(
    kind: Literal["lfm2", "llama"], tmp_path: Path
) -> None:
    folder = tiny.save(kind, tmp_path / kind)
    copied = read_on(weights.load(folder, device="cpu").model)
    model = weights.load(folder, device="cpu").model
    assert not attention.installed(model)
    assert attention.install(model)
    assert attention.installed(model)
    for one, other in zip(read_on(model), copied, strict=True):
        assert np.abs(one - other).max() < 1e-3
        assert np.abs(other - other[::-1]).max() > 0.1, "rows differ"


@pytest.mark.usefixtures("no_gradients")
def test_grouped_heads_and_many_notes_with_one_opening_are_exact(tmp_path: Path) -> None:
    """As SmolLM2 has them: several heads share keys; all prompts open with the same system text."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=100, hidden_size=48, intermediate_size=64, num_hidden_layers=3,
        num_attention_heads=6, num_key_value_heads=2, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    plain = LlamaForCausalLM.from_pretrained(tmp_path)
    fast = LlamaForCausalLM.from_pretrained(tmp_path)
    assert attention.install(fast)
    last.only(fast)
    whole = [[*PREFIXES[p], 20 + i, 30 + i, 40] for i, p in enumerate(OF)]
    expected = [plain(input_ids=torch.tensor([ids])).logits[0, -1].numpy() for ids in whole]
    assert np.abs(read_on(fast)[0] - np.stack(expected)).max() < 1e-3
    assert np.abs(read_on(plain)[0] - np.stack(expected)).max() < 1e-3


@pytest.mark.usefixtures("no_gradients")
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_layer_gives_the_same_at_the_end_and_computes_less(
    kind: Literal["lfm2", "llama"], tmp_path: Path
) -> None:
    import torch

    model = weights.load(tiny.save(kind, tmp_path), device="cpu").model
    ids = torch.tensor([[1, 7, 8, 9], [1, 5, 6, 4]])
    before = model(input_ids=ids).logits
    last.only(model)
    after = model(input_ids=ids).logits
    assert (before[:, -1] - after[:, -1]).abs().max() < 1e-4
    assert (before[:, 0] - after[:, 0]).abs().max() > 1e-2, "no other position is computed"
