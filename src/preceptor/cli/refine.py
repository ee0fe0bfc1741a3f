"""``preceptor refine``: improve a student on a task, and keep what the evidence supports."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from preceptor.cli.options import (
    add_budget,
    add_json,
    add_launcher,
    add_settings,
    budget,
    settings,
)

if TYPE_CHECKING:
    from preceptor.core.settings import Settings
    from preceptor.graphs.refine import Decide
    from preceptor.graphs.wiring import Options


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("task", help="a task's name, a .yaml file, or pkg.mod:attr")
    parser.add_argument("--student", help="nano, hf:PATH, hf:NAME, ollama:NAME, openai:NAME@URL, …")
    parser.add_argument("--teacher", help="rules, openai:NAME, ollama:NAME, openai:NAME@URL")
    parser.add_argument("--mode", choices=("per_field", "joint"), help="fields per call")
    parser.add_argument("--seed", type=int, help="the draw of the splits")
    parser.add_argument("--rounds", type=int, default=8, help="the most rounds (default: 8)")
    parser.add_argument("--looks", type=int, help="the most looks at dev")
    parser.add_argument("--plateau", type=int, default=5, help="rounds without progress before the end")
    parser.add_argument(
        "--moves", help="changing moves that are allowed, with commas: edit_prompt,index_examples"
    )
    parser.add_argument("--embedder", help="dense vectors for retrieval, e.g. ollama:nomic-embed-text")
    parser.add_argument(
        "--teacher-embedder", help="what tells the teacher 'rules' what phrases mean; none for nothing"
    )
    parser.add_argument("--target", type=float, help="end when dev reaches this score (0 to 1)")
    parser.add_argument(
        "--metric",
        help="what better means: accuracy, macro_f1, … or pkg.mod:function (docs/metrics.md)",
    )
    parser.add_argument("--name", help="the run's name (default: from task and time)")
    parser.add_argument(
        "--explore",
        action="store_true",
        help="only look around: the sealed test stays closed; also with too few patients",
    )
    parser.add_argument("--approve", action="store_true", help="ask before each changing move")
    parser.add_argument(
        "--max-tokens",
        type=int,
        help="the longest answer to one call, in tokens (default: from the schema)",
    )
    parser.add_argument("--unconstrained", action="store_true", help="do not force the schema")
    add_budget(parser, "budget (no limit if not given)")
    add_launcher(parser)
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.show import Console
    from preceptor.graphs import wiring

    chosen = settings(args)
    asked = options(args, chosen)
    name = args.name or f"{Path(args.task).stem.replace(':', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    with wiring.create(asked, Path(chosen.runs_dir), name, chosen, Console()) as session:
        say_what_leaves(asked, chosen)
        return drive(session, as_json=args.json)


def options(args: argparse.Namespace, chosen: Settings) -> Options:
    """Return the run's options from arguments and settings.

    Raises:
        InputError: If one of them is wrong.
    """
    from pydantic import ValidationError

    from preceptor.core.errors import InputError
    from preceptor.graphs import wiring

    try:
        return wiring.options(chosen, _given(args))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"option {where!r}: {first['msg']}", "see: preceptor refine --help") from error


def say_what_leaves(asked: Options, chosen: Settings) -> None:
    """Say it once on stderr when notes leave this machine."""
    from preceptor.agents import destination
    from preceptor.graphs.labelling import model_of

    policy = chosen.egress
    shape = {"redacted": "redacted (see docs/privacy.md)", "open": "as they are"}.get(policy, policy)
    senders = (
        ("teacher", asked.teacher, "train notes"),
        ("student", asked.student, "all notes"),
        ("embedder", asked.embedder, "sentences of all notes"),
        ("labeller", model_of(asked), "train notes and unlabelled notes, if it is asked for labels,"),
    )
    for who, spec, which in senders:
        if destination.is_remote(spec):
            print(f"Note: {which} are sent to the {who} {spec!r}, {shape}.", file=sys.stderr)
    if chosen.tracing != "off":
        print(f"Note: every prompt and answer is sent to {chosen.tracing}, {shape}.", file=sys.stderr)


def _given(args: argparse.Namespace) -> dict[str, object]:
    """Return what was said on the command line, in the shape of the options."""
    from preceptor.core.errors import InputError

    limits = {"rounds": args.rounds, "plateau": args.plateau, "target": args.target}
    if args.moves is not None and not args.moves.strip():
        raise InputError("--moves names no move", "leave it out for all moves")
    found: dict[str, object] = {
        "task": args.task,
        "student": args.student,
        "teacher": args.teacher,
        "mode": args.mode,
        "seed": args.seed,
        "moves": tuple(args.moves.split(",")) if args.moves else None,
        "embedder": args.embedder,
        "teacher_embedder": args.teacher_embedder,
        "metric": args.metric,
        "max_tokens": args.max_tokens,
        "constrained": not args.unconstrained,
        "approve": args.approve,
        "explore": args.explore,
        "budget": budget(args),
        "limits": limits,
    }
    if args.looks is not None:
        found["gate"] = {"looks": args.looks}
    return {k: v for k, v in found.items() if v is not None}


def drive(session: object, as_json: bool, decide: Decide | None = None) -> int:
    """Run a session to its end and say what came of it; return the exit code.

    Args:
        session: The run.
        as_json: Whether the report is printed as JSON.
        decide: Who answers where approval is asked for; whoever sits at the terminal if None.
    """
    from preceptor.cli.asking import at_terminal
    from preceptor.core.errors import Interrupted
    from preceptor.core.reading import text_of
    from preceptor.core.render import printable
    from preceptor.graphs import refine, stops
    from preceptor.graphs.approval import Waiting
    from preceptor.graphs.session import Session
    from preceptor.graphs.wiring import Cancel

    assert isinstance(session, Session)
    assert isinstance(session.cancel, Cancel)
    stop_on_ctrl_c(session.cancel)
    folder = session.store.path
    try:
        state = refine.run(session, decide or at_terminal(session))
    except Interrupted as stop:
        verb = "answer it with: preceptor approve" if isinstance(stop, Waiting) else ""
        again = f"{verb or 'go on with: preceptor resume'} {os.path.relpath(folder)}"
        raise Interrupted(stop.message, again) from stop
    finally:
        session.listener.close()
    if as_json:
        print(text_of(folder / "report.json"), end="")
    else:
        print(file=sys.stderr)
        print(printable(text_of(folder / "report.txt")), end="")
        print(printable(_whereabouts(folder)))
    code = refine.exit_code(state)
    if code:
        left = "the best bundle is kept" if (folder / "bundle").is_dir() else "there is no bundle"
        print(f"preceptor: {stops.words(session, state['stop'])}; {left}", file=sys.stderr)
    return code


def _whereabouts(folder: Path) -> str:
    from preceptor.cli.keeping import kept_moves
    from preceptor.graphs import answered

    shown = os.path.relpath(folder)
    lines = [
        f"\nKept:   {kept_moves(folder) or 'nothing: the student is as it came'}",
        f"Report: {shown}/report.txt, report.json (again: preceptor report {shown})",
        f"Trace:  preceptor trace {shown}",
    ]
    if found := answered.files(folder):
        lines.append(f"Test:   answers in {', '.join(f'{shown}/{path.name}' for path in found)}")
    if (folder / "bundle").is_dir():
        lines.append(f"Bundle: {shown}/bundle")
        if not _is_useless(folder):
            lines.append(f"Use it: preceptor extract {shown} --in notes.jsonl --out answers.jsonl")
    return "\n".join(lines)


def _is_useless(folder: Path) -> bool:
    """Return whether the report says not to use the final student; nobody is told how to, then."""
    from preceptor.core.reading import record_of
    from preceptor.evals.headline import is_useless
    from preceptor.evals.report import Report

    return is_useless(record_of(folder / "report.json", Report))


def stop_on_ctrl_c(cancel: object) -> None:
    """Leave at the next safe point on Ctrl-C; at once on the second."""

    def asked(number: int, frame: FrameType | None) -> None:
        cancel.asked = True  # type: ignore[attr-defined]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nstopping at the next safe point (Ctrl-C again: at once)", file=sys.stderr)

    signal.signal(signal.SIGINT, asked)
    signal.signal(signal.SIGTERM, asked)
