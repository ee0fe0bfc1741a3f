"""Rows of one note read as one: what their prompts share is computed once.

Owns the layout. Rows of a note begin alike (system text and note) and differ in the field asked.
A bundle is that common beginning, then each row's own rest; a mask lets a rest see the beginning and
itself only, and positions go on from the beginning in each, so that every token gets what it would get
in a row of its own. Short convolutions see their neighbours whatever the mask says, so each rest is
preceded by a copy of the last tokens of the beginning, as many as all convolutions together look back;
the copies are seen by nothing else. ``trainer`` compares the losses of both layouts before it relies
on this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

MOST_TOKENS = 4096
"""A bundle is not made longer than this."""

IGNORED = -100
FORCED = -1
"""The mark of a token that decides no question."""
PADDING = -1_000_000
"""The segment of padding."""


@dataclass(frozen=True)
class TokenRow:
    """A row as token ids: the prompt, and what should be said with its end token.

    Attributes:
        note: The note.
        prompt: Its tokens.
        answer: Likewise, the end token last.
        decides: Per token of the answer the number of the question that it decides, ``FORCED`` if the
            schema leaves no other; all tokens decide question ``first`` if empty.
        fields: What is asked, in order.
        first: The number of its first question.
    """

    note: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    decides: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()
    first: int = 0

    @property
    def marks(self) -> tuple[int, ...]:
        """The question of each of the answer's tokens."""
        return self.decides or (self.first,) * len(self.answer)

    @property
    def size(self) -> int:
        """How many tokens it has."""
        return len(self.prompt) + len(self.answer)


@dataclass
class Bundle:
    """Rows laid out one after the other.

    Attributes:
        ids: The tokens.
        labels: What is learned; ``IGNORED`` where nothing is.
        positions: Each token's place in its own row.
        segments: 0 for what all share, k from 1 for the rest of row k, -k for the copy before it.
        marks: Which question a label decides; ``FORCED`` where it is forced, or nothing is learned.
        row_tokens: The tokens of the rows, had each been read alone.
    """

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    row_tokens: int = 0

    def add(self, ids: Sequence[int], start: int, segment: int) -> None:
        """Append tokens that stand from position ``start`` on; nothing is learned of them."""
        self.ids += ids
        self.labels += [IGNORED] * len(ids)
        self.marks += [FORCED] * len(ids)
        self.positions += range(start, start + len(ids))
        self.segments += [segment] * len(ids)

    def learn(self, row: TokenRow, start: int, segment: int) -> None:
        """Append a row's answer from position ``start`` on."""
        self.add(row.answer, start, segment)
        size = len(row.answer)
        self.labels[-size:] = row.answer
        self.marks[-size:] = row.marks


def alone(row: TokenRow) -> Bundle:
    """Return a row by itself."""
    bundle = Bundle(row_tokens=row.size)
    bundle.add(row.prompt, 0, 0)
    bundle.learn(row, len(row.prompt), 0)
    return bundle


def common(rows: Sequence[TokenRow]) -> int:
    """Return how many tokens all prompts begin with; at least one of each is left over."""
    low, high = min(r.prompt for r in rows), max(r.prompt for r in rows)
    most = min(len(r.prompt) for r in rows) - 1
    return next((i for i in range(most) if low[i] != high[i]), most)


def bundled(rows: Sequence[TokenRow], overlap: int) -> Bundle:
    """Return rows laid out together.

    Args:
        rows: Two or more, with a common beginning of at least ``overlap`` tokens.
        overlap: How far back all convolutions together look.
    """
    size = common(rows)
    start = list(rows[0].prompt[:size])
    bundle = Bundle(row_tokens=sum(row.size for row in rows))
    bundle.add(start, 0, 0)
    for number, row in enumerate(rows, 1):
        if overlap:
            bundle.add(start[-overlap:], size - overlap, -number)
        bundle.add(row.prompt[size:], size, number)
        bundle.learn(row, len(row.prompt), number)
    return bundle


def lay_out(rows: Sequence[TokenRow], overlap: int | None, most: int = MOST_TOKENS) -> list[Bundle]:
    """Return all rows, together where that saves tokens.

    Args:
        rows: The rows, in any order.
        overlap: How far back convolutions look; None: every row stays alone.
        most: The most tokens of a bundle.
    """
    if overlap is None:
        return [alone(row) for row in rows]
    by_note: dict[str, list[TokenRow]] = {}
    for row in rows:
        by_note.setdefault(row.note, []).append(row)
    return [bundle for group in by_note.values() for bundle in _of_note(group, overlap, most)]


def _of_note(group: Sequence[TokenRow], overlap: int, most: int) -> Iterator[Bundle]:
    shared = common(group) if len(group) > 1 else 0
    if shared < max(overlap, 1) or 2 * shared < max(len(r.prompt) for r in group):
        yield from (alone(row) for row in group)
        return
    batch: list[TokenRow] = []
    total = shared
    for row in group:
        own = overlap + row.size - shared
        if batch and total + own > most:
            yield _one_or_more(batch, overlap)
            batch, total = [], shared
        batch.append(row)
        total += own
    yield _one_or_more(batch, overlap)


def _one_or_more(batch: Sequence[TokenRow], overlap: int) -> Bundle:
    return bundled(batch, overlap) if len(batch) > 1 else alone(batch[0])


def order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[int]:
    """Return in which order bundles are read in an epoch: batches at random, the longer first in each.

    It depends on nothing but the arguments, so that a resumed training meets the same batches (the
    trainer's own sampler draws from a state that is lost in the middle of an epoch). The batch with the
    longest bundle comes first: if memory runs out, it does so at once. Batches of about equally long
    bundles would be padded less, but long notes have other answers than short ones: a step would
    teach how often each is given among them, and the next one something else.
    """
    places = Random(f"{seed}:{epoch}").sample(range(len(lengths)), len(lengths))
    if places:
        at = max(range(len(places)), key=lambda i: lengths[places[i]])
        head = at - at % batch
        places = places[head : head + batch] + places[:head] + places[head + batch :]
    batches = [places[at : at + batch] for at in range(0, len(places), batch)]
    return [i for found in batches for i in sorted(found, key=lambda i: -lengths[i])]
