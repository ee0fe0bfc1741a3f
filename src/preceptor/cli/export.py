"""``preceptor export``: make a refined student ready to be served, on an Ollama server or as GGUF."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from preceptor.cli.options import add_json, add_settings, settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "source", type=Path, help="a run's, bundle's or exported folder, or a run's name"
    )
    parser.add_argument("--out", type=Path, help="the serving folder to write")
    parser.add_argument(
        "--to",
        choices=("ollama", "gguf"),
        help="also create the model on an Ollama server, or write model.gguf for llama.cpp",
    )
    parser.add_argument("--name", default="", help="its name there (default: preceptor/TASK:HASH)")
    parser.add_argument("--quantize", default="", help="make the weights smaller there, e.g. q8_0")
    parser.add_argument(
        "--host", default="", help="where it is served (default: OLLAMA_HOST, or port 8080 for gguf)"
    )
    parser.add_argument("--replace", action="store_true", help="replace a model of that name")
    parser.add_argument("--task", default="", help="whose dev notes are compared, if not the run's")
    parser.add_argument("--seed", type=int, help="the draw of the splits, if not the run's")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.core.errors import InputError
    from preceptor.graphs import exporting, gguf, serving, training

    source = _source(args)
    if exporting.is_serving(source):
        if args.out is not None:
            raise InputError(f"{str(source)!r} is exported already", "leave --out away")
        if not args.to:
            raise InputError(f"{str(source)!r} is exported already", "say --to ollama or --to gguf")
        folder = source
    elif args.out is None:
        raise InputError("where should the serving folder be written?", "--out FOLDER")
    else:
        folder = args.out
        exporting.export(source, folder, training.faces(settings(args)))
    made = exporting.read(folder)
    found: dict[str, object] = {"folder": str(folder), "name": made.name}
    if not args.json:
        print(f"{folder}: {made.name}")
    if args.to:
        target = serving.Target(
            name=args.name,
            host=args.host,
            quantize=args.quantize,
            task=args.task,
            seed=args.seed,
            replace=args.replace,
        )
        put = serving.serve if args.to == "ollama" else gguf.write
        verdict = put(folder, source, target, settings(args), lambda line: print(line, file=sys.stderr))
        found |= {"name": verdict.name, "url": verdict.url, "served": str(folder / serving.SERVED)}
        if not args.json:
            where = f"{verdict.url} serves {verdict.name}"
            if args.to == "gguf":
                file = folder / gguf.FILE
                print(f"Serve it at {verdict.url}: llama-server -m {file}")
                where = str(file)
            print(f"{where}: it answers as the model that was measured.")
            print(f"Use it: preceptor extract {folder / serving.SERVED} --in NOTES --out ANSWERS")
    if args.json:
        print(json.dumps(found, indent=2))
    return 0


def _source(args: argparse.Namespace) -> Path:
    """Return the folder that was named; a name stands for a run."""
    source: Path = args.source
    named = Path(settings(args).runs_dir) / source
    return source if source.is_dir() or not named.is_dir() else named
