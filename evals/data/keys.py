"""The keys of examples, and what is odd about keys and texts without being an error.

Owns what counts as an id, which keys look alike (``p1`` and ``P 1``), and which texts were harmed by a
conversion. Remarks are counts and a few short keys, never a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.core.records import Example
from preceptor.core.spelling import SHORT, as_key, is_text

EXACT = 2**53
"""From here on two different whole numbers may be the same floating-point number."""

_C1 = re.compile(r"[\x80-\x9f]")
_SHOWN = 2


def key_of(value: JsonValue, column: str, where: str) -> str:
    """Return an id or a patient as it is compared: composed, without outer blanks; 7.0 is ``7``.

    Raises:
        TaskError: If it is no text and no whole number, or empty.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        value = int(value)
    if isinstance(value, float):
        raise TaskError(
            f"{where}: column {column!r} holds a number that is no id",
            "ids are whole numbers under 2^53, or texts: write long ones in quotes",
        )
    if isinstance(value, bool) or not isinstance(value, str | int) or not as_key(str(value)):
        raise TaskError(f"{where}: column {column!r} holds no id", "fill it with a text or a number")
    check_text(str(value), where, f"column {column!r}")
    return as_key(str(value))


def check_text(value: JsonValue, where: str, what: str) -> None:
    """Refuse what cannot be stored: half of a surrogate pair, at any depth.

    Raises:
        TaskError: If there is one.
    """
    if isinstance(value, str):
        if not is_text(value):
            raise TaskError(f"{where}: half a character in {what}, no valid Unicode", "repair that row")
    elif isinstance(value, list | dict):
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            check_text(item, where, what)


_NUMBER = re.compile(r"0*(?P<digits>\d+?)(\.0+)?")
"""A whole number, which spreadsheets and data frames write as 7, 007 or 7.0."""


def lookalikes(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return one line per kind of key (group, id) of which some differ in spelling only."""
    found: list[str] = []
    owners = [e.group for e in examples]
    ids = [e.id for e in examples]
    if owners != ids:
        found += _alike(owners, "groups", "one patient may stand in train and in test")
    found += _alike(ids, "ids", "one note may stand there twice")
    return tuple(found)


def _alike(keys: Iterable[str], what: str, danger: str) -> Iterator[str]:
    spelt: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        plain = "".join(unicodedata.normalize("NFKC", key).casefold().split())
        number = _NUMBER.fullmatch(plain)
        spelt[number["digits"] if number else plain].add(key)
    alike = [sorted(same) for same in spelt.values() if len(same) > 1]
    if alike:
        short = [same for same in alike if max(map(len, same)) <= SHORT][:_SHOWN]
        shown = "; ".join(" and ".join(map(repr, same[:_SHOWN])) for same in short)
        some = f" ({shown})" if shown else ""
        yield (
            f"{sum(map(len, alike))} {what} differ in case, blanks, leading zeros or a '.0' "
            f"only{some}: if they are the same, write them alike, else {danger}"
        )


def remarks(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return what is odd about keys and texts, one line each; nothing of it is an error."""
    return (*lookalikes(examples), *_harmed(examples))


def _harmed(examples: Sequence[Example]) -> Iterator[str]:
    """Tell of texts that a wrong conversion has harmed."""
    odd = [e.text for e in examples if not e.text.isascii()]
    controls = sum(bool(_C1.search(text)) for text in odd)
    if controls:
        yield (
            f"{_texts(controls)} control characters (U+0080 to U+009F), perhaps for dashes and quotes: "
            "cp1252 was read as latin1; convert the original again: iconv -f cp1252 -t utf-8"
        )
    lost = sum("\ufffd" in text for text in odd)
    if lost:
        yield (
            f"{_texts(lost)} U+FFFD, which stands for characters that a conversion lost: convert the "
            "original again, from the encoding that it was written in"
        )
    twice = sum(map(_twice, odd))
    if twice:
        yield (
            f"{_texts(twice)} UTF-8 that was read as cp1252 (Ã¤ for ä): take the original, or convert "
            "back: iconv -f utf-8 -t cp1252"
        )


def _texts(count: int) -> str:
    return "1 text holds" if count == 1 else f"{count} texts hold"


def _twice(text: str) -> bool:
    """Return whether a text is UTF-8 twice over: its letters, as bytes of cp1252, are UTF-8 again."""
    try:
        return text.encode("cp1252").decode("utf-8") != text
    except UnicodeError:
        return False
