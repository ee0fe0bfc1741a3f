"""``preceptor resume``: go on with a run that was interrupted, also by a kill."""

from __future__ import annotations

import argparse

from preceptor.cli.options import add_budget, add_json, add_settings, budget, find_run, settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", nargs="?", default="last", help="a run's folder or name, or last")
    add_budget(parser, "budget of the whole run, in place of what it began with")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.refine import drive
    from preceptor.cli.show import Console
    from preceptor.core.ledger import Budget
    from preceptor.graphs import wiring

    path = find_run(args, args.run)
    limits = Budget.model_validate(budget(args))
    with wiring.reopen(path, settings(args), Console(), limits) as session:
        session.store.clear_stop()
        return drive(session, as_json=args.json)
