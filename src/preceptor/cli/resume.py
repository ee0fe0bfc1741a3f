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
    from preceptor.cli.refine import drive, say_what_leaves
    from preceptor.cli.show import Console
    from preceptor.core.ledger import Budget
    from preceptor.graphs import wiring

    path = find_run(args, args.run)
    limits, chosen = Budget.model_validate(budget(args)), settings(args)
    with wiring.reopen(path, chosen, Console(), limits) as session:
        say_what_leaves(wiring.Options.model_validate(session.store.config["options"]), chosen)
        session.store.clear_stop()
        return drive(session, as_json=args.json)
