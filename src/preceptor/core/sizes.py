"""How many tokens a text has, told without the tokenizer that will read it.

Owns three figures: a guess, for sizing and comparing; a bound that no tokenizer exceeds; and a floor
that none goes below. The guess counts what tokenizers split: digits and signs one by one, words by
their letters, other scripts by how many bytes a character has, runs of blanks and dashes as a few
tokens. Bytes alone are off by far more: digits and other scripts take many of them, or few, per token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from preceptor.core.records import Message

TEMPLATE = 16
"""Tokens that a chat template adds to a message, at most."""

_PIECE = re.compile(
    r"(?P<digit>[0-9])|(?P<blank>\s{2,}|\s(?=[0-9]))|(?P<space>\s)|(?P<word>[A-Za-z]+)"
    r"|(?P<run>([^\w\s])\6+)|(?P<sign>[\x00-\x7f])|(?P<two>[\x80-\u07ff])|(?P<three>[\u0800-\uffff])"
    r"|(?P<four>.)",
    re.DOTALL,
)
_EACH = {"digit": 1.0, "blank": 1.0, "space": 0.1, "run": 1.0, "sign": 1.0, "two": 1.0, "three": 1.5}
"""Tokens of each piece, before its length."""

_LONGER = {"blank": 1 / 16, "run": 1 / 8}
"""Tokens for each further character of a run of the same."""

_LETTERS, _WIDE, FLOOR = 3.0, 3.0, 5.0


@lru_cache(maxsize=4096)  # Each prompt is guessed before it is asked, and again when it was counted.
def guess(text: str) -> float:
    """Return about how many tokens a text has."""
    total = 0.0
    for found in _PIECE.finditer(text):
        kind, size = found.lastgroup or "four", len(found.group())
        if kind == "word":
            total += max(1.0, size / _LETTERS)
        else:
            total += _EACH.get(kind, _WIDE) + _LONGER.get(kind, 0.0) * size
    return total


def guessed(messages: Sequence[Message]) -> float:
    """Return about how many tokens a prompt has, without what a chat template adds."""
    return sum(guess(m.content) for m in messages)


def frame(messages: Sequence[Message]) -> int:
    """Return how many tokens a chat template adds to a prompt, at most."""
    return TEMPLATE * (len(messages) + 1)


def most(messages: Sequence[Message]) -> int:
    """Return how many tokens a prompt can have at all: one for each byte."""
    return sum(len(m.content.encode("utf-8", "replace")) for m in messages) + frame(messages)


def fewest(messages: Sequence[Message]) -> int:
    """Return how many tokens a prompt has at least, whatever the tokenizer."""
    return int(guessed(messages) / FLOOR)
