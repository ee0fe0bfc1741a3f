"""What a Qdrant server is told of an index: keyed hashes of patients, fields, labels and words.

Owns the hashes. The key is made of the whole artefact, so that everyone who has the index has the key,
two processes share one collection, and nothing has to be kept; a server that never saw the artefact can
neither compute a hash nor try a list of words. Word numbers go through a keyed permutation, not a hash:
no two of them meet, and a search finds exactly what it finds without it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace

from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.bm25 import Sparse
from preceptor.tools.rag.searching import Query, Wanted

ROUNDS = 6
"""Of the permutation (Luby & Rackoff 1988 need four)."""

HEX = 32


class Veil:
    """The hashes of one index.

    Args:
        index: The index.
    """

    def __init__(self, index: Index) -> None:
        self._key = hmac.digest(b"preceptor index at a server", index.data, "sha256")
        self._numbers: dict[int, int] = {}

    def name(self, text: str) -> str:
        """Return what stands for a patient, a field, a label or a collection."""
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:HEX]

    def words(self, sparse: Sparse) -> Sparse:
        """Return a sparse vector whose token numbers say nothing."""
        pairs = sorted((self._number(i), v) for i, v in zip(sparse.indices, sparse.values, strict=True))
        return Sparse(tuple(i for i, _ in pairs), tuple(v for _, v in pairs))

    def payload(self, group: str, field: str, key: str) -> dict[str, str]:
        """Return what stands beside a point."""
        return {
            "group": self.name(f"group:{group}"),
            "field": self.name(f"field:{field}"),
            "key": self.name(f"key:{key}"),
        }

    def wanted(self, wanted: Wanted) -> Wanted:
        """Return a list of points as the server is asked for it."""
        key = self.name(f"key:{wanted.key}") if wanted.key else ""
        return replace(wanted, query=self._query(wanted.query), key=key)

    def _query(self, query: Query) -> Query:
        return replace(
            query,
            group=None if query.group is None else self.name(f"group:{query.group}"),
            fields=None if query.fields is None else self._all("field", query.fields),
            words=self.words(query.words),
        )

    def _all(self, kind: str, texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.name(f"{kind}:{text}") for text in texts)

    def _number(self, number: int) -> int:
        found = self._numbers.get(number)
        if found is None:
            found = self._numbers[number] = self._permuted(number)
        return found

    def _permuted(self, number: int) -> int:
        """Return the place of a number of 32 bits under the key (a Feistel network)."""
        left, right = number >> 16, number & 0xFFFF
        for turn in range(ROUNDS):
            told = bytes([turn]) + right.to_bytes(2, "big")
            mixed = hashlib.blake2s(told, key=self._key, digest_size=2).digest()
            left, right = right, left ^ int.from_bytes(mixed, "big")
        return left << 16 | right
