"""Measures the synthetic corpus: labels, lengths, baselines, oracle, unseen surface forms.

python benchmarks/corpus.py            writes docs/results/corpus.md
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from pathlib import Path

from preceptor.core.records import Example, Gold
from preceptor.evals import baselines, duplicates, splits
from preceptor.evals.task import Task
from preceptor.evals.tasks import toxicity
from preceptor.evals.tasks.toxicity import frames, notes, oracle
from preceptor.evals.tasks.toxicity.lexicon import SYMPTOMS

OUT = Path(__file__).parent.parent / "docs" / "results" / "corpus.md"
SEEDS = range(5)
CORPORA = (
    (toxicity.task, toxicity.SEED, toxicity.PATIENTS),
    (toxicity.task_l, toxicity.SEED_L, toxicity.PATIENTS_L),
)


def accuracy(task: Task, said: dict[str, Gold], examples: tuple[Example, ...]) -> float:
    """Return the share of right labels over all fields and notes."""
    pairs = [(said[e.id][n], v) for e in examples for n, v in (e.gold or {}).items()]
    return sum(a == b for a, b in pairs) / len(pairs)


def full_lexicon(task: Task, examples: tuple[Example, ...]) -> dict[str, Gold]:
    """Return what the ConText-style rules say when given every noun phrase of the generator."""
    phrases = {s.name: [f.casefold() for f in s.forms] for s in SYMPTOMS}
    return {e.id: baselines.read(e.text, task.fields, phrases, baselines.status) for e in examples}


def unseen(made: splits.Splits, by_id: dict[str, notes.Note]) -> float:
    """Return the share of test mentions whose surface form (digits apart) is not in train."""

    def forms(part: tuple[str, ...]) -> list[tuple[str, str]]:
        found = [m for name in part for m in by_id[name].mentions]
        return [(m.field, re.sub(r"\d+", "#", m.surface.casefold())) for m in found]

    seen = set(forms(made.train))
    test = forms(made.test)
    return sum(form not in seen for form in test) / len(test)


def measure(task: Task, written: list[notes.Note]) -> list[str]:
    """Return the Markdown lines of one corpus."""
    by_id = {toxicity.example_id(n): n for n in written}
    rows: dict[str, list[float]] = {}
    twins = 0
    for seed in SEEDS:
        made = splits.make(task, seed)
        train, test = made.examples(task, "train"), made.examples(task, "test")
        said = {n: baselines.predict(n, task, train, test) for n in baselines.names_for(task)}
        for name, answers in said.items():
            rows.setdefault(name, []).append(accuracy(task, answers, test))
        full = accuracy(task, full_lexicon(task, test), test)
        rows.setdefault("context, all noun phrases of the generator", []).append(full)
        read: dict[str, Gold] = {e.id: {**oracle.read(e.text)} for e in test}
        rows.setdefault("oracle", []).append(accuracy(task, read, test))
        rows.setdefault("test mentions with a form not in train", []).append(unseen(made, by_id))
        twins += len(duplicates.across(task.examples, made))
    lines = [f"## {task.name}: {len(written)} notes, {len(written) // 2} patients", ""]
    lines += ["| on test, 5 split seeds | mean | least | most |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {statistics.mean(v):.3f} | {min(v):.3f} | {max(v):.3f} |"
        for name, v in rows.items()
    ]
    lines += ["", *shape(task, written), f"Near-duplicates across parts, all seeds: {twins}.", ""]
    return [*lines, *labels(task), ""]


def shape(task: Task, written: list[notes.Note]) -> list[str]:
    """Return lines about length and what the notes are made of."""
    words = sorted(len(e.text.split()) for e in task.examples)
    tokens = sorted(len(re.findall(r"\w+|[^\w\s]", e.text)) for e in task.examples)
    said = Counter(m.slot for n in written for m in n.mentions)
    settled = sum(
        len(
            {"A" if m.slot == "A" else "N" for m in n.mentions if m.field == s.name and m.slot in "ANR"}
        )
        for n in written
        for s in SYMPTOMS
    ) - sum(m.decides for n in written for m in n.mentions)
    return [
        f"Words per note: median {words[len(words) // 2]}, {words[0]} to {words[-1]}; words and marks: "
        f"median {tokens[len(tokens) // 2]}, {tokens[0]} to {tokens[-1]}.",
        f"Mentions per note: {said.total() / len(written):.1f}; by what they say: "
        + ", ".join(f"{frames.WHY[s]} {n / said.total():.0%}" for s, n in said.most_common())
        + f". Statements overturned by a later one: {settled} ({settled / len(written):.2f} a note).",
    ]


def labels(task: Task) -> list[str]:
    """Return the table of label shares."""
    lines = ["| field | present | absent | unknown |", "| --- | --- | --- | --- |"]
    for field in task.fields:
        seen = Counter(str((e.gold or {})[field.name]) for e in task.examples)
        shares = (f"{seen[v] / len(task.examples):.0%}" for v in ("present", "absent", "unknown"))
        lines.append(f"| {field.name} | {' | '.join(shares)} |")
    return lines


def main() -> None:
    """Measure both corpora and write the page."""
    lines = [
        "# The synthetic corpora",
        "",
        "Written by `python benchmarks/corpus.py`. Every note is generated; there is no patient behind",
        "it. Accuracy over 12 fields; the baselines are those of `preceptor.evals.baselines`; `+mined`",
        "adds phrases mined from train; `tfidf` is a logistic regression on words and pairs of words;",
        "«all noun phrases» is the generator's own list.",
        "",
    ]
    for make, seed, patients in CORPORA:
        lines += measure(make(), notes.corpus(seed, patients))
    OUT.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(OUT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
