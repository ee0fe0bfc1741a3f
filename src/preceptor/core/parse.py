"""The one parser: what a student wrote becomes values.

Owns how forgiving reading is: a model's thoughts are cut (``core.thoughts``); of the JSON objects in
the text, in a code fence or in prose, the one counts of which most asked fields can be read, the last
of several; labels match without case; names and values are composed (NFC), as notes are. What cannot be
read is ``invalid``, never an exception; what is no text (half of a surrogate pair) becomes a question
mark, so that every answer can be stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec
from preceptor.core.objects import objects
from preceptor.core.records import Answer, Gold, Reply, Status
from preceptor.core.spelling import nfc
from preceptor.core.thoughts import answer_in

PARSE_VERSION = 3
"""Rises whenever the same raw text gives other values; part of every cache key."""

_ORDER: tuple[Status, ...] = ("ok", "invalid", "truncated", "failed")

LONGEST = 1_000_000
"""So many characters of one reply are read and stored: no schema needs more."""


def _well_formed(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return nfc(value.encode("utf-8", "replace").decode("utf-8"))
    if isinstance(value, dict):
        return {str(_well_formed(name)): _well_formed(item) for name, item in value.items()}
    return [_well_formed(item) for item in value] if isinstance(value, list) else value


def read(raw: str, fields: Sequence[FieldSpec]) -> tuple[Gold, dict[str, Status]]:
    """Return (values that could be read, problem per field that could not)."""
    best: Gold = {}
    for found in objects(answer_in(raw[:LONGEST])):
        values = _values(found, fields)
        # Not more than none: an echoed schema, or {}, is no answer.
        if values and len(values) >= len(best):
            best = values
    return best, {f.name: "invalid" for f in fields if f.name not in best}


def _values(found: dict[str, JsonValue], fields: Sequence[FieldSpec]) -> Gold:
    """Return what can be read of the fields in one object."""
    named = {nfc(name): value for name, value in found.items()}
    values: Gold = {}
    for field in fields:
        if field.name in named:
            with suppress(ValueError, RecursionError):
                values[field.name] = field.read(_well_formed(named[field.name]))
    return values


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
        raw=tuple(r.raw[:LONGEST].encode("utf-8", "replace").decode("utf-8") for r in replies),
        prompt_tokens=_sum([r.prompt_tokens for r in replies]),
        completion_tokens=_sum([r.completion_tokens for r in replies]),
        calls=len(replies),
        seconds=sum(r.seconds for r in replies),
        confidence=sure or None,
        unforced=any(r.unforced for r in replies),
    )
