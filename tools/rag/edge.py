"""Qdrant Edge: the server's own search core in this process (the optional package qdrant-edge-py).

Owns the translation of a query into its API. It is many times faster than Qdrant's memory mode in
Python and needs no server; its API is young (0.9) and has no grouped query, so every field and value is
asked for in one batch. What fusion ranks is therefore the passages of one value, not of all.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from preceptor.core.errors import InputError, StudentError, boundary
from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.searching import SENSE, WORDS, Found, Query, order
from preceptor.tools.rag.store import BATCH

DEPTH = 200
"""How many points each part of a fused query gives."""


class EdgeStore:
    """Searches an index in a shard that lives in a temporary folder.

    Args:
        index: The index.

    Raises:
        InputError: If the package is missing.
    """

    def __init__(self, index: Index) -> None:
        try:
            self._edge: Any = import_module("qdrant_edge")
        except ImportError:
            raise InputError(
                "qdrant-edge-py is not installed", "pip install 'preceptor[edge]'"
            ) from None
        self._keys = sorted({(p.key, p.field) for p in index.passages})
        self._folder = Path(tempfile.mkdtemp(prefix="preceptor-edge-"))
        with boundary(StudentError, "Qdrant Edge cannot make its shard"):
            self._shard = self._filled(index)

    def _filled(self, index: Index) -> Any:
        edge = self._edge
        dense = None
        if index.config.dim:
            size = edge.EdgeVectorParams(size=index.config.dim, distance=edge.Distance.Cosine)
            dense = {SENSE: size}
        sparse = {WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}
        shard = edge.EdgeShard.create(
            str(self._folder), edge.EdgeConfig(vectors=dense, sparse_vectors=sparse, wal_enabled=False)
        )
        bm25 = index.config.bm25
        points = []
        for number, passage in enumerate(index.passages):
            vector: dict[str, Any] = {}
            words = bm25.document(passage.text, passage.marks)
            if words:
                vector[WORDS] = edge.SparseVector(list(words.indices), list(words.values))
            if index.vectors and any(index.vectors[number]):
                vector[SENSE] = list(index.vectors[number])
            payload = {"group": passage.group, "field": passage.field, "key": passage.key}
            points.append(edge.Point(number, vector, payload))
        for start in range(0, len(points), BATCH):
            shard.update(edge.UpdateOperation.upsert_points(points[start : start + BATCH]))
        for key in ("group", "key"):
            kind = edge.PayloadSchemaType.Keyword
            shard.update(edge.UpdateOperation.create_field_index(key, kind))
        return shard

    def search(self, queries: Sequence[Query]) -> list[dict[str, list[Found]]]:
        """Return for every query what was found, by field and value, best first.

        Raises:
            InputError: If hits are to differ from each other: MMR in Edge 0.9 does not always choose
                the same among equals, and a retriever has to.
        """
        if any(query.diversity for query in queries):
            raise InputError("Qdrant Edge gives no steady MMR", "set diversity to 0")
        return [self._one(query) for query in queries]

    def _one(self, query: Query) -> dict[str, list[Found]]:
        asked = [key for key, name in self._keys if query.fields is None or name in query.fields]
        requests = [r for key in asked if (r := self._request(query, key)) is not None]
        if not requests:
            return {}
        with boundary(StudentError, "Qdrant Edge cannot search"):
            got = self._shard.query_batch(self._edge.QueryBatchRequest(requests))
        found = {
            key: sorted((Found(int(p.id), float(p.score)) for p in points), key=order)
            for key, points in zip(asked, got, strict=True)
        }
        return {key: points for key, points in found.items() if points}

    def _request(self, query: Query, key: str) -> Any:
        edge = self._edge
        keep = self._allowed(query, key)
        parts = []
        if query.words:
            words = edge.SparseVector(list(query.words.indices), list(query.words.values))
            parts.append(edge.Query.Nearest(words, WORDS))
        sense = [list(v) for v in query.sense if any(v)]
        if sense:
            parts.append(edge.Query.RecommendBestScore(edge.RecommendQuery(sense, []), SENSE))
        if not parts:
            return None
        if len(parts) == 1:
            return edge.QueryRequest(query.size, query=parts[0], filter=keep)
        inner = [edge.Prefetch(DEPTH, query=part, filter=keep) for part in parts]
        fused = edge.Fusion.Dbsf() if query.fusion == "dbsf" else edge.Fusion.Rrf(k=query.rrf_k)
        return edge.QueryRequest(query.size, query=fused, prefetches=inner, filter=keep)

    def _allowed(self, query: Query, key: str) -> Any:
        edge = self._edge
        must = [edge.FieldCondition("key", match=edge.MatchValue(key))]
        others = []
        if query.group is not None:
            others.append(edge.FieldCondition("group", match=edge.MatchValue(query.group)))
        return edge.Filter(must=must, must_not=others)

    def close(self) -> None:
        """Forget the points."""
        self._shard.close()
        shutil.rmtree(self._folder, ignore_errors=True)
