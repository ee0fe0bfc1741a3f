"""Where the points of an index are searched: its points, and Qdrant in memory.

Owns what a point is. A server is ``rag.server``. Leaves the requests, and the order of what they find,
to ``rag.searching``; what is asked, and what is made of the answer, to ``rag.retriever``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.searching import SENSE, WORDS, Found, Query, Searcher

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

    from preceptor.tools.rag.veil import Veil

BATCH = 256


class PointStore(Protocol):
    """Searches the points of one index."""

    def search(self, queries: Sequence[Query]) -> list[dict[str, list[Found]]]:
        """Return for every query what was found, by field and value (``Passage.key``), best first.

        Raises:
            StudentError: If the server went away.
        """
        ...

    def close(self) -> None:
        """Give back what is held. May be called twice."""
        ...


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

        self._client = QdrantClient(":memory:")
        create(self._client, "index", index)
        fill(self._client, "index", index)
        self._searcher = Searcher(
            index, lambda asked: self._client.query_batch_points("index", asked), whole=True
        )

    def search(self, queries: Sequence[Query]) -> list[dict[str, list[Found]]]:
        """Return for every query what was found, by field and value, best first."""
        return self._searcher.search(queries)

    def close(self) -> None:
        """Forget the points."""
        self._client.close()
