"""The address of a server: read once, strictly, and given as it was read to the gate and the client.

Owns what an address may look like and what counts as this machine. Two readers of one text may disagree
on where its host ends; so nobody but ``parse`` reads a text, and what it returns is written in one way
that has one meaning. Which address a model's name stands for is ``core.served``.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from preceptor.core.errors import InputError

HOW = "write it as http://HOST:PORT"

_NO_TEXT = re.compile(r"[^\x21-\x7e]|[\\?#%<>\"'^`{|}]")
"""Signs that stand in no address of ours; readers of URLs disagree on several of them."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\.?")


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name in lower case or an IP address (no brackets). What listens everywhere
            (``0.0.0.0``, ``::``) is reached at 127.0.0.1, and that is what stands here.
        port: None for the scheme's own.
        path: Without a slash at its end.
    """

    scheme: str
    host: str
    port: int | None = None
    path: str = ""

    @property
    def origin(self) -> str:
        """The URL without its path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def url(self) -> str:
        """The whole URL; ``parse`` reads it as this very address."""
        return self.origin + self.path

    @property
    def door(self) -> tuple[str, str, int]:
        """Scheme, host and port, the scheme's own port spelt out: equal for the same server."""
        return self.scheme, self.host, self.port or {"http": 80, "https": 443}[self.scheme]

    @property
    def is_local(self) -> bool:
        """Whether it surely is this machine: a loopback address, or ``localhost``.

        A name that resolves to a loopback address is not looked up and does not count;
        ``NAME.localhost`` is such a name.
        """
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(text: str, name: str = "that", port: int | None = None) -> Address:
    """Return the address that a text is.

    Args:
        text: With or without ``http://``.
        name: Where it stands, for the message; the text is not quoted, since it may hold a password.
        port: The port, where the text names none.

    Raises:
        InputError: If it is none, if it holds a user name or password, or more than an address.
    """
    wrong = InputError(f"{name} holds no address", HOW)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        named, host = parts.port, parts.hostname or ""
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not host or named == 0:
        raise wrong
    if "@" in parts.netloc:
        raise InputError(
            f"{name} holds a user name or password",
            "leave it out of the address; a key stands in the environment: see api_key_env",
        )
    if _NO_TEXT.search(text) or "@" in text or parts.netloc.endswith(":"):
        raise wrong
    found = _host(host)
    if found is None:
        raise wrong
    path = parts.path.rstrip("/")
    return Address(parts.scheme, found, port if named is None else named, path)


def _host(host: str) -> str | None:
    """Return a host as it is written here, None if it is none."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host if _NAME.fullmatch(host) else None
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    return "127.0.0.1" if address.is_unspecified else str(address)
