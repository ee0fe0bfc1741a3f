"""``preceptor trace``: what happened in a run, step by step, as text or JSON lines."""

from __future__ import annotations

import argparse
import json

from preceptor.cli.options import add_json, add_settings, find_run


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", nargs="?", default="last", help="a run's folder or name, or last")
    parser.add_argument("--round", type=int, help="only this round")
    parser.add_argument("--kind", help="only events of this kind")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.tracing import text
    from preceptor.core.trace import read

    for event in read(find_run(args, args.run) / "trace.jsonl"):
        if args.round is not None and event.data.get("round") != args.round:
            continue
        if args.kind and event.kind != args.kind:
            continue
        if args.json:
            print(json.dumps(event.model_dump(mode="json"), ensure_ascii=False))
        else:
            print(text(event))
    return 0
