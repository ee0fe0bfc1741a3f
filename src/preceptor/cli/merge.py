"""``preceptor merge``: put the answers of several shards into one file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from preceptor.cli.options import add_csv_safe


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("parts", nargs="+", type=Path, help="the --out of every shard")
    parser.add_argument(
        "--out", type=Path, required=True, help="all answers, by id: .jsonl, .csv, .tsv or .parquet"
    )
    add_csv_safe(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.graphs import merging

    slip = merging.merge(args.parts, args.out, exact=not args.csv_safe)
    shown = ", ".join(f"{count} {status}" for status, count in sorted(slip.statuses.items()))
    print(f"{args.out}: {slip.rows} answers ({shown})", file=sys.stderr)
    return 0
