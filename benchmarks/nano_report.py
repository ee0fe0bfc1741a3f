"""Own ``docs/results/nano.md``: ``python benchmarks/nano_report.py``.

Writes the page from the figures that the other scripts left in ``benchmarks/nano_results``; nothing
in it is typed by hand but the words around the tables.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "benchmarks" / "nano_results"
PAGE = ROOT / "docs" / "results" / "nano.md"
WORDS = FIGURES / "words.md"

ROWS = (
    ("bare field name, other surface form in the note", "bare", "all", "near majority"),
    ("the same, where the note mentions it", "bare", "mentioned", ""),
    ("always answering «no» or «unknown»", "always no or unknown", "all", ""),
    ("with hints", "hints", "all", "≥ 0.90"),
    ("with hints, where the note mentions it", "hints", "mentioned", "≥ 0.85"),
    ("with hints, training's own wordings, recombined", "hints; training's wordings", "all", ""),
    ("the same, where the note mentions it", "hints; training's wordings", "mentioned", ""),
    ("three labelled sentences instead of hints", "three sentences", "all", "bare + 0.15"),
    ("the same, where the note mentions it", "three sentences", "mentioned", ""),
    ("with hints, label names never trained on", "hints; new label names", "all", ""),
    ("bare, label names never trained on", "bare; new label names", "all", ""),
    ("three labelled sentences, label names never trained on", "three sentences; new label names",
     "all", ""),
    ("a rule, in the cases that it decides", "rule decides", "all", "≥ 0.85"),
    ("the same questions without the rule (its answer would be wrong)", "the same without the rule",
     "all", ""),
    ("a JSON object, unconstrained, with hints", "hints, unconstrained", "json", "≥ 0.95"),
    ("a JSON object with the field's name and a label, unconstrained, with hints",
     "hints, unconstrained", "valid", "≥ 0.95"),
    ("the same, constrained", "hints", "valid", "always"),
)  # fmt: skip


def load(name: str) -> Any:
    """Return the figures of one script, or None if it has not been run."""
    file = FIGURES / name
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def cell(row: dict[str, float]) -> str:
    """Return a share with its interval."""
    return f"{row['share']:.3f} [{max(0.0, row['low']):.3f}, {row['high']:.3f}] | {row['n']}"


def table(report: Any, lora: Any) -> list[str]:
    """Return the issue's table."""
    out = ["| condition | share right [95 % Wilson] | n | target |", "| --- | --- | --- | --- |"]
    out += [f"| {words} | {cell(report[at][row])} | {aim} |" for words, at, row, aim in ROWS]
    if lora:
        notes = f"{lora['train notes']} notes of `{lora['task']}`"
        out.append(f"| LoRA on {notes}, unseen notes | {cell(lora['after LoRA'])} | ≥ 0.90 |")
        out.append(f"| the same notes before LoRA | {cell(lora['base'])} | |")
        out.append(f"| always the commonest label there | {cell(lora['majority'])} | |")
    return out


def kinds(report: Any) -> list[str]:
    """Return the scores by kind of mention, with hints and with deciding rules."""
    names = {
        "A": "affirmed", "N": "negated", "M": "affirmed, mild", "H": "history", "F": "family",
        "P": "planned or possible", "U": "not mentioned",
    }  # fmt: skip
    out = [
        "| what the note says | with hints | n | rule decides | n |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind, words in names.items():
        cells = [report[at].get(f"kind {kind}") for at in ("hints", "rule decides")]
        out.append(f"| {words} | " + " | ".join(cell(c) if c else "– | 0" for c in cells) + " |")
    return out


def curve(rows: Any) -> list[str]:
    """Return accuracy on held-out wordings over training tokens."""
    out = [
        "| training tokens | bare | hints | hints, mentioned | three sentences | rule decides |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        shares = [
            row["bare"]["all"], row["hints"]["all"], row["hints"]["mentioned"],
            row["three sentences"]["all"], row["rule decides"]["all"],
        ]  # fmt: skip
        cells = " | ".join(f"{s['share']:.3f}" for s in shares)
        out.append(f"| {row['tokens'] / 1e6:.1f} M | {cells} |")
    return out


def told(before: Any, now: Any) -> list[str]:
    """Return what the weights read of synthetic notes under ever better hints."""
    out = ["| hints | first run | n | shipped | n |", "| --- | --- | --- | --- | --- |"]
    return out + [f"| {name} | {cell(before[name])} | {cell(row)} |" for name, row in now.items()]


def listed(figures: Any) -> list[str]:
    """Return plain figures as a table."""
    return ["| figure | value |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in figures.items())]


def training() -> dict[str, object]:
    """Return what the runs' own logs say, one run going on where the one before it stopped."""
    step, tokens, seconds = 0.0, 0.0, 0.0
    rows: list[dict[str, float]] = []
    begins = []
    for file in sorted(FIGURES.glob("metrics-*.jsonl")):
        found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        begins.append(tokens)
        for row in found:
            row["step"], row["tokens"] = row["step"] + step, row["tokens"] + tokens
            row["seconds"] += seconds
        rows += found
        step, tokens, seconds = rows[-1]["step"], rows[-1]["tokens"], rows[-1]["seconds"]
    last = rows[-1]
    firsts = {row["stage"]: row["tokens"] for row in reversed(rows)}
    return {
        "training tokens": f"{last['tokens'] / 1e6:.1f} M, {last['step']:.0f} steps",
        "minutes on two shared cores": round(last["seconds"] / 60, 1),
        "tokens per second, mean": round(last["tokens"] / last["seconds"]),
        "stages from (M tokens)": ", ".join(f"{firsts[k] / 1e6:.1f}" for k in sorted(firsts)),
        "runs, each from the weights of the one before, from (M tokens)": ", ".join(
            f"{begin / 1e6:.1f}" for begin in begins
        ),
        "share right at the end, on the training mix": last["accuracy"],
    }


def main() -> None:
    """Write the page."""
    report, lora = load("evaluation.json"), load("lora.json")
    parts = {
        "TABLE": table(report, lora),
        "KINDS": kinds(report),
        "TOLD": told(load("told_first.json"), load("told.json")),
        "CURVE": curve(load("curve.json") or []),
        "SPEED": listed(load("speed.json") or {}),
        "TRAINING": listed(training()),
    }
    text = WORDS.read_text(encoding="utf-8")
    for name, lines in parts.items():
        text = text.replace(f"{{{name}}}", "\n".join(lines))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
