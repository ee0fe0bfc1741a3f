"""What a run knows of trained weights that it brought back to a server, on the disk.

Owns the record and its file, and which models a run leaves on its server that nothing needs any more.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from preceptor.core.files import write_whole
from preceptor.core.record import Record
from preceptor.graphs import training

STATE = "returned.json"
WHOLE = frozenset({"", "F32", "F16", "BF16", "UNKNOWN"})
"""Levels of weights that were not made smaller."""


class Returned(Record):
    """How far a training's result has come.

    Attributes:
        name: What the model is called.
        url: The server.
        way: By which way it came.
        base: The digest of the base that it belongs to.
        level: How the base's weights are stored.
        quantize: To what its weights are made smaller.
        ours: Whether it was not there before.
        digest: The server's; empty until it was created.
        passed: Whether the gate let it pass.
        refused: Why it did not.
    """

    name: str
    url: str
    way: str = "safetensors"
    base: str = ""
    level: str = ""
    quantize: str = ""
    ours: bool = True
    digest: str = ""
    passed: bool = False
    refused: tuple[str, ...] = ()

    @property
    def quantised(self) -> bool:
        """Whether what answers has smaller weights than what was trained."""
        return bool(self.quantize) or (self.way == "adapter" and self.level not in WHOLE)


def left_behind(run: Path, kept: Collection[str]) -> list[str]:
    """Return the models that a run made on its server and that no recipe of it needs any more.

    They are not deleted: another run that came to the same weights may serve them.

    Args:
        run: The run's folder.
        kept: The digests of the adapters of all recipes that were accepted.
    """
    found = []
    for place in sorted((run / training.FOLDER / training.SERVED).glob("*")):
        known = read(place)
        if known is not None and known.passed and known.ours and place.name not in kept:
            found.append(known.name)
    return found


def read(place: Path) -> Returned | None:
    """Return what is known of the weights whose folder this is, None if nothing is."""
    try:
        return Returned.from_json((place / STATE).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None


def write(place: Path, known: Returned) -> None:
    """Write down what is known."""
    write_whole(place / STATE, (known.to_json() + "\n").encode())
