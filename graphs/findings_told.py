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
    said: dict[str, JsonValue] = {"findings": [told(f) for f in found]}
    counted = readable.count(seen.answers, seen.recipe)
    return {**said, "readable": counted.model_dump(mode="json")} if counted.worrying else said


def told(found: Finding) -> dict[str, JsonValue]:
    """Return one finding without its notes."""
    said: dict[str, JsonValue] = {
        "kind": found.kind,
        "field": found.field,
        "count": found.count,
        "total": found.total,
    }
    if found.kind == "constant_answer":
        said |= {
            "cue": found.cue,
            "said_share": found.said_share,
            "gold_share": found.gold_share,
        }
    elif found.cue:  # a word of ours or a value of the task, never of a note
        said["cue"] = found.cue
    return said
