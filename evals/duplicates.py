"""Near-duplicates: the same text twice, a few words changed, on both sides of a split.

Owns how alike two texts are (Jaccard similarity of their word trigrams) and finding all pairs above a
threshold without comparing every pair: two texts that alike must share one of the rarest few trigrams
of each (prefix filtering; Chaudhuri, Ganti and Kaushik 2006, ICDE). Exact, not approximate. Leaves
what to do about a pair to ``evals.check`` and the tasks.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from preceptor.core.records import Example, Split
from preceptor.evals.splits import PARTS, Splits

THRESHOLD = 0.8
"""Texts at least this alike count as near-duplicates."""

_N = 3
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two near-duplicates in different parts of a split."""

    first: str
    second: str
    first_split: Split
    second_split: Split
    similarity: float


def shingles(text: str) -> frozenset[str]:
    """Return the word trigrams of a text; a shorter text is one shingle."""
    words = _WORD.findall(text.casefold())
    if len(words) < _N:
        return frozenset([" ".join(words) or text.strip()])
    return frozenset(" ".join(words[i : i + _N]) for i in range(len(words) - _N + 1))


def pairs(texts: Sequence[str], threshold: float = THRESHOLD) -> Iterator[tuple[int, int, float]]:
    """Yield (i, j, similarity) with i < j for all texts at least ``threshold`` alike.

    Args:
        texts: The texts.
        threshold: Jaccard similarity in (0, 1].
    """
    sets = [shingles(text) for text in texts]
    common = Counter(s for found in sets for s in found)
    index: dict[str, list[int]] = defaultdict(list)
    for j, found in enumerate(sets):
        rarest = sorted(found, key=lambda s: (common[s], s))
        prefix = rarest[: len(found) - math.ceil(threshold * len(found) - 1e-9) + 1]
        for i in sorted({i for s in prefix for i in index[s]}):
            shared = len(found & sets[i])
            similarity = shared / (len(found) + len(sets[i]) - shared)
            if similarity >= threshold:
                yield i, j, similarity
        for s in prefix:
            index[s].append(j)


def clusters(texts: Sequence[str], threshold: float = THRESHOLD) -> list[int]:
    """Return, for each text, the place of the first text of its cluster of near-duplicates."""
    root = list(range(len(texts)))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for i, j, _ in pairs(texts, threshold):
        a, b = sorted((find(i), find(j)))
        root[b] = a
    return [find(i) for i in range(len(texts))]


def across(examples: Sequence[Example], splits: Splits, threshold: float = THRESHOLD) -> list[Pair]:
    """Return the near-duplicates that stand in different parts, most alike first."""
    placed = {name for p in PARTS for name in splits.ids(p)}
    return parted(alike([e for e in examples if e.id in placed], threshold), splits)


def alike(
    examples: Sequence[Example], threshold: float = THRESHOLD
) -> list[tuple[Example, Example, float]]:
    """Return all near-duplicates with their similarity, in the data's order."""
    texts = [e.text for e in examples]
    return [(examples[i], examples[j], similarity) for i, j, similarity in pairs(texts, threshold)]


def parted(found: Sequence[tuple[Example, Example, float]], splits: Splits) -> list[Pair]:
    """Return those near-duplicates that stand in different parts, most alike first."""
    part: dict[str, Split] = {name: p for p in PARTS for name in splits.ids(p)}
    apart = [
        Pair(a.id, b.id, part[a.id], part[b.id], similarity)
        for a, b, similarity in found
        if a.id in part and b.id in part and part[a.id] != part[b.id]
    ]
    return sorted(apart, key=lambda p: (-p.similarity, p.first, p.second))


def contradictory(
    found: Sequence[tuple[Example, Example, float]],
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the (ids of) pairs whose gold differs in a field that both have.

    Returns:
        Pairs of the same words, whose gold is a contradiction; and pairs of nearly the same.
    """
    same: list[tuple[str, str]] = []
    nearly: list[tuple[str, str]] = []
    for a, b, _ in found:
        one, other = a.gold or {}, b.gold or {}
        if any(_said(one[f]) != _said(other[f]) for f in one if f in other):
            (same if _words(a.text) == _words(b.text) else nearly).append((a.id, b.id))
    return same, nearly


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _said(value: JsonValue) -> JsonValue:
    """Return a gold value so that the order and the case of a list's items do not matter."""
    return [*sorted(str(v).casefold() for v in value)] if isinstance(value, list) else value
