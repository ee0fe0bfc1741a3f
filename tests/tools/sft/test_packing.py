# ruff: noqa: TID253  (torch is what it is about)
"""Rows one after the other in one sequence have the losses, and the gradients, of a padded batch.

The kernels need a GPU; here the mask that transformers makes of such positions stands for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="pip install preceptor[local]")
pytest.importorskip("trl", reason="pip install preceptor[local]")

import torch
from transformers import AutoModelForCausalLM

from preceptor.tools.sft import packing, train
from preceptor.tools.sft.bundles import TokenRow, alone
from preceptor.tools.sft.job import Hyper
from preceptor.tools.sft.losses import answer_loss
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.trainer import Collator, as_row
from tests.agents.students import tiny
from tests.tools.sft import small

ROWS = [
    TokenRow(f"n{i}", tuple(range(5, 8 + 3 * i)), (9 + i, 3)) for i in range(4)
]  # of 5, 8, 11 and 14 tokens


def model(kind: Any, folder: Path) -> Any:
    made = AutoModelForCausalLM.from_pretrained(tiny.save(kind, folder / kind), dtype=torch.float32)
    return made.requires_grad_(True)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_losses_and_gradients_are_those_of_padded_rows(kind: str, tmp_path: Path) -> None:
    net = model(kind, tmp_path)
    given = [as_row(alone(row)) for row in ROWS]
    found = []
    for batch in (Collator(0)(given), packing.Packed()(given)):
        net.zero_grad()
        assert batch.pop("row_tokens") == sum(row.size for row in ROWS)
        loss = answer_loss(net, batch)
        torch.autograd.backward(loss)
        grads = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        found.append((float(loss.detach()), grads))
    (one, first), (other, second) = found
    assert one == pytest.approx(other, rel=1e-5)
    assert float((first - second).abs().max()) < 1e-5 * float(first.abs().max())
    assert packing.Packed()(given)["input_ids"].shape == (1, sum(row.size for row in ROWS))
    assert packing.packs(net, ROWS, Collator(0))


def test_a_model_that_would_look_over_the_end_of_a_row_is_not_packed(tmp_path: Path) -> None:
    assert not packing.packs(model("lfm2", tmp_path), ROWS, Collator(0))


def test_a_layout_that_changes_losses_is_not_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = model("llama", tmp_path)
    usual = packing.Packed.__call__

    def unmarked(self: packing.Packed, rows: Any) -> dict[str, Any]:
        batch = usual(self, rows)
        size = batch["input_ids"].shape[1]
        return {**batch, "position_ids": torch.arange(size)[None]}

    monkeypatch.setattr(packing.Packed, "__call__", unmarked)
    assert not packing.packs(net, ROWS, Collator(0))


def test_kernels_are_used_on_a_gpu_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "find_spec", lambda _: object())
    assert packing.implementation("cuda", "lora") == "flash_attention_2"
    assert packing.implementation("cuda", "full") is None
    assert packing.implementation("cpu", "lora") is None
    monkeypatch.setattr(packing, "find_spec", lambda _: None)
    assert packing.implementation("cuda", "lora") is None


@pytest.mark.slow
def test_a_training_of_packed_rows_is_that_of_padded_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small.rows(fields=1)  # one row a note: nothing is shared
    monkeypatch.setattr(small, "model", lambda: tiny.save("llama", tmp_path / "llama"))
    hyper = Hyper(epochs=2, batch=4, validation=0, patience=0, rate=5e-3, bf16=False)

    def losses(name: str) -> tuple[float, ...]:
        small.write(tmp_path / name, hyper, found=made)
        return train.run(Place.read(tmp_path / name)).losses

    padded = losses("padded")
    monkeypatch.setattr(packing, "implementation", lambda *_: "sdpa")
    packed = losses("packed")
    assert packed == pytest.approx(padded, rel=1e-4)
    events = (tmp_path / "packed" / "events.jsonl").read_text("utf-8")
    assert '"packed":true' in events.replace(" ", "")
    assert '"packed":false' in (tmp_path / "padded" / "events.jsonl").read_text().replace(" ", "")
