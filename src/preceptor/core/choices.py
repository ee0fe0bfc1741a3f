"""Where in a right answer the schema leaves a choice: what a training has to learn of it.

Owns the division of an answer's text. Braces, names, quotes and the rest of a label once it cannot be
another are forced by the constraint of the schema, whatever the note says; the remainder is decided.
Leaves tokens to those who have a tokenizer, and the constraint itself to ``agents.students.grammar`` (a
test holds that both agree).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from preceptor.core.fields import FieldSpec, ListField
from preceptor.core.records import Gold
from preceptor.core.render import answer_text

CHUNK = re.compile(r"\w+|\s|[^\w\s]")
"""A word or a sign of a note: a copied item begins and ends at one, never inside."""


@dataclass(frozen=True)
class Choice:
    """Characters of an answer that the schema does not force.

    Attributes:
        start: Where they begin.
        end: Where they end.
        field: The place of the field among those asked.
    """

    start: int
    end: int
    field: int


def choices(values: Gold, fields: Sequence[FieldSpec], source: str = "") -> tuple[Choice, ...]:
    """Return where the text of a right answer is decided, in order.

    A character is decided if the schema allows another one, or an end, after all that stands before it.

    Args:
        values: The answer.
        fields: What is asked, in order.
        source: The note as the student reads it; only needed for items that are copied.
    """
    text = answer_text(values, fields)
    found: list[Choice] = []
    at = 1
    for number, field in enumerate(fields):
        at += len(json.dumps(field.name, ensure_ascii=False)) + 2
        _, size = json.JSONDecoder().raw_decode(text[at:])
        free = _free(text[at : at + size], field, source)
        place = at
        for is_free, run in groupby(free):
            length = len(list(run))
            if is_free:
                found.append(Choice(place, place + length, number))
            place += length
        at += size + 2
    return tuple(found)


def _free(text: str, field: FieldSpec, source: str) -> list[bool]:
    """Return, per character of one field's value, whether it is decided."""
    if not isinstance(field, ListField):
        return _among(text, [_quoted(v) for v in field.values])
    free = [False]
    items: list[str] = json.loads(text)
    for number, item in enumerate(items):
        # Before the first item the list may end; after the last one that fits it must.
        free += [True] if number == 0 else [True, False, False]
        free += _item(_quoted(item), field, source)[1:]
    return [*free, len(items) < field.max_items]


def _item(text: str, field: ListField, source: str) -> list[bool]:
    """Return which characters of a quoted item are decided."""
    if field.values:
        return _among(text, [_quoted(v) for v in field.values])
    if field.copied and source:
        return [False, *_copied(text[1:-1], source)]
    return [False, *[True] * (len(text) - 1)]


def _among(text: str, options: Sequence[str]) -> list[bool]:
    """Return where a text could still become another of the options."""
    left = list(options)
    free = []
    for place, sign in enumerate(text):
        free.append(len({one[place] for one in left}) > 1)
        left = [one for one in left if one[place : place + 1] == sign]
    return free


def _copied(item: str, source: str) -> list[bool]:
    """Return which characters of an item, and the quote after it, are decided by choice of a piece."""
    text, starts, ends = _pieces(source)
    left = [p for p in starts if text.startswith(item[:1], p)]
    free = [len({text[p] for p in starts}) > 1]
    for place in range(1, len(item) + 1):
        going = {text[p + place] for p in left if p + place < len(text)}
        # A space is only gone on with if something stands after it, which is nearly always so.
        may_end = any(p + place in ends for p in left)
        free.append(len(going) + may_end > 1 or not left)
        left = [p for p in left if text[p + place : p + place + 1] == item[place : place + 1]]
    return free


def _pieces(source: str) -> tuple[str, list[int], set[int]]:
    """Return a note as JSON writes it, and where its pieces may begin and end."""
    at, starts, ends = 0, [], set()
    said = []
    for chunk in CHUNK.findall(source):
        said.append(_quoted(chunk)[1:-1])
        if not chunk.isspace():
            starts.append(at)
            ends.add(at + len(said[-1]))
        at += len(said[-1])
    return "".join(said), starts, ends


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
