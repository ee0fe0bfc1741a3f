"""What a training has to beat: answers by somebody who does not read the note.

Owns the loss of guessing. The guesser knows how often each token of an answer follows those before it
in the training rows, of other notes than the one asked, and backs off to how often it is said of that
field at all. A label is guessed by its frequency; the items of a list hardly can be. Whether a training
has learned anything is told by comparing its loss with this one: the number alone does not say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from preceptor.tools.sft.bundles import FORCED, TokenRow

NEAR = 0.98
"""A loss above this part of guessing's is no better than guessing."""

AHEAD = 0.01
"""A score by so much above guessing's is better than guessing, whatever the loss: a model that has
learned its notes by heart is too sure of its answers about others, and may still be right more
often."""

Context = tuple[str, tuple[int, ...]]


def steps(row: TokenRow) -> Iterator[tuple[int, str, tuple[int, ...], int]]:
    """Yield (question, its field, the tokens that were decided before, token) of a row's decisions."""
    before: dict[int, tuple[int, ...]] = defaultdict(tuple)
    for token, mark in zip(row.answer, row.marks, strict=True):
        if mark == FORCED:
            continue
        field = row.fields[mark - row.first] if row.fields else ""
        yield mark, field, before[mark], token
        before[mark] += (token,)


@dataclass
class _Counts:
    """How often each token was said: in all, and by each note."""

    all: Counter[int]
    of: dict[str, Counter[int]]

    def without(self, note: str, token: int) -> tuple[int, int]:
        """Return how often ``token``, and any, was said by other notes."""
        own = self.of.get(note, Counter())
        return self.all[token] - own[token], self.all.total() - own.total()

    def likeliest(self, note: str) -> int | None:
        """Return what other notes say most often."""
        left = self.all - self.of.get(note, Counter())
        return max(left, key=lambda token: (left[token], token)) if left else None


class Guesser:
    """Knows how often each token is said.

    Args:
        rows: What is learned from.
    """

    def __init__(self, rows: Sequence[TokenRow]) -> None:
        self._at: dict[Context, _Counts] = defaultdict(lambda: _Counts(Counter(), {}))
        self._field: dict[str, _Counts] = defaultdict(lambda: _Counts(Counter(), {}))
        for row in rows:
            for _, field, before, token in steps(row):
                for counts in (self._at[field, before], self._field[field]):
                    counts.all[token] += 1
                    counts.of.setdefault(row.note, Counter())[token] += 1

    def loss(self, rows: Sequence[TokenRow]) -> float:
        """Return the mean loss of guessing the tokens that decide, in nats; 0 if there are none."""
        from math import log

        each = [-log(self._chance(row.note, *step[1:])) for row in rows for step in steps(row)]
        return sum(each) / len(each) if each else 0.0

    def wrong(self, rows: Sequence[TokenRow]) -> Collection[int]:
        """Return the questions that the likeliest guess gets wrong."""
        found = set()
        for row in rows:
            for question, field, before, token in steps(row):
                known = self._at.get((field, before))
                if known is None or known.likeliest(row.note) != token:
                    found.add(question)
        return found

    def _chance(self, note: str, field: str, before: tuple[int, ...], token: int) -> float:
        said = self._field.get(field)
        usual = 1.0
        if said is not None:
            count, total = said.without(note, token)
            usual = (count + 1) / (total + len(said.all) + 1)
        known = self._at.get((field, before))
        count, total = known.without(note, token) if known is not None else (0, 0)
        return (count + usual) / (total + 1)


@dataclass(frozen=True)
class Verdict:
    """Whether a training has learned anything.

    Attributes:
        guess: The loss of guessing, in nats per token that decides.
        reached: The training's own.
        learned: Whether that is better.
    """

    guess: float
    reached: float
    learned: bool


def judged(guess: float, reached: float, guessed: float = 1.0, score: float = 0.0) -> Verdict:
    """Return whether a loss is better than guessing, or a score.

    Args:
        guess: The loss of guessing.
        reached: The training's loss.
        guessed: The score of guessing on the rows aside, if there are any.
        score: The training's score there.
    """
    return Verdict(guess, reached, reached < NEAR * guess or score > guessed + AHEAD)
