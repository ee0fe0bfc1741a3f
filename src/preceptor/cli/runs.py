"""``preceptor runs list|rm``: what runs there are, and removing one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.cli.options import add_json, add_settings, find_run, settings

if TYPE_CHECKING:
    from preceptor.core.runs import Listed


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", nargs="?", choices=("list", "rm"), default="list")
    parser.add_argument("run", nargs="*", help="with rm: the runs' names or folders")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.core.errors import InputError
    from preceptor.core.runs import list_runs, remove

    if args.action == "rm":
        if not args.run:
            raise InputError("runs rm needs a run", "see: preceptor runs list")
        for path in [find_run(args, name) for name in args.run]:
            remove(path)
            print(f"removed {path}")
        return 0
    rows = [_row(found) for found in list_runs(Path(settings(args).runs_dir))]
    if args.json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        print("no runs yet (make one: preceptor refine toxicity)")
    for row in rows if not args.json else []:
        print(f"{row['name']:<32} {row['created']:<20} {row['state']:<12} {row['headline']}")
    return 0


def _row(found: Listed) -> dict[str, str]:
    done = found.path / "report.txt"
    state = "finished" if done.exists() else "unfinished"
    headline = found.problem
    if found.holder:
        state = "running"
    elif done.exists():
        headline = done.read_text("utf-8").splitlines()[0]
    created = found.info.created[:19] if found.info else ""
    return {"name": found.path.name, "created": created, "state": state, "headline": headline}
