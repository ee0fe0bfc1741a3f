"""The one parser: what a student wrote becomes values.

Owns how forgiving reading is: the first JSON object in the text counts, in a code fence or in prose;
labels match without case; names and values are composed (NFC), as notes are. What cannot be read is
``invalid``, never an exception; what is no text (half of a surrogate pair) becomes a question mark, so
that every answer can be stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec
from preceptor.core.records import Answer, Gold, Reply, Status
from preceptor.core.spelling import nfc

PARSE_VERSION = 2
"""Rises whenever the same raw text gives other values; part of every cache key."""

_ORDER: tuple[Status, ...] = ("ok", "invalid", "truncated", "failed")
_DECODER = json.JSONDecoder()


def first_object(raw: str) -> dict[str, JsonValue] | None:
    """Return the first JSON object in ``raw``, None if there is none."""
    start = raw.find("{")
    while start >= 0:
        try:
            value, _ = _DECODER.raw_decode(raw, start)
        except (ValueError, RecursionError):  # a ValueError, too, for a number of 5,000 digits
            start = raw.find("{", start + 1)
            continue
        return value if isinstance(value, dict) else None
    return None


def _well_formed(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return nfc(value.encode("utf-8", "replace").decode("utf-8"))
    if isinstance(value, dict):
        return {str(_well_formed(name)): _well_formed(item) for name, item in value.items()}
    return [_well_formed(item) for item in value] if isinstance(value, list) else value


def _composed_names(found: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
    return None if found is None else {nfc(name): value for name, value in found.items()}


def read(raw: str, fields: Sequence[FieldSpec]) -> tuple[Gold, dict[str, Status]]:
    """Return (values that could be read, problem per field that could not)."""
    found = _composed_names(first_object(raw))
    values: Gold = {}
    problems: dict[str, Status] = {}
    for field in fields:
        try:
            if found is None or field.name not in found:
                raise ValueError(field.name)
            values[field.name] = field.read(_well_formed(found[field.name]))
        except (ValueError, RecursionError):
            problems[field.name] = "invalid"
    return values, problems


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [c for c in counts if c is not None]
    return sum(known) if len(known) == len(counts) else None


def answer(example_id: str, fields: Sequence[FieldSpec], replies: Sequence[Reply]) -> Answer:
    """Return one Answer from the replies to all calls about one note.

    Args:
        example_id: The note.
        fields: Every field that was asked, in the task's order.
        replies: In any order. A field without a reply counts as ``failed``.
    """
    by_name = {f.name: f for f in fields}
    place = {f.name: i for i, f in enumerate(fields)}
    replies = sorted(replies, key=lambda r: place[r.key[1][0]])
    values: Gold = {}
    problems: dict[str, Status] = {}
    sure: dict[str, float] = {}
    for reply in replies:
        asked = [by_name[name] for name in reply.key[1]]
        if reply.status == "ok":
            got, bad = read(reply.raw, asked)
            values.update(got)
            problems.update(bad)
            if reply.probability is not None and len(asked) == 1 and not bad:
                sure[asked[0].name] = reply.probability
        else:
            problems.update({f.name: reply.status for f in asked})
    for field in fields:
        if field.name not in values:
            problems.setdefault(field.name, "failed")
    return Answer(
        example_id=example_id,
        record={f.name: values[f.name] for f in fields if f.name in values} or None,
        status=_ORDER[max(map(_ORDER.index, problems.values()), default=0)],
        problems=problems,
        raw=tuple(r.raw.encode("utf-8", "replace").decode("utf-8") for r in replies),
        prompt_tokens=_sum([r.prompt_tokens for r in replies]),
        completion_tokens=_sum([r.completion_tokens for r in replies]),
        calls=len(replies),
        seconds=sum(r.seconds for r in replies),
        confidence=sure or None,
    )
