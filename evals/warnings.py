"""Which warnings ``tasks check`` gives about a task, the worst first.

Owns their order and their wording: parts that leak, a gate that cannot decide, gold that contradicts
itself, fields without values, oddities of the data, rare labels. What holds for many fields is one
line. Never quotes a text. Leaves the figures to ``evals.check``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from preceptor.core import lengths
from preceptor.core.fields import LabelField, ListField
from preceptor.core.record import Record
from preceptor.core.records import Example, Split
from preceptor.core.spelling import nfc, shown
from preceptor.evals import enough, owners, splits
from preceptor.evals.cells import Table
from preceptor.evals.duplicates import Pair
from preceptor.evals.task import Task

RARE = 5
"""A label with fewer examples in a part than this has hardly any weight in a decision."""

LOPSIDED = 0.9
"""From this share on, one label says nearly everything about a field."""

LOPSIDED_LIST = 0.1
"""From this share of examples without a value on, a list that is never empty is odd."""

SHOWN = 10
"""How many lines are read at once."""

_NAMES = 4
LEAK, GATE, GOLD, FIELD, DATA, LOPSIDE, SCARCE = range(1, 8)
"""How bad a warning is; 1 is the worst."""


class Warn(Record):
    """One warning.

    Attributes:
        rank: How bad, 1 is the worst.
        line: What is odd, and what to do; all of it.
        brief: The same with only the first few names.
    """

    rank: int
    line: str
    brief: str


def warn(rank: int, line: str, names: Sequence[str] = (), end: str = "") -> Warn:
    """Return a warning; of ``names``, which stand between ``line`` and ``end``, a few are shown."""
    more = len(names) - _NAMES
    shown = [*names[:_NAMES], f"{more} more"] if more > 1 else names
    return Warn(rank=rank, line=line + ", ".join(names) + end, brief=line + ", ".join(shown) + end)


def shorten(lines: Sequence[str], everything: bool = False) -> list[str]:
    """Return the first lines, and how many there are besides."""
    if everything or len(lines) <= SHOWN:
        return [*lines]
    return [*lines[: SHOWN - 1], f"and {len(lines) - SHOWN + 1} more: --all"]


def leaks(
    task: Task, made: splits.Splits, twins: Sequence[Pair], group: str | None, others: Table
) -> Iterator[Warn]:
    """Yield what stands on both sides of the split: near-duplicates, and rows of one owner."""
    if twins:
        do = "give them one group (--group-duplicates writes a task that does)"
        yield warn(LEAK, f"{len(twins)} near-duplicates stand in different parts: {do}")
    part: dict[str, Split] = {name: p for p in splits.PARTS for name in made.ids(p)}
    own = (owners.level(group) or owners.DOCUMENT) if group else owners.BEHAVIOUR
    texts = [e.text for e in task.examples]
    for owner in owners.find(others, texts):
        if owner.level > own:
            continue
        homes: dict[str, set[Split]] = {}
        for example, cell in zip(task.examples, others[owner.column], strict=True):
            if cell.strip() and example.id in part:
                homes.setdefault(cell.strip(), set()).add(part[example.id])
        apart = sum(len(home) > 1 for home in homes.values())
        if apart:
            yield warn(
                LEAK,
                f"column {shown(owner.column)} is not used, and {apart} of its {len(homes)} values "
                f"stand in more than one part ({owner.why}): say 'group: {owner.column}' under "
                "columns, or leave it if its rows have nothing in common",
            )


def gate(task: Task, made: splits.Splits) -> Iterator[Warn]:
    """Yield whether dev is too small to decide anything."""
    short = enough.shortage(task, made)
    if short:
        yield warn(GATE, f"{short[0]}, and refine refuses the task; {short[1]}")


def contradictions(
    same: Sequence[tuple[str, str]], nearly: Sequence[tuple[str, str]]
) -> Iterator[Warn]:
    """Yield pairs of duplicates with different gold."""
    if same:
        names = [f"{a} and {b}" for a, b in same]
        yield warn(GOLD, f"{len(same)} duplicates have contradictory gold, correct it: ", names)
    if nearly:
        names = [f"{a} and {b}" for a, b in nearly]
        yield warn(FIELD, f"{len(nearly)} near-duplicates have different gold, look at: ", names)


def lopsided(shares: Sequence[tuple[str, int, float, bool]]) -> Iterator[Warn]:
    """Yield fields without values, and fields where one label says nearly everything.

    Args:
        shares: Per field its name, how many values it has, the share of the most frequent one, and
            whether it is a list that is seldom empty.
    """
    bare = [repr(name) for name, count, _, _ in shares if not count]
    if bare:
        yield warn(FIELD, _fields(bare), bare, ": no example has a value")
    odd = [
        (name, share) for name, count, share, some in shares if count and share >= LOPSIDED and not some
    ]
    if len(odd) == 1:
        name, share = odd[0]
        yield warn(LOPSIDE, f"field {name!r}: {share:.0%} of the examples have one label")
    elif odd:
        names = [f"{name!r} {share:.0%}" for name, share in odd]
        yield warn(LOPSIDE, "most of the examples have one label in the fields ", names)


def _fields(names: Sequence[str]) -> str:
    return "field " if len(names) == 1 else f"{len(names)} fields: "


def unanswered(task: Task) -> Iterator[Warn]:
    """Yield lists that are never empty, where many examples have no value: these may mean «none»."""
    for field in task.fields:
        if not isinstance(field, ListField):
            continue
        said = [e.gold[field.name] for e in task.examples if e.gold and field.name in e.gold]
        bare = sum(bool(e.gold) and field.name not in (e.gold or {}) for e in task.examples)
        if said and all(said) and bare >= LOPSIDED_LIST * len(task.examples):
            line = f"field {field.name!r}: no list is empty, but {bare} examples have no value and are "
            yield warn(FIELD, line + 'not scored there: where that means "none", write []')


def elsewhere(task: Task) -> Iterator[Warn]:
    """Yield gold items that a student which copies cannot say."""
    counts = {f.name: sum(_absent(e, f.name) for e in task.examples) for f in _copying(task)}
    odd = {name: count for name, count in counts.items() if count}
    if len(odd) == 1:
        name, count = next(iter(odd.items()))
        yield warn(FIELD, f"field {name!r}: {count} items are copied but do not stand in their text")
    elif odd:
        names = [f"{name!r} {count}" for name, count in odd.items()]
        yield warn(FIELD, "items are copied but do not stand in their text, in the fields ", names)


def _copying(task: Task) -> list[ListField]:
    return [f for f in task.fields if isinstance(f, ListField) and f.copied]


def _absent(example: Example, field: str) -> int:
    items = (example.gold or {}).get(field)
    return sum(nfc(str(item)) not in example.text for item in items) if isinstance(items, list) else 0


def tight(task: Task, max_tokens: int | None = None) -> Iterator[Warn]:
    """Yield whether gold itself is longer than the answer limit."""
    groups = [task.fields] if task.mode == "joint" else [(field,) for field in task.fields]
    found = lengths.tight(groups, task.examples, max_tokens or lengths.limit(groups))
    if found is not None:
        yield warn(GOLD, found.words())


def rare(task: Task, made: splits.Splits) -> Iterator[Warn]:
    """Yield the labels that a part has few examples of: one line for each part."""
    for part in splits.PARTS:
        members = made.examples(task, part)
        found: list[str] = []
        brief: list[str] = []
        for field in task.fields:
            if not isinstance(field, LabelField):
                continue
            seen = Counter(str(e.gold[field.name]) for e in members if e.gold and field.name in e.gold)
            few = [f"{v} ({seen[v]})" for v in field.values if seen[v] < RARE]
            if few:
                found.append(f"{field.name!r} {', '.join(few)}")
                brief.append(f"{field.name!r} {', '.join(_first(few))}")
        if found:
            line = f"{part} has few examples of "
            short = warn(SCARCE, line, brief).brief
            yield warn(SCARCE, line, found).model_copy(update={"brief": short})


def _first(names: Sequence[str]) -> Sequence[str]:
    """Return the first names, and how many there are besides."""
    more = len(names) - _NAMES
    return [*names[:_NAMES], f"{more} more labels"] if more > 1 else names
