"""What a running run shows: one line per thing that happened, and how far a long wait is.

Owns layout only; what happened comes from the trace's events, its words from ``cli.words``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from preceptor.cli.waiting import Waiting
from preceptor.cli.words import Data, line
from preceptor.core.ports import Progress
from preceptor.core.render import printable
from preceptor.graphs.session import Listener


class Console(Listener):
    """Shows a run on a stream.

    Args:
        stream: Where; stderr if None.
        every: Seconds between two lines of progress where nobody watches; the usual ones if None.
    """

    def __init__(self, stream: TextIO | None = None, every: float | None = None) -> None:
        self._stream = stream or sys.stderr
        self._waiting = Waiting(self._stream, every)
        self._begun = time.monotonic()

    def event(self, kind: str, data: Data) -> None:
        """Show a line."""
        text = line(kind, data)
        if text:
            self.close()
            print(printable(text), file=self._stream, flush=True)

    def progress(self, what: str, progress: Progress) -> None:
        """Show how far it is: a line that moves on a terminal, else one now and then."""
        self._waiting.show(what, progress)

    def money(self, spent: Mapping[str, float]) -> None:
        """Show what was spent so far."""
        parts = [f"{spent.get('student_calls', 0):,.0f} student calls"]
        if spent.get("teacher_tokens"):
            parts.append(f"{spent['teacher_tokens']:,.0f} teacher tokens")
        if spent.get("dollars"):
            parts.append(f"${spent['dollars']:.2f}")
        parts.append(f"{time.monotonic() - self._begun:.0f} s")
        print(f"  spent: {', '.join(parts)}", file=self._stream, flush=True)

    def close(self) -> None:
        """Take the progress line away; nothing is under way any more."""
        self._waiting.close()
