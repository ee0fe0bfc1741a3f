"""How many worked examples fit into a prompt.

Owns the choice of what to drop. Leaves finding them to a Retriever and showing them to
``core.render``.
"""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.core.fields import FieldSpec
from preceptor.core.records import Example, Recipe
from preceptor.core.render import Hits, asked_together, messages


def shrink(hits: Hits, k: int) -> Hits:
    """Return the ``k`` best hits of each field."""
    return {name: tuple(shots[:k]) for name, shots in hits.items() if shots[:k]}


def count(hits: Hits) -> int:
    """Return how many hits there are, over all fields."""
    return sum(len(shots) for shots in hits.values())


def fitting(
    recipe: Recipe, fields: Sequence[FieldSpec], example: Example, hits: Hits, room_chars: int
) -> tuple[Hits, int]:
    """Return the hits with which every prompt of a note fits, and how many were dropped.

    The last, weakest hits go first: the last ones of the longest lists of the calls that are too long.
    A note that does not fit by itself loses all its hits; whether it is then asked is the student's
    business.

    Args:
        recipe: The student.
        fields: What is asked.
        example: The note.
        hits: Worked examples per field, best first.
        room_chars: The most characters that one call's messages may have.
    """
    kept = {name: list(shots) for name, shots in hits.items()}
    for group in asked_together(recipe, fields):
        names = ["", *(f.name for f in group)]
        while any(kept.get(name) for name in names):
            made = messages(recipe, group, example, kept)
            if sum(len(m.content) for m in made) <= room_chars:
                break
            longest = max(names, key=lambda name: len(kept.get(name, ())))
            kept[longest].pop()
    left: Hits = {name: tuple(shots) for name, shots in kept.items() if shots}
    return left, count(hits) - count(left)
