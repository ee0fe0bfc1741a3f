"""Answers that are the same for every note: what a student must beat before it has read anything.

Owns three of them:

* ``majority``: the commonest label of train per field, an empty open list, and of a closed list the
  values that hold in more than half of the train notes;
* ``commonest``: the same labels, and of every list the k commonest items of train, k being what does
  best on train itself;
* ``always-positive``: of each field the commonest of the labels that count as found, which F1 rewards
  more than saying nothing, and the lists of ``commonest``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from pydantic import JsonValue

from preceptor.core.composing import normal
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example, Gold
from preceptor.evals.baselines.targets import targets
from preceptor.evals.metrics.choice import counted

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


def positive(fields: Sequence[FieldSpec], train: Sequence[Example]) -> Gold:
    """Return the commonest label of each field that counts as found, and the commonest items."""
    labels = counted(fields, train)
    said = commonest(fields, train)
    for field in fields:
        if isinstance(field, LabelField):
            seen = Counter(str(e.gold[field.name]) for e in train if e.gold and field.name in e.gold)
            said[field.name] = max(labels[field.name], key=lambda v: seen[v])
    return said


def commonest(fields: Sequence[FieldSpec], train: Sequence[Example]) -> Gold:
    """Return the commonest label of each field, and the commonest items of each list."""
    return {
        f.name: _commonest(f, train) if isinstance(f, ListField) else _majority(f, train)
        for f in fields
    }


def _commonest(field: ListField, train: Sequence[Example]) -> JsonValue:
    """Return the commonest items, as many as have the best F1 on train, pooled; fewer if equal.

    The notes that count the items also choose how many there are. One number out of ``MOST`` is hardly
    overfitted, and an item must be known from two patients.
    """
    golds = [(e.gold or {})[field.name] for e in train if e.gold and field.name in e.gold]
    ranked = _ranked(field, train)[: min(MOST, field.max_items)]
    held = [{_key(str(item)) for item in gold} if isinstance(gold, list) else set() for gold in golds]
    total = sum(map(len, held))
    best, most, hits = 0, 0.0, 0
    for k, item in enumerate(ranked, 1):
        hits += sum(_key(item) in items for items in held)
        score = 2 * hits / (total + k * len(held))
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
    return " ".join(normal("NFC", item).casefold().split())
