"""``preceptor tasks list|check|fetch|new``: what tasks there are, whether one is sound, a first one."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from preceptor.cli.options import add_json, add_settings, settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action", nargs="?", choices=("list", "check", "fetch", "schema", "new"), default="list"
    )
    parser.add_argument(
        "task", nargs="?", help="a task's name, a .yaml file, or pkg.mod:attr; with new: its name"
    )
    parser.add_argument("--to", type=Path, help="with fetch or new: where the folder is made")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        help="with new: labelled notes: a table, or what an annotation tool exports",
    )
    parser.add_argument("--annotator", metavar="NAME", help="with new: whose annotations count")
    parser.add_argument(
        "--group-duplicates", action="store_true", help="with check: write a task that joins them"
    )
    parser.add_argument("--all", action="store_true", help="with check or new: every warning in full")
    parser.add_argument("--seed", type=int, help="with check: the draw of the splits")
    parser.add_argument(
        "--baselines", action="store_true", help="with check: what rules and TF-IDF reach on dev"
    )
    parser.add_argument("--metric", help="with check: judge by this metric (docs/metrics.md)")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.core.errors import InputError

    if args.action == "list":
        return _list(args)
    if args.action == "schema":
        from preceptor.evals import taskfile

        print(taskfile.schema_json())
        return 0
    if not args.task:
        raise InputError(f"tasks {args.action} needs a task", "see: preceptor tasks list")
    return {"check": _check, "fetch": _fetch, "new": _new}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from preceptor.core.errors import PreceptorError
    from preceptor.evals.task import names, resolve

    rows: list[dict[str, str]] = []
    for name in names():
        try:
            found = resolve(name, settings(args).data_dir)
            about = f"{len(found.examples)} notes, {len(found.fields)} fields. {found.description}"
        except PreceptorError as error:
            about = f"not usable here: {error}"
        rows.append({"name": name, "about": about})
    if args.json:
        print(json.dumps(rows, indent=2))
    for row in rows if not args.json else []:
        print(f"{row['name']:<12} {row['about']}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from preceptor.core.errors import InputError
    from preceptor.evals import check, grouping, others
    from preceptor.evals.baselines import table
    from preceptor.evals.task import resolve

    task = resolve(args.task, settings(args).data_dir)
    if args.metric:
        task = task.model_copy(update={"metric": args.metric})
    path = Path(args.task) if args.task.endswith((".yaml", ".yml")) else None
    if args.group_duplicates:
        if path is None:
            raise InputError(f"--group-duplicates: {args.task!r} is no task file", "give a .yaml file")
        print(grouping.told(path, grouping.write(path, task), args.json))
        return 0
    group, unused = others.unused(path, task) if path else (None, {})
    found = check.check(task, args.seed, group, unused, settings(args).max_tokens)
    rows = table.on_dev(task, args.seed) if args.baselines else ()
    if args.json:
        told = {"baselines": [row.model_dump(mode="json") for row in rows]} if args.baselines else {}
        print(json.dumps({**found.model_dump(mode="json", exclude={"brief"}), **told}, indent=2))
    else:
        print(check.text(found, args.all), *[table.text(rows)] if rows else [], sep="\n")
        if not found.refused:
            print(f"Next: preceptor plan {args.task} --student STUDENT, then refine")
    if not found.refused:
        return 0
    print(f"preceptor: task {found.task!r}: {found.refused}", file=sys.stderr)
    return 2


def _fetch(args: argparse.Namespace) -> int:
    from preceptor.evals.tasks import fetch

    folder = args.to or settings(args).data_dir or fetch.DATA_DIR
    target = fetch.fetch(args.task, folder, say=print)
    print(f"fetched {args.task} to {target}")
    return 0


def _new(args: argparse.Namespace) -> int:
    from preceptor.core.errors import InputError
    from preceptor.core.spelling import named, shown
    from preceptor.evals import draft
    from preceptor.evals.warnings import shorten

    if args.source is None:
        raise InputError("tasks new needs the labelled notes", "say --from notes.csv")
    file, found = draft.write(args.task, args.source, args.to or Path(), args.annotator)
    if args.json:
        print(json.dumps({"file": str(file), **found.model_dump(mode="json")}, indent=2))
        return 0
    print(f"{file}, guessed from {args.source}{(found.tool and f' ({found.tool})') or ''}:")
    group = f"{named(found.group)} ({found.owners})" if found.group else "(none: each row its own)"
    print(f"  text {named(found.text)}, id {named(found.id or '(row number)')}, patient {group}")
    if found.split:
        print(f"  split {found.split}: train, dev and test as it says")
    if found.gold:
        print(f"  fields in {found.gold}")
    of = {name: f", column {shown(column)}" for name, column in found.columns.items()}
    for name, values in found.labels.items():
        usual = found.defaults[name]
        guessed = "" if draft.names_nothing(usual) else ", a guess"
        labels = f"{', '.join(map(named, values))} (nothing found: {named(usual)}{guessed})"
        print(f"  {name}: {labels}{of.get(name, '')}")
    for name in found.lists:
        print(f"  {name}: a list{of.get(name, '')}")
    if found.items:
        print(f"  items of lists are separated by {found.items!r}")
    if found.unused:
        print(f"  not used: {', '.join(map(named, found.unused))}")
    for remark in shorten(found.remarks, args.all):
        print(f"  note: {remark}")
    print(f"Read and correct it, then: preceptor tasks check {file}")
    return 0
