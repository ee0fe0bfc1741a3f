"""The index as one artefact: its settings and its passages, as bytes that are named by their hash.

Owns the format (JSON lines, canonical, so that equal content gives equal bytes), its check on reading,
and the rule that no note but the allowed ones may stand in it. Leaves searching to ``rag.store``.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from preceptor.core.errors import InputError, StoreError
from preceptor.core.reading import loads
from preceptor.core.record import Record, canonical
from preceptor.core.record import digest as content_hash
from preceptor.tools.rag.bm25 import K1, B, Bm25
from preceptor.tools.rag.phrases import stances
from preceptor.tools.rag.tokens import TOKENS_VERSION

FORMAT = 1
"""Rises when an older program could no longer read an index."""

KIND = "preceptor-index"
AGAIN = "build it again: index_examples"

Granularity = Literal["note", "section", "sentence"]
Source = Literal["note", "snippet", "pair"]


class IndexConfig(Record):
    """What an index was built with.

    Attributes:
        granularity: What a passage is.
        tokens: The version of the tokens (``rag.tokens``).
        k1: See ``rag.bm25``.
        b: See ``rag.bm25``.
        average: The mean length of a passage in tokens.
        embedder: The spec of the embedder; empty: no dense vectors.
        embedder_digest: What its backend calls the model, where it tells.
        dim: The dimension of the dense vectors, 0 if there are none.
        fields: The fields that have passages.
    """

    granularity: Granularity = "sentence"
    tokens: int = TOKENS_VERSION
    k1: float = K1
    b: float = B
    average: float = 1.0
    embedder: str = ""
    embedder_digest: str = ""
    dim: int = Field(default=0, ge=0)
    fields: tuple[str, ...] = ()

    @property
    def bm25(self) -> Bm25:
        """The term weights."""
        return Bm25(self.average, self.k1, self.b)


class Passage(Record):
    """One text with the right value of one field.

    Attributes:
        example_id: The train note it comes from; empty for a snippet.
        group: That note's patient; empty for a snippet.
        field: Which field.
        text: The sentence, the section or the whole note.
        answer: The field's value.
        reason: Why, in a few words.
        source: A note; a snippet of a guideline; a note with the teacher's reasoning.
        terms: The phrases in the text that name the field.
    """

    example_id: str = ""
    group: str = ""
    field: str
    text: str
    answer: JsonValue
    reason: str = ""
    source: Source = "note"
    terms: tuple[str, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """The tokens beside the words: the phrases that name the field, and how it is said here."""
        ways = (
            {f"{self.field}|{how}" for _, how in stances(self.text, self.terms)} if self.terms else ()
        )
        return (*self.terms, *sorted(ways))

    @property
    def key(self) -> str:
        """What hits are grouped by: field and value."""
        return (
            f"{self.field}|{canonical(self.answer) if isinstance(self.answer, list) else self.answer}"
        )


@dataclass(frozen=True)
class Index:
    """An index.

    Attributes:
        config: What it was built with.
        passages: Its passages.
        vectors: One dense vector per passage, or none at all.
        notes: The whole texts of notes by id, if they are to be shown.
    """

    config: IndexConfig
    passages: tuple[Passage, ...]
    vectors: tuple[tuple[float, ...], ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def data(self) -> bytes:
        """The artefact."""
        return write(self)

    @cached_property
    def digest(self) -> str:
        """The content hash, as the run's store names it."""
        return content_hash(self.data)


def write(index: Index) -> bytes:
    """Return the artefact of an index."""
    head = {
        "kind": KIND,
        "format": FORMAT,
        "config": index.config.model_dump(mode="json"),
        "passages": len(index.passages),
        "notes": len(index.notes),
    }
    lines = [canonical(head)]
    for number, passage in enumerate(index.passages):
        line = passage.model_dump(mode="json", exclude_defaults=True)
        if index.vectors:
            line["vector"] = _packed(index.vectors[number])
        lines.append(canonical(line))
    lines += [canonical({"id": name, "text": text}) for name, text in sorted(index.notes.items())]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def read(data: bytes) -> Index:
    """Return the index of an artefact.

    Raises:
        StoreError: If it is no index, half-written, damaged, or of another version.
    """
    lines = data.decode("utf-8", "replace").split("\n")
    try:
        head = loads(lines[0])
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("kind") != KIND:
        raise StoreError("that artefact is no index of examples", AGAIN)
    if head.get("format") != FORMAT:
        raise StoreError(
            f"the index has format {head.get('format')!r}, this program reads {FORMAT}", AGAIN
        )
    try:
        config = IndexConfig.model_validate(head.get("config"))
    except ValidationError as cause:
        raise StoreError("the index is damaged: its settings cannot be read", AGAIN) from cause
    if config.tokens != TOKENS_VERSION:
        raise StoreError(
            f"the index was made with tokens {config.tokens}, this program has {TOKENS_VERSION}", AGAIN
        )
    wanted, notes = head.get("passages"), head.get("notes")
    found = max(len(lines) - 2, 0)
    if (
        not isinstance(wanted, int)
        or not isinstance(notes, int)
        or wanted + notes != found
        or lines[-1]
    ):
        raise StoreError(f"the index is half-written: {found} lines", AGAIN)
    index = _filled(config, lines[1 : wanted + 1])
    return replace(index, notes=_notes(lines[wanted + 1 : -1]))


def _notes(lines: Sequence[str]) -> dict[str, str]:
    try:
        return {str(value["id"]): str(value["text"]) for value in map(json.loads, lines)}
    except (ValueError, TypeError, KeyError) as cause:
        raise StoreError("the index is damaged: its notes cannot be read", AGAIN) from cause


def _filled(config: IndexConfig, lines: Sequence[str]) -> Index:
    passages: list[Passage] = []
    vectors: list[tuple[float, ...]] = []
    for number, line in enumerate(lines, 1):
        try:
            value = loads(line)
            packed = value.pop("vector", "")
            passages.append(Passage.model_validate(value))
            vector = _unpacked(packed)
        except (ValueError, AttributeError, binascii.Error, struct.error) as cause:
            raise StoreError(f"the index is damaged: passage {number} cannot be read", AGAIN) from cause
        if len(vector) != config.dim:
            raise StoreError(
                f"the index is damaged: passage {number} has dimension {len(vector)}, not {config.dim}",
                AGAIN,
            )
        vectors.append(vector)
    return Index(config, tuple(passages), tuple(vectors) if config.dim else ())


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def _unpacked(text: str) -> tuple[float, ...]:
    raw = base64.b64decode(text, validate=True)
    return struct.unpack(f"<{len(raw) // 4}f", raw)


def check_ids(index: Index, allowed: Collection[str]) -> None:
    """Refuse an index that holds another note than the allowed ones.

    Args:
        index: The index.
        allowed: The ids of the train notes.

    Raises:
        InputError: If it does; the message names the first one.
    """
    known = set(allowed)
    sources = [p.example_id for p in index.passages if p.source != "snippet"]
    for name in (*sources, *index.notes):
        if name not in known:
            raise InputError(
                f"note {name!r} may not stand in an index: it is not of train",
                "index train notes only",
            )
