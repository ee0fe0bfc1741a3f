"""``preceptor resume``: go on with a run that was interrupted, also by a kill."""

from __future__ import annotations

import argparse

from preceptor.cli.options import add_json, add_settings, find_run, settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", nargs="?", default="last", help="a run's folder or name, or last")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.refine import drive
    from preceptor.cli.show import Console
    from preceptor.graphs import wiring

    path = find_run(args, args.run)
    with wiring.reopen(path, settings(args), Console()) as session:
        session.store.clear_stop()
        return drive(session, as_json=args.json)
