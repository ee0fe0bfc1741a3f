"""``preceptor rollback``: make the recipe of an earlier round a run's bundle."""

from __future__ import annotations

import argparse
import json

from preceptor.cli.options import add_json, add_settings, find_run


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", help="a run's folder or name, or last")
    parser.add_argument("round", type=int, help="the round; 0 is the untouched student")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.graphs import rollback

    path = find_run(args, args.run)
    done = rollback.roll_back(path, args.round)
    if args.json:
        print(json.dumps(done.model_dump(mode="json"), indent=2))
        return 0
    if done.recipe == done.before:
        print(f"{path / 'bundle'} holds the recipe of round {done.round} already: {done.recipe}")
        return 0
    print(f"{path / 'bundle'}: {done.before} → {done.recipe} (round {done.round})")
    if done.recipe != done.tested:
        print(f"The sealed test was measured for {done.tested}, not for this recipe.")
    return 0
