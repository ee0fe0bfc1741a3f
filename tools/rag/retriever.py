"""The Retriever over an index: for every field of a note, worked examples of other patients.

Owns how a note becomes a query and how what was found becomes worked examples: which values get a
place, and what is shown of a passage. Leaves searching to ``rag.store``. Nothing looks at a note's gold
answer, and a note asked with others gets what it gets alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, ValidationError

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec
from preceptor.core.record import Record, digest
from preceptor.core.records import Example, IndexRef, Shot
from preceptor.core.render import Hits
from preceptor.core.text import sentences
from preceptor.tools.rag.artefact import Index, Passage
from preceptor.tools.rag.bm25 import Sparse
from preceptor.tools.rag.embed import Embedder, Vector
from preceptor.tools.rag.phrases import stances
from preceptor.tools.rag.searching import Found, Fusion, Query, order
from preceptor.tools.rag.store import MemoryStore, PointStore

Mode = Literal["sparse", "dense", "hybrid", "random"]
Show = Literal["sentence", "note", "label", "reason"]

MAX_CHARS = 200_000
"""Of a note; what stands after them is not searched with."""

MAX_PIECES = 64
"""Of a note; longer ones are searched with their first sentences that can touch a passage."""


SPARE = 2
"""Passages that say the same again are left out, so more are asked for: an index holds two copies."""


class RetrievalSettings(Record):
    """How an index is asked and how its hits are shown; kept in ``IndexRef.settings``.

    Attributes:
        mode: By words (BM25), by sense (dense vectors), both fused, or at random (for comparison).
        show: ``sentence``: the passage; ``note``: the note that it is from; ``reason``: the passage
            with why; ``label``: the phrase that it turns on, and the value.
        touching: Only for fields of which the note holds a phrase that names them in some passage; a
            student is not shown examples of what its note does not speak of.
        balance: Values take turns, so that the most frequent one does not take all places.
        fusion: How the two lists of ``hybrid`` are joined.
        rrf_k: The constant of reciprocal rank fusion (Cormack et al. 2009 use 60).
        diversity: How much hits should differ from each other, 0 to 1 (MMR, dense vectors).
    """

    mode: Mode = "sparse"
    show: Show = "sentence"
    touching: bool = True
    balance: bool = True
    fusion: Fusion = "rrf"
    rrf_k: int = Field(default=60, ge=1)
    diversity: float = Field(default=0.0, ge=0, le=1)


def settings_of(ref: IndexRef) -> RetrievalSettings:
    """Return the settings that a recipe's index carries.

    Raises:
        InputError: If they are none of this retriever's.
    """
    try:
        return RetrievalSettings.model_validate(ref.settings)
    except ValidationError as cause:
        raise InputError(
            "the recipe's index has settings that this program does not know",
            "build it again: index_examples",
        ) from cause


class QdrantRetriever:
    """Finds worked examples in an index.

    Args:
        index: The index.
        ref: How many hits per field, and the settings.
        embedder: Needed by ``dense`` and ``hybrid``; the one that the index was built with.
        store: Where the points are searched; Qdrant in memory if not given.
        leaky: Also give passages of the note's own patient. For the study that shows what such a leak
            is worth, and for nothing else.

    Raises:
        InputError: If the index is empty, or another embedder made its vectors.
    """

    def __init__(
        self,
        index: Index,
        ref: IndexRef,
        embedder: Embedder | None = None,
        store: PointStore | None = None,
        leaky: bool = False,
    ) -> None:
        self.settings = settings_of(ref)
        self._index, self._k, self._leaky = index, ref.k, leaky
        if not index.passages:
            raise InputError("the index is empty", "build it again: index_examples")
        self._embedder = self._fitting(embedder)
        self._store = store or MemoryStore(index)
        bm25 = index.config.bm25
        self._bm25 = bm25
        naming: dict[str, set[str]] = {}
        for passage in index.passages:
            for term in passage.terms:
                naming.setdefault(term, set()).add(passage.field)
        self._naming = {term: sorted(names) for term, names in naming.items()}
        self._termless = {p.field for p in index.passages} - {n for s in naming.values() for n in s}
        self._known = frozenset(
            i for p in index.passages for i in bm25.document(p.text, p.marks).indices
        )

    def _fitting(self, embedder: Embedder | None) -> Embedder | None:
        config = self._index.config
        if self.settings.mode not in ("dense", "hybrid"):
            return None
        if not config.dim:
            raise InputError(
                f"mode {self.settings.mode!r} needs dense vectors, and the index has none",
                "build it with an embedder, or use mode sparse",
            )
        if embedder is None or embedder.spec != config.embedder:
            given = repr(embedder.spec) if embedder else "none"
            raise InputError(
                f"the index was built with the embedder {config.embedder!r}, not {given}",
                "set that one, or build the index again",
            )
        if config.embedder_digest and embedder.digest and config.embedder_digest != embedder.digest:
            raise InputError(
                f"the embedder {config.embedder!r} is another model than the index was built with",
                "build the index again",
            )
        return embedder

    def close(self) -> None:
        """Give back what the store holds."""
        self._store.close()

    def hits(self, examples: Sequence[Example], fields: Sequence[FieldSpec]) -> list[Hits]:
        """Return worked examples per field, best first, for every note.

        Raises:
            StudentError: If a server went away; what was answered before is kept.
            InputError: If the embedder gives vectors of another dimension than the index has.
        """
        if self.settings.mode == "random":
            found = [self._random(example) for example in examples]
        else:
            dense = zip(examples, self._dense(examples), strict=True)
            found = self._store.search([self.query(e, fields, v) for e, v in dense])
        return [self._shots(e, fields, f) for e, f in zip(examples, found, strict=True)]

    def _dense(self, examples: Sequence[Example]) -> list[tuple[Vector, ...]]:
        if self._embedder is None or not examples:
            return [()] * len(examples)
        pieces = [[p for p, _ in self._pieces(example.text)] for example in examples]
        flat = list(dict.fromkeys(piece for found in pieces for piece in found))
        vectors = dict(zip(flat, self._embedder.embed(flat), strict=True))
        for vector in vectors.values():
            if len(vector) != self._index.config.dim:
                raise InputError(
                    f"the embedder {self._embedder.spec!r} gives {len(vector)} dimensions, "
                    f"the index has {self._index.config.dim}",
                    "build the index again",
                )
        return [tuple(vectors[piece] for piece in found) for found in pieces]

    def _pieces(self, text: str) -> list[tuple[str, set[tuple[str, str]]]]:
        """Return what a note is searched with: pieces, each with its phrases and how they are said.

        Sentences where passages are sentences; of those only the ones that can touch a passage.
        """
        text = text[:MAX_CHARS]
        whole = self._index.config.granularity != "sentence"
        found = [
            (p, stances(p, self._naming)) for p in ([text] if whole else sentences(text) or [text])
        ]
        if self.settings.touching and not self._termless:
            found = [(piece, said) for piece, said in found if said]
        return found[:MAX_PIECES]

    def _marks(self, said: set[tuple[str, str]]) -> list[str]:
        ways = {f"{name}|{how}" for term, how in said for name in self._naming[term]}
        return sorted({term for term, _ in said} | ways)

    def query(self, example: Example, fields: Sequence[FieldSpec], dense: tuple[Vector, ...]) -> Query:
        """Return what is asked for one note."""
        pieces = self._pieces(example.text)
        wanted = {f.name for f in fields} & set(self._index.config.fields)
        if self.settings.touching:
            named = {name for _, said in pieces for term, _ in said for name in self._naming[term]}
            wanted &= named | self._termless
        everything = wanted == set(self._index.config.fields)
        by_words = self.settings.mode in ("sparse", "hybrid")
        said = {pair for _, found in pieces for pair in found}
        text = "\n".join(piece for piece, _ in pieces)
        return Query(
            group=None if self._leaky else example.group,
            fields=None if everything else tuple(sorted(wanted)),
            words=self._bm25.query(text, self._marks(said), self._known) if by_words else Sparse(),
            sense=dense,
            size=SPARE * self._k,
            fusion=self.settings.fusion,
            rrf_k=self.settings.rrf_k,
            diversity=self.settings.diversity,
        )

    def _shots(
        self, example: Example, fields: Sequence[FieldSpec], found: Mapping[str, Sequence[Found]]
    ) -> Hits:
        out: dict[str, list[Shot]] = {}
        for spec in fields:
            by_value = [f for key, f in sorted(found.items()) if key.startswith(f"{spec.name}|")]
            mine = [self._others(f, example) for f in by_value]
            chosen = ranked(self._distinct(mine), self._k, self.settings.balance)
            if chosen:
                out[spec.name] = [self._shot(self._index.passages[f.number]) for f in chosen]
        return out

    def _others(self, found: Sequence[Found], example: Example) -> list[Found]:
        """Leave out the note itself where its patient is not known: a corpus may hold a train note."""
        passages = self._index.passages
        return [f for f in found if self._leaky or passages[f.number].example_id != example.id]

    def _distinct(self, by_value: Sequence[Sequence[Found]]) -> list[list[Found]]:
        """Leave out passages that say the same again."""
        out = []
        for found in by_value:
            seen = {self._index.passages[f.number].text: f for f in reversed(found)}
            out.append([f for f in found if seen[self._index.passages[f.number].text] is f])
        return out

    def _random(self, example: Example) -> dict[str, list[Found]]:
        """Return every allowed passage in an order that only the note's text decides."""
        order = random.Random(digest([self._index.digest, example.text]))
        numbers = list(range(len(self._index.passages)))
        order.shuffle(numbers)
        found: dict[str, list[Found]] = {}
        for rank, number in enumerate(numbers):
            passage = self._index.passages[number]
            if self._leaky or passage.group != example.group or not passage.group:
                found.setdefault(passage.key, []).append(Found(number, 1 / (rank + 1)))
        return found

    def _shot(self, passage: Passage) -> Shot:
        text, reason = passage.text, ""
        match self.settings.show:
            case "label":
                text = passage.terms[0] if passage.terms else passage.field
            case "note":
                text = self._index.notes.get(passage.example_id, passage.text)
            case "reason":
                reason = passage.reason
            case _:
                pass
        return Shot(
            example_id=passage.example_id,
            group=passage.group,
            text=text,
            answer={passage.field: passage.answer},
            reason=reason,
        )


def ranked(by_value: Sequence[Sequence[Found]], k: int, balance: bool) -> list[Found]:
    """Return the ``k`` best of one field.

    Args:
        by_value: What was found for each value, best first.
        k: How many at most.
        balance: Values take turns, the one with the nearest passage first.
    """
    if not balance:
        return sorted((f for found in by_value for f in found), key=order)[:k]
    turns = sorted((list(found) for found in by_value if found), key=lambda found: order(found[0]))
    out: list[Found] = []
    for turn in range(max(map(len, turns), default=0)):
        out += [found[turn] for found in turns if turn < len(found)]
    return out[:k]
