"""``preceptor sft``: carry a training to another machine, and its result back."""

from __future__ import annotations

import argparse
from pathlib import Path

from preceptor.cli.options import add_launcher, add_settings, find_run, settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    verbs = parser.add_subparsers(dest="what", required=True, metavar="export-job|import-job")
    out = verbs.add_parser("export-job", help="write a training as a folder that trains by itself")
    out.add_argument("run", help="folder or name of a run, a curve or a joint training, or last")
    out.add_argument(
        "job", nargs="?", default="", help="the training's hash (its beginning), a round, or last"
    )
    out.add_argument("--round", type=int, metavar="N", help="the training of this round")
    out.add_argument("--out", type=Path, required=True, help="the folder to write")
    out.add_argument("--with-base", action="store_true", help="take the base model along")
    add_launcher(out)
    add_settings(out)
    back = verbs.add_parser("import-job", help="take the result back into the run")
    back.add_argument("folder", type=Path, help="the folder that came back")
    back.add_argument("--run", required=True, help="a run's folder or name, or last")
    add_settings(back)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.core.errors import InputError
    from preceptor.graphs import carrying, training
    from preceptor.tools.sft.carry import Parcel

    path = _place(args)
    if args.what == "export-job":
        if bool(args.job) == (args.round is not None):
            raise InputError("which training?", "name a hash, a round's number or last, or --round N")
        name = args.job or carrying.of_round(path, args.round)
        how = Parcel(args.with_base, training.launch(settings(args)))
        made = carrying.send(path, name, args.out, how)
        print(f"{made}: see its README.md. It holds text of notes.")
        return 0
    result = carrying.take_back(args.folder, path)
    print(f"{path}: training {result.job} is finished, weights {result.adapter.digest}")
    resumed = (path / "run.json").exists()
    print(f"Go on with: preceptor resume {path}" if resumed else "Go on: give its command again.")
    return 0


def _place(args: argparse.Namespace) -> Path:
    """Return the folder that has the trainings: of a run, or of a curve or a joint training."""
    root = Path(settings(args).runs_dir)
    for path in (Path(args.run), root / args.run):
        if (path / "training" / "jobs").is_dir():
            return path
    return find_run(args, args.run)
