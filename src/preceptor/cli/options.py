"""Arguments that several verbs share, and how they become settings."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from preceptor.core.errors import InputError
from preceptor.core.settings import Settings, load
from preceptor.core.weights import PRECISIONS

BUDGET = ("dollars", "teacher_tokens", "student_calls", "compute_seconds", "wall_seconds")
"""What can be limited, as in ``core.ledger.Budget``."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what says where things are."""
    group = parser.add_argument_group("settings")
    group.add_argument("--config", type=Path, help="settings file (default: preceptor.toml if there)")
    group.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="set one setting, e.g. a.b=c"
    )
    group.add_argument("--runs-dir", type=Path, help="where runs are kept (default: runs)")


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add how trainings are started; both are settings."""
    parser.add_argument(
        "--launcher",
        choices=("python", "accelerate"),
        help="how a training is started (default: python)",
    )
    parser.add_argument(
        "--processes", metavar="N", help="of a training, with accelerate (default: one per GPU)"
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add what a bundle's student computes in."""
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="what a student in process computes in (default: what the bundle was measured in)",
    )


def add_allow_remote(parser: argparse.ArgumentParser) -> None:
    """Add which servers that a bundle names may be sent notes."""
    parser.add_argument(
        "--allow-remote",
        action="append",
        default=[],
        metavar="HOST",
        help="notes may go to this host, which the bundle names; without it they do not",
    )


def say_what_a_bundle_sends(folder: Path, chosen: Settings) -> None:
    """Say on stderr where a bundle sends notes, if it does.

    Raises:
        InputError: If it is no bundle.
    """
    from preceptor.core.render import printable
    from preceptor.graphs import bundle_servers

    shape = {"redacted": "redacted (see docs/privacy.md)", "open": "as they are"}
    for one in bundle_servers.senders(folder, chosen):
        how = shape.get(chosen.egress, "unless the policy refuses")
        told = f"Note: this bundle sends notes to {one.host}: its {one.who} is {one.spec!r}, {how}."
        print(printable(told), file=sys.stderr)


def add_csv_safe(parser: argparse.ArgumentParser) -> None:
    """Add whether a model's values may be formulas in CSV."""
    parser.add_argument(
        "--csv-safe",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="in CSV, put a ' before what a spreadsheet program would run as a formula (default)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def settings(args: argparse.Namespace) -> Settings:
    """Return the settings: file, then environment, then arguments.

    Raises:
        InputError: If one of them is wrong.
    """
    return load(args.config, os.environ, overrides(args))


def overrides(args: argparse.Namespace) -> dict[str, str]:
    """Return what the arguments set, by key.

    Raises:
        InputError: If a ``--set`` has no value.
    """
    found: dict[str, str] = {}
    for item in args.set:
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item!r} has no '='", "write --set key=value")
        found[key] = value
    for name in ("launcher", "processes"):
        if getattr(args, name, None) is not None:
            found[f"training.{name}"] = str(getattr(args, name))
    if args.runs_dir is not None:
        found["runs_dir"] = str(args.runs_dir)
    return found


def add_budget(parser: argparse.ArgumentParser, title: str) -> None:
    """Declare the limits of spending."""
    group = parser.add_argument_group(title)
    for name in BUDGET:
        group.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="N")


def budget(args: argparse.Namespace) -> dict[str, float]:
    """Return the limits that were given."""
    return {name: getattr(args, name) for name in BUDGET if getattr(args, name) is not None}


def find_run(args: argparse.Namespace, name: str) -> Path:
    """Return the folder of a run that is named by its path, its name, or ``last``.

    Raises:
        InputError: If there is none.
    """
    from preceptor.core.runs import list_runs

    root = Path(settings(args).runs_dir)
    if name == "last":
        made = list_runs(root)
        if not made:
            raise InputError(f"there is no run in {str(root)!r}", "make one: preceptor refine TASK")
        return made[-1].path
    for path in (Path(name), root / name):
        if (path / "run.json").exists():
            return path
    raise InputError(f"there is no run {name!r} in {str(root)!r}", "see: preceptor runs list")
