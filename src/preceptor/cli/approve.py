"""``preceptor approve``: answer a run that waits for a person's word, from any process, and go on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.cli.options import add_json, add_settings, find_run, settings

if TYPE_CHECKING:
    from preceptor.graphs.approval import Decision, Proposal
    from preceptor.graphs.refine import Decide
    from preceptor.graphs.session import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", nargs="?", default="last", help="a run's folder or name, or last")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--show", action="store_true", help="only show what is asked")
    answer.add_argument("--edit", type=Path, metavar="FILE", help="approve with these arguments (JSON)")
    answer.add_argument("--reject", metavar="WHY", help="reject it; the teacher reads why")
    add_settings(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from preceptor.cli.asking import text
    from preceptor.cli.refine import drive
    from preceptor.cli.show import Console
    from preceptor.core.errors import InputError
    from preceptor.graphs import approval, wiring

    path = find_run(args, args.run)
    with wiring.reopen(path, settings(args), Console()) as session:
        proposal = approval.pending(session)
        if proposal is None:
            raise InputError(f"run {path.name!r} waits for nobody", f"see: preceptor trace {path}")
        if args.show:
            shown = json.dumps(proposal.model_dump(mode="json"), indent=2, ensure_ascii=False)
            print(shown if args.json else text(session, proposal))
            return 0
        decision = _decision(args)
        approval.check(session, proposal, decision)
        session.store.clear_stop()
        return drive(session, as_json=args.json, decide=_once(session, proposal, decision))


def _decision(args: argparse.Namespace) -> Decision:
    from preceptor.cli.asking import read_args
    from preceptor.core.errors import InputError
    from preceptor.graphs.approval import Decision

    if args.reject is not None:
        return Decision(action="reject", reason=args.reject)
    if args.edit is None:
        return Decision(action="approve")
    try:
        return Decision(action="edit", args=read_args(args.edit.read_text("utf-8"), str(args.edit)))
    except (OSError, UnicodeDecodeError) as cause:
        raise InputError(f"{str(args.edit)!r} cannot be read", "give a file with JSON") from cause


def _once(session: Session, asked: Proposal, decision: Decision) -> Decide:
    """Return who gives this answer to this proposal, once; all else is asked about at the terminal."""
    from preceptor.cli.asking import at_terminal

    onward = at_terminal(session)
    left = [decision]

    def decide(proposal: Proposal) -> Decision | None:
        if left and proposal == asked:
            return left.pop()
        return onward(proposal) if onward else None

    return decide
