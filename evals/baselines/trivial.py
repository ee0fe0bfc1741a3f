"""Answers that are the same for every note: what a student must beat before it has read anything.

Owns two of them. ``majority``: the commonest label of train per field, an empty open list, and of a
closed list the values that hold in more than half of the train notes. ``commonest``: the same labels,
and of every list the k commonest items of train, k being what does best on train itself.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example, Gold
from preceptor.evals.baselines.targets import targets
from preceptor.evals.scorers import ItemF1

MOST = 20
"""The most items that ``commonest`` gives."""

LEAST_PATIENTS = 2
"""An item of one patient only is not common."""


def majority(fields: Sequence[FieldSpec], train: Sequence[Example]) -> Gold:
    """Return the commonest label of each field, and the values that most notes have."""
    return {f.name: _majority(f, train) for f in fields}


def _majority(field: FieldSpec, train: Sequence[Example]) -> JsonValue:
    known = [e for e in train if e.gold and field.name in e.gold]
    if isinstance(field, LabelField):
        seen = Counter(str((e.gold or {})[field.name]) for e in known)
        return max(field.values, key=lambda v: (seen[v], v == field.default))
    held: list[JsonValue] = []
    for target in targets([field]):
        if 2 * sum(bool(target.gold(e)) for e in known) > len(known):
            held.append(target.value)
    return held[: field.max_items]


def commonest(fields: Sequence[FieldSpec], train: Sequence[Example]) -> Gold:
    """Return the commonest label of each field, and the commonest items of each list."""
    return {
        f.name: _commonest(f, train) if isinstance(f, ListField) else _majority(f, train)
        for f in fields
    }


def _commonest(field: ListField, train: Sequence[Example]) -> JsonValue:
    """Return the commonest items, as many as have the best mean F1 on train; fewer if equal.

    The notes that count the items also choose how many there are. One number out of ``MOST`` is hardly
    overfitted, and an item must be known from two patients.
    """
    golds = [(e.gold or {})[field.name] for e in train if e.gold and field.name in e.gold]
    ranked = _ranked(field, train)[: min(MOST, field.max_items)]
    scorer = ItemF1()
    best, most = 0, -1.0
    for k in range(len(ranked) + 1):
        said: list[JsonValue] = [*ranked[:k]]
        score = sum(scorer.score(gold, said) for gold in golds)
        if score > most + 1e-9:
            best, most = k, score
    return [*ranked[:best]]


def _ranked(field: ListField, train: Sequence[Example]) -> list[str]:
    """Return the items of train, the commonest first, each in its commonest spelling."""
    notes, spelt = Counter[str](), defaultdict[str, Counter[str]](Counter)
    patients: dict[str, set[str]] = defaultdict(set)
    for example in train:
        said = (example.gold or {}).get(field.name)
        items = [str(item) for item in said] if isinstance(said, list) else []
        for key in {_key(item) for item in items}:
            notes[key] += 1
            patients[key].add(example.group)
        for item in items:
            spelt[_key(item)][item] += 1
    common = [key for key in notes if len(patients[key]) >= LEAST_PATIENTS]
    common.sort(key=lambda key: (-notes[key], key))
    return [min(spelt[key].items(), key=lambda s: (-s[1], s[0]))[0] for key in common]


def _key(item: str) -> str:
    return " ".join(unicodedata.normalize("NFC", item).casefold().split())
