"""Whether a server read a prompt whole, where it would cut one that is too long without a word.

Owns that judgement, from nothing but the counts that a server reports. A cut prompt has a count that is
lower than its text calls for; but how many tokens a text calls for differs by a factor of ten between
scripts and tables, so that no figure that is known in advance can tell. What a low count is compared
with is therefore the server's own count of the same text in parts. That costs three short requests, and
is only done for a count that says something: one higher than any before, since a server cuts to one and
the same length, or one that is low beside those that were whole.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from preceptor.core import sizes
from preceptor.core.records import Message

SMALLEST = 2048
"""Tokens that every server's window has: what surely is shorter was read whole."""

LOW = 0.7
"""Tokens beside the guess: a prompt with fewer than this share of what others had is looked at."""

SLACK, SHARE = 8, 0.01
"""Tokens that a text may have more in parts than as a whole."""

MOST = 48
"""So many prompts are counted in parts; a server that cuts none needs far fewer."""

_NOTE = re.compile(r"(<note>\n).*(\n</note>)", re.DOTALL)

_TOO_LONG = re.compile(
    r"context (?:length|size|window)|maximum context|exceed_context_size|context_length_exceeded",
    re.IGNORECASE,
)

Ask = Callable[[Sequence[Message]], int | None]
"""Has the server read a prompt, and returns its count; None if it does not say."""


def says_too_long(words: object) -> bool:
    """Return whether a server's error says that the prompt does not fit."""
    return _TOO_LONG.search(str(words)) is not None


def without_note(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return a prompt with an empty note."""
    return tuple(replace(m, content=_NOTE.sub(r"\1\2", m.content)) for m in messages)


class Watch:
    """Tells prompts that were read whole from those that were cut.

    Args:
        ask: Counts a prompt at the server.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._highest = 0
        self._lowest = 0.0
        self._cut_to: set[int] = set()
        self._counted = 0
        self._lock = threading.Lock()

    def whole(self, messages: Sequence[Message], read: int | None, window: int | None = None) -> bool:
        """Return whether a prompt was read whole; one whose tokens nobody counted is taken to be.

        Args:
            messages: The prompt.
            read: How many tokens the server says that it read of it.
            window: How many tokens the server can read, None if it is not known.
        """
        if not read:
            return True
        share = read / max(sizes.guessed(messages), 1.0)
        if sizes.most(messages) <= (window or SMALLEST):
            with self._lock:
                self._take(read, share)
            return True
        # One at a time: what is found out about the first prompt spares asking about the next.
        with self._lock:
            if read in self._cut_to:
                return False
            # Engines that shift a prompt leave about half of the window.
            shifted = window is not None and abs(2 * read - window) <= 2 * SLACK
            if read <= self._highest and share >= LOW * self._lowest and not shifted:
                return True
            if self._counted >= MOST:
                return share >= LOW * self._lowest
            self._counted += 1
            parts = self._in_parts(messages)
            if parts is None or read < parts - max(SLACK, SHARE * parts):
                self._cut_to.add(read)
                return False
            self._take(read, share)
            return True

    def _take(self, read: int, share: float) -> None:
        self._highest = max(self._highest, read)
        self._lowest = min(self._lowest or share, share)

    def _in_parts(self, messages: Sequence[Message]) -> int | None:
        """Return the tokens of a prompt as the server counts its parts, None if it does not say.

        Of a prompt of two messages the longer is halved; the turns of a longer one are counted alone,
        because a server may leave out whole turns.
        """
        if len(messages) > 2:
            alone = [(replace(m, role="user"),) for m in messages]
            counts = [self._ask(one) for one in alone]
            empty = self._ask([Message("user", "")])
            if empty is None or any(count is None for count in counts):
                return None
            return sum(max(0, (count or 0) - empty) for count in counts)
        place = max(range(len(messages)), key=lambda i: len(messages[i].content))
        text = messages[place].content
        at = text.find(" ", len(text) // 2)
        at = at if at > 0 else len(text) // 2
        counts = [
            self._ask(
                [*messages[:place], replace(messages[place], content=part), *messages[place + 1 :]]
            )
            for part in (text[:at], text[at:], "")
        ]
        first, second, empty = counts
        if first is None or second is None or empty is None:
            return None
        return first + second - empty
