"""A dictionary of the items that train has: which of them stand in a note.

Owns the look-up: whole words, without case, in one Unicode form, the longest item first, none inside
another. An item is given as the note has it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from preceptor.core.composing import normal
from preceptor.core.fields import FieldSpec, ListField
from preceptor.core.records import Example
from preceptor.evals.baselines.scopes import SENTENCE, Reader, affirmed
from preceptor.evals.baselines.targets import fold

LEAST_PRECISION = 0.5
"""A precise dictionary leaves out an item that is gold in less than this share of the train notes it
is found in."""

_TOKEN = re.compile(r"\w+|[^\w\s]")

Tokens = tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """An item in a note: its words, and the piece of the note that it is."""

    item: Tokens
    piece: str


class Dictionary:
    """Items that are looked for in notes.

    Args:
        field: The list.
        items: Their words, as ``tokens`` gives them.
        reader: What a sentence says of a piece of it; only what is affirmed counts.
    """

    def __init__(self, field: ListField, items: set[Tokens], reader: Reader = affirmed) -> None:
        self.field = field
        self._reader = reader
        self._items = items - {()}
        lengths: dict[str, set[int]] = defaultdict(set)
        for item in self._items:
            lengths[item[0]].add(len(item))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    @classmethod
    def learn(
        cls,
        field: FieldSpec,
        train: Sequence[Example],
        reader: Reader = affirmed,
        precise: bool = False,
    ) -> Dictionary:
        """Return a dictionary of the items of a list in train.

        Args:
            field: The list.
            train: Labelled notes.
            reader: What a sentence says of a piece of it.
            precise: Whether items are left out whose precision on train is below ``LEAST_PRECISION``.
        """
        assert isinstance(field, ListField)
        known = [(e, _gold(field, e)) for e in train if e.gold and field.name in e.gold]
        made = cls(field, {item for _, items in known for item in items}, reader)
        if not precise:
            return made
        found, right = Counter[Tokens](), Counter[Tokens]()
        for example, gold in known:
            held = {hit.item for hit in made.hits(example.text)}
            found.update(held)
            right.update(held & gold)
        kept = {item for item, n in found.items() if right[item] >= LEAST_PRECISION * n}
        return cls(field, kept, reader)

    def find(self, text: str) -> list[JsonValue]:
        """Return the items that a note holds, each once, in the note's order."""
        pieces: dict[Tokens, str] = {}
        for hit in self.hits(text):
            pieces.setdefault(hit.item, hit.piece)
        return [*list(pieces.values())[: self.field.max_items]]

    def hits(self, text: str) -> Iterator[Hit]:
        """Yield the affirmed items of a note, in its order."""
        plain = normal("NFC", text)
        folded, at = _folded(plain)
        words = list(_TOKEN.finditer(folded))
        ends: list[tuple[int, int]] | None = None
        place = 0
        while place < len(words):
            size = self._longest(words, place)
            if not size:
                place += 1
                continue
            start, end = words[place].start(), words[place + size - 1].end()
            ends = [m.span() for m in SENTENCE.finditer(folded)] if ends is None else ends
            first = max((b for _, b in ends if b <= start), default=0)
            last = min((a for a, _ in ends if a >= end), default=len(folded))
            if self._reader(folded[first:last], start - first, end - first) == "affirmed":
                item = tuple(m.group() for m in words[place : place + size])
                yield Hit(item, plain[at[start] : at[end - 1] + 1])
            place += size

    def _longest(self, words: Sequence[re.Match[str]], place: int) -> int:
        """Return how many words the longest item has that begins here, 0 if there is none."""
        for size in self._lengths.get(words[place].group(), ()):
            item = tuple(m.group() for m in words[place : place + size])
            if len(item) == size and item in self._items:
                return size
        return 0


def tokens(text: str) -> Tokens:
    """Return the words and signs of a text, without case."""
    return tuple(_TOKEN.findall(fold(text)))


def _gold(field: ListField, example: Example) -> set[Tokens]:
    said = (example.gold or {})[field.name]
    return {tokens(str(item)) for item in said} if isinstance(said, list) else set()


def _folded(text: str) -> tuple[str, list[int]]:
    """Return a text without case, and where each of its characters stands in the text."""
    pieces = [c.casefold() for c in text]
    return "".join(pieces), [i for i, piece in enumerate(pieces) for _ in piece]
