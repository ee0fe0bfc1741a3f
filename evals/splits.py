"""Train, dev and test: who stands where, and the seal on each.

Owns the size of the parts (``SplitSpec``), the parts themselves (``Splits``) and how they are drawn
(``make``): whole groups, stratified over the labels, the same on every machine for the same seed.
Leaves who may look at which part to the run store and the graph.

The draw is iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, ECML PKDD) on groups:
the label with the fewest groups left is dealt first, each group to the part that still wants most
of it. Ties are broken by a SHA-256 of (seed, group), never by Python's own hash or the data's order.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from pydantic import Field, model_validator

from preceptor.core.errors import TaskError
from preceptor.core.record import Record, digest
from preceptor.core.records import Example, Split
from preceptor.core.spelling import shown
from preceptor.evals.strata import strata

if TYPE_CHECKING:
    from preceptor.evals.task import Task

PARTS: tuple[Split, ...] = get_args(Split)
SPLIT_KEY = "split"
"""The key of ``Example.meta`` under which the data may say where an example belongs."""

_REST = "rest"


class SplitSpec(Record):
    """How large the parts are.

    Attributes:
        train: Examples in train: a count (94) or a fraction (0.32). All three are of one kind.
        dev: Likewise.
        test: Likewise.
        seed: Which draw.
        stratify_by: The one field to balance; all fields if not given.
    """

    train: int | float = Field(default=0.4, ge=0)
    dev: int | float = Field(default=0.3, ge=0)
    test: int | float = Field(default=0.3, ge=0)
    seed: int = 0
    stratify_by: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> SplitSpec:
        sizes = (self.train, self.dev, self.test)
        if len({isinstance(size, int) for size in sizes}) > 1:
            raise ValueError("split: give three counts (94) or three fractions (0.32), not both")
        if isinstance(self.train, float) and sum(sizes) > 1 + 1e-9:
            raise ValueError(f"split: the fractions add up to {sum(sizes):g}, more than 1")
        return self

    def counts(self, total: int) -> dict[Split, int]:
        """Return how many of ``total`` examples each part should have."""
        sizes = dict(zip(PARTS, (self.train, self.dev, self.test), strict=True))
        return {p: n if isinstance(n, int) else round(n * total) for p, n in sizes.items()}


class Splits(Record):
    """The ids in each part, in the data's order.

    Attributes:
        seed: The draw.
        train: Ids of train.
        dev: Ids of dev.
        test: Ids of test.
        unlabelled: Examples without gold whose group is not in dev or test.
        seals: Content hash of each part: ids, texts and gold.
    """

    seed: int
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()
    seals: dict[Split, str] = Field(default_factory=dict)

    def ids(self, split: Split) -> tuple[str, ...]:
        """Return the ids of one part."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[split]

    def examples(self, task: Task, split: Split) -> tuple[Example, ...]:
        """Return the examples of one part, in order."""
        wanted = set(self.ids(split))
        return tuple(e for e in task.examples if e.id in wanted)

    def digest(self, split: Split) -> str:
        """Return the seal of one part: the content hash of its ids, texts and gold."""
        return self.seals[split]


def seal(examples: Sequence[Example]) -> str:
    """Return the content hash of examples (id, text, gold), whatever their order."""
    return digest([[e.id, e.text, e.gold] for e in sorted(examples, key=lambda e: e.id)])


@dataclass(frozen=True)
class _Unit:
    """One group: its size and how often each (field, label) occurs in it."""

    group: str
    size: int
    labels: Counter[tuple[str, str]]


