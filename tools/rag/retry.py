"""How a request of retrieval to a server is tried again, and what it is called when that does not help.

Owns the waiting. Which errors may pass is told by the caller. A server's own words are never shown:
they may quote what was sent, and so a note.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from preceptor.core.errors import PreceptorError, StudentError, boundary

T = TypeVar("T")

LATER = "start it again, then: preceptor resume; nothing that was answered is lost"


def same(verb: str) -> str:
    """Return what to do after a server went away from a verb that goes on when it is given again."""
    return (
        f"start it again, then: preceptor {verb} with the same arguments; nothing that was answered "
        "is lost"
    )


@dataclass(frozen=True)
class Patience:
    """How often to try again, the first wait in seconds, which then doubles, and what to do at last."""

    retries: int = 4
    first: float = 0.5
    later: str = LATER


def persist(
    ask: Callable[[], T], passing: Callable[[Exception], bool], what: str, patience: Patience
) -> T:
    """Return what ``ask`` returns, trying again while its trouble may pass.

    Args:
        ask: The request.
        passing: Whether an error may be gone at the next try; others are raised as they are.
        what: Who is asked, for the message.
        patience: How often, how long.

    Raises:
        StudentError: If it did not pass; what was answered before is kept.
    """
    tried = 0
    while True:
        kind = ""
        try:
            with boundary(_Carried, what):
                return ask()
        except _Carried as carried:
            cause = carried.__cause__
            assert isinstance(cause, Exception)
            if not passing(cause):
                raise cause from None
            kind = type(cause).__name__
        if tried >= patience.retries:
            raise StudentError(f"{what} went away: {kind}, {tried + 1} times", patience.later)
        time.sleep(patience.first * 2.0**tried)
        tried += 1


class _Carried(PreceptorError):
    """Carries a foreign error through the one boundary."""
