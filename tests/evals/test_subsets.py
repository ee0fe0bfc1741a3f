"""Nested subsets: whole patients, each inside the next, with the label shares of the whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from preceptor.core.errors import InputError
from preceptor.core.record import digest
from preceptor.core.records import Example
from preceptor.evals.subsets import nested
from tests.contracts.evidence import corpus

NOTES = corpus(120)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_size_contains_the_smaller(seed: int) -> None:
    found = nested(NOTES, [10, 31, 80, 120], seed)
    ids = {size: {e.id for e in notes} for size, notes in found.items()}
    assert ids[10] < ids[31] < ids[80] < ids[120] == {e.id for e in NOTES}
    assert {size: len(i) for size, i in ids.items()} == {10: 10, 31: 30, 80: 80, 120: 120}
    for notes in found.values():
        groups = {e.group for e in notes}
        assert [e for e in NOTES if e.group in groups] == list(notes)


def test_a_size_asked_for_alone_is_the_same() -> None:
    assert nested(NOTES, [20, 60], 3)[20] == nested(NOTES, [20], 3)[20]
    backwards = nested(NOTES[::-1], [20], 3)[20]
    assert {e.id for e in backwards} == {e.id for e in nested(NOTES, [20], 3)[20]}


def test_seeds_draw_others() -> None:
    drawn = {frozenset(e.id for e in nested(NOTES, [20], seed)[20]) for seed in range(5)}
    assert len(drawn) == 5


def positive(notes: Sequence[Example]) -> int:
    return sum((note.gold or {})["a"] == "yes" for note in notes)


def test_labels_stand_as_in_the_whole() -> None:
    rare = [
        Example(id=f"n{i}", group=f"p{i}", text="x", gold={"a": "yes" if i % 10 == 0 else "no"})
        for i in range(200)
    ]
    off = by_chance = 0
    for seed in range(20):
        found = nested(rare, [20, 40], seed)
        order = sorted(rare, key=lambda e: digest(f"{seed}:{e.group}"))
        for size, wanted in ((20, 2), (40, 4)):
            off += abs(positive(found[size]) - wanted)
            by_chance += abs(positive(order[:size]) - wanted)
    assert 3 * off < by_chance


def test_what_cannot_be() -> None:
    with pytest.raises(InputError, match="a subset of 121 of 120 notes"):
        nested(NOTES, [121])
    with pytest.raises(InputError, match="no whole patient fits into 1 notes"):
        nested(NOTES, [1])


def test_the_nearest_number_of_notes_may_be_more() -> None:
    large = [
        Example(id=f"n{i}", group=f"p{i // 30}", text="x", gold={"a": "yes" if i % 2 else "no"})
        for i in range(150)
    ]
    assert {s: len(n) for s, n in nested(large, [50, 40, 80]).items()} == {50: 30, 40: 30, 80: 60}
    near = nested(large, [16, 40, 50, 80, 150], nearest=True)
    assert {size: len(notes) for size, notes in near.items()} == {
        16: 30, 40: 30, 50: 60, 80: 90, 150: 150
    }  # fmt: skip
    for small, larger in ((16, 40), (40, 50), (50, 80), (80, 150)):
        assert {e.id for e in near[small]} <= {e.id for e in near[larger]}
    with pytest.raises(InputError, match="no whole patient fits into 15 notes"):
        nested(large, [15], nearest=True)
