"""Which sentences of a note carry a value: what a reader checks first.

Owns a rule that needs no model: a list's item is carried by the sentences that hold it, a label by
those that hold one of its field's «Look for» phrases; «nothing found» has no evidence. It says where a
value may be checked, not why the student gave it.
"""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Gold, Prompt
from preceptor.core.text import flat, sentences

MOST = 3
"""The most sentences per value; later ones are left out."""


def find(
    text: str, record: Gold | None, fields: Sequence[FieldSpec], prompt: Prompt
) -> dict[str, list[str]]:
    """Return the sentences per field, in the note's order; a field without any is left out."""
    if not record:
        return {}
    wanted = {f.name: _phrases(f, record[f.name], prompt) for f in fields if f.name in record}
    if not any(wanted.values()):
        return {}
    cut = [(sentence, flat(sentence)) for sentence in sentences(text)]
    found = {name: _holding(cut, phrases) for name, phrases in wanted.items()}
    return {name: held for name, held in found.items() if held}


def _phrases(field: FieldSpec, value: object, prompt: Prompt) -> list[str]:
    if isinstance(field, LabelField):
        named = prompt.guide(field.name).look_for if value != field.default else ()
        return [flat(phrase) for phrase in named if flat(phrase).strip()]
    items = value if isinstance(value, list) else []
    return [flat(str(item)) for item in items if flat(str(item)).strip()]


def _holding(cut: Sequence[tuple[str, str]], phrases: Sequence[str]) -> list[str]:
    """Return the first sentences that hold each phrase, none twice."""
    kept: dict[int, str] = {}
    for phrase in phrases:
        hits = [i for i, (_, words) in enumerate(cut) if phrase in words]
        kept.update({i: cut[i][0] for i in hits[:MOST]})
    return [kept[i] for i in sorted(kept)]