def make(task: Task, seed: int | None = None) -> Splits:
    """Draw the parts of a task.

    A part that the data itself give (``meta["split"]``) is honoured; sizes and seed then only bear on
    the groups without one. Groups are never divided, so a size is met as nearly as whole groups allow;
    what does not fit is left out.

    Args:
        task: The task.
        seed: The draw; the task's own if None.

    Raises:
        TaskError: If a part is empty, or a group is given in two parts.
    """
    seed = task.split.seed if seed is None else seed
    labelled = [e for e in task.examples if e.gold is not None]
    place: dict[str, str] = dict(_given(task.examples))
    sizes = task.split.counts(len(labelled))
    for example in labelled:
        if place.get(example.group) in sizes:
            sizes[_part(place[example.group])] -= 1
    free = [e for e in labelled if e.group not in place]
    units = sorted(_units(task, free), key=lambda u: _order(seed, u.group))
    place |= _deal(units, {p: max(n, 0) for p, n in sizes.items()}, len(free))
    parts: dict[Split, tuple[Example, ...]] = {
        p: tuple(e for e in labelled if place.get(e.group) == p) for p in PARTS
    }
    for part, members in parts.items():
        if not members:
            raise TaskError(
                f"task {task.name!r}: the {part} split is empty ({len(labelled)} labelled examples)",
                "give more examples or groups, or another 'split'",
            )
    spare = (
        e.id for e in task.examples if e.gold is None and place.get(e.group) not in ("dev", "test")
    )
    return Splits(
        seed=seed,
        train=tuple(e.id for e in parts["train"]),
        dev=tuple(e.id for e in parts["dev"]),
        test=tuple(e.id for e in parts["test"]),
        unlabelled=tuple(spare),
        seals={p: seal(members) for p, members in parts.items()},
    )


def _part(name: object) -> Split:
    for part in PARTS:
        if name == part:
            return part
    raise TaskError(f"split {name!r} is none of {', '.join(PARTS)}", "rename it in the data")


def _given(examples: Sequence[Example]) -> dict[str, Split]:
    """Return the part that the data give, per group."""
    found: dict[str, Split] = {}
    for example in examples:
        said = example.meta.get(SPLIT_KEY)
        if said is None:
            continue
        part = _part(said)
        if found.setdefault(example.group, part) != part:
            raise TaskError(
                f"group {shown(example.group)} stands in two splits "
                f"({found[example.group]} and {part}, "
                f"example {shown(example.id)})",
                "put all examples of a group into one split",
            )
    return found


def _order(seed: int, group: str) -> bytes:
    return hashlib.sha256(f"{seed}\x00{group}".encode("utf-8", "surrogatepass")).digest()


def _units(task: Task, examples: Sequence[Example]) -> list[_Unit]:
    only = task.split.stratify_by
    fields = {f.name: f for f in task.fields}
    size: Counter[str] = Counter()
    labels: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for example in examples:
        size[example.group] += 1
        for name, value in (example.gold or {}).items():
            if only is None or name == only:
                labels[example.group].update((name, s) for s in strata(fields[name], value))
    return [_Unit(group, n, labels[group]) for group, n in size.items()]


def _deal(units: Sequence[_Unit], sizes: Mapping[Split, int], total: int) -> dict[str, str]:
    """Return the part (or ``rest``) of each group; ``units`` come in the order that breaks ties."""
    room: dict[str, int] = {str(p): n for p, n in sizes.items()}
    room[_REST] = max(total - sum(sizes.values()), 0)
    all_room = sum(room.values()) or 1
    count: Counter[tuple[str, str]] = Counter()
    for unit in units:
        count.update(unit.labels)
    want = {p: {label: n * room[p] / all_room for label, n in count.items()} for p in room}
    place: dict[str, str] = {}
    left = list(units)
    while left:
        holders = Counter(label for unit in left for label in unit.labels)
        rarest = min(holders, key=lambda label: (holders[label], label), default=None)
        dealt = [u for u in left if rarest is None or rarest in u.labels]
        for unit in dealt:
            part = _best(unit, rarest, room, want)
            place[unit.group] = part
            room[part] -= unit.size
            for label, n in unit.labels.items():
                want[part][label] -= n
        left = [u for u in left if u.group not in place]
    return place


def _best(
    unit: _Unit,
    rarest: tuple[str, str] | None,
    room: Mapping[str, int],
    want: Mapping[str, Mapping[tuple[str, str], float]],
) -> str:
    fits = [p for p in room if room[p] >= unit.size]
    if not fits:
        return max(room, key=lambda p: room[p]) if max(room.values()) > 0 else _REST
    if rarest is None:
        return max(fits, key=lambda p: room[p])
    return max(fits, key=lambda p: (want[p][rarest], room[p]))
