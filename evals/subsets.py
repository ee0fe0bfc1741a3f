"""Nested subsets of train for learning curves: whole patients, label shares as in all of train.

Owns the order in which patients are added; a smaller subset is always the beginning of a larger one, so
that points of one curve differ by the notes that were added and by nothing else. Leaves train, dev and
test to ``evals.splits``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec
from preceptor.core.record import digest
from preceptor.core.records import Example
from preceptor.evals.strata import strata

LOOK = 8
"""How many of the next patients are considered; more balances better and varies less by seed."""

Labels = Counter[tuple[str, str]]


def nested(
    examples: Sequence[Example],
    sizes: Sequence[int],
    seed: int = 0,
    *,
    nearest: bool = False,
    fields: Sequence[FieldSpec] = (),
) -> dict[int, tuple[Example, ...]]:
    """Return, per size, the notes of whole patients, at most so many, each in the data's order.

    Patients come in an order drawn by ``seed``; of the next few, the one is added that brings the
    share of each label nearest to that in all of ``examples``.

    Args:
        examples: Labelled notes.
        sizes: How many notes, at least 1 each.
        seed: Of the draw; the same on every machine and for every order of ``examples``.
        nearest: Whether the next patient comes in, too, where that brings the number of notes nearer to
            the size, so that there may be more of them.
        fields: The task's fields: what is balanced of closed lists are their values.

    Raises:
        InputError: If a size is above the number of notes, or no patient fits into it.
    """
    members: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        members[example.group].append(example)
    order = _order(members, seed, {f.name: f for f in fields})
    found = {}
    for size in sizes:
        if not 0 < size <= len(examples):
            raise InputError(f"a subset of {size} of {len(examples)} notes", f"1 to {len(examples)}")
        taken: set[str] = set()
        count = 0
        for group in order:
            over = count + len(members[group]) - size
            if over > 0 and not (nearest and over < size - count):
                break
            taken.add(group)
            count += len(members[group])
        if not taken:
            raise InputError(
                f"no whole patient fits into {size} notes", f"the first has {len(members[order[0]])}"
            )
        found[size] = tuple(e for e in examples if e.group in taken)
    return found


def _labels(notes: Sequence[Example], fields: Mapping[str, FieldSpec]) -> Labels:
    seen: Labels = Counter()
    for note in notes:
        for name, value in (note.gold or {}).items():
            seen.update((name, stratum) for stratum in strata(fields.get(name), value))
    return seen


def _order(members: dict[str, list[Example]], seed: int, fields: Mapping[str, FieldSpec]) -> list[str]:
    labels = {group: _labels(notes, fields) for group, notes in members.items()}
    whole: Labels = Counter()
    for each in labels.values():
        whole.update(each)
    total = sum(len(notes) for notes in members.values())
    waiting = sorted(members, key=lambda group: digest(f"{seed}:{group}"))
    have: Labels = Counter()
    count = 0
    order: list[str] = []

    def distance(group: str) -> float:
        share = (count + len(members[group])) / total
        return sum((have[key] + labels[group][key] - share * n) ** 2 / n for key, n in whole.items())

    while waiting:
        best = min(waiting[:LOOK], key=distance)
        waiting.remove(best)
        order.append(best)
        have.update(labels[best])
        count += len(members[best])
    return order
