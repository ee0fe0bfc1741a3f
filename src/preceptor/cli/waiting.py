"""How far a long piece of work is: a line that moves on a terminal, else a line now and then.

Owns when something is shown and its words. A thread looks after it, because what takes long is often a
server that says nothing at all for minutes; it lives while a piece of work is unfinished.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TextIO

from preceptor.cli.terminal import exact
from preceptor.core.ports import Progress
from preceptor.core.render import printable

EVERY = 30.0
"""Seconds between two lines where nobody watches."""

LIVE = 1.0
"""Seconds between two looks at the clock on a terminal."""

AT_MOST = 0.1
"""Seconds between two looks at the work on a terminal."""


class Waiting:
    """Shows the piece of work in hand on a stream.

    Args:
        stream: Where.
        every: Seconds between two lines on a stream that is no terminal; ``EVERY`` if None.
    """

    def __init__(self, stream: TextIO, every: float | None = None) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._every = LIVE if self._live else EVERY if every is None else every
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._what = ""
        self._now: Progress | None = None
        self._began, self._base, self._told = 0.0, 0, 0.0
        self._thread: threading.Thread | None = None
        self._drawn = False

    def show(self, what: str, progress: Progress) -> None:
        """Hear how far a piece of work is; show it where that is due."""
        with self._lock:
            now, before = time.monotonic(), self._now
            fresh = before is None or what != self._what or before.total != progress.total
            if before is None or fresh or progress.done < before.done:
                self._what, self._began, self._base, self._told = what, now, progress.done, now
            self._now = progress
            over = progress.done >= progress.total
            if self._live and (over or now - self._told >= AT_MOST):
                self._write()
            if over:
                self._wake.notify_all()
            elif self._thread is None:
                self._thread = threading.Thread(target=self._look, daemon=True, name="waiting")
                self._thread.start()

    def close(self) -> None:
        """Forget the piece of work, and take its line away."""
        with self._lock:
            self._now = None
            self._wake.notify_all()
            if self._drawn:
                exact(self._stream, "\r\x1b[K")
                self._drawn = False

    def _look(self) -> None:
        """Show it whenever nothing was shown for a while, until it is finished or forgotten."""
        with self._lock:
            with suppress(OSError, ValueError):  # A stream may be closed meanwhile.
                while self._now is not None and self._now.done < self._now.total:
                    left = self._told + self._every - time.monotonic()
                    if left <= 0:
                        self._write()
                    else:
                        self._wake.wait(left)
            self._thread = None

    def _write(self) -> None:
        assert self._now is not None
        self._told = time.monotonic()
        text = "  " + line(self._what, self._now, self._base, self._told - self._began)
        exact(self._stream, f"\r\x1b[K{printable(text)}" if self._live else text + os.linesep)
        self._stream.flush()
        self._drawn = self._live


def line(what: str, progress: Progress, base: int, seconds: float) -> str:
    """Return count, rate and time left as a line.

    Args:
        what: The piece of work.
        progress: How far it is.
        base: How much of it was done when it began.
        seconds: How long it has taken.
    """
    parts = [f"{what}: {progress.done}/{progress.total} {progress.what}".removeprefix(": ")]
    done = progress.done - base
    if done > 0 and seconds > 0:
        left = (progress.total - progress.done) * seconds / done
        parts += [_rate(done / seconds), f"{_time(left)} left"] if left else [_rate(done / seconds)]
    elif progress.done < progress.total and seconds >= LIVE:
        parts.append("nothing yet")
    return ", ".join(parts) + f" · {_time(seconds)}"


def _rate(pace: float) -> str:
    if pace >= 1:
        return f"{pace:,.1f}/s"
    return f"{60 * pace:.1f}/min" if 60 * pace >= 1 else f"{3600 * pace:.1f}/h"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
