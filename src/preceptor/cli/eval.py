"""``preceptor eval``: measure a bundle, a run's student or an untouched model on a task."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from preceptor.cli.options import add_json, add_precision, add_settings, settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "student",
        help="a bundle's folder, a finished run's folder or name, or a model (nano, ollama:…)",
    )
    parser.add_argument("--task", required=True, help="a task's name, a .yaml file, or pkg.mod:attr")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev")
    parser.add_argument("--open-test", action="store_true", help="open the sealed test; it is logged")
    parser.add_argument("--seed", type=int, help="the draw of the splits")
    parser.add_argument("--mode", choices=("per_field", "joint"), help="fields per call")
    parser.add_argument("--metric", help="what the score is; the task's own if not given")
    add_precision(parser)
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.show import Console
    from preceptor.core.errors import InputError
    from preceptor.graphs import measuring

    if args.split == "test" and not args.open_test:
        raise InputError(
            "the test split is sealed", "say --open-test to open it; the opening is logged"
        )
    chosen = settings(args)
    run = Path(chosen.runs_dir) / args.student
    named = (run / "run.json").is_file() and not Path(args.student).exists()
    request = measuring.Request(
        student=str(run) if named else args.student,
        task=args.task,
        split=args.split,
        seed=args.seed,
        mode=args.mode,
        metric=args.metric or "",
        precision=args.precision,
    )
    with closing(Console()) as console:
        measured = measuring.measure(
            request, chosen, lambda progress: console.progress(args.split, progress)
        )
    if args.json:
        print(json.dumps(measured.model_dump(mode="json"), indent=2))
    else:
        print(measured.text(), file=sys.stdout)
    return 0
