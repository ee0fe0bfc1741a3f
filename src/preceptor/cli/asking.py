"""Asking a person at a terminal about a move: what is shown, and what may be typed.

Owns the layout and the dialogue. What is asked and what an answer does is in ``graphs.approval``. The
texts come from notes and models: what could steer a terminal is taken out of them.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.core.errors import InputError, Interrupted
from preceptor.core.render import quote

if TYPE_CHECKING:
    from pydantic import JsonValue

    from preceptor.graphs.approval import Decision, Proposal
    from preceptor.graphs.refine import Decide
    from preceptor.graphs.session import Session


def at_terminal(session: Session) -> Decide | None:
    """Return who asks the person at this terminal, None if there is no terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return lambda proposal: ask(session, proposal)


def text(session: Session, proposal: Proposal) -> str:
    """Return what a person reads before they decide."""
    from preceptor.graphs import approval

    time = approval.seconds(session, proposal)
    cost = f"at most {proposal.calls:,} student calls"
    cost += "" if time is None else f", about {time:,.0f} s of the student"
    cost += f"; {proposal.added_tokens:+,} prompt tokens per note"
    lines = [
        f"Round {proposal.round}: the teacher wants {proposal.call.name}.",
        *(f"  {line}" for line in (proposal.why, proposal.effect) if line),
        "Errors:",
        *(f"  {line}" for line in proposal.diagnosis),
        "Arguments:",
        *(f"  {line}" for line in _json(proposal.call.args).splitlines()),
        "Change:" if proposal.diff else "Change: not known before it is made.",
        *(f"  {line}" for line in proposal.diff),
        f"Cost: {cost}.",
    ]
    return "\n".join(plain(line) for line in lines)


def plain(line: str) -> str:
    """Return a line without what could steer a terminal."""
    indent = line[: len(line) - len(line.lstrip(" "))]
    return indent + quote(line)


def _json(value: dict[str, JsonValue]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def ask(session: Session, proposal: Proposal) -> Decision | None:
    """Show a proposal and return the answer; None if the person leaves it open."""
    from preceptor.graphs import approval

    print(f"\n{text(session, proposal)}", file=sys.stderr)
    while True:
        said = _input("[a]pprove, [e]dit the arguments, [r]eject, or [l]eave it open? ").casefold()
        try:
            if said in ("l", "leave"):
                return None
            decision = _decision(said, proposal)
            if decision is not None:
                approval.check(session, proposal, decision)
                return decision
        except InputError as error:
            print(f"  {error}", file=sys.stderr)


def _decision(said: str, proposal: Proposal) -> Decision | None:
    from preceptor.graphs.approval import Decision

    if said in ("a", "approve"):
        return Decision(action="approve")
    if said in ("e", "edit"):
        return Decision(action="edit", args=_edited(proposal.call.args))
    if said in ("r", "reject"):
        return Decision(action="reject", reason=_input("Why? The teacher reads it: "))
    return None


def _input(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise Interrupted("the terminal was closed")
    return line.strip()


def _edited(args: dict[str, JsonValue]) -> dict[str, JsonValue]:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        return read_args(_input("The arguments as JSON, on one line: "), "what you typed")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "arguments.json"
        file.write_text(_json(args) + "\n", "utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)
        except (OSError, subprocess.CalledProcessError) as cause:
            raise InputError(f"the editor {editor!r} failed", "set EDITOR to another") from cause
        return read_args(file.read_text("utf-8"), "what the editor left")


def read_args(text: str, where: str) -> dict[str, JsonValue]:
    """Return arguments from their JSON text.

    Raises:
        InputError: If it is no JSON object.
    """
    try:
        found = json.loads(text)
    except ValueError as cause:
        raise InputError(f"{where}: not JSON", "an object with the arguments") from cause
    if not isinstance(found, dict):
        raise InputError(f"{where}: no JSON object", "an object with the arguments")
    return found
