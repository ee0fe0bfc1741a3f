"""``preceptor extract``: answer the notes of a file with a bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.cli.options import (
    add_allow_remote,
    add_csv_safe,
    add_precision,
    add_settings,
    find_run,
    say_what_a_bundle_sends,
    settings,
)

if TYPE_CHECKING:
    from preceptor.evals.data import Columns
    from preceptor.graphs.corpus import Pipe


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bundle", type=Path, help="a bundle's folder, or a finished run, or last")
    formats = ".jsonl, .csv, .tsv or .parquet"
    parser.add_argument(
        "--in",
        dest="source",
        type=Path,
        required=True,
        help=f"notes: {formats}, or .json, .txt, .tab; - reads a pipe",
    )
    parser.add_argument(
        "--in-format",
        choices=("jsonl", "json", "csv", "tsv", "parquet"),
        help="what --in - holds (jsonl)",
    )
    parser.add_argument("--out", type=Path, required=True, help=f"answers: {formats}")
    parser.add_argument(
        "--columns", default="", help="which column is which: id=note_id,text=body,group=patient"
    )
    parser.add_argument(
        "--text",
        metavar="TEMPLATE",
        help=r"the column of the texts, or several: '{title}\n{body}' (as the bundle's task has it)",
    )
    parser.add_argument("--shards", type=int, default=1, help="cut the notes into so many shards")
    parser.add_argument("--shard-index", type=int, default=0, help="answer this shard, from 0")
    parser.add_argument(
        "--max-failed",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="exit with 5 if a larger share of the notes is not answered whole (default: 0.5)",
    )
    parser.add_argument(
        "--again", action="store_true", help="answer notes anew whose text, or student, has changed"
    )
    add_csv_safe(parser)
    add_precision(parser)
    add_allow_remote(parser)
    add_settings(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.refine import stop_on_ctrl_c
    from preceptor.cli.waiting import Waiting
    from preceptor.core.errors import InputError
    from preceptor.graphs import extracting, wiring

    if not 0 <= args.max_failed <= 1:
        raise InputError(f"--max-failed {args.max_failed:g} is no share", "from 0 to 1")
    cancel = wiring.Cancel()
    stop_on_ctrl_c(cancel)
    job = extracting.Job(
        folder=_folder(args),
        source=args.source,
        target=args.out,
        columns=_columns(args.columns, args.text),
        shards=args.shards,
        shard_index=args.shard_index,
        again=args.again,
        pipe=_pipe(args),
        precision=args.precision,
        allow=tuple(args.allow_remote),
        exact=not args.csv_safe,
    )
    say_what_a_bundle_sends(job.folder, settings(args))
    waiting = Waiting(sys.stderr)
    try:
        done = extracting.extract(job, settings(args), lambda p: waiting.show("", p), cancel)
    finally:
        waiting.close()
    fresh = done.fresh.total()
    pace = f", {fresh / done.seconds:,.1f} notes/s" if fresh and done.seconds else ""
    shown = ", ".join(f"{count} {status}" for status, count in sorted(done.all.items()))
    print(f"{args.out}: {shown or 'no note in this shard'} ({fresh} new{pace})", file=sys.stderr)
    failed = done.all.total() - done.all["ok"]
    if failed > args.max_failed * done.all.total():
        print(
            f"preceptor: {failed} of {done.all.total()} notes are not answered whole, more than "
            f"--max-failed {args.max_failed:g} (look at their status and problems)",
            file=sys.stderr,
        )
        return 5
    return 0


def _folder(args: argparse.Namespace) -> Path:
    """Return the folder of the bundle: one that was named, else that of a run.

    Raises:
        InputError: If there is neither, or the run has no bundle yet.
    """
    from preceptor.core.errors import InputError
    from preceptor.graphs import bundle

    named: Path = args.bundle
    if (bundle.place(named) / "bundle.json").exists():
        return named
    try:
        run = find_run(args, str(named))
    except InputError as cause:
        if named == Path("last"):
            raise
        raise InputError(
            f"{str(named)!r} is no bundle and no run",
            "name the folder that holds bundle.json, or a run: preceptor runs list",
        ) from cause
    if not (bundle.place(run) / "bundle.json").exists():
        raise InputError(f"run {run.name!r} has no bundle yet", f"finish it: preceptor resume {run}")
    return run


def _pipe(args: argparse.Namespace) -> Pipe | None:
    """Return standard input if it is named."""
    from preceptor.core.errors import InputError
    from preceptor.graphs import corpus

    if args.source != corpus.PIPE:
        if args.in_format:
            raise InputError("--in-format is for --in -", "a file's ending says its format")
        return None
    if sys.stdin.isatty():
        raise InputError("--in - reads a pipe", "e.g. zcat notes.jsonl.gz | preceptor extract …")
    return corpus.Pipe(sys.stdin.buffer, args.in_format or "jsonl")


def _columns(text: str, template: str | None) -> Columns:
    from preceptor.core.errors import InputError
    from preceptor.evals.data import Columns

    said: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, column = part.partition("=")
        said[name] = column
    if not said.keys() <= {"id", "text", "group"} or not all(said.values()):
        raise InputError(f"--columns {text!r}", "write id=COLUMN,text=COLUMN,group=COLUMN")
    if template is not None:
        if "text" in said or not template.strip():
            raise InputError(f"--text {template!r}", "name the texts once, there or in --columns")
        said["text"] = template
    return Columns.model_validate(said)
