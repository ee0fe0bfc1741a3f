"""Near ties: answers of a served model that the trained one could as well have given.

Owns the comparison of log-probabilities. Where weights are quantised, two values that are about
equally probable may change places, and nothing is wrong. So where two models answer a closed field
otherwise, the one in process is asked once more, with no other choice than the two values: what it
gives the served one's value, beside its own, says whether this is a near tie.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import JsonValue

from preceptor.core import parse
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.objects import objects
from preceptor.core.ports import Student
from preceptor.core.records import Call, Gold, Reply

NEAR = math.log(2)
"""The largest difference of two values' log-probabilities that counts as a near tie: odds of 2 to 1."""

Key = tuple[str, tuple[str, ...]]


def find(
    calls: Sequence[Call], mine: Mapping[Key, Reply], served: Mapping[Key, Reply], student: Student
) -> dict[Key, tuple[str, ...]]:
    """Return, per call, the fields whose two answers are a near tie for the student in process.

    Args:
        calls: What both were asked.
        mine: Its answers.
        served: Those of the served model.
        student: The one in process; it must tell the probability of an answer.
    """
    asked: dict[Key, tuple[Call, str, str]] = {}
    narrowed: list[Call] = []
    for call in calls:
        here, there = (values(call, replies.get(call.key)) for replies in (mine, served))
        for at, field in enumerate(call.fields):
            fields = _narrowed(call.fields[: at + 1], here, there)
            if fields:
                # An id of its own: the student may remember what it said to the whole question.
                name = f"{call.example_id}\0{field.name}"
                narrowed.append(replace(call, example_id=name, fields=fields))
                asked[narrowed[-1].key] = call, field.name, str(here[field.name])
    found: dict[Key, tuple[str, ...]] = {}
    for reply in student.complete(narrowed) if narrowed else ():
        call, name, own = asked[reply.key]
        if _lost(reply, name, own) <= NEAR:
            found[call.key] = (*found.get(call.key, ()), name)
    return found


def values(call: Call, reply: Reply | None) -> Gold:
    """Return what can be read of an answer."""
    return parse.read(reply.raw, call.fields)[0] if reply is not None and reply.status == "ok" else {}


def _narrowed(fields: Sequence[FieldSpec], here: Gold, there: Gold) -> tuple[FieldSpec, ...]:
    """Return fields that leave the last one its two answers and the others none; empty if they cannot.

    The text before the last answer must be what it was: the student's own, so far as it is closed.
    """
    *before, last = fields
    if not all(isinstance(f, LabelField) and f.name in here for f in fields) or last.name not in there:
        return ()
    own, other = here[last.name], there[last.name]
    if own == other:
        return ()
    # Not validated: a label has two values at least, and these shall have one.
    fixed = [LabelField.model_construct(**{**dict(f), "values": (here[f.name],)}) for f in before]
    return (*fixed, last.model_copy(update={"values": (own, other)}))


def _lost(reply: Reply, name: str, own: str) -> float:
    """Return by how much the other value's log-probability is lower than the own one's."""
    share = reply.probability
    if reply.status != "ok" or share is None:
        return math.inf
    found: dict[str, JsonValue] = next(objects(reply.raw), {})
    share = share if found.get(name) == own else 1 - share
    return math.inf if share >= 1 else math.log(max(share, 1e-12)) - math.log(1 - share)


def settled(reply: Reply, call: Call, own: Reply, near: Sequence[str]) -> Reply:
    """Return a served answer in which near ties are what the student in process says."""
    told = {**values(call, reply), **{n: v for n, v in values(call, own).items() if n in near}}
    return replace(reply, raw=json.dumps(told, ensure_ascii=False))
