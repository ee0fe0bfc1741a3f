"""The words for what happens in a run: one line per event of its trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import JsonValue

from preceptor.core import telling
from preceptor.core.blocked import read as read_blocked
from preceptor.core.forced import Loose
from preceptor.core.readable import Readable
from preceptor.core.records import Finding

Data = Mapping[str, JsonValue]

CONSTANT = "constant_answer"
MOST_CONSTANT = 3
NO_NOTES: Data = {"example_ids": []}


def points(value: object) -> str:
    """Return a difference in [0, 1] as signed points."""
    return f"{100 * value:+.1f}" if isinstance(value, (int, float)) else "?"


def interval(value: object) -> str:
    """Return ``0.71 [0.66, 0.76]``."""
    if not isinstance(value, Mapping):
        return "?"
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def line(kind: str, data: Data) -> str:
    """Return one event as a line for a person; an empty text for those not worth one."""
    shown = _LINES.get(kind)
    return shown(data) if shown else ""


def _prepared(data: Data) -> str:
    notes = data["notes"]
    assert isinstance(notes, Mapping)
    mark = " (synthetic data)" if data.get("synthetic") else ""
    sizes = ", ".join(f"{count} {split}" for split, count in notes.items())
    student = data["student"]
    spec = student["spec"] if isinstance(student, Mapping) else student
    return (
        f"Task {data['task']}{mark}: {sizes} notes; test sealed as {data['sealed_test']}.\n"
        f"Student {spec}, teacher {data['teacher']}.{_judged(data)}"
    )


def _judged(data: Data) -> str:
    """Return the metric and why, empty for a run that began before metrics were chosen."""
    metric = data.get("metric")
    if not isinstance(metric, Mapping):
        return ""
    return f"\nJudged by {_metric(metric['name'])}: {metric['why']}."


def _metric(name: object) -> str:
    from preceptor.evals.metrics.choice import words

    return words(str(name))


def _move(data: Data) -> str:
    text = str(data["text"]).partition("\n")[0]
    shown = text if len(text) <= 160 else f"{text[:159].rsplit(';', 1)[0]}; …"
    return f"Round {data['round']}: {data['tool']}: {shown}"


def _estimated(data: Data) -> str:
    dropped = data.get("hits_dropped")
    fitted = f"; {dropped:,} retrieved examples left out to fit the window" if dropped else ""
    return f"  held-out train: {points(data['gain'])} points on {data['notes']} notes{fitted}"


def _verdict(data: Data) -> str:
    rounds = data.get("carries")
    more = ""
    if isinstance(rounds, list) and rounds:
        named = ", ".join(map(str, rounds))
        more = f"; with it, what was pending of round{'s' if len(rounds) > 1 else ''} {named} is kept"
    return f"  {data['outcome']}: {data['reason']}{more}"


def _why(data: Data) -> str:
    return f": {data['reason']}" if data["reason"] else ""


def _diagnosed(data: Data) -> str:
    found = data["findings"]
    assert isinstance(found, list)
    kinds = [f for f in found if isinstance(f, Mapping)]
    errors = [f for f in kinds if f["kind"] != CONSTANT]
    top = ", ".join(f"{f['field']} {kind(f)} {f['count']}" for f in errors[:3])
    lines = [f"Round {data['round']}: shown train {interval(data['score'])}; {top or 'no errors'}"]
    alike = [constant(f) for f in kinds if f["kind"] == CONSTANT]
    if alike:
        more = len(alike) > MOST_CONSTANT
        lines += [f"  answered alike: {told}" for told in alike[:MOST_CONSTANT]]
        lines += [f"  answered alike: {len(alike) - MOST_CONSTANT} more fields"] if more else []
    return "\n".join([*lines, *unreadable(data)])


def kind(found: Data) -> str:
    """Return a finding's kind, with the value or the cue that it is about: ``spurious (cane)``."""
    named = str(found["kind"]).replace("_", " ")
    return f"{named} ({found['cue']})" if found.get("cue") else named


def constant(found: Data) -> str:
    """Return a field that is answered alike everywhere, as an event tells it."""
    return f"{found['field']} {telling.brief_constant(Finding.model_validate({**found, **NO_NOTES}))}"


def unreadable(data: Data) -> list[str]:
    """Return a line where half of the answers or more cannot be read."""
    if data.get("readable") is None:
        return []
    seen = Readable.model_validate(data["readable"])
    return [f"  warning: {seen.counts()}; {seen.advice()}"]


def _baseline(data: Data) -> str:
    named = f"{_metric(data['metric'])} " if "metric" in data else ""
    head = f"Untouched student on dev: {named}{interval(data['score'])}"
    constant = data.get("constant")
    if isinstance(constant, Mapping):
        head += f"; the best constant answer ({constant['name']}): {interval(constant['score'])}"
    return "\n".join([head, *unreadable(data), *_loose(data)])


def _loose(data: Data) -> list[str]:
    """Return a line where the server did not force the schema."""
    if data.get("schema") is None:
        return []
    return [f"  warning: {Loose.model_validate(data['schema']).words()}"]


def _stopped(data: Data) -> str:
    found = read_blocked(data.get("blocked", []))
    return "\n".join([f"End: {data['words']}.", *(f"  {b.move}: {b.reason}" for b in found)])


def _finish(data: Data) -> str:
    # The reasons come with the end of the run, a line each.
    why = str(data["why"]).partition(":")[0] if data.get("blocked") else data["why"]
    return f"  teacher: finish: {why}"


def _test(data: Data) -> str:
    if not data["measured"]:
        return f"Sealed test: not measured: {data['why']}"
    return f"Sealed test: {data['baseline_score']:.3f} untouched, {data['final_score']:.3f} final"


def _limits(data: Data) -> str:
    limits = data["limits"]
    assert isinstance(limits, Mapping)
    return f"New limits: {', '.join(f'{limit:g} {name}' for name, limit in limits.items())}"


_LINES: dict[str, Callable[[Data], str]] = {
    "prepared": _prepared,
    "baseline": _baseline,
    "diagnosed": _diagnosed,
    "move": _move,
    "estimated": _estimated,
    "verdict": _verdict,
    "corrected": lambda d: f"  the teacher was corrected: {d['why']}",
    "teacher_waits": lambda d: f"  {d['why']}",
    "teacher_lost": lambda d: f"  the teacher is lost: {d['why']}",
    "budget": lambda d: f"  budget: {d['why']}",
    "finish": _finish,
    "asked": lambda d: f"  {d['tool']}: a person is asked",
    "approval": lambda d: f"  {d['tool']}: {d['action']} by a person{_why(d)}",
    "rollback": lambda d: f"Rolled back to round {d['round']}: {d['before']} → {d['recipe']}",
    "stopped": _stopped,
    "limits": _limits,
    "test": _test,
    "no_baseline": lambda d: f"Without the baseline {d['name']}: {d['why']}",
    "report": lambda d: f"The report is written; the final recipe is {d['final']}",
    "test_opened": lambda d: f"The sealed test {d['sealed_test']} is opened, once.",
}
