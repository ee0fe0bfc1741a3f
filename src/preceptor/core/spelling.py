"""How a key, a label or an item is spelt: the form that two of them are compared in.

Owns Unicode's composed form (NFC; Unicode Standard Annex 15), what makes two spellings the same, what
is no text at all, and how much of a value an error may show. A note's own text is never shown.
"""

from __future__ import annotations

import re

from preceptor.core.composing import normal

_OUTER = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\u202f\u205f\u2060\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200C))
)

SHORT, WORDS = 24, 3
"""A value of at most so many characters and words looks like a label or a key, not like a note."""

PROSE = 6
"""No column's name has more words."""

LONG = 64
"""So long may a key without blanks be, a UUID say, or a column's name."""

_WIDE = "\u0e00"
"""From here on there are scripts in which a few characters are a sentence."""


def nfc(text: str) -> str:
    """Return ``text`` in its composed form: ``u`` and a diaeresis become ``ü``."""
    return text if text.isascii() else normal("NFC", text)


def as_key(text: str) -> str:
    """Return a key as it is compared: composed, without outer blanks and marks that nobody sees."""
    return text.strip() if text.isascii() else nfc(text.strip(_OUTER))


def folded(text: str) -> str:
    """Return a label or item as it is compared: as a key, without case, with single spaces."""
    return nfc(" ".join(as_key(text).casefold().split()))


def is_text(text: str) -> bool:
    """Return whether ``text`` can be stored: half of a surrogate pair cannot."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shown(value: object) -> str:
    """Return what an error may say of a value: itself if it is short like a label or a key.

    Everything else might be a note, and only its length or kind is told.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value) if abs(value) < 1e24 else "a large number"
    if not isinstance(value, str):
        return "a list" if isinstance(value, list) else "an object"
    return repr(value) if _is_short(value) else f"a text of {len(value)} characters"


def named(value: str) -> str:
    """Return a label's or a column's name without quotes, or how long it is if it might be a note."""
    return value if _is_short(value) else f"(a text of {len(value)} characters)"


def _is_short(value: str) -> bool:
    size = sum(3 if char >= _WIDE else 1 for char in value)
    words = len(value.split())
    short = size <= SHORT and words <= WORDS and "\n" not in value
    return short or (words == 1 and value.isascii() and len(value) <= LONG)


def _is_prose(name: str) -> bool:
    """Return whether what stands where a name should be is a note: a file without a header."""
    return len(name) > LONG or len(name.split()) > PROSE


def columns_shown(names: list[str]) -> str:
    """Return the names of columns for a hint: short ones, and none if they may be a row of notes."""
    if any("\n" in n or n.isdigit() or re.search(r"\w[.!]$", n) or _is_prose(n) for n in names):
        return f"there are {len(names)} columns; does the first line hold their names?"
    short = [n if is_text(n) else repr(n) for n in names if _is_short(n)]
    long = len(names) - len(short)
    more = [f"{long} with a long name"] if long else []
    return f"there are: {', '.join([*short, *more])}"
