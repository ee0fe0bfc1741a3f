"""``preceptor trace``: what happened in a run, step by step, as text or JSON lines."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from preceptor.cli.options import add_json, add_settings, find_run
from preceptor.core.errors import InputError, StoreError, boundary


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", nargs="?", default="last", help="a run's folder or name, or last")
    parser.add_argument("--round", type=int, help="only this round")
    parser.add_argument("--kind", help="only events of this kind")
    parser.add_argument(
        "--egress", action="store_true", help="what left this machine, and what was kept"
    )
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.tracing import text
    from preceptor.core.render import printable
    from preceptor.core.trace import read

    folder = find_run(args, args.run)
    if args.egress:
        return _egress(folder, args.json)
    there = args.round is None
    for event in read(folder / "trace.jsonl"):
        if args.round is not None and event.data.get("round") != args.round:
            continue
        there = True
        if args.kind and event.kind != args.kind:
            continue
        if args.json:
            print(printable(json.dumps(event.model_dump(mode="json"), ensure_ascii=False)))
        else:
            with boundary(StoreError, f"event {event.seq} cannot be shown", "see: --json", quiet=True):
                shown = text(event)
            print(printable(shown))
    if not there:
        raise InputError(f"run {folder.name!r} has no round {args.round}", "leave --round out")
    return 0


def _egress(folder: Path, as_json: bool) -> int:
    from preceptor.core.egress import read
    from preceptor.core.render import printable

    chars = count = 0
    for line in read(folder / "egress.jsonl"):
        if as_json:
            print(printable(line.model_dump_json()))
            continue
        count += line.allowed
        chars += line.chars if line.allowed else 0
        fate = "sent" if line.allowed else "REFUSED"
        told = f"{line.time}  {fate:<7}  {line.host:<28} {line.what:<9} {line.policy:<10}"
        by = f"  by proxy {line.proxy}" if line.proxy else ""
        print(printable(f"{told} {line.chars:>9,} characters  {line.digest}{by}"))
    if not as_json:
        print(
            f"{count} texts, {chars:,} characters left this machine"
            if count
            else "no logged request left this machine"
        )
    return 0
