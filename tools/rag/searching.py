"""Many queries at once: what Qdrant is asked for them, and what becomes of its answers.

Owns the requests and everything that has an order: which of equally near passages come first (the lower
number), fusion, MMR and the grouping by field and value. Qdrant gives distances and filters alone: a
server returns equal scores in any order, another one at every call, and what is cut, fused or chosen
there by such an order could not be repeated. The filter (not of this patient, one of the asked fields)
stands on every request. All requests of a list of notes travel together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.bm25 import Sparse

if TYPE_CHECKING:
    from qdrant_client import models
    from qdrant_client.http import models as answers

    Ask = Callable[[Sequence[models.QueryRequest]], Sequence[answers.QueryResponse]]
    """Answers requests, in their order."""

NOTHING = Sparse()
WORDS, SENSE = "words", "sense"
"""The names of the sparse and of the dense vector."""

CANDIDATES = 100
"""How many points of a note the diversity is chosen from."""

DEPTH = 2000
"""How many points each part of a fused query gives on a server; in memory it gives all."""

SLACK = 16
"""Points asked for beyond those that are wanted, to see whether the last of them has equals."""

MANY = 256
NUMBERS = 200_000
"""Requests, and numbers in their vectors, that travel together: a few megabytes at most."""

Fusion = Literal["rrf", "dbsf"]


@dataclass(frozen=True)
class Query:
    """What is asked for one note.

    Attributes:
        group: The patient whose passages are left out; None leaves none out (leakage study only).
        fields: Which fields; None: all.
        words: The sparse query, empty if none is wanted.
        sense: Dense queries, one per piece of the note: a passage is as near as it is to the nearest
            (Qdrant's best-score strategy).
        size: How many passages per field and value.
        fusion: How sparse and dense are joined.
        rrf_k: The constant of reciprocal rank fusion.
        diversity: 0 to 1: how much hits should differ from each other (MMR); 0 is off.
    """

    group: str | None
    fields: tuple[str, ...] | None
    words: Sparse = NOTHING
    sense: tuple[tuple[float, ...], ...] = ()
    size: int = 4
    fusion: Fusion = "rrf"
    rrf_k: int = 60
    diversity: float = 0.0


@dataclass(frozen=True)
class Found:
    """One passage that was found: its number in the index, and how near it is."""

    number: int
    score: float


@dataclass(frozen=True)
class Wanted:
    """One list of points.

    Attributes:
        query: The note's.
        using: The vector that is searched.
        most: How many points.
        key: Only of this field and value, if any is named.
    """

    query: Query
    using: str
    most: int
    key: str = ""


def order(found: Found) -> tuple[float, int]:
    """Return what sorts the nearest first, and equals by their number."""
    return -found.score, found.number


def senses(query: Query) -> list[list[float]]:
    """Return the dense queries that say anything."""
    return [list(v) for v in query.sense if any(v)]


def middle(query: Query) -> list[float]:
    """Return the mean of the dense queries."""
    sense = senses(query)
    return [sum(column) / len(sense) for column in zip(*sense, strict=True)]


def request(wanted: Wanted, limit: int) -> models.QueryRequest:
    """Return a list's request."""
    from qdrant_client import models

    query = wanted.query
    if wanted.using == WORDS:
        words = query.words
        ask: Any = models.SparseVector(indices=list(words.indices), values=list(words.values))
    elif query.diversity > 0:
        ask = models.NearestQuery(nearest=middle(query))
    else:
        best = models.RecommendStrategy.BEST_SCORE
        near = models.RecommendInput(positive=[*senses(query)], strategy=best)
        ask = models.RecommendQuery(recommend=near)
    keep = allowed(query, wanted.key)
    return models.QueryRequest(query=ask, using=wanted.using, filter=keep, limit=limit)


def allowed(query: Query, key: str = "") -> models.Filter:
    """Return the filter: not of this patient, of an asked field, of one value if it is named."""
    from qdrant_client import models

    must: list[models.Condition] = []
    if query.fields is not None:
        one_of = models.MatchAny(any=list(query.fields))
        must.append(models.FieldCondition(key="field", match=one_of))
    if key:
        must.append(models.FieldCondition(key="key", match=models.MatchValue(value=key)))
    others: list[models.Condition] = []
    if query.group is not None:
        match = models.MatchValue(value=query.group)
        others.append(models.FieldCondition(key="group", match=match))
    return models.Filter(must=must or None, must_not=others or None)


class Searcher:
    """Searches the points of one index.

    Args:
        index: The index.
        ask: Sends requests to Qdrant.
        whole: Whether a list of all points costs no more than a short one, as in memory.
    """

    def __init__(self, index: Index, ask: Ask, whole: bool) -> None:
        self._index, self._ask, self._whole = index, ask, whole
        self._keys = [p.key for p in index.passages]
        self._fields = {p.key: p.field for p in index.passages}
        self._held = Counter(self._keys)
        self._own = Counter((p.key, p.group) for p in index.passages)

    def search(self, queries: Sequence[Query]) -> list[dict[str, list[Found]]]:
        """Return for every query what was found, by field and value (``Passage.key``), best first."""
        wanted = [self._wanted(query) for query in queries]
        lists = iter(self._lists([one for of in wanted for one in of]))
        found = [[next(lists) for _ in of] for of in wanted]
        out = [self._joined(query, of) for query, of in zip(queries, found, strict=True)]
        short = [
            (at, Wanted(of[0].query, of[0].using, of[0].query.size, key))
            for at, of in enumerate(wanted)
            if len(of) == 1 and not _diverse(of[0].query)
            for key in self._cut_off(of[0], found[at][0])
        ]
        rest = self._lists([one for _, one in short])
        for (at, one), points in zip(short, rest, strict=True):
            out[at][one.key] = points
        return [{key: points for key, points in of.items() if points} for of in out]

    def _wanted(self, query: Query) -> list[Wanted]:
        everything = len(self._keys)
        if _diverse(query):
            return [Wanted(query, SENSE, CANDIDATES)]
        using = [*([WORDS] if query.words else []), *([SENSE] if senses(query) else [])]
        most = min(everything, DEPTH)
        if len(using) == 1:
            most = min(everything, 4 * query.size * sum(map(_asks(query), self._fields.values())))
        return [Wanted(query, name, everything if self._whole else max(most, 1)) for name in using]

    def _cut_off(self, wanted: Wanted, points: Sequence[Found]) -> Iterator[str]:
        """Yield the fields and values of which a list that is too short may not show the best."""
        if len(points) < wanted.most or wanted.most == len(self._keys):
            return
        seen = Counter(self._keys[p.number] for p in points)
        for key, field in self._fields.items():
            there = self._held[key]
            if wanted.query.group is not None:
                there -= self._own[key, wanted.query.group]
            if _asks(wanted.query)(field) and seen[key] < min(wanted.query.size, there):
                yield key

    def _joined(self, query: Query, lists: Sequence[Sequence[Found]]) -> dict[str, list[Found]]:
        if _diverse(query):
            points = varied(lists[0], self._index.vectors, middle(query), query.diversity)
        elif len(lists) == 2:
            points = dbsf(lists) if query.fusion == "dbsf" else rrf(lists, query.rrf_k)
        else:
            points = [point for of in lists for point in of]
        grouped: dict[str, list[Found]] = {}
        for point in points:
            of = grouped.setdefault(self._keys[point.number], [])
            if len(of) < query.size:
                of.append(point)
        return {key: sorted(of, key=order) for key, of in grouped.items()}

    def _lists(self, wanted: Sequence[Wanted]) -> list[list[Found]]:
        """Return the lists, each whole: no equal of its last point was left out by chance."""
        everything = len(self._keys)
        limits = [min(everything, one.most + SLACK) for one in wanted]
        out: list[list[Found]] = [[] for _ in wanted]
        waiting = list(range(len(wanted)))
        while waiting:
            still = []
            for batch in _batches(wanted, waiting):
                got = self._ask([request(wanted[i], limits[i]) for i in batch])
                for i, said in zip(batch, got, strict=True):
                    points = sorted((Found(int(p.id), float(p.score)) for p in said.points), key=order)
                    out[i] = points[: wanted[i].most]
                    full = len(points) >= limits[i] < everything
                    if full and points[-1].score == out[i][-1].score:
                        limits[i] = min(everything, 4 * limits[i])
                        still.append(i)
            waiting = still
        return out


def _asks(query: Query) -> Callable[[str], bool]:
    """Return what tells whether a query asks for a field."""
    return lambda field: query.fields is None or field in query.fields


def _diverse(query: Query) -> bool:
    return query.diversity > 0 and bool(senses(query))


def _batches(wanted: Sequence[Wanted], which: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for i in which:
        query = wanted[i].query
        numbers = 2 * len(query.words.indices) if wanted[i].using == WORDS else 0
        numbers = numbers or sum(map(len, query.sense))
        if batch and (len(batch) == MANY or size + numbers > NUMBERS):
            yield batch
            batch, size = [], 0
        batch.append(i)
        size += numbers
    if batch:
        yield batch


def rrf(lists: Sequence[Sequence[Found]], k: int) -> list[Found]:
    """Return lists joined by reciprocal rank fusion, as Qdrant counts it: 1 / (k + place from 0)."""
    scores: dict[int, float] = {}
    for points in lists:
        for place, point in enumerate(points):
            scores[point.number] = scores.get(point.number, 0.0) + 1 / (k + place)
    return sorted((Found(n, score) for n, score in scores.items()), key=order)


def dbsf(lists: Sequence[Sequence[Found]]) -> list[Found]:
    """Return lists joined by distribution-based score fusion.

    Qdrant's formula: a list goes from mean - 3 to mean + 3 deviations of the sample; one half where it
    has one score only.
    """
    scores: dict[int, float] = {}
    for points in lists:
        mean = sum(p.score for p in points) / max(len(points), 1)
        spread = sum((p.score - mean) ** 2 for p in points) / max(len(points) - 1, 1)
        for point in points:
            share = 0.5 + (point.score - mean) / (6 * spread**0.5) if spread else 0.5
            scores[point.number] = scores.get(point.number, 0.0) + share
    return sorted((Found(n, score) for n, score in scores.items()), key=order)


def varied(
    candidates: Sequence[Found],
    vectors: Sequence[Sequence[float]],
    near: Sequence[float],
    diversity: float,
) -> list[Found]:
    """Return the candidates as maximal marginal relevance takes them (Carbonell & Goldstein 1998).

    Args:
        candidates: The nearest points.
        vectors: Of all passages.
        near: What they should be near to.
        diversity: 0 to 1: the weight of the similarity to what was taken before.
    """
    import numpy as np

    if not candidates:
        return []
    # By number, so that argmax takes the lowest of equals; rounded, so that equals are equal.
    numbers = sorted(point.number for point in candidates)
    held = np.array([vectors[n] for n in numbers], dtype=float)
    held /= np.maximum(np.linalg.norm(held, axis=1, keepdims=True), 1e-12)
    wanted = np.array(near, dtype=float)
    likeness = np.round(held @ held.T, 9)
    relevance = np.round(held @ wanted / max(float(np.linalg.norm(wanted)), 1e-12), 9)
    chosen: list[Found] = []
    free = np.ones(len(numbers), dtype=bool)
    closest = np.full(len(numbers), -np.inf)
    while free.any():
        worth = relevance if not chosen else (1 - diversity) * relevance - diversity * closest
        at = int(np.argmax(np.where(free, np.round(worth, 9), -np.inf)))
        free[at] = False
        closest = np.maximum(closest, likeness[at])
        chosen.append(Found(numbers[at], float(relevance[at])))
    return chosen
