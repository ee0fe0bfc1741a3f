"""Where the points of an index are searched: the requests to Qdrant, and Qdrant in memory.

Owns what Qdrant is asked; a server is ``rag.server``. Distances, fusion, filters and grouping are
Qdrant's. The filter (not of this patient, one of the asked fields) stands on every prefetch and on the
outer query: a prefetch without it would fill its places with what the outer filter then removes, and
where an outer filter does not reach (older servers) it would leak. Leaves what is asked, and what is
made of the answer, to ``rag.retriever``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.bm25 import Sparse

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

    from preceptor.tools.rag.veil import Veil

NOTHING = Sparse()
WORDS, SENSE = "words", "sense"
"""The names of the sparse and of the dense vector."""

CANDIDATES = 100
"""How many points of a note the diversity is chosen from."""

DEPTH = 200
"""How many points each part of a fused query gives."""

BATCH = 256

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


class PointStore(Protocol):
    """Searches the points of one index."""

    def search(self, query: Query) -> dict[str, list[Found]]:
        """Return what was found, by field and value (``Passage.key``), best first.

        Raises:
            StudentError: If the server went away.
        """
        ...

    def close(self) -> None:
        """Give back what is held. May be called twice."""
        ...


def allowed(query: Query) -> models.Filter:
    """Return the filter: not of this patient, of an asked field."""
    from qdrant_client import models

    must: list[models.Condition] = []
    if query.fields is not None:
        one_of = models.MatchAny(any=list(query.fields))
        must.append(models.FieldCondition(key="field", match=one_of))
    others: list[models.Condition] = []
    if query.group is not None:
        match = models.MatchValue(value=query.group)
        others.append(models.FieldCondition(key="group", match=match))
    return models.Filter(must=must or None, must_not=others or None)


def request(query: Query) -> dict[str, Any]:
    """Return the query as arguments for Qdrant's Query API; empty if there is nothing to ask with."""
    from qdrant_client import models

    keep = allowed(query)
    parts: list[tuple[str, Any]] = []
    if query.words:
        indices, values = list(query.words.indices), list(query.words.values)
        parts.append((WORDS, models.SparseVector(indices=indices, values=values)))
    sense = [list(v) for v in query.sense if any(v)]
    if sense:
        best = models.RecommendStrategy.BEST_SCORE
        near = models.RecommendInput(positive=[*sense], strategy=best)
        parts.append((SENSE, models.RecommendQuery(recommend=near)))
    if not parts:
        return {}
    if sense and query.diversity > 0:
        return _diverse(query, parts, keep, sense)
    if len(parts) == 1:
        using, only = parts[0]
        return {"query": only, "using": using, "query_filter": keep}
    return {"prefetch": _parts(parts, keep), "query": _fusion(query), "query_filter": keep}


def _parts(parts: list[tuple[str, Any]], keep: models.Filter) -> list[models.Prefetch]:
    from qdrant_client import models

    return [models.Prefetch(query=q, using=using, filter=keep, limit=DEPTH) for using, q in parts]


def _fusion(query: Query) -> models.Query:
    from qdrant_client import models

    if query.fusion == "dbsf":
        return models.FusionQuery(fusion=models.Fusion.DBSF)
    return models.RrfQuery(rrf=models.Rrf(k=query.rrf_k))


def _diverse(
    query: Query, parts: list[tuple[str, Any]], keep: models.Filter, sense: list[list[float]]
) -> dict[str, Any]:
    """Return MMR over the dense vectors of what the parts find."""
    from qdrant_client import models

    inner = _parts(parts, keep)
    if len(parts) > 1:
        joined = models.Prefetch(prefetch=inner, query=_fusion(query), filter=keep, limit=CANDIDATES)
        inner = [joined]
    middle = [sum(column) / len(sense) for column in zip(*sense, strict=True)]
    mmr = models.Mmr(diversity=query.diversity, candidates_limit=CANDIDATES)
    return {
        "prefetch": inner,
        "query": models.NearestQuery(nearest=middle, mmr=mmr),
        "using": SENSE,
        "query_filter": keep,
    }


def points(index: Index, veil: Veil | None = None) -> Iterator[models.PointStruct]:
    """Yield the points of an index; numbers are those of its passages.

    Args:
        index: The index.
        veil: What stands for its words, patients and labels at a server; None in this process.
    """
    from qdrant_client import models

    bm25 = index.config.bm25
    for number, passage in enumerate(index.passages):
        vector: dict[str, Any] = {}
        words = bm25.document(passage.text, passage.marks)
        if veil is not None:
            words = veil.words(words)
        if words:
            vector[WORDS] = models.SparseVector(indices=list(words.indices), values=list(words.values))
        if index.vectors and any(index.vectors[number]):
            vector[SENSE] = list(index.vectors[number])
        payload = {"group": passage.group, "field": passage.field, "key": passage.key}
        if veil is not None:
            payload = veil.payload(**payload)
        yield models.PointStruct(id=number, vector=vector, payload=payload)


def create(client: QdrantClient, name: str, index: Index) -> None:
    """Make an empty collection for an index."""
    from qdrant_client import models

    dense: dict[str, models.VectorParams] = {}
    if index.config.dim:
        dense[SENSE] = models.VectorParams(size=index.config.dim, distance=models.Distance.COSINE)
    sparse = {WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)}
    client.create_collection(name, vectors_config=dense, sparse_vectors_config=sparse)


def fill(client: QdrantClient, name: str, index: Index, veil: Veil | None = None) -> None:
    """Put the points of an index into a collection, in batches."""
    batch: list[models.PointStruct] = []
    for point in points(index, veil):
        batch.append(point)
        if len(batch) == BATCH:
            client.upsert(name, batch, wait=True)
            batch = []
    if batch:
        client.upsert(name, batch, wait=True)


class MemoryStore:
    """Qdrant in this process, filled from the artefact: the default.

    Args:
        index: The index.
    """

    def __init__(self, index: Index) -> None:
        from qdrant_client import QdrantClient

        self._keys = len({p.key for p in index.passages})
        self._client = QdrantClient(":memory:")
        create(self._client, "index", index)
        fill(self._client, "index", index)

    def search(self, query: Query) -> dict[str, list[Found]]:
        """Return what was found, by field and value, best first."""
        return grouped(self._client, "index", query, self._keys)

    def close(self) -> None:
        """Forget the points."""
        self._client.close()


def grouped(client: QdrantClient, name: str, query: Query, keys: int) -> dict[str, list[Found]]:
    """Ask for the best passages of every field and value in one request."""
    asked = request(query)
    if not asked:
        return {}
    got = client.query_points_groups(
        name,
        group_by="key",
        limit=max(keys, 1),
        group_size=query.size,
        with_payload=["key"],
        **asked,
    )
    return {
        str(group.id): sorted(
            (Found(int(point.id), float(point.score)) for point in group.hits),
            key=lambda found: (-found.score, found.number),
        )
        for group in got.groups
    }
