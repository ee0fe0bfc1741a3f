"""Where the points of an index are searched: Qdrant in memory, or a Qdrant server.

Owns the connection to Qdrant and the life of a collection. Leaves the requests, and the order of what
they find, to ``rag.searching``; what is asked, and what is made of the answer, to ``rag.retriever``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from preceptor.core.errors import StudentError
from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.retry import Patience, persist
from preceptor.tools.rag.searching import SENSE, WORDS, Found, Query, Searcher

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models
    from qdrant_client.http import models as answers

T = TypeVar("T")

BATCH = 256
TIMEOUT = 20
NAME = "preceptor-"


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


def points(index: Index) -> Iterator[models.PointStruct]:
    """Yield the points of an index; numbers are those of its passages."""
    from qdrant_client import models

    bm25 = index.config.bm25
    for number, passage in enumerate(index.passages):
        vector: dict[str, Any] = {}
        words = bm25.document(passage.text, passage.marks)
        if words:
            vector[WORDS] = models.SparseVector(indices=list(words.indices), values=list(words.values))
        if index.vectors and any(index.vectors[number]):
            vector[SENSE] = list(index.vectors[number])
        payload = {"group": passage.group, "field": passage.field, "key": passage.key}
        yield models.PointStruct(id=number, vector=vector, payload=payload)


def create(client: QdrantClient, name: str, index: Index) -> None:
    """Make an empty collection for an index."""
    from qdrant_client import models

    dense: dict[str, models.VectorParams] = {}
    if index.config.dim:
        dense[SENSE] = models.VectorParams(size=index.config.dim, distance=models.Distance.COSINE)
    sparse = {WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)}
    client.create_collection(name, vectors_config=dense, sparse_vectors_config=sparse)


def fill(client: QdrantClient, name: str, index: Index) -> None:
    """Put the points of an index into a collection, in batches."""
    batch: list[models.PointStruct] = []
    for point in points(index):
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


class ServerStore:
    """A Qdrant server: one collection per index, named by its content hash.

    A collection is filled under another name, and gets its alias only when it is whole; so a rebuild
    never serves a half-built index, and two processes that build the same one do no harm.

    Args:
        index: The index.
        url: Where the server is.
        patience: How often a request is tried again.
        api_key: What the server asks for, if anything.

    Raises:
        StudentError: If the server does not answer.
    """

    def __init__(
        self, index: Index, url: str, patience: Patience | None = None, api_key: str = ""
    ) -> None:
        from qdrant_client import QdrantClient

        self._patience = patience or Patience()
        self._what = f"the Qdrant server at {url}"
        self._client = QdrantClient(
            url=url, timeout=TIMEOUT, api_key=api_key or None, check_compatibility=False
        )
        self._index = index
        self.name = NAME + index.digest
        self._searcher = Searcher(index, self._query, whole=False)
        if not self._is_whole():
            self._build()

    def search(self, queries: Sequence[Query]) -> list[dict[str, list[Found]]]:
        """Return for every query what was found, by field and value, best first."""
        return self._searcher.search(queries)

    def _query(self, asked: Sequence[models.QueryRequest]) -> Sequence[answers.QueryResponse]:
        return self._ask(lambda: self._client.query_batch_points(self.name, asked))

    def close(self) -> None:
        """Close the connections; the collection stays."""
        self._client.close()

    def remove(self) -> None:
        """Delete the collection from the server."""
        for name in self._behind():
            self._ask(lambda n=name: self._client.delete_collection(n))  # type: ignore[misc]

    def _behind(self) -> list[str]:
        """Return the collection that the alias stands for, if there is one."""
        listed = self._ask(self._client.get_aliases).aliases
        return [a.collection_name for a in listed if a.alias_name == self.name]

    def _is_whole(self) -> bool:
        if not self._behind():
            return False
        count = self._ask(lambda: self._client.count(self.name, exact=True)).count
        return count == len(self._index.passages)

    def _build(self) -> None:
        from qdrant_client import models

        temporary = f"{self.name}-{uuid.uuid4().hex[:8]}"
        try:
            self._ask(lambda: create(self._client, temporary, self._index))
            self._ask(lambda: self._payload_indexes(temporary))
            self._ask(lambda: fill(self._client, temporary, self._index))
            before = self._behind()
            switch: list[Any] = [
                models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self.name))
                for _ in before
            ]
            made = models.CreateAlias(collection_name=temporary, alias_name=self.name)
            switch.append(models.CreateAliasOperation(create_alias=made))
            self._ask(lambda: self._client.update_collection_aliases(switch))
        except StudentError:
            self._drop(temporary)
            raise
        for name in before:
            self._drop(name)

    def _payload_indexes(self, name: str) -> None:
        from qdrant_client import models

        for key in ("group", "field", "key"):
            kind = models.PayloadSchemaType.KEYWORD
            self._client.create_payload_index(name, key, field_schema=kind)

    def _drop(self, name: str) -> None:
        """Delete a collection if the server still answers; what stays behind serves nobody."""
        quick = Patience(retries=0)
        try:
            persist(lambda: self._client.delete_collection(name), self._passing, self._what, quick)
        except StudentError:
            return

    def _ask(self, request: Callable[[], T]) -> T:
        from qdrant_client.http.exceptions import UnexpectedResponse

        try:
            return persist(request, self._passing, self._what, self._patience)
        except UnexpectedResponse as error:
            raise StudentError(
                f"{self._what} refuses: status {error.status_code}", "see the server's log"
            ) from None

    @staticmethod
    def _passing(error: Exception) -> bool:
        import httpx
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        if isinstance(error, UnexpectedResponse):
            status = error.status_code or 0
            return status == 429 or status >= 500
        return isinstance(error, ResponseHandlingException | httpx.TransportError | ConnectionError)
