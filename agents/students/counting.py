"""How many tokens prompts have for one model: by its own tokenizer, or from what its server has read.

Owns the estimate that windows are sized from. It never decides whether an answer counts: that is
``whole``, and the server's own refusal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from preceptor.core import sizes
from preceptor.core.records import Message

Count = Callable[[Sequence[Message]], int]
"""Counts a prompt's tokens; what a chat template adds need not be in it."""

MARGIN = 1.1
"""Prompts of one task differ less than this in how well they are guessed; the rest is a reload."""


LEAST = 0.5
"""No model is taken to need fewer tokens than this share of the guess."""


def of_tokenizer(folder: Path) -> Count | None:
    """Return what counts with the tokenizer in a folder of weights, None if it cannot be read."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    from preceptor.core.errors import InputError, boundary

    try:
        with boundary(InputError, f"no tokenizer in {str(folder)!r}"):
            made = Tokenizer.from_file(str(file))
    except InputError:
        return None

    def count(messages: Sequence[Message]) -> int:
        texts = [m.content.encode("utf-8", "replace").decode("utf-8") for m in messages]
        return sum(len(one.ids) for one in made.encode_batch(texts, add_special_tokens=False))

    return count


class Sizes:
    """Estimates a model's prompts, the better the more of them its server has counted.

    Args:
        exact: The model's own tokenizer, where it is here.
    """

    def __init__(self, exact: Count | None = None) -> None:
        self._exact = exact
        self._most = 0.0
        self._lock = threading.Lock()

    def estimate(self, messages: Sequence[Message]) -> int:
        """Return how many tokens a prompt has, rather too many than too few."""
        if self._exact is not None:
            return self._exact(messages) + sizes.frame(messages)
        with self._lock:
            factor = self._most * MARGIN or 1.0
        return int(sizes.guessed(messages) * factor) + sizes.frame(messages)

    def learn(self, messages: Sequence[Message], read: int) -> None:
        """Take what a server counted of a prompt that it read whole."""
        guessed = sizes.guessed(messages)
        if guessed > 0:
            # Of a short prompt most is the template's, which is counted apart.
            factor = (read - sizes.frame(messages)) / guessed
            with self._lock:
                self._most = max(self._most, factor, LEAST)
