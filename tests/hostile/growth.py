"""How the cost of a function grows with its text: ratios of processor time, no seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

LINEAR = 9.0
"""A text four times as long costs four times as much, give or take; quadratic cost would be sixteen."""

_NOISE = 0.002


def cost(work: Callable[[str], object], text: str) -> float:
    """Return the least processor seconds of three tries."""
    found = []
    for _ in range(3):
        began = time.process_time()
        work(text)
        found.append(time.process_time() - began)
    return min(found)


def growth(work: Callable[[str], object], unit: str, chars: int) -> float:
    """Return how many times as much four times the text costs."""
    text = unit * (chars // len(unit) + 1)
    small = cost(work, text[: chars // 4])
    return (cost(work, text[:chars]) + _NOISE) / (small + _NOISE)


def against(work: Callable[[str], object], text: str, ordinary: str) -> float:
    """Return how many times as much a text costs as an ordinary one of the same length."""
    plain = (ordinary * (len(text) // len(ordinary) + 1))[: len(text)]
    return (cost(work, text) + _NOISE) / (cost(work, plain) + _NOISE)
