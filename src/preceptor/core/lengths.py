"""How long an answer can get, in tokens: from the schema, and from gold.

Owns the estimate of tokens before anything is asked, and the answer limit that follows from a task's
fields. Leaves what a call was reserved for to ``amounts``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Example, Gold

LEAST = 256
"""No answer limit is lower: a model that is not held to the schema says more than the answer, and
recipes of small schemas keep their hashes."""

ITEM = 28
"""Tokens of one item of an open list, with its quotes and comma: a drug with dose and scheme has 25."""

FRAME, PER_FIELD, PER_ITEM = 8, 10, 4
"""Tokens around an answer, a field's name and value, and a list's item: quotes, commas, white space.
A model may put line breaks and blanks where a grammar allows them (Ollama: 128 to 214 for twelve)."""

COMPACT = 4
"""Tokens around a field's name and value in an answer without more white space than gold's."""

_SINGLE = re.compile(r"\d|[^\w\s]")
BYTES_PER_TOKEN = 2.5
"""Of letters: fewer than in prose, since names of drugs and findings fall into pieces."""


@dataclass(frozen=True)
class Tight:
    """Notes whose right answer does not fit.

    Attributes:
        notes: How many.
        of: Out of how many with gold.
        limit: The answer limit.
        most: What the longest right answer takes, in tokens.
    """

    notes: int
    of: int
    limit: int
    most: int

    def parts(self) -> tuple[str, str]:
        """Return what is wrong, and what to do."""
        wrong = (
            f"gold itself does not fit the answer limit of {self.limit:,} tokens: {self.notes:,} of "
            f"{self.of:,} notes need up to {self.most:,}"
        )
        return wrong, f"set a longer one: --set max_tokens={_round(self.most)}"

    def words(self) -> str:
        """Return both in one line."""
        return "; ".join(self.parts())


def tokens(text: str) -> int:
    """Return an upper estimate of a text's tokens: digits and signs are tokens of their own."""
    single = len(_SINGLE.findall(text))
    rest = len("".join(_SINGLE.sub("", text).split()).encode("utf-8", "replace"))
    return single + math.ceil(rest / BYTES_PER_TOKEN)


def by_schema(fields: Sequence[FieldSpec]) -> int:
    """Return the tokens of the longest answer to ``fields`` in one call."""
    return FRAME + sum(tokens(f.name) + PER_FIELD + _longest(f) for f in fields)


def _longest(field: FieldSpec) -> int:
    if isinstance(field, LabelField):
        return max(map(tokens, field.values))
    if field.values:
        # A value that is said twice counts once when it is read, so that all of them are the most.
        return sum(
            sorted((tokens(v) + PER_ITEM for v in field.values), reverse=True)[: field.max_items]
        )
    return ITEM * field.max_items


def of_gold(fields: Sequence[FieldSpec], gold: Gold) -> int:
    """Return the tokens of the right answer to ``fields`` in one call, where gold knows it."""
    known = [f for f in fields if f.name in gold]
    return FRAME + sum(tokens(f.name) + COMPACT + _of_value(gold[f.name]) for f in known)


def _of_value(value: object) -> int:
    if isinstance(value, list):
        return sum(tokens(str(item)) + PER_ITEM for item in value)
    return tokens(str(value))


def limit(groups: Iterable[Sequence[FieldSpec]], context: int | None = None) -> int:
    """Return the answer limit of calls that ask ``groups`` of fields, one each.

    Args:
        groups: See ``core.render.asked_together``.
        context: What the student holds; no more than half of it is kept free for answers.
    """
    longest = max((by_schema(group) for group in groups), default=0)
    wanted = max(LEAST, _round(longest))
    return wanted if context is None else max(min(wanted, context // 2), min(LEAST, wanted))


def _round(count: int) -> int:
    """Return a count that changes only with more than a word."""
    return -(-count // 32) * 32


def tight(
    groups: Sequence[Sequence[FieldSpec]], examples: Iterable[Example], most: int
) -> Tight | None:
    """Return whose gold does not fit an answer limit of ``most`` tokens, None if all fits."""
    needed = [max(of_gold(g, e.gold) for g in groups) for e in examples if e.gold]
    over = sum(n > most for n in needed)
    return Tight(over, len(needed), most, max(needed)) if over else None
