"""Which sentence of a note speaks for which value of a closed list.

Owns the way from a closed list to ``rag.evidence``: each value is asked for like a label field that is
there or not, so that a value need not stand in the note word for word (a code, a category).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from preceptor.core.fields import NAME, FieldSpec, LabelField, ListField
from preceptor.core.records import Example
from preceptor.tools.rag.evidence import spots

Found = Mapping[tuple[int, str], Mapping[int, frozenset[str]]]
"""By note (its place) and field: the values that each sentence decides."""

_THERE, _NOT = "there", "not there"


def decided(examples: Sequence[Example], fields: Sequence[FieldSpec]) -> Found:
    """Return the sentences that decide a value of a closed list; other fields are left out.

    Args:
        examples: Labelled notes.
        fields: The fields.
    """
    found: dict[tuple[int, str], dict[int, frozenset[str]]] = {}
    for field in fields:
        if not isinstance(field, ListField) or not field.values:
            continue
        asked = {_name(field.values, i): value for i, value in enumerate(field.values)}
        labels = [LabelField(name=name, values=(_THERE, _NOT)) for name in asked]
        hints = {name: [value, field.meanings.get(value, "")] for name, value in asked.items()}
        for spot in spots([_asked(e, field, asked) for e in examples], labels, hints):
            if spot.decides:
                held = found.setdefault((spot.note, field.name), {})
                held[spot.sentence] = held.get(spot.sentence, frozenset()) | {asked[spot.field]}
    return found


def _name(values: Sequence[str], place: int) -> str:
    """Return a name for the question, the value itself if it can be one: words of it count as hints."""
    value = values[place]
    return value if NAME.fullmatch(value) and value == value.strip() else f"value {place}"


def _asked(example: Example, field: ListField, asked: Mapping[str, str]) -> Example:
    said = (example.gold or {}).get(field.name)
    held = said if isinstance(said, list) else []
    gold = {name: _THERE if value in held else _NOT for name, value in asked.items()}
    return example.model_copy(update={"gold": gold if isinstance(said, list) else None})
