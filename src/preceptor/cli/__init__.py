"""The command line: one thin file per verb.

Owns the table of verbs, the way errors and exit codes come out, and nothing else. A verb's module is
imported only when that verb is called, so that ``preceptor --help`` imports nothing heavy.

Exit codes: 0 done · 2 bad input or configuration · 3 stopped by budget, best bundle kept · 4 teacher
unusable · 5 student unusable · 130 interrupted, resumable.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

from preceptor.core import private
from preceptor.core.errors import InputError, PreceptorError, Unforeseen, boundary

VERBS: dict[str, str] = {
    "plan": "say what a run would cost, before anything is spent",
    "refine": "improve a student on a task, and keep what the evidence supports",
    "resume": "go on with a run that was interrupted",
    "approve": "answer a run that waits for approval, and go on with it",
    "runs": "list or remove runs",
    "report": "show what a run came to",
    "trace": "show what happened in a run, step by step",
    "eval": "measure a bundle, a run's student or an untouched model on a task",
    "curve": "measure what a student reaches with 50, 100, 200 … labelled notes",
    "joint": "train one adapter on several tasks, and measure it on each",
    "extract": "answer the notes of a file with a bundle",
    "export": "make a refined student ready to be served, and put it on an Ollama server",
    "sft": "carry a training to another machine, and its result back",
    "merge": "put the answers of several shards into one file",
    "rollback": "make the recipe of an earlier round a run's bundle",
    "models": "list, fetch, show or remove models by name",
    "tasks": "list, check, fetch or begin tasks",
    "config": "show the settings, and where each one comes from",
    "doctor": "check this machine and say what mends it",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with an argument in one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, f"see: {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    table = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="preceptor",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A teacher agent that makes compact local language models better at extraction.",
        epilog=f"verbs:\n{table}\n\nTry: preceptor refine toxicity    or: preceptor VERB --help",
    )
    parser.add_argument("--version", action="store_true", help="show the version")
    parser.add_argument("verb", nargs="?", metavar="VERB", help="what to do")
    return parser


def _run(verb: str, rest: Sequence[str]) -> int:
    module = importlib.import_module(f"preceptor.cli.{verb}")
    parser = _Parser(prog=f"preceptor {verb}", description=VERBS[verb])
    module.configure(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(rest)
    # Models that are fetched by name are nobody's notes, and often shared.
    with nullcontext() if verb == "models" else private.owner_only():
        return int(module.run(args))


def _guarded(verb: str, rest: Sequence[str]) -> int:
    """Run a verb; what nothing foresees becomes one line that says where it was."""
    try:
        with boundary(Unforeseen, "something went wrong that was not foreseen", quiet=True):
            return _run(verb, rest)
    except Unforeseen as error:
        if isinstance(error.__cause__, (OSError, BrokenPipeError)):
            raise error.__cause__ from None
        error.hint = f"{_where(error.__cause__)}; --debug shows the traceback, which may quote a note"
        raise


def _where(cause: BaseException | None) -> str:
    """Return the innermost place of ours where it happened."""
    at = cause.__traceback__ if cause else None
    found = "?"
    while at is not None:
        file = Path(at.tb_frame.f_code.co_filename)
        if "preceptor" in file.parts:
            found = f"{file.name} line {at.tb_lineno}"
        at = at.tb_next
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments; those of the process if None.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    verb = given[0] if given else ""
    if verb not in VERBS:
        args = _parser().parse_args(given[:1])
        if args.version:
            from importlib.metadata import version

            print(version("preceptor"))
            return 0
        if verb:
            print(f"preceptor: no verb {verb!r} (see: preceptor --help)", file=sys.stderr)
            return 2
        _parser().print_help()
        return 0
    from preceptor.cli.terminal import escaping

    with escaping():
        return _told(verb, given[1:])


def _told(verb: str, rest: Sequence[str]) -> int:
    """Run a verb and return its exit code; an error is told in one line, but for ``--debug``."""
    debug = "--debug" in rest
    try:
        return (_run if debug else _guarded)(verb, rest)
    except PreceptorError as error:
        if debug:
            raise
        print(f"preceptor: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("preceptor: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if debug:
            raise
        from preceptor.core.files import store_error

        print(
            f"preceptor: {store_error('use', Path(str(error.filename or '.')), error)}", file=sys.stderr
        )
        return 2
