"""A Qdrant server: one collection per index, told keyed hashes, behind the gate.

Owns the life of a collection, the client, and what its troubles mean. What is asked is
``rag.searching``, what the server is told instead of words and names is ``rag.veil``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from preceptor.core import wire
from preceptor.core.address import Address, parse
from preceptor.core.errors import StudentError
from preceptor.core.record import canonical, digest
from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.retry import Patience, persist
from preceptor.tools.rag.searching import Found, Query, Searcher
from preceptor.tools.rag.store import create, fill
from preceptor.tools.rag.veil import Veil

if TYPE_CHECKING:
    from qdrant_client import models
    from qdrant_client.http import models as answers

T = TypeVar("T")

TIMEOUT = 20
NAME = "preceptor-"
PORT = 6333
"""Qdrant's own, where an address names none."""

Told = Callable[[int, str], None]
"""Hears, before a request is sent, how many characters it has and the hash of what they say."""


def address_of(url: str) -> Address:
    """Return where a Qdrant server is.

    Raises:
        InputError: If it is no address, or holds a password.
    """
    return parse(url, "qdrant_url", PORT)


class ServerStore:
    """A Qdrant server: one collection per index, named by a keyed hash of its content.

    The server is told keyed hashes of words, patients, fields and labels: see ``rag.veil``. A
    collection is filled under another name, and gets its alias only when it is whole; so a rebuild
    never serves a half-built index, and two processes that build the same one do no harm.

    Args:
        index: The index.
        url: Where the server is.
        patience: How often a request is tried again.
        api_key: What the server asks for, if anything.
        told: Hears of all that is sent, for the gate; it may refuse.

    Raises:
        StudentError: If the server does not answer.
        InputError: If its address is none, or nothing may be sent there.
    """

    def __init__(
        self,
        index: Index,
        url: str,
        patience: Patience | None = None,
        api_key: str = "",
        told: Told | None = None,
    ) -> None:
        from qdrant_client import QdrantClient

        address = address_of(url)
        self._patience = patience or Patience()
        self._what = f"the Qdrant server at {address.url}"
        self._told = told
        self._veil = Veil(index)
        self._client = QdrantClient(
            url=address.url,
            port=address.port,
            timeout=TIMEOUT,
            api_key=api_key or None,
            check_compatibility=False,
            **wire.settings(address),
        )
        self._index = index
        self._searcher = Searcher(index, self._query, whole=False, told=self._veil.wanted)
        self.name = NAME + self._veil.name(f"collection:{index.digest}")
        if not self._is_whole():
            self._build()

    def search(self, queries: Sequence[Query]) -> list[dict[str, list[Found]]]:
        """Return for every query what was found, by field and value, best first."""
        return self._searcher.search(queries)

    def _query(self, asked: Sequence[models.QueryRequest]) -> Sequence[answers.QueryResponse]:
        if self._told is not None:
            said = canonical([one.model_dump(mode="json", exclude_none=True) for one in asked])
            self._told(len(said), digest(said))
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
        if self._told is not None:
            self._told(len(self._index.data), self._index.digest)
        try:
            self._ask(lambda: create(self._client, temporary, self._index))
            self._ask(lambda: self._payload_indexes(temporary))
            self._ask(lambda: fill(self._client, temporary, self._index, self._veil))
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
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        try:
            return persist(request, self._passing, self._what, self._patience)
        except ResponseHandlingException as error:
            raise wire.redirected(error) or error from None
        except UnexpectedResponse as error:
            raise StudentError(
                f"{self._what} refuses: status {error.status_code}", "see the server's log"
            ) from None

    @staticmethod
    def _passing(error: Exception) -> bool:
        import httpx
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        if wire.redirected(error) is not None:
            return False
        if isinstance(error, UnexpectedResponse):
            status = error.status_code or 0
            return status == 429 or status >= 500
        return isinstance(error, ResponseHandlingException | httpx.TransportError | ConnectionError)
