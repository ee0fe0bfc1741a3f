"""The base of every value: frozen, strict, JSON both ways, named by the hash of its content.

Owns canonical JSON and digests; leaves the meaning of the values to the modules that subclass
``Record``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue

DIGEST_CHARS = 20
"""Length of a content hash in hexadecimal characters (80 bits)."""


def canonical(value: object) -> str:
    """Return the one JSON text of ``value``: sorted keys, no spaces, UTF-8 kept as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: str | bytes | JsonValue) -> str:
    """Return the content hash of a text, of bytes, or of a JSON value (its canonical text)."""
    if isinstance(value, bytes):
        data = value
    elif isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
    else:
        data = canonical(value).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:DIGEST_CHARS]


class Record(BaseModel):
    """A frozen value; equal content means equal ``fingerprint``, on every machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    def to_json(self) -> str:
        """Return the canonical JSON text."""
        return canonical(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            pydantic.ValidationError: If the text is not this kind of record.
        """
        return cls.model_validate_json(text)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values; what was computed from the old ones is not copied."""
        copied = super().model_copy(update=update, deep=deep)
        held = vars(copied)
        for name in held.keys() - type(self).model_fields.keys():
            del held[name]
        return copied

    @cached_property
    def fingerprint(self) -> str:
        """The content hash: 20 hexadecimal characters."""
        return digest(self.to_json())
