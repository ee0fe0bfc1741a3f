"""How the gate's simulations are shown: rates with intervals, tables.

Owns nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.evals import stats


def shown(hits: int, runs: int) -> str:
    """Return a rate with its 95 % interval, in per cent."""
    share = stats.wilson(hits, runs)
    return f"{100 * share.value:.1f} ({100 * share.low:.1f}–{100 * share.high:.1f})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
