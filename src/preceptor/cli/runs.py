"""``preceptor runs list|rm|batches|splits``: the runs, removing one, its batches, its parts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.cli.keeping import kept_moves
from preceptor.cli.options import add_json, add_settings, find_run, settings
from preceptor.cli.terminal import exact

if TYPE_CHECKING:
    from preceptor.core.runs import Listed


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action", nargs="?", choices=("list", "rm", "batches", "splits"), default="list"
    )
    parser.add_argument("run", nargs="*", help="with rm, batches, splits: the runs' names or folders")
    parser.add_argument("--out", type=Path, help="with splits: a file (.csv); else it is printed")
    parser.add_argument("--cancel", action="store_true", help="with batches: stop what still goes on")
    parser.add_argument("--yes", action="store_true", help="with rm: do not ask")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.core.errors import InputError
    from preceptor.core.runs import list_runs

    if args.action == "rm":
        if not args.run:
            raise InputError("runs rm needs a run", "see: preceptor runs list")
        return _remove(args)
    if args.action == "batches":
        return _batches(args)
    if args.action == "splits":
        return _splits(args)
    if args.run:
        raise InputError("runs list takes no run", f"see: preceptor report {args.run[0]}")
    rows = [_row(found) for found in list_runs(Path(settings(args).runs_dir))]
    if args.json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        print("no runs yet (make one: preceptor refine toxicity)")
    for row in rows if not args.json else []:
        kept = f" Kept: {row['kept']}." if row["kept"] else ""
        print(f"{row['name']:<32} {row['created']:<20} {row['state']:<12} {row['headline']}{kept}")
    return 0


def _splits(args: argparse.Namespace) -> int:
    """Say which note of a run stands in which part."""
    from preceptor.core.errors import InputError
    from preceptor.core.files import write_whole
    from preceptor.core.render import printable
    from preceptor.graphs import parts

    if len(args.run) > 1:
        raise InputError("runs splits takes one run", "give the command once per run")
    found = parts.of_run(find_run(args, args.run[0] if args.run else "last"))
    text = parts.as_json(found) if args.json else parts.as_csv(found)
    if args.out is None:
        exact(sys.stdout, printable(text) if sys.stdout.isatty() else text)
        return 0
    if args.out.is_dir() or not args.out.parent.is_dir():
        raise InputError(
            f"--out {str(args.out)!r} cannot be written", "name a file in a folder that is there"
        )
    write_whole(args.out, text.encode("utf-8"))
    print(f"{args.out}: {parts.counts(found)}", file=sys.stderr)
    return 0


def _batches(args: argparse.Namespace) -> int:
    """Show the batches of runs, or stop them at their server."""
    from preceptor.graphs import batches

    told = batches.cancel if args.cancel else batches.listed
    slips = [slip for name in args.run or ["last"] for slip in told(find_run(args, name))]
    if args.json:
        print(json.dumps([slip.model_dump(mode="json") for slip in slips], indent=2))
    elif not slips:
        print("nothing to stop" if args.cancel else "no batches")
    for slip in slips if not args.json else []:
        taken = "results kept" if slip.closed else "results to come"
        print(
            f"{slip.batch or '(not created yet)':<40} {slip.host:<20} {slip.requests:>7,} requests  "
            f"{slip.status or 'new':<12} {taken}"
        )
    return 0


def _remove(args: argparse.Namespace) -> int:
    """Remove runs, after asking; the log of openings of sealed tests stays."""
    from preceptor.core.errors import InputError
    from preceptor.core.lock import holder
    from preceptor.core.runs import remove

    found = {path.resolve(): path for path in (find_run(args, name) for name in args.run)}
    paths = list(found.values())
    for path in paths:
        if who := holder(path):
            raise InputError(f"run {path.name!r} is in use by {who}", "wait until it ends, or stop it")
    if not args.yes:
        if not sys.stdin.isatty():
            raise InputError(
                f"runs rm would remove {', '.join(p.name for p in paths)}", "say --yes to do it"
            )
        shown = "\n".join(f"  {path}" for path in paths)
        print(f"{shown}\nRemove, with answers, traces and bundles? [y/N] ", end="", file=sys.stderr)
        if input().strip().casefold() not in ("y", "yes"):
            print("nothing removed", file=sys.stderr)
            return 0
    for path in paths:
        remove(path)
        print(f"removed {path}")
    return 0


def _row(found: Listed) -> dict[str, str]:
    """Return what a run's line says; one that cannot be read says why, and the others are listed."""
    from preceptor.core.errors import StoreError, boundary

    try:
        with boundary(StoreError, "its files cannot be read", "remove it, or restore them", quiet=True):
            return _readable_row(found)
    except StoreError as error:
        row = {"name": found.path.name, "created": "", "state": "damaged", "headline": str(error)}
        return {**row, "kept": ""}


def _readable_row(found: Listed) -> dict[str, str]:
    done = found.path / "report.txt"
    state = "finished" if done.exists() else "unfinished"
    headline = found.problem
    if found.holder:
        state = "running"
    elif not done.exists() and _waits(found.path):
        state, headline = "waiting", f"for your word: preceptor approve {found.path}"
    elif done.exists():
        headline = next(iter(done.read_text("utf-8").splitlines()), "")
    created = found.info.created[:19] if found.info else ""
    return {
        "name": found.path.name,
        "created": created,
        "state": state,
        "headline": headline,
        "kept": kept_moves(found.path) if state == "finished" else "",
    }


def _waits(folder: Path) -> bool:
    """Return whether the last thing that a run did was to ask a person."""
    from preceptor.core.errors import StoreError
    from preceptor.core.trace import read

    last = None
    try:
        for event in read(folder / "trace.jsonl"):
            last = event.kind
    except StoreError:
        return False
    return last == "asked"
