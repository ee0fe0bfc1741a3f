"""What the tests of retrieval share: small indexes, built the way the move builds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from preceptor.core.fields import FieldSpec
from preceptor.core.records import Example, IndexRef
from preceptor.tools.rag.artefact import Index, IndexConfig, Passage
from preceptor.tools.rag.bm25 import average_length
from preceptor.tools.rag.embed import Embedder, embedder_for
from preceptor.tools.rag.passages import from_notes
from preceptor.tools.rag.retriever import QdrantRetriever
from tests.contracts.evidence import FIELDS, corpus

HASH = embedder_for("hash:64")
NOTES = corpus(40)


def index_of(passages: Sequence[Passage], embedder: Embedder | None = None) -> Index:
    vectors = tuple(embedder.embed([p.text for p in passages])) if embedder else ()
    config = IndexConfig(
        average=average_length(p.text for p in passages),
        embedder=embedder.spec if embedder else "",
        embedder_digest=embedder.digest if embedder else "",
        dim=len(vectors[0]) if vectors else 0,
        fields=tuple(sorted({p.field for p in passages})),
    )
    return Index(config, tuple(passages), vectors)


def built(
    notes: Sequence[Example] = NOTES,
    fields: Sequence[FieldSpec] = FIELDS,
    embedder: Embedder | None = HASH,
) -> Index:
    return index_of(from_notes(notes, fields, "sentence"), embedder)


def ref(index: Index, k: Any = 4, **settings: Any) -> IndexRef:
    return IndexRef(digest=index.digest, k=k, settings=dict(settings))


def retriever(index: Index, k: Any = 4, **settings: Any) -> QdrantRetriever:
    return QdrantRetriever(index, ref(index, k, **settings), HASH)


def passage(
    text: str,
    label: str = "present",
    group: str = "p",
    field: str = "rash",
    terms: tuple[str, ...] = (),
) -> Passage:
    return Passage(
        example_id=f"{group}-1", group=group, field=field, text=text, answer=label, terms=terms
    )
