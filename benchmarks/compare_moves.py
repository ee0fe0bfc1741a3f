"""Is a run that is free to choose as good as runs with one kind of move only?

    python benchmarks/compare_moves.py toxicity FOLDER > docs/results/toxicity_all.md

``FOLDER`` holds what ``refine_seeds.py --keep`` left: ``all.json`` and a file per single move. The same
draws, sealed tests, rounds and budget stand behind all of them. Per draw, the final student of the free
run is compared with that of each single-move run, paired by note, with 95 % intervals over patients;
«not inferior» means that the whole interval lies above -3 points.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from preceptor.core.records import Interval
from preceptor.evals.stats import cluster_interval

MARGIN = 0.03
KEPT = ("kept", "accepted")
"""Outcomes of moves that the final student has; files of earlier runs say «accepted» alone."""


def difference(free: dict[str, list[Any]], single: dict[str, list[Any]]) -> Interval:
    """Return what the free run's student scores more, with its interval over patients."""
    if free.keys() != single.keys():
        raise SystemExit("these runs were not measured on the same notes: run them again")
    groups = [str(group) for group, _ in free.values()]
    gains = [score - single[name][1] for name, (_, score) in free.items()]
    return cluster_interval(groups, gains, (-1.0, 1.0))


def shown(value: Interval) -> str:
    """Return an interval in points."""
    return f"{100 * value.value:+.1f} [{100 * value.low:+.1f}, {100 * value.high:+.1f}]"


def chosen(attempts: list[list[str]]) -> str:
    """Return the moves of a run in their order, the kept ones marked."""
    return ", ".join(f"**{t}**" if outcome in KEPT else t for t, outcome in attempts) or "none"


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    known = {f.stem: json.loads(f.read_text("utf-8")) for f in sorted(asked.folder.glob("*.json"))}
    free = known.pop("all")
    print(f"# All moves, beside each move alone, on `{asked.task}`\n")
    print(
        "Written by `benchmarks/compare_moves.py` from runs by `benchmarks/refine_seeds.py --keep`: the"
    )
    print(
        "embedded student, the rule teacher, equal draws, sealed tests, rounds and budget. Differences"
    )
    print("are paired by note, with 95 % intervals over patients; draws share notes. **Bold**: kept.\n")
    print(
        "| seed | moves of the free run, in order | score |"
        + "".join(f" beside {n} alone |" for n in known)
    )
    print("| ---: | --- | ---: |" + " --- |" * len(known))
    found: dict[str, list[Interval]] = {name: [] for name in known}
    for number, (seed, scores) in enumerate(free["scores"].items()):
        cells = []
        for name, other in known.items():
            gap = difference(scores, other["scores"][seed])
            found[name].append(gap)
            cells.append(shown(gap))
        mean = statistics.mean(score for _, score in scores.values())
        print(
            f"| {seed} | {chosen(free['choices'][number])} | {mean:.3f} | " + " | ".join(cells) + " |"
        )
    print()
    for name, gaps in found.items():
        mean = 100 * statistics.mean(g.value for g in gaps)
        safe = sum(g.low > -MARGIN for g in gaps)
        worse = sum(g.high < 0 for g in gaps)
        print(
            f"- Beside {name} alone: {mean:+.1f} points on average; not inferior by "
            f"{100 * MARGIN:.0f} points in {safe} of {len(gaps)} draws, worse for sure in {worse}."
        )
    tried = Counter(tool for run in free["choices"] for tool, _ in run)
    kept = Counter(tool for run in free["choices"] for tool, outcome in run if outcome in KEPT)
    said = ", ".join(f"{name} {count} times, kept {kept[name]}" for name, count in tried.most_common())
    print(f"\nThe free runs' choices: {said}.")


if __name__ == "__main__":
    main()
