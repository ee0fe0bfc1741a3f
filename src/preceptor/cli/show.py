"""What a running run shows: one line per thing that happened, and a progress line on a terminal.

Owns layout only; what happened comes from the trace's events, its words from ``cli.words``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from preceptor.cli.terminal import exact
from preceptor.cli.words import Data, line
from preceptor.core.ports import Progress
from preceptor.core.render import printable
from preceptor.graphs.session import Listener


class Console(Listener):
    """Shows a run on a stream; a progress line only where somebody sees it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last = 0.0
        self._begun = time.monotonic()
        self._open = False

    def event(self, kind: str, data: Data) -> None:
        """Show a line."""
        text = line(kind, data)
        if text:
            self.close()
            print(printable(text), file=self._stream, flush=True)

    def progress(self, what: str, progress: Progress) -> None:
        """Show the progress line, at most ten times a second."""
        now = time.monotonic()
        if not self._live or (now - self._last < 0.1 and progress.done < progress.total):
            return
        self._last = now
        spent = now - self._begun
        text = f"  {what}: {progress.done}/{progress.total} {progress.what} · {spent:.0f} s"
        exact(self._stream, f"\r\x1b[K{printable(text)}")
        self._stream.flush()
        self._open = True

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
        """Take the progress line away."""
        if self._open:
            exact(self._stream, "\r\x1b[K")
            self._open = False
