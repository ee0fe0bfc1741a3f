"""The JSON objects in a text that a model wrote, found in one pass.

Owns where an object begins and ends. Trying to decode at every brace takes the square of a text of
braces; here each object is read once, and one inside of another is not read again. Leaves what an
object means to ``core.parse``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

DEEPEST = 64
"""An object that holds others nested deeper than this is no answer."""

DIGITS = 4_000
"""A number of more digits is none: Python refuses to read it."""

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*+")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"')
_PLAIN = re.compile(
    r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null|NaN|-?Infinity"
)


def objects(text: str) -> Iterator[dict[str, JsonValue]]:
    """Yield the JSON objects in ``text``, in order; those inside of another one are part of it."""
    reader = _Reader(text)
    start = text.find("{")
    while start >= 0:
        end = reader.end(start)
        if end and reader.depth[start] <= DEEPEST:
            value, _ = _DECODER.raw_decode(text, start)
            yield value
        start = text.find("{", end or start + 1)


class _Reader:
    """Finds the ends of objects, and remembers those that it has found."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends: dict[int, int] = {}
        self.depth: dict[int, int] = {}

    def end(self, start: int) -> int:
        """Return the end of the object that begins at ``start``, 0 if none does."""
        if start in self._ends:
            return self._ends[start]
        open_: list[tuple[int, int]] = []  # (where a bracket opened, depth of what it holds so far)
        at, after = start, "value"
        while at < len(self._text):
            at, after = self._step(at, after, open_)
            if after == "wrong":
                break
            if not open_:
                return at
        # None of what is still open is an object: read from its brace it would stop at the same place.
        for place, _ in open_:
            self._ends[place] = 0
        self._ends[start] = 0
        return 0

    def _step(self, at: int, after: str, open_: list[tuple[int, int]]) -> tuple[int, str]:
        """Read one token; return where it ends and what may follow: a value, a name, more."""
        text = self._text
        at = _end(_BLANK, text, at)
        char = text[at : at + 1]
        if after == "value" or (after == "first" and char != "]"):
            return self._value(at, char, open_)
        if after in ("name", "name or end") and char == '"':
            at = _end(_STRING, text, at)
            at = _end(_BLANK, text, at) if at else 0
            return (at + 1, "value") if at and text[at : at + 1] == ":" else (at, "wrong")
        if char == "," and after == "more":
            return at + 1, "name" if text[open_[-1][0]] == "{" else "value"
        closing = {"more": "]" if text[open_[-1][0]] == "[" else "}", "first": "]", "name or end": "}"}
        if char and char == closing.get(after):
            self._close(at + 1, open_)
            return at + 1, "more"
        return at, "wrong"

    def _value(self, at: int, char: str, open_: list[tuple[int, int]]) -> tuple[int, str]:
        if char in ("{", "["):
            known = self._ends.get(at)
            if known:
                self._deepen(self.depth[at], open_)
                return known, "more"
            if known is not None:
                return at, "wrong"
            open_.append((at, 0))
            return at + 1, "name or end" if char == "{" else "first"
        end = _end(_STRING, self._text, at) if char == '"' else _end(_PLAIN, self._text, at)
        if not end or (char != '"' and end - at > DIGITS):
            return at, "wrong"
        return end, "more"

    def _close(self, end: int, open_: list[tuple[int, int]]) -> None:
        start, inner = open_.pop()
        self._ends[start], self.depth[start] = end, inner + 1
        self._deepen(inner + 1, open_)

    @staticmethod
    def _deepen(depth: int, open_: list[tuple[int, int]]) -> None:
        if open_:
            open_[-1] = (open_[-1][0], max(open_[-1][1], depth))


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a match at ``at`` ends, 0 if there is none."""
    found = pattern.match(text, at)
    return found.end() if found else 0
