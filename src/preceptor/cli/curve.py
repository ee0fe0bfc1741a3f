"""``preceptor curve``: what a student reaches with 50, 100, 200 … labelled notes."""

from __future__ import annotations

import argparse
import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.cli.options import add_json, add_launcher, add_settings, settings

if TYPE_CHECKING:
    from preceptor.graphs.curve import Request


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task", help="a task's name, a .yaml file, or pkg.mod:attr")
    parser.add_argument("--sizes", default="50,100,200,all", help="numbers of train notes, with commas")
    parser.add_argument("--seeds", type=int, default=3, help="trainings per size")
    parser.add_argument("--student", default="", help="who is trained (default: the settings')")
    parser.add_argument("--profile", choices=("quick", "standard", "thorough"), default="standard")
    parser.add_argument(
        "--larger", default="", metavar="SPEC", help="an untouched model to compare with"
    )
    parser.add_argument("--epochs", type=int, help="passes over the notes, instead of the profile's")
    parser.add_argument("--method", choices=("lora", "full"), help="adapters or all weights")
    parser.add_argument("--rate", type=float, help="the highest learning rate")
    parser.add_argument("--dev", type=int, help="measure on so many dev notes at most")
    parser.add_argument("--split-seed", type=int, help="the draw of the splits")
    parser.add_argument("--mode", choices=("per_field", "joint"), help="fields per call")
    parser.add_argument("--unconstrained", action="store_true", help="do not force the schema")
    parser.add_argument(
        "--out", type=Path, help="where curve.json, .md and .svg go (default: its folder)"
    )
    add_launcher(parser)
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.show import Console
    from preceptor.core import private
    from preceptor.core.files import write_whole
    from preceptor.evals import curve_page
    from preceptor.graphs import curve

    known = settings(args)
    request = _request(args, known.student)
    with closing(Console()) as console:
        made, folder = curve.measure(request, known, console.progress)
    place = args.out or folder
    private.make_folder(place, parents=True, exist_ok=True)
    page = curve_page.markdown(made, _command(args))
    text = made.model_dump_json(indent=2) + "\n"
    for name, whole in (("json", text), ("md", page), ("svg", curve_page.svg(made))):
        write_whole(place / f"curve.{name}", whole.encode())
    print(text if args.json else page, end="")
    return 0


def _request(args: argparse.Namespace, student: str) -> Request:
    """Return what the arguments ask for.

    Raises:
        InputError: If a number is out of bounds.
    """
    from pydantic import ValidationError

    from preceptor.core.errors import InputError
    from preceptor.graphs import curve

    given = {
        "task": args.task,
        "sizes": curve.read_sizes(args.sizes),
        "seeds": args.seeds,
        "student": args.student or student,
        "profile": args.profile,
        "change": {"epochs": args.epochs, "method": args.method, "rate": args.rate},
        "larger": args.larger,
        "split_seed": args.split_seed,
        "mode": args.mode,
        "constrained": not args.unconstrained,
        "dev": args.dev,
    }
    try:
        return curve.Request.model_validate(given)
    except ValidationError as cause:
        first = cause.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {first['msg']}", "see: preceptor curve --help") from cause


def _command(args: argparse.Namespace) -> str:
    """Return the command that makes the page again; folders and settings are left out."""
    words = ["preceptor", "curve", args.task, "--sizes", args.sizes, "--seeds", str(args.seeds)]
    for name in ("student", "larger", "epochs", "method", "rate", "dev", "split_seed", "mode"):
        value = getattr(args, name)
        if value not in (None, ""):
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--profile", args.profile, *(["--unconstrained"] if args.unconstrained else [])]
    return shlex.join(words)
