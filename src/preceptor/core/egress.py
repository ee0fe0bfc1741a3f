"""The privacy gate: which text may leave this machine, and the log of what did.

Owns the policy, what counts as this machine, and ``egress.jsonl``. Leaves redaction to the function it
is given; without one, the policy ``redacted`` lets nothing out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from preceptor.core.errors import InputError
from preceptor.core.files import JsonLines
from preceptor.core.record import digest as content_hash

Policy = Literal["local-only", "redacted", "open"]
"""``local-only``: nothing leaves; ``redacted``: only what a redactor returns; ``open``: anything."""

# Readers of URLs disagree on where the host ends in one with these.
_AMBIGUOUS = re.compile(r"[\\\s\x00-\x1f\x7f]")


def _host(url: str) -> str:
    """Return the host, lower case; an empty text if it cannot be told for sure."""
    if _AMBIGUOUS.search(url):
        return ""
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""


def is_local(url: str) -> bool:
    """Return whether a URL (or ``host:port``) surely leads to this machine: a loopback address.

    A name that resolves to a loopback address is not looked up and does not count.
    """
    host = _host(url)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class Egress:
    """The gate that everything sent to a server passes."""

    def __init__(
        self, policy: Policy, log_path: Path, redact: Callable[[str], str] | None = None
    ) -> None:
        """Set the gate up.

        Args:
            policy: What may leave.
            log_path: The log, ``egress.jsonl`` in the run's folder; every remote check adds a line.
            redact: Returns a text without what identifies a person; needed under ``redacted``.
        """
        self.policy = policy
        self._log = JsonLines(log_path)
        self._redact = redact

    def check(self, url: str, text_chars: int, digest: str) -> None:
        """Allow or refuse a destination, and log it unless it is this machine.

        Under ``redacted`` it is for the caller to send what the redactor returned: see ``admit``.

        Args:
            url: Where to.
            text_chars: How much text.
            digest: The content hash of the text.

        Raises:
            InputError: If the policy refuses.
            StoreError: If it cannot be logged; then nothing may be sent.
        """
        if is_local(url):
            return
        refusal = self._refusal()
        host = _host(url) or "unreadable"
        self._log.append(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "host": host,
                "policy": self.policy,
                "chars": text_chars,
                "digest": digest,
                "allowed": refusal is None,
            }
        )
        if refusal is not None:
            raise InputError(f"nothing is sent to {host!r}: {refusal[0]}", refusal[1])

    def _refusal(self) -> tuple[str, str] | None:
        if self.policy == "local-only":
            return "the policy is local-only", "use a model on this machine, or set egress"
        if self.policy == "redacted" and self._redact is None:
            return (
                "the policy is redacted, and there is no redactor",
                "use a model on this machine, or set egress = 'open' if these notes may leave it",
            )
        return None

    def admit(self, url: str, text: str) -> str:
        """Return the text that may be sent to ``url``: redacted where the policy says so.

        Raises:
            InputError: If the policy refuses.
        """
        if self.policy == "redacted" and self._redact is not None and not is_local(url):
            text = self._redact(text)
        self.check(url, len(text), content_hash(text))
        return text
