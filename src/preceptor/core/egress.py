"""The privacy gate: which text may leave this machine, and the log of what did.

Owns the policy, what counts as this machine, and ``egress.jsonl``. Leaves redaction to the functions
it is given; without them, the policy ``redacted`` lets nothing out. A gate without a log lets nothing
out either: what cannot be logged is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from preceptor.core import wire
from preceptor.core.address import HOW, Address, parse
from preceptor.core.errors import InputError, StoreError
from preceptor.core.files import JsonLines
from preceptor.core.record import Record
from preceptor.core.record import digest as content_hash

Policy = Literal["local-only", "redacted", "open"]
"""``local-only``: nothing leaves; ``redacted``: only what a redactor returns; ``open``: anything."""


def _address(url: str) -> Address | None:
    """Return the address that a URL is, None if that cannot be told for sure."""
    try:
        return parse(url)
    except InputError:
        return None


def is_local(url: str) -> bool:
    """Return whether a URL (or ``host:port``) surely is this machine: see ``Address.is_local``."""
    address = _address(url)
    return address is not None and address.is_local


class Departure(Record):
    """One line of ``egress.jsonl``: text that left this machine, or was kept from it.

    Attributes:
        time: When, in UTC, ISO 8601 with milliseconds.
        host: Where to.
        proxy: The proxy that it goes through, if any.
        what: Who sent it: ``teacher``, ``student``, ``labeller``, ``embedder``, ``index``, ``weights``,
            ``tracing``.
        policy: The policy that decided.
        chars: How many characters.
        digest: The content hash of what was sent, after redaction.
        allowed: Whether it left.
    """

    time: str
    host: str
    proxy: str = ""
    what: str = ""
    policy: Policy
    chars: int
    digest: str
    allowed: bool


def read(path: Path) -> Iterator[Departure]:
    """Yield the lines of an ``egress.jsonl``; no file is no lines."""
    for number, value in JsonLines(path).read():
        try:
            yield Departure.model_validate(value)
        except ValidationError as cause:
            raise StoreError(
                f"{path} line {number}: not a line of the log", "the file was changed by hand"
            ) from cause


class Egress:
    """The gate that everything sent to a server passes."""

    def __init__(
        self,
        policy: Policy,
        log_path: Path | None,
        redact: Callable[[str], str] | None = None,
        restore: Callable[[str], str] | None = None,
    ) -> None:
        """Set the gate up.

        Args:
            policy: What may leave.
            log_path: The log, ``egress.jsonl`` in the run's folder; every remote check adds a line.
                None: nothing may leave.
            redact: Returns a text without what identifies a person; needed under ``redacted``.
            restore: Turns what ``redact`` put in back into what it stands for.
        """
        self.policy: Policy = policy
        self._log = JsonLines(log_path) if log_path else None
        self._redact = redact
        self._restore = restore

    def refuse(self, url: str, whole: str = "") -> None:
        """Refuse a destination that the policy never allows, before anything is set up for it.

        Args:
            url: Where to.
            whole: What it is that cannot be redacted, if it cannot: ``an index``.

        Raises:
            InputError: If nothing may be sent there.
        """
        refusal = None if is_local(url) else self._refusal(url, whole)
        if refusal is not None:
            raise InputError(f"nothing is sent to {_shown(url)!r}: {refusal[0]}", refusal[1])

    def check(self, url: str, text_chars: int, digest: str, what: str = "", whole: str = "") -> None:
        """Allow or refuse a destination, and log it unless it is this machine.

        Under ``redacted`` it is for the caller to send what the redactor returned: see ``Door``.

        Args:
            url: Where to.
            text_chars: How much text.
            digest: The content hash of the text.
            what: Who sends it.
            whole: What it is that cannot be redacted, if it cannot.

        Raises:
            InputError: If the policy refuses.
            StoreError: If it cannot be logged; then nothing may be sent.
        """
        address = _address(url)
        if address is not None and address.is_local:
            return
        refusal = self._refusal(url, whole)
        line = Departure(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            host=_shown(url),
            proxy=wire.proxy_host(wire.proxy(address)) if address is not None else "",
            what=what,
            policy=self.policy,
            chars=text_chars,
            digest=digest,
            allowed=refusal is None,
        )
        if self._log is not None:
            self._log.append(line.model_dump())
        if refusal is not None:
            raise InputError(f"nothing is sent to {line.host!r}: {refusal[0]}", refusal[1])

    def _refusal(self, url: str, whole: str) -> tuple[str, str] | None:
        if self.policy == "local-only":
            return "the policy is local-only", "use a model on this machine, or set egress"
        if self.policy == "redacted" and whole:
            return (
                f"the policy is redacted, and {whole} cannot be redacted",
                "use a server on this machine, or set egress = 'open' if these notes may leave it",
            )
        if self.policy == "redacted" and self._redact is None:
            return (
                "the policy is redacted, and there is no redactor",
                "use a model on this machine, or set egress = 'open' if these notes may leave it",
            )
        if self._log is None:
            return "nothing would log it", "use a model on this machine"
        if _address(url) is None:
            return "its address cannot be read", HOW
        return None

    def admit(self, url: str, text: str) -> str:
        """Return the text that may be sent to ``url``: redacted where the policy says so.

        Raises:
            InputError: If the policy refuses.
        """
        return Door(self, url).send([text])[0]

    def changes(self, url: str) -> bool:
        """Return whether what is sent to ``url`` is redacted."""
        return self.policy == "redacted" and self._redact is not None and not is_local(url)

    def door(self, url: str, what: str) -> Door:
        """Return the gate as one sender sees it."""
        return Door(self, url, what)


@dataclass(frozen=True)
class Door:
    """The gate towards one destination.

    Attributes:
        gate: The gate.
        url: Where to.
        what: Who sends, for the log.
    """

    gate: Egress
    url: str
    what: str = ""

    @property
    def changes(self) -> bool:
        """Whether texts are redacted on the way out."""
        return self.gate.changes(self.url)

    def send(self, texts: Sequence[str]) -> list[str]:
        """Return the texts of one request as they may be sent; they are one line of the log.

        Raises:
            InputError: If the policy refuses.
            StoreError: If it cannot be logged; then nothing may be sent.
        """
        redact = self.gate._redact
        out = [redact(text) for text in texts] if self.changes and redact else list(texts)
        self.gate.check(self.url, sum(map(len, out)), content_hash("\n".join(out)), self.what)
        return out

    def screen(self, text: str) -> str:
        """Return one text as it may be sent: ``send`` for those who send a single text."""
        return self.send([text])[0]

    def back(self, text: str) -> str:
        """Return an answer with what its pseudonyms stand for."""
        restore = self.gate._restore
        return restore(text) if self.changes and restore else text


def _shown(url: str) -> str:
    address = _address(url)
    return address.host if address is not None else "unreadable"
