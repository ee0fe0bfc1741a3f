"""A found identifier: where it stands, of which kind it is, and how overlapping ones are settled."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

Kind = Literal[
    "name", "date", "age", "phone", "email", "url", "street", "zip", "city", "hospital", "id", "ward"
]

RANK: tuple[Kind, ...] = (
    "email", "url", "id", "phone", "hospital", "street", "date", "zip", "city", "name", "ward", "age",
)  # fmt: skip
"""Which of two overlapping finds is kept: the earlier in this list, then the longer."""


@dataclass(frozen=True, slots=True)
class Found:
    """One identifier: ``text[start:end]``; ``parts`` are (role, start, end) inside of it, for dates."""

    start: int
    end: int
    kind: Kind
    parts: tuple[tuple[str, int, int], ...] = ()


def settle(found: Iterable[Found]) -> list[Found]:
    """Return finds without overlaps, in order of place."""
    kept: list[Found] = []
    taken: set[int] = set()
    for one in sorted(found, key=lambda f: (RANK.index(f.kind), f.start - f.end, f.start)):
        if one.end > one.start and taken.isdisjoint(range(one.start, one.end)):
            kept.append(one)
            taken.update(range(one.start, one.end))
    return sorted(kept, key=lambda f: f.start)


def matches(pattern: re.Pattern[str], text: str, kind: Kind, group: str | int = 0) -> Iterable[Found]:
    """Yield what ``group`` of ``pattern`` holds in ``text``, outer spaces and commas left out."""
    for match in pattern.finditer(text):
        start, end = match.span(group)
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip(" \t\n,;"))
        end -= len(piece) - len(piece.rstrip(" \t\n,;"))
        if start < end:
            yield Found(start, end, kind)


@cache
def words(name: str) -> frozenset[str]:
    """Return a shipped list: one entry per line, or several words on a line."""
    text = (resources.files("preceptor.agents.redaction") / "lists" / f"{name}.txt").read_text("utf-8")
    return frozenset(text.splitlines() if name == "cities" else text.split())
