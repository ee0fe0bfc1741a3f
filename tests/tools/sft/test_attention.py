"""Attention of short rows: the same as the usual, in another order of computing."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="pip install preceptor[local]")
pytest.importorskip("transformers", reason="pip install preceptor[local]")

from preceptor.tools.sft import attention  # noqa: E402
from tests.tools.sft import small  # noqa: E402


def model() -> Any:
    from transformers import AutoModelForCausalLM

    found = AutoModelForCausalLM.from_pretrained(small.model(), dtype=torch.float32)
    found.train()
    return found


def heads(rows: int = 2, tokens: int = 9, dtype: Any = torch.float32) -> tuple[Any, Any, Any]:
    made = torch.Generator().manual_seed(0)

    def drawn(count: int) -> Any:
        return torch.randn(rows, count, tokens, 8, generator=made).to(dtype).requires_grad_()

    return drawn(6), drawn(2), drawn(2)


class Layer:
    """What transformers' own implementation asks of a layer."""

    num_key_value_groups = 3
    is_causal = True
    training = True


def masks() -> list[Any]:
    earlier = torch.ones(9, 9, dtype=torch.bool).tril()
    padded = earlier[None, None].repeat(2, 1, 1, 1)
    padded[1, :, :, 7:] = False
    return [None, padded]


@pytest.mark.parametrize("number", [0, 1])
def test_it_sees_what_the_usual_attention_sees(number: int) -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    mask, usual = masks()[number], ALL_ATTENTION_FUNCTIONS["sdpa"]
    exact = heads()
    wanted = usual(Layer(), *exact, mask, scaling=0.3)[0]
    weight = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    if mask is not None:
        weight[1, 7:] = 0  # What padding sees is never learned from.
    (wanted * weight).sum().backward()
    coarse = [t.detach().to(torch.bfloat16).requires_grad_() for t in exact]
    query, key, value = coarse
    found = attention.attend(Layer(), query, key, value, mask, scaling=0.3)[0]
    (found.float() * weight).sum().backward()
    at = weight != 0
    torch.testing.assert_close(found.float()[at], wanted[at], atol=0.03, rtol=0.03)
    for one, other in zip(coarse, exact, strict=True):
        near = (one.grad.float() - other.grad).norm() / other.grad.norm()
        assert near < 0.02


def test_rows_too_long_to_hold_their_scores_are_left_to_the_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    monkeypatch.setattr(attention, "MOST", 100)
    given = heads(dtype=torch.bfloat16)
    wanted = ALL_ATTENTION_FUNCTIONS["sdpa"](Layer(), *given, None, scaling=0.3)[0]
    assert torch.equal(attention.attend(Layer(), *given, None, scaling=0.3)[0], wanted)


def test_a_model_learns_the_same_from_it() -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])

    def gradients(of: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            of(input_ids=ids, labels=ids).loss.backward()
        return torch.cat([p.grad.flatten() for p in of.parameters() if p.grad is not None])

    usual, short = model(), model()
    assert attention.install(short)
    one, other = gradients(usual), gradients(short)
    assert (one - other).norm() / one.norm() < 0.05
    assert not attention.install(short)  # It is there already.
