"""``preceptor merge``: put the answers of several shards into one file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("parts", nargs="+", type=Path, help="the --out of every shard")
    parser.add_argument(
        "--out", type=Path, required=True, help="all answers, by id: .jsonl, .csv, .tsv or .parquet"
    )


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.graphs import merging

    slip = merging.merge(args.parts, args.out)
    shown = ", ".join(f"{count} {status}" for status, count in sorted(slip.statuses.items()))
    print(f"{args.out}: {slip.rows} answers ({shown})", file=sys.stderr)
    return 0
