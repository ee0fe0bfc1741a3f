"""A diagnosis as the trace tells it: counts, never a note.

Owns what an event says of findings, and of answers that could not be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from preceptor.core import readable
from preceptor.core.ports import Evidence
from preceptor.core.records import Finding


def event(seen: Evidence, found: Sequence[Finding]) -> dict[str, JsonValue]:
    """Return the findings, and the counts of unreadable answers where half or more are."""
    told: dict[str, JsonValue] = {"findings": [_finding(f) for f in found]}
    counted = readable.count(seen.answers, seen.recipe)
    return {**told, "readable": counted.model_dump(mode="json")} if counted.worrying else told


def _finding(found: Finding) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {
        "kind": found.kind,
        "field": found.field,
        "count": found.count,
        "total": found.total,
    }
    if found.kind == "constant_answer":
        told |= {
            "cue": found.cue,
            "said_share": found.said_share,
            "gold_share": found.gold_share,
        }
    return told
