"""How each phrase of a move fared on notes: which of a field's changes stand in notes that hold it.

Owns that account. It is made from the answers that the estimate asked for anyway, so no student is
asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from preceptor.core.records import Example, Scored
from preceptor.core.text import flat


def of_move(
    args: Mapping[str, JsonValue],
    notes: Sequence[Example],
    before: Sequence[Scored],
    after: Sequence[Scored],
) -> dict[str, dict[str, float]]:
    """Return, per field with several new phrases to look for, what came of each.

    The change of a field's score in a note is shared by the new phrases that the note holds; a change
    in a note that holds none is nobody's.

    Args:
        args: The move's arguments.
        notes: The notes.
        before: Their scores under the recipe that the move started from, in the same order.
        after: Their scores under what it made, in the same order.

    Returns:
        The share of each phrase in the field's mean change, in points of [0, 1].
    """
    texts = [flat(note.text) for note in notes]
    found: dict[str, dict[str, float]] = {}
    for field, phrases in _added(args).items():
        changes = [
            (text, b.fields[field], a.fields[field])
            for text, b, a in zip(texts, before, after, strict=True)
            if field in b.fields and field in a.fields
        ]
        if len(phrases) < 2 or not changes:
            continue
        gains = dict.fromkeys(phrases, 0.0)
        for text, was, now in changes:
            held = [phrase for phrase in phrases if flat(phrase) in text] if was != now else []
            for phrase in held:
                gains[phrase] += (now - was) / len(held) / len(changes)
        found[field] = {phrase: round(gain, 6) for phrase, gain in gains.items()}
    return found


def _added(args: Mapping[str, JsonValue]) -> dict[str, list[str]]:
    """Return the phrases to look for that a move adds, by field."""
    listed = args.get("patches")
    found: dict[str, list[str]] = {}
    for patch in listed if isinstance(listed, list) else []:
        if not isinstance(patch, dict) or patch.get("kind") != "add_look_for":
            continue
        phrases = patch.get("phrases")
        own = found.setdefault(str(patch.get("field")), [])
        own += [p for p in phrases if isinstance(p, str)] if isinstance(phrases, list) else []
    return {field: list(dict.fromkeys(own)) for field, own in found.items()}
