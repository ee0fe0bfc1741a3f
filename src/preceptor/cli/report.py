"""``preceptor report``: what a run came to, as text or JSON."""

from __future__ import annotations

import argparse

from preceptor.cli.options import add_json, add_settings, find_run


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", nargs="?", default="last", help="a run's folder or name, or last")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.core.errors import InputError
    from preceptor.core.reading import text_of
    from preceptor.core.render import printable
    from preceptor.core.trace import read

    path = find_run(args, args.run)
    file = path / ("report.json" if args.json else "report.txt")
    if not file.exists():
        raise InputError(f"run {path.name!r} has no report yet", f"go on with: preceptor resume {path}")
    print(printable(text_of(file)), end="")
    rolled = [event.data for event in read(path / "trace.jsonl") if event.kind == "rollback"]
    if rolled and not args.json:
        told = rolled[-1]
        print(f"\nThe bundle was rolled back to round {told['round']}: it holds {told['recipe']},")
        print("and the report above is of the run as it ended.")
    return 0
