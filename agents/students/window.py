"""The context window of a served model: how wide it is now, and how wide it may become.

Owns the steps and the limits. It grows and never shrinks, since a server loads a model anew for every
other width; calls that are answered meanwhile may have been asked with a smaller one.
"""

from __future__ import annotations

import threading

STEP = 2048
"""Windows are multiples of this, so that few of them are ever loaded."""

LARGEST = 131_072
"""The widest window of a model that does not tell its context."""


class Window:
    """A width in tokens.

    Args:
        context: The model's own limit, None if it is not known.
        fixed: A width that was set by hand and stays.
    """

    def __init__(self, context: int | None, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._limit = fixed or context or LARGEST
        self._size = fixed or 0
        self._proven = 0
        self._lowered = False
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How wide it is."""
        with self._lock:
            return self._size

    @property
    def limit(self) -> int:
        """How wide it may become."""
        with self._lock:
            return self._limit

    @property
    def lowered(self) -> bool:
        """Whether it may become less wide than the model's own limit, for want of memory."""
        with self._lock:
            return self._lowered

    def fit(self, needed: int) -> None:
        """Make it wide enough for so many tokens, if it may be."""
        with self._lock:
            self._set(needed)

    def grow(self, used: int, needed: int = 0) -> bool:
        """Make it wider than one that was too narrow; return False if it is as wide as it may be.

        Args:
            used: The one that was too narrow; another call may have widened it since.
            needed: How many tokens must fit, if the server said it; else it is doubled.
        """
        with self._lock:
            if used >= self._limit or needed > self._limit:
                return False
            if self._size <= used:
                self._set(max(needed, used + STEP) if needed else 2 * used)
            return True

    def prove(self, used: int) -> None:
        """Remember that the server had room for a width."""
        with self._lock:
            self._proven = max(self._proven, used)

    def too_wide(self, used: int) -> bool:
        """Go back from a width that the server has no memory for; return False if none is known."""
        with self._lock:
            if not self._proven or used <= self._proven:
                return False
            self._limit, self._lowered = min(self._limit, self._proven), True
            self._size = min(self._size, self._limit)
            return True

    def _set(self, needed: int) -> None:
        if not self._fixed:
            self._size = min(max(self._size, -(-needed // STEP) * STEP), self._limit)
