"""Data sets that mislead a score, since most fields are empty in most notes, and headlines on them.

    python -m benchmarks.mostly_empty write FOLDER            # four task files with their notes
    python -m benchmarks.mostly_empty run FOLDER NAME [...]   # refine one, print its headline
    python -m benchmarks.mostly_empty page OLD NEW > docs/results/headlines.md

All text is invented here, about the inspection of machines, so that no student has seen its like:

* ``sparse``: eight yes/no fields, each "yes" in about 8 % of the notes;
* ``gauges``: six fields "over" or "normal" by a reading, "over" in about 10 %: a small student cannot
  learn them, and collapsing onto "normal" looks like a gain;
* ``ordinal``: one ordered label that is "none" in two notes of three or more;
* ``lists``: two lists that are empty in most notes;
* ``closed``: one list of known values, empty in most notes.

``run`` uses nothing but the command line, so that an older version's headline on the same files is had
by running this with that version on the path (``write --open-lists`` for it: it knows no closed lists).
``page`` puts the headlines of two such folders side by side.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from pydantic import JsonValue

NOTES, PER_MACHINE = 260, 2

FAULTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "leak": (
        ("oil drips under the {part}", "a wet patch below the {part}", "the {part} loses fluid"),
        ("no oil under the {part}", "the {part} is dry"),
    ),
    "rust": (
        ("brown flakes on the {part}", "the {part} is corroded", "rust eats into the {part}"),
        ("no corrosion on the {part}", "bare metal of the {part} is bright"),
    ),
    "noise": (
        ("the {part} squeals under load", "a loud knock from the {part}", "the {part} rattles"),
        ("the {part} runs without a sound", "no knocking from the {part}"),
    ),
    "heat": (
        ("the {part} is too hot to touch", "the {part} overheats", "scorched paint at the {part}"),
        ("the {part} stays cool", "no overheating of the {part}"),
    ),
    "crack": (
        ("a hairline fracture in the {part}", "the {part} is split", "the {part} has cracked"),
        ("no fracture of the {part}", "the {part} is sound"),
    ),
    "wear": (
        ("the {part} is worn down", "play in the {part}", "the {part} has lost its profile"),
        ("no play in the {part}", "the {part} as new"),
    ),
    "loose": (
        ("the {part} wobbles", "two bolts of the {part} are missing", "the {part} hangs by one screw"),
        ("the {part} sits tight", "all bolts of the {part} are in place"),
    ),
    "smell": (
        ("a burnt smell near the {part}", "fumes at the {part}", "the {part} stinks of rubber"),
        ("no fumes at the {part}", "the air at the {part} is clean"),
    ),
}
PARTS = ("gearbox", "main shaft", "pump", "conveyor", "left bearing", "fan", "press arm", "belt drive")
FILLER = (
    "Inspected during the night shift.", "The operator was present.", "Hours were read and noted.",
    "The hall was being swept.", "Photos were taken for the file.", "The next visit is in spring.",
    "The door of the cabinet was open.", "Guards were removed and put back.",
)  # fmt: skip
HEAD = "{} saw it in {}, counter at {} hours."
NAMES = ("Ostrow", "Lindqvist", "Maduro", "Fiedler", "Okafor", "Brandt", "Silva", "Nowak")
HALLS = ("hall one", "hall two", "the yard", "the basement", "line four", "the old mill")
GRADES: dict[str, tuple[str, ...]] = {
    "none": ("it may run as it is", "nothing needs doing", "no action is called for"),
    "low": ("look at it again next month", "it can wait for the yearly service"),
    "medium": ("mend it within the week", "order the part now"),
    "high": ("stop the machine at once", "do not start it again today"),
}
GAUGES = {
    "pressure": ("bar", 7.0),
    "current": ("ampere", 32.0),
    "speed": ("turns", 1450.0),
    "flow": ("litres", 90.0),
    "vibration": ("mm per s", 4.5),
    "level": ("cm", 60.0),
}
SPARES = ("seal ring", "fan belt", "grease", "shaft key", "filter", "oil", "bolt M8", "coupling")
TOOLS = ("torque wrench", "feeler gauge", "hoist", "dial gauge", "lamp")
ACTIONS: dict[str, tuple[str, ...]] = {
    "replace": ("fit a new {part}", "the {part} must be exchanged"),
    "clean": ("wash the {part}", "the {part} needs cleaning"),
    "tighten": ("retighten the {part}", "draw up the bolts of the {part}"),
    "measure": ("take readings at the {part}", "gauge the {part}"),
}

Gold = dict[str, JsonValue]
Made = tuple[list[str], Gold]


def sparse(r: Random) -> Made:
    """Return sentences and gold of eight rare yes/no fields."""
    said, gold = [], Gold()
    for name, (there, not_there) in FAULTS.items():
        gold[name] = "yes" if r.random() < 0.08 else "no"
        if gold[name] == "yes":
            said.append(r.choice(there))
        elif r.random() < 0.12:
            said.append(r.choice(not_there))
    return said, gold


def gauges(r: Random) -> Made:
    """Return readings and gold of six gauges; "over" is above a limit that no note names."""
    said, gold = [], Gold()
    for name, (unit, limit) in GAUGES.items():
        over = r.random() < 0.1
        value = limit * (r.uniform(1.05, 1.4) if over else r.uniform(0.5, 0.97))
        said.append(f"{name} {value:.1f} {unit}")
        gold[name] = "over" if over else "normal"
    return said, gold


def ordinal(r: Random) -> Made:
    """Return sentences and gold of one ordered label, mostly "none"."""
    grade = r.choices([*GRADES], weights=(70, 14, 10, 6))[0]
    there = r.choice([*FAULTS.values()])[0]
    said = [r.choice(GRADES[grade])] if grade != "none" or r.random() < 0.6 else []
    return [*([r.choice(there)] if grade != "none" else []), *said], {"urgency": grade}


def lists(r: Random) -> Made:
    """Return sentences and gold of two lists, mostly empty."""
    spares = r.sample(SPARES, r.choice((1, 1, 2))) if r.random() < 0.3 else []
    tools = r.sample(TOOLS, 1) if r.random() < 0.15 else []
    said = [f"used up: {', '.join(spares)}"] if spares else []
    said += [f"a {tools[0]} was borrowed"] if tools else []
    return said, {"spares": [*spares], "tools": [*tools]}


def closed(r: Random) -> Made:
    """Return sentences and gold of one list of known values, mostly empty."""
    actions = r.sample([*ACTIONS], r.choice((1, 1, 2))) if r.random() < 0.3 else []
    return [r.choice(ACTIONS[a]) for a in actions], {"actions": [*actions]}


def _labels(*names: str) -> list[dict[str, JsonValue]]:
    return [{"name": name, "values": ["yes", "no"], "default": "no"} for name in names]


SETS: dict[str, tuple[Callable[[Random], Made], list[dict[str, JsonValue]]]] = {
    "sparse": (sparse, _labels(*FAULTS)),
    "gauges": (
        gauges,
        [{"name": n, "values": ["over", "normal"], "default": "normal"} for n in GAUGES],
    ),
    "ordinal": (
        ordinal,
        [{"name": "urgency", "values": [*GRADES], "default": "none", "ordered": True}],
    ),
    "lists": (
        lists,
        [
            {"name": "spares", "kind": "list", "of": "spare parts used"},
            {"name": "tools", "kind": "list", "of": "tools borrowed"},
        ],
    ),
    "closed": (
        closed,
        [{"name": "actions", "kind": "list", "of": "actions called for", "values": [*ACTIONS]}],
    ),
}


def rows(name: str) -> list[dict[str, JsonValue]]:
    """Return the notes of a data set, the same on every machine."""
    make = SETS[name][0]
    out: list[dict[str, JsonValue]] = []
    for i in range(NOTES):
        r = Random(f"{name}:{i}")
        said, gold = make(r)
        sentences = [s.format(part=r.choice(PARTS)) for s in said]
        sentences = [f"{s[0].upper()}{s[1:]}." for s in sentences] + r.sample(FILLER, 2)
        sentences.append(
            HEAD.format(*(r.choice(words) for words in (NAMES, HALLS)), r.randint(100, 9999))
        )
        r.shuffle(sentences)
        out.append(
            {"id": f"v{i}", "group": f"m{i // PER_MACHINE}", "text": " ".join(sentences), "gold": gold}
        )
    return out


def write(folder: Path, *, closed_values: bool = True) -> None:
    """Write the task files and their notes.

    Args:
        folder: Where.
        closed_values: Whether ``closed`` names its values, which older versions refuse.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, fields) in SETS.items():
        notes = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows(name))
        (folder / f"{name}.jsonl").write_text(notes + "\n", "utf-8")
        shown = [{k: v for k, v in f.items() if k != "values" or closed_values or "kind" not in f}
                 for f in fields]  # fmt: skip
        task = {
            "name": name,
            "synthetic": True,
            "fields": shown,
            "data": {"path": f"{name}.jsonl"},
            "split": {"train": 0.4, "dev": 0.3, "test": 0.3},
        }
        (folder / f"{name}.yaml").write_text(json.dumps(task, indent=2) + "\n", "utf-8")


