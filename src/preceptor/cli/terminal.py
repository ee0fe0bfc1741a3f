"""What is printed: nothing that a note, a file or a server wrote can move the cursor or hide.

Owns the one way out. While a verb runs, standard output and standard error escape control characters,
whoever prints; a terminal, or a locale, that lacks a character gets its number instead of a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast


class Escaping:
    """A text stream of which only ``exact`` writes control characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text with control characters escaped and passwords masked; return its length."""
        from preceptor.core.render import printable
        from preceptor.core.settings import masked

        self.exact(printable(masked(text)))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for text in lines:
            self.write(text)

    def exact(self, text: str) -> None:
        """Write the program's own text as it is."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


@contextmanager
def escaping() -> Iterator[None]:
    """Escape what is printed inside."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, Escaping(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def exact(stream: TextIO, text: str) -> None:
    """Write to a stream what the program itself says: a progress line, or a file for a pipe."""
    if isinstance(stream, Escaping):
        stream.exact(text)
    else:
        stream.write(text)
