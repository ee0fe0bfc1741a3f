"""Reading what a note's rows share once changes no token and no loss."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import pytest

from preceptor.tools.sft.bundles import IGNORED, TokenRow, alone, bundled, common, lay_out, order

ROWS = [
    TokenRow("a", (1, 2, 3, 4, 5, 6), (9, 0)),
    TokenRow("a", (1, 2, 3, 4, 7), (8, 0)),
    TokenRow("b", (1, 2), (8, 0)),
]


def test_the_layout() -> None:
    assert common(ROWS[:2]) == 4
    made = bundled(ROWS[:2], overlap=2)
    assert made.ids == [1, 2, 3, 4, 3, 4, 5, 6, 9, 0, 3, 4, 7, 8, 0]
    assert made.positions == [0, 1, 2, 3, 2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6]
    assert made.segments == [0, 0, 0, 0, -1, -1, 1, 1, 1, 1, -2, -2, 2, 2, 2]
    learned = [(i, t) for i, t in zip(made.ids, made.labels, strict=True) if t != IGNORED]
    assert learned == [(9, 9), (0, 0), (8, 8), (0, 0)]
    assert made.row_tokens == 15


def test_rows_of_one_note_go_together_where_it_saves() -> None:
    assert [len(b.ids) for b in lay_out(ROWS, overlap=0)] == [11, 4]
    assert [len(b.ids) for b in lay_out(ROWS, overlap=None)] == [8, 7, 4]
    assert lay_out(ROWS, overlap=5) == [alone(row) for row in ROWS]
    assert lay_out(ROWS, overlap=0, most=8) == [alone(row) for row in ROWS]


@pytest.mark.parametrize("kind", ["lfm2", "llama", "mistral"])
def test_losses_are_those_of_rows_alone(kind: Literal["lfm2", "llama", "mistral"]) -> None:
    pytest.importorskip("torch", reason="pip install preceptor[local]")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from preceptor.tools.sft.data import rows
    from preceptor.tools.sft.losses import answer_loss
    from preceptor.tools.sft.tokens import Template
    from preceptor.tools.sft.trainer import Collator, as_row, layer_kinds, overlap_of
    from tests.contracts.evidence import FIELDS
    from tests.tools.sft import small

    folder = small.model(kind)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    model.eval()
    template = Template(AutoTokenizer.from_pretrained(folder), frozenset({2}))
    made = [small.token_row(template, row) for row in rows(small.recipe(), FIELDS, small.NOTES[:3])]
    overlap = overlap_of(model)
    if kind == "mistral":  # a sliding window would see other rows
        assert overlap is None
        return
    assert overlap == (4 if kind == "lfm2" else 0)
    collator = Collator(0, layer_kinds(model))

    def losses(over: int | None) -> list[float]:
        bundles = lay_out(made, over)
        assert len(bundles) == (len(made) if over is None else 3)
        per = len(bundles) // 3
        return [
            answer_loss(model, collator([as_row(b) for b in bundles[i : i + per]])).item()
            for i in range(0, len(bundles), per)
        ]

    assert losses(overlap) == pytest.approx(losses(None), rel=3e-6)
    if kind == "lfm2":  # without the copies, a convolution would see its neighbour's tokens
        assert losses(0) != pytest.approx(losses(None), rel=3e-5)


def test_the_order_of_an_epoch() -> None:
    lengths = [10 * (i % 7) + 200 * (i % 2) for i in range(50)]
    read = order(lengths, 8, seed=1, epoch=0)
    assert sorted(read) == list(range(50))
    batches = [read[at : at + 8] for at in range(0, 50, 8)]
    assert max(lengths) == lengths[read[0]]
    assert all(lengths[a] >= lengths[b] for each in batches for a, b in pairwise(each))
    # Short bundles and long ones stand in one batch: they have other answers.
    assert all({lengths[i] >= 200 for i in each} == {True, False} for each in batches[:-1])
    assert [len(b) for b in batches] == [8] * 6 + [2]
    assert order(lengths, 8, seed=1, epoch=0) == read
    assert order(lengths, 8, seed=1, epoch=1) != read
    assert order(lengths, 8, seed=2, epoch=0) != read
    assert order([], 8, seed=1, epoch=0) == []
    for longest in range(10):
        few = [5 + 90 * (i == longest) for i in range(10)]
        assert order(few, 4, seed=1, epoch=0)[0] == longest
        assert sorted(order(few, 4, seed=1, epoch=0)) == list(range(10))
