"""``preceptor joint``: one adapter for several tasks."""

from __future__ import annotations

import argparse
import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.cli.options import add_json, add_launcher, add_settings, settings

if TYPE_CHECKING:
    from preceptor.graphs.joint import Request


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tasks", nargs="+", metavar="task", help="a task's name, file, or pkg.mod:attr")
    parser.add_argument(
        "--mix",
        default="",
        metavar="TASK=WEIGHT,…",
        help="show so many times a task's own rows per epoch (default: 1 for each)",
    )
    parser.add_argument("--student", default="", help="who is trained (default: the settings')")
    parser.add_argument("--profile", choices=("quick", "standard", "thorough"), default="standard")
    parser.add_argument("--epochs", type=int, help="passes over the rows, instead of the profile's")
    parser.add_argument("--notes", type=int, help="learn from so many train notes per task at most")
    parser.add_argument("--dev", type=int, help="measure on so many dev notes per task at most")
    parser.add_argument("--seed", type=int, default=0, help="of notes, rows and training (default: 0)")
    parser.add_argument("--split-seed", type=int, help="the draw of the splits")
    parser.add_argument("--mode", choices=("per_field", "joint"), help="fields per call")
    parser.add_argument("--unconstrained", action="store_true", help="do not force the schema")
    parser.add_argument(
        "--alone", action="store_true", help="train each task alone, too, and compare with it"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="where joint.json, joint.md and a bundle per task go",
    )
    add_launcher(parser)
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.show import Console
    from preceptor.core.files import write_whole
    from preceptor.evals.joint import markdown
    from preceptor.graphs import joint

    known = settings(args)
    request = _request(args, known.student)
    with closing(Console()) as console:
        made, folder = joint.measure(request, known, console.progress, args.out)
    page = markdown(made, _command(args))
    text = made.model_dump_json(indent=2) + "\n"
    for name, whole in (("json", text), ("md", page)):
        write_whole(folder / f"joint.{name}", whole.encode())
    print(text if args.json else page, end="")
    if not args.json:
        for task in made.tasks:
            print(f"\n{folder / task.bundle}: the bundle of {task.task}", end="")
        print(f"\nUse one: preceptor extract {folder / made.tasks[0].bundle} --in NOTES --out ANSWERS")
    return 0


def _request(args: argparse.Namespace, student: str) -> Request:
    """Return what the arguments ask for.

    Raises:
        InputError: If a number is out of bounds.
    """
    from pydantic import ValidationError

    from preceptor.core.errors import InputError
    from preceptor.graphs import joint

    given = {
        "tasks": args.tasks,
        "mix": joint.read_mix(args.mix),
        "student": args.student or student,
        "profile": args.profile,
        "change": {"epochs": args.epochs},
        "notes": args.notes,
        "dev": args.dev,
        "seed": args.seed,
        "split_seed": args.split_seed,
        "mode": args.mode,
        "constrained": not args.unconstrained,
        "alone": args.alone,
    }
    try:
        return joint.Request.model_validate(given)
    except ValidationError as cause:
        first = cause.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {first['msg']}", "see: preceptor joint --help") from cause


def _command(args: argparse.Namespace) -> str:
    """Return the command that makes the page again; folders and settings are left out."""
    words = ["preceptor", "joint", *args.tasks, *(["--mix", args.mix] if args.mix else [])]
    for name in ("student", "epochs", "notes", "dev", "split_seed", "mode"):
        value = getattr(args, name)
        if value not in (None, ""):
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--profile", args.profile, "--seed", str(args.seed)]
    words += ["--unconstrained"] if args.unconstrained else []
    words += ["--alone"] if args.alone else []
    return shlex.join(words)
