"""An embedder that knows a few words: for tests of what is done with meanings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from preceptor.core.text import words


class Dictionary:
    """Embeds a text as the mean of its words' topics; words that it does not know are a topic of none.

    Args:
        topics: Words by topic.

    Attributes:
        seen: Every text that was embedded, in order.
    """

    def __init__(self, topics: Mapping[str, str]) -> None:
        self._size = len(topics) + 1
        self._topics = {word: k for k, known in enumerate(topics.values()) for word in words(known)}
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Return one vector of length 1 per text."""
        self.seen += texts
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> tuple[float, ...]:
        values = [0.0] * self._size
        for word in words(text):
            values[self._topics.get(word, self._size - 1)] += 1.0
        length = math.sqrt(sum(v * v for v in values)) or 1.0
        return tuple(v / length for v in values)
