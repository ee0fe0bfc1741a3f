"""``preceptor extract``: answer the notes of a file with a bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from preceptor.cli.options import add_settings, settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", type=Path, help="a bundle's or finished run's folder")
    parser.add_argument("--in", dest="source", type=Path, required=True, help="JSON lines: id, text")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines: id, status, record")
    add_settings(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.show import Console
    from preceptor.graphs import extracting

    console = Console()
    done = extracting.extract(
        args.bundle, args.source, args.out, settings(args), lambda p: console.progress("extract", p)
    )
    console.close()
    shown = ", ".join(f"{count} {status}" for status, count in sorted(done.items()))
    print(f"{args.out}: {shown or 'nothing new'}", file=sys.stderr)
    return 0 if not done or done.get("ok", 0) * 2 >= sum(done.values()) else 5
