"""Remembers the outcome of a side effect under the hash of everything that it depends on.

Owns one rule: what was asked for and answered is never asked for again, also after ``kill -9``. The
value is in the artefacts; the key points to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from preceptor.core.record import Record
from preceptor.core.runs import RunStore

R = TypeVar("R", bound=Record)


class Memo:
    """A folder of keys, each a small file with the hash of its value."""

    def __init__(self, store: RunStore) -> None:
        self._artefacts = store.artefacts
        self._folder = store.path / "memo"

    def once(self, key: str, kind: type[R], make: Callable[[], R]) -> R:
        """Return the value under ``key``; make and keep it first if there is none.

        Args:
            key: The hash of everything that the value depends on.
            kind: The record's class.
            make: Makes it; called at most once per key that gets committed.
        """
        path = self._folder / key
        if path.exists():
            return self._artefacts.get_record(path.read_text("utf-8"), kind)
        value = make()
        self._commit(path, self._artefacts.put_record(value))
        return value

    def _commit(self, path: Path, value: str) -> None:
        self._folder.mkdir(exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(value, "utf-8")
        fresh.replace(path)
