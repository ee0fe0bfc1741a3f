"""The tokens of sparse vectors: words and pieces of words, in any language.

Owns how a text becomes weighted tokens and how a token becomes a number. Leaves term weights to
``rag.bm25``. The rules, which ``TOKENS_VERSION`` names:

- NFKC, case folded; ä, ö, ü become ae, oe, ue, so that both spellings meet, other Latin letters lose
  their accents.
- A word counts once per occurrence. Words joined by a hyphen or a slash are taken apart, unless a part
  is shorter than three letters (``h/o`` stays).
- Long words (German compounds, misspellings) also give their five-letter pieces, which together weigh
  as much as one word.
- Scripts without spaces give overlapping pieces: two characters for Chinese and Japanese, three for
  Thai, Lao, Khmer and Burmese.
- ``1,000`` is 1000, ``1,5`` and ``1.50`` are 1.5.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from preceptor.core.composing import normal

TOKENS_VERSION = 1
"""Rises whenever the same text gives other tokens or numbers."""

LONG_WORD, LONGEST, PIECE = 10, 64, 5
"""A word of 10 to 64 letters also gives its pieces of five; a longer run of letters is no word."""

_EAST = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_SOUTH_EAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_LETTER = (
    rf"(?:(?![{_EAST}{_SOUTH_EAST}])[^\W_]|[\u0300-\u036f\u0591-\u05c7\u0610-\u065f\u0900-\u0dff])"
)
_TOKEN = re.compile(
    rf"(?P<number>(?<![^\W_])\d+(?:[.,]\d+)*(?![^\W_]))"
    rf"|(?P<word>{_LETTER}+(?:[/'\-.]{_LETTER}+)*)"
    rf"|(?P<east>[{_EAST}]+)|(?P<south>[{_SOUTH_EAST}]+)"
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "œ": "oe", "æ": "ae", "ø": "oe"})
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def _plain(char: str) -> str:
    """Return a Latin letter without its accents; every other character as it is."""
    if char < "\x80":
        return char
    base = unicodedata.normalize("NFD", char)[0]
    return base if "a" <= base <= "z" else char


def fold(text: str) -> str:
    """Return ``text`` in the one spelling that tokens are made of."""
    folded = normal("NFKC", text).casefold().replace("’", "'").translate(_UMLAUTS)
    return folded if folded.isascii() else "".join(map(_plain, folded))


def _number(text: str) -> str:
    plain = text.replace(",", "") if _THOUSANDS.fullmatch(text) else text.replace(",", ".")
    whole, dot, rest = plain.partition(".")
    if "." in rest:
        return plain
    rest = rest.rstrip("0")
    return (whole.lstrip("0") or "0") + (dot + rest if rest else "")


def _parts(word: str) -> list[str]:
    word = word.removesuffix("'s")
    parts = re.split(r"[/\-.]", word)
    return parts if all(len(part) > 2 for part in parts) else [word]


def _pieces(run: str, size: int) -> list[str]:
    return [run[i : i + size] for i in range(max(1, len(run) - size + 1))]


def occurrences(text: str) -> Iterator[tuple[str, float]]:
    """Yield (token, weight) in the order of the text; a piece of a long word weighs less than 1."""
    for match in _TOKEN.finditer(fold(text)):
        found = match.group()
        match match.lastgroup:
            case "number":
                yield _number(found), 1.0
            case "east":
                yield from ((piece, 1.0) for piece in _pieces(found, 2))
            case "south":
                yield from ((piece, 1.0) for piece in _pieces(found, 3))
            case _:
                for word in _parts(found):
                    yield word, 1.0
                    if LONG_WORD <= len(word) <= LONGEST and not any(c.isdigit() for c in word):
                        pieces = _pieces(word, PIECE)
                        yield from (("~" + piece, 1 / len(pieces)) for piece in pieces)


def frequencies(text: str) -> dict[str, float]:
    """Return how often each token occurs; pieces of long words count as shares of one word."""
    counts: dict[str, float] = {}
    for token, weight in occurrences(text):
        counts[token] = counts.get(token, 0.0) + weight
    return counts


def is_piece(token: str) -> bool:
    """Return whether a token is a piece of a long word."""
    return token.startswith("~")


def length(counts: dict[str, float]) -> float:
    """Return the length of a text in tokens, pieces of long words left out."""
    return sum(weight for token, weight in counts.items() if not is_piece(token))


@lru_cache(maxsize=1 << 17)
def token_id(token: str) -> int:
    """Return the number of a token in sparse vectors: 32 bits, the same on every machine."""
    data = token.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "big")
