"""The words for what happens in a run: one line per event of its trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import JsonValue

Data = Mapping[str, JsonValue]


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


def _baseline(data: Data) -> str:
    named = f"{_metric(data['metric'])} " if "metric" in data else ""
    return f"Untouched student on dev: {named}{interval(data['score'])}"


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
    return f"  {data['outcome']}: {data['reason']}"


def _why(data: Data) -> str:
    return f": {data['reason']}" if data["reason"] else ""


def _diagnosed(data: Data) -> str:
    found = data["findings"]
    assert isinstance(found, list)
    top = ", ".join(
        f"{f['field']} {f['kind']} {f['count']}" for f in found[:3] if isinstance(f, Mapping)
    )
    return f"Round {data['round']}: shown train {interval(data['score'])}; {top or 'no errors'}"


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
    "teacher_lost": lambda d: f"  the teacher is lost: {d['why']}",
    "budget": lambda d: f"  budget: {d['why']}",
    "finish": lambda d: f"  teacher: finish: {d['why']}",
    "asked": lambda d: f"  {d['tool']}: a person is asked",
    "approval": lambda d: f"  {d['tool']}: {d['action']} by a person{_why(d)}",
    "rollback": lambda d: f"Rolled back to round {d['round']}: {d['before']} → {d['recipe']}",
    "stopped": lambda d: f"End: {d['words']}.",
    "limits": _limits,
    "test": _test,
    "no_baseline": lambda d: f"Without the baseline {d['name']}: {d['why']}",
    "report": lambda d: f"The report is written; the final recipe is {d['final']}",
    "test_opened": lambda d: f"The sealed test {d['sealed_test']} is opened, once.",
}
