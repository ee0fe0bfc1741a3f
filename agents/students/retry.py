"""How one request to a server is tried again: transport errors, 429 and 5xx only, with backoff.

Owns when and how long; what counts as which kind of trouble is told by the student, in the words
below. A server's own words are never shown: they may quote the prompt, and so the note.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

T = TypeVar("T")

LONGEST_WAIT = 60.0

SLOW_RETRIES = 1
"""How often a call is tried again that got no answer in time: it may only have waited for others."""

UNTRUSTED = "its certificate is not trusted"
UNTRUSTED_HINT = "set SSL_CERT_FILE to your own authority's file"


class Stop(Protocol):
    """Waits, and tells when waiting is over for good: a ``threading.Event``, or what acts like one."""

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds; return True, at once, if it is time to stop."""
        ...


class Passing(Exception):
    """Trouble that may pass: try again.

    Args:
        why: What happened, without quoting a note.
        wait: Seconds that the server asked for, None if it did not say.
        unreachable: Whether nobody answered at all.
        slow: Whether no answer came in time.
    """

    def __init__(
        self, why: str, wait: float | None = None, unreachable: bool = False, slow: bool = False
    ) -> None:
        super().__init__(why)
        self.why = why
        self.wait = wait
        self.unreachable = unreachable
        self.slow = slow


class Refused(Exception):
    """This one call cannot be answered, now or later; ``truncated`` if it is too long."""

    def __init__(self, why: str, truncated: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.truncated = truncated


@dataclass(frozen=True)
class Backoff:
    """How often to try again, and the first wait in seconds, which then doubles."""

    retries: int = 4
    first: float = 0.5

    def wait(self, tried: int, asked_for: float | None) -> float:
        """Return the seconds before the next try: what the server asked for, or the backoff."""
        if asked_for is not None:
            return min(asked_for, LONGEST_WAIT)
        # Jitter keeps calls that failed together from coming back together.
        return min(self.first * 2.0**tried, LONGEST_WAIT) * (1 + random.random() / 4)


def persist(ask: Callable[[], T], backoff: Backoff, stop: Stop) -> T:
    """Return what ``ask`` returns, trying again while its trouble may pass.

    Raises:
        Passing: If it did not pass, or ``stop`` was set meanwhile.
        Refused: As soon as ``ask`` raises it.
    """
    tried = 0
    while True:
        try:
            return ask()
        except Passing as trouble:
            most = min(backoff.retries, SLOW_RETRIES) if trouble.slow else backoff.retries
            if tried >= most or stop.wait(backoff.wait(tried, trouble.wait)):
                raise
            tried += 1


def late(seconds: float) -> Passing:
    """Return the trouble that no answer came within so many seconds."""
    return Passing(f"no answer within {seconds:g} s (timeouts.student)", slow=True)


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for: a number or an HTTP date."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (at.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def worth_another_try(status: int) -> bool:
    """Return whether an HTTP status is a server's own trouble, or says to come again later."""
    return status in (408, 425, 429) or 500 <= status < 600


def untrusted(error: BaseException | None) -> bool:
    """Return whether a certificate is what stands between us and the server."""
    while error is not None:
        if (
            "CERTIFICATE_VERIFY_FAILED" in str(error)
            or type(error).__name__ == "SSLCertVerificationError"
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
