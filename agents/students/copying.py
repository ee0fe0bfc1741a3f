"""The constraint on lists of pieces of the note: an item is a run of the note's words.

Owns the grammar of such an answer, in llguidance's form of Lark. A piece begins and ends at a word or a
sign, never inside a word or beside a space, and is written as JSON writes it. Leaves compiling to
``grammar``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from preceptor.core.choices import CHUNK
from preceptor.core.fields import FieldSpec

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions


def wanted(field: FieldSpec) -> bool:
    """Return whether a field's items are to be copied."""
    return field.kind == "list" and field.copied


def grammar(fields: Sequence[FieldSpec], source: str, separators: JsonCompileOptions) -> str:
    """Return the grammar of one answer to ``fields`` whose copied items stand in ``source``.

    Args:
        fields: What is asked, in order; the others keep their JSON Schema.
        source: The note, not empty.
        separators: Between items, and between names and values.
    """
    from llguidance import LLMatcher

    rules = [_field(f"f{i}", field, separators) for i, field in enumerate(fields)]
    parts = []
    for i, field in enumerate(fields):
        name = json.dumps(field.name, ensure_ascii=False) + ": "
        parts.append(f"{_literal((', ' if i else '{') + name)} f{i}")
    whole = [
        f"start: {' '.join(parts)} {_literal('}')}",
        *rules,
        f"piece: {_literal(chr(34))} PIECE {_literal(chr(34))}",
        f"PIECE: RUN & {EDGES}",
        f"RUN: %regex {json.dumps({'substring_chunks': _chunks(source)}, ensure_ascii=False)}",
    ]
    return LLMatcher.grammar_from_lark("\n".join(whole))


EDGES = r"/\S([\s\S]*\S)?/"
"""No space at either end."""


def _field(rule: str, field: FieldSpec, separators: Mapping[str, object]) -> str:
    if field.kind == "list" and field.copied:
        more = f"({_literal(', ')} piece){{0,{field.max_items - 1}}}"
        return f"{rule}: {_literal('[')} (piece {more})? {_literal(']')}"
    schema = {**field.json_schema(), "x-guidance": dict(separators)}
    return f"{rule}: %json {json.dumps(schema, ensure_ascii=False)}"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _chunks(source: str) -> list[str]:
    return [json.dumps(chunk, ensure_ascii=False)[1:-1] for chunk in CHUNK.findall(source)]
