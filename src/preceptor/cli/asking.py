"""Asking a person at a terminal about a move: what is shown, and what may be typed.

Owns the layout and the dialogue. What is asked and what an answer does is in ``graphs.approval``. The
texts come from notes and models: what could steer a terminal is taken out of them.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from preceptor.core.errors import InputError
from preceptor.core.reading import loads
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

    lines = [
        f"Round {proposal.round}: the teacher wants {proposal.call.name}.",
        *(f"  {line}" for line in (proposal.why, proposal.effect) if line),
        "Errors:",
        *(f"  {line}" for line in proposal.diagnosis),
        "Arguments:",
        *(f"  {line}" for line in _json(proposal.call.args).splitlines()),
        "Change:" if proposal.diff else "Change: not known before it is made.",
        *(f"  {line}" for line in proposal.diff),
        f"Cost: {_cost(proposal, approval.seconds(session, proposal))}.",
    ]
    return "\n".join(plain(line) for line in lines)


def _cost(proposal: Proposal, seconds: float | None) -> str:
    """Return what a move is expected to cost; ``seconds`` are the student's."""
    parts = [f"at most {proposal.calls:,} student calls"]
    if seconds is not None:
        parts.append(f"about {seconds:,.0f} s of the student")
    if proposal.dollars is None:
        parts.append("dollars unknown (the student has no price)")
    elif proposal.dollars:
        parts.append(f"about {proposal.dollars:,.2f} dollars")
    if proposal.training_seconds:
        parts.append(f"about {proposal.training_seconds:,.0f} s of training")
    return f"{', '.join(parts)}; {proposal.added_tokens:+,} prompt tokens per note"


def plain(line: str) -> str:
    """Return a line without what could steer a terminal."""
    indent = line[: len(line) - len(line.lstrip(" "))]
    return indent + quote(line)


def _json(value: dict[str, JsonValue]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def ask(session: Session, proposal: Proposal) -> Decision | None:
    """Show a proposal and return the answer; None if the person leaves it open.

    Ctrl-C, Ctrl-D and a closed terminal leave it open: the run waits, and nothing is lost.
    """
    from preceptor.graphs import approval

    print(f"\n{text(session, proposal)}", file=sys.stderr)
    asking = _Asking(proposal)
    with _interruptible():
        try:
            while True:
                said = _input("[a]pprove, [e]dit the arguments, [r]eject, or [l]eave it open? ")
                if said.casefold() in ("l", "leave"):
                    return None
                try:
                    decision = asking.decision(said.casefold())
                    if decision is not None:
                        approval.check(session, proposal, decision)
                        return decision
                except InputError as error:
                    print(f"  {error}", file=sys.stderr)
        except (KeyboardInterrupt, EOFError):
            print(file=sys.stderr)
            return None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM leave a question at once: a run that waits for a word is safe."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Asking:
    """One question, with what was typed so far: a slip in an edited text does not lose it."""

    def __init__(self, proposal: Proposal) -> None:
        self._draft = _json(proposal.call.args) + "\n"

    def decision(self, said: str) -> Decision | None:
        """Return the decision that a person's word asks for, None if it is none."""
        from preceptor.graphs.approval import Decision

        if said in ("a", "approve"):
            return Decision(action="approve")
        if said in ("e", "edit"):
            return Decision(action="edit", args=self._edited())
        if said in ("r", "reject"):
            return Decision(action="reject", reason=_input("Why? The teacher reads it: "))
        return None

    def _edited(self) -> dict[str, JsonValue]:
        editor = _editor()
        if not editor:
            return read_args(_input("The arguments as JSON, on one line: "), "what you typed")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "arguments.json"
            file.write_text(self._draft, "utf-8")
            try:
                subprocess.run([*editor, str(file)], check=True)
                self._draft = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError, subprocess.CalledProcessError) as cause:
                name = shlex.join(editor)
                raise InputError(f"the editor {name!r} failed", "set EDITOR to another") from cause
        return read_args(self._draft, "what the editor left")


def _editor() -> list[str]:
    """Return the person's editor, or one that is there; none: an empty list.

    A terminal takes no line of more than 4,096 characters, so that an editor is the better way.
    """
    said = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if said:
        try:
            return shlex.split(said)
        except ValueError as cause:
            raise InputError(f"EDITOR is {said!r}", "close its quotes") from cause
    return [name for name in ("nano", "vi") if shutil.which(name)][:1]


def _input(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()


def read_args(text: str, where: str) -> dict[str, JsonValue]:
    """Return arguments from their JSON text.

    Raises:
        InputError: If it is no JSON object.
    """
    try:
        found = loads(text)
    except ValueError as cause:
        raise InputError(f"{where}: not JSON", "an object with the arguments") from cause
    if not isinstance(found, dict):
        raise InputError(f"{where}: no JSON object", "an object with the arguments")
    return found