def run(folder: Path, name: str, more: list[str]) -> str:
    """Refine one data set through the command line; return the report's first line.

    Raises:
        RuntimeError: If the run ended with an error and left no report.
    """
    runs = folder / "runs"
    said = ["--student", "nano", "--teacher", "rules", "--rounds", "3", "--seed", "0"]
    command = [sys.executable, "-m", "preceptor", "refine", str(folder / f"{name}.yaml"), *said]
    command += ["--name", name, *more]
    done = subprocess.run(
        [*command, "--set", f"runs_dir={runs}"], capture_output=True, text=True, check=False
    )
    report = runs / name / "report.txt"
    if not report.is_file():
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
    return report.read_text("utf-8").splitlines()[0]


def found(report: dict[str, Any]) -> tuple[float, float]:
    """Return the pooled F1 of what was to be found, untouched and final, from a report's counts."""
    sides = []
    for side in ("before", "after"):
        counts = [row[side]["positive"] for row in report["fields"]]
        both = sum(c["gold"] + c["said"] for c in counts)
        sides.append(2 * sum(c["hits"] for c in counts) / both if both else 0.0)
    return sides[0], sides[1]


def page(old: Path, new: Path) -> str:
    """Return docs/results/headlines.md from two folders in which all sets were run."""
    lines = [HEAD_OF_PAGE]
    for name in SETS:
        lines += [f"## `{name}`", ""]
        for when, folder in (("before", old), ("now", new)):
            place = folder / "runs" / name
            report = json.loads((place / "report.json").read_text("utf-8"))
            headline = (place / "report.txt").read_text("utf-8").splitlines()[0]
            before, after = found(report)
            told = f"What was to be found: micro F1 {before:.2f} untouched, {after:.2f} final."
            if report["test"] is None:
                told = "The sealed test stayed closed."
            kept = [f"{a['tool']} (round {a['round']})" for a in report["attempts"] if _kept(a)]
            lines += [
                f"**{when}**: {headline.removeprefix('Synthetic data. ')}",
                "",
                f"{told} Kept: {', '.join(kept) or 'nothing'}.",
                "",
            ]
    return "\n".join(lines).rstrip() + "\n"


def _kept(attempt: dict[str, Any]) -> bool:
    return attempt["outcome"] == "accepted" or attempt.get("kept_with") is not None


HEAD_OF_PAGE = """# Headlines on mostly empty fields, before and now

Written by `python -m benchmarks.mostly_empty page OLD NEW`: five data sets of invented text (260
notes of 130 machines, synthetic), the embedded student `nano` with the rule teacher, three rounds,
seed 0. *Before* is commit `cb0f89e`, which judged every run by accuracy; *now* is the commit of this
page. The closed list was an open one before. Sealed test: 78 notes of 39 machines.
"""


def main() -> None:
    """Write the data sets, or run one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("write", "run", "page"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", nargs="?", help="a data set; with page: the newer folder")
    parser.add_argument("--open-lists", action="store_true", help="write `closed` as an open list")
    args, more = parser.parse_known_args()
    if args.what == "write":
        write(args.folder, closed_values=not args.open_lists)
    elif args.what == "page":
        print(page(args.folder, Path(args.name)), end="")
    else:
        print(run(args.folder, args.name, more))


if __name__ == "__main__":
    main()
