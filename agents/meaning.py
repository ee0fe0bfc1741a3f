"""What phrases mean: how well each fits each field, by an embedder, and how far that can be trusted.

Owns the fit and what is learnt about it. A cosine alone says little: another model, language or field
has other ones. So a fit is relative twice over: the similarity of a phrase to a field in standard
deviations of that field's similarity to all phrases of the notes, less what the phrase has to the other
fields on average. What a fit proves is learnt from the notes, as the other signs of a mention are: an
embedder that cannot read their language gives mentions and other phrases the same fits, and then its
word counts for nothing. Leaves what a mention is to ``agents.mentions``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from preceptor.core.ports import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

EDGES = (0.0, 0.5, 1.0, 1.5, 2.5)
"""Where one class of fits ends and the next begins, in standard deviations."""

MISFIT = 2
"""Fits of the classes below this one are no better than those of most phrases."""

PRIOR = 12.0
"""A class of fits counts as if so many mentions had been seen, fitting as all phrases do."""

TELLS = 0.7
"""A bad fit stands against a phrase if the worst class makes a mention so much less likely. With notes
that the embedder reads the ratio was .46 to .66, with the same notes in unknown letters .78 to .93."""

MOST = 20_000
"""Phrases that are embedded at most: those that stand in most notes."""

BATCH = 512

Fits = Mapping[str, tuple[float, ...]]
"""How well a phrase fits each field."""


class Meaning:
    """Embeds phrases, each once, and compares them.

    Args:
        make: Gives the embedder; it is not asked before there is something to embed.
    """

    def __init__(self, make: Callable[[], Embedder]) -> None:
        self._make = make
        self._embedder: Embedder | None = None
        self._known: dict[str, NDArray[np.float32]] = {}

    def vectors(self, texts: Sequence[str]) -> Matrix:
        """Return one row per text, of length 1 (or 0).

        Raises:
            StudentError: If the model or its server cannot be used.
        """
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new and self._embedder is None:
            self._embedder = self._make()
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            assert self._embedder is not None
            for text, vector in zip(batch, self._embedder.embed(batch), strict=True):
                self._known[text] = np.asarray(vector, dtype=np.float32)
        return np.array([self._known[text] for text in texts], dtype=np.float64)

    def nearness(self, phrases: Sequence[str], texts: Sequence[Sequence[str]]) -> Matrix:
        """Return how near phrases (rows) are to the nearest of some texts of each field (columns).

        In standard deviations of the column, from its mean.
        """
        import numpy as np

        rows = self.vectors(phrases)
        near = np.stack([(rows @ self.vectors(own).T).max(axis=1) for own in texts], axis=1)
        spread = near.std(axis=0)
        centred: Matrix = (near - near.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
        return centred

    def fits(self, phrases: Sequence[str], texts: Sequence[Sequence[str]]) -> Fits:
        """Return how well phrases fit fields.

        Args:
            phrases: All phrases of the notes: the background that each is seen against.
            texts: For each field, its name and what is said about it.
        """
        if not phrases or not texts:
            return {}
        near = self.nearness(phrases, texts)
        count = near.shape[1]
        if count > 1:
            near = near - (near.sum(axis=1, keepdims=True) - near) / (count - 1)
        rows = near.round(6).tolist()
        return {phrase: tuple(row) for phrase, row in zip(phrases, rows, strict=True)}


class Trust:
    """What a fit proves, learnt from the notes.

    Args:
        fits: How well each phrase fits each field; phrases without a fit are neither helped nor harmed.
        kin: For each phrase and field, whether they share a word's beginning. Such a phrase fits by its
            letters alone, in any language, and proves nothing about the embedder.
    """

    def __init__(self, fits: Fits, kin: Callable[[str, int], bool]) -> None:
        self._classes = {p: tuple(bisect_right(EDGES, x) for x in row) for p, row in fits.items()}
        self._kin = kin
        counts = [1.0] * (len(EDGES) + 1)
        for row in self._classes.values():
            for at in row:
                counts[at] += 1
        self._all = [c / sum(counts) for c in counts]
        self._ratio = [1.0] * len(counts)

    @property
    def tells(self) -> bool:
        """Whether mentions of these fields seldom fit badly: the embedder reads their language."""
        return self._ratio[0] < TELLS

    def learn(self, posterior: Mapping[str, Sequence[float]]) -> None:
        """Re-estimate how mentions fit, and how other phrases do.

        Args:
            posterior: How likely each phrase is a mention of each field.
        """
        mention = [PRIOR * share for share in self._all]
        rest = [1.0] * len(self._all)
        for phrase, chances in posterior.items():
            for k, (at, chance) in enumerate(
                zip(self._classes.get(phrase, ()), chances, strict=phrase in self._classes)
            ):
                rest[at] += 1 - chance
                if not self._kin(phrase, k):
                    mention[at] += chance
        noise = [0.8 * r / sum(rest) + 0.2 * share for r, share in zip(rest, self._all, strict=True)]
        raw = [m / sum(mention) / n for m, n in zip(mention, noise, strict=True)]
        self._ratio = rising(raw, noise)

    def ratio(self, phrase: str, field: int) -> float:
        """Return how much likelier a phrase is a mention because of its fit."""
        found = self._classes.get(phrase)
        return self._ratio[found[field]] if found else 1.0

    def misfit(self, phrase: str, field: int) -> bool:
        """Return whether a phrase fits a field no better than most do, by an embedder that tells."""
        found = self._classes.get(phrase)
        if found is None or found[field] >= MISFIT or not self.tells:
            return False
        return not self._kin(phrase, field)


def rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the nearest values that never fall (pooling adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, u, i), (b, v, j) = blocks[-2:]
            blocks[-2:] = [((a * u + b * v) / (u + v), u + v, i + j)]
    return [value for value, _, count in blocks for _ in range(count)]
