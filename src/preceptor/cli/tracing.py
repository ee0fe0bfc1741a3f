"""One trace event as text for a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from preceptor.cli.words import CONSTANT, constant, interval, line, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

    from preceptor.core.trace import Event


def text(event: Event) -> str:
    """Return the event: time, what happened, and what a reader of a run wants to know of it."""
    head = f"{event.seq:>3}  {event.time[11:19]}  {event.kind:<12}"
    told = _DETAILS[event.kind](event.data) if event.kind in _DETAILS else line(event.kind, event.data)
    lines = told.strip().splitlines() or [_brief(event.data)]
    return "\n".join([f"{head} {lines[0].strip()}", *(f"{'':27}{rest}" for rest in lines[1:])])


def _turn(data: Mapping[str, JsonValue]) -> str:
    calls = data["calls"]
    assert isinstance(calls, list)
    said = [str(data["text"]).strip()] if data["text"] else []
    for call in calls:
        assert isinstance(call, dict)
        said.append(f"{call['name']}({_brief(call['args'])})")
    left_out = data.get("left_out")
    if isinstance(left_out, list):
        said.append(f"(to fit its model, shortened or left out: {', '.join(map(str, left_out))})")
    return "\n".join(said) or "said nothing"


def _move(data: Mapping[str, JsonValue]) -> str:
    head = f"{data['tool']}: {data['from']} → {data['candidate']}"
    return "\n".join([head, *(f"  {row}" for row in str(data["text"]).splitlines())])


def _diagnosed(data: Mapping[str, JsonValue]) -> str:
    found = data["findings"]
    assert isinstance(found, list)
    rows = [
        f"  {f['field']:<24} {str(f['kind']).replace('_', ' '):<15} {f['count']:>3} of {f['total']}"
        + _about(f)
        for f in found
        if isinstance(f, dict)
    ]
    shown = rows[:12] + ([f"  … and {len(rows) - 12} more"] if len(rows) > 12 else [])
    head = f"round {data['round']}: shown train {interval(data['score'])}"
    return "\n".join([head, *unreadable(data), *shown])


def _about(found: Mapping[str, JsonValue]) -> str:
    """Return what a finding is about: the value that never varies, or the value or cue it names."""
    if found["kind"] == CONSTANT:
        return f"  {constant(found).removeprefix(str(found['field'])).strip()}"
    return f"  {found['cue']}" if found.get("cue") else ""


_DETAILS: dict[str, Callable[[Mapping[str, JsonValue]], str]] = {
    "turn": _turn,
    "move": _move,
    "diagnosed": _diagnosed,
}


def _brief(value: JsonValue | Mapping[str, JsonValue]) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 400 else f"{shown[:397]}..."
