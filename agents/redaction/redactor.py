"""The redactor: texts out with pseudonyms, and answers back with what they stand for."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path

from preceptor.agents.redaction import dates, names, places
from preceptor.agents.redaction.pseudonyms import Pseudonyms
from preceptor.agents.redaction.spans import Found, settle

LEAST_ID = 5
"""A note's or patient's id that is shorter is no one's number."""

_CODE = re.compile(r"[^\s<>\"'(){}\[\],;]+")


class Redactor:
    """Replaces identifiers by pseudonyms, and back. Safe for several threads.

    Args:
        path: The file of the key and the map, see ``pseudonyms``; None keeps them in memory.
        keep: Words that are never replaced: the task's fields and labels.
    """

    def __init__(self, path: Path | None = None, keep: Iterable[str] = ()) -> None:
        self._pseudonyms = Pseudonyms(path)
        self._names = names.KnownNames()
        self._codes: set[str] = set()
        self._keep = {word.casefold() for phrase in keep for word in re.findall(r"\w+", phrase)}
        self._lock = threading.Lock()

    def learn(self, texts: Iterable[str], ids: Iterable[str] = ()) -> None:
        """Learn the names in whole notes, which are to be known in excerpts, and the notes' ids."""
        with self._lock:
            for text in texts:
                self._names.learn(text)
            self._codes.update(i for i in ids if len(i) >= LEAST_ID and re.search(r"\d", i))

    def spans(self, text: str) -> list[Found]:
        """Return the identifiers in ``text``, in order, without overlaps."""
        return self._spans(text, names.cued(text))

    def _spans(self, text: str, cued: Iterable[Found]) -> list[Found]:
        found = [*places.find(text), *dates.find(text), *cued, *self._names.find(text)]
        found += [
            Found(m.start(), m.end(), "id")
            for m in (_CODE.finditer(text) if self._codes else ())
            if m.group().rstrip(".:") in self._codes
        ]
        return [f for f in settle(found) if f.kind != "name" or not self._kept(text, f)]

    def _kept(self, text: str, found: Found) -> bool:
        return text[found.start : found.end].casefold() in self._keep

    def redact(self, text: str) -> str:
        """Return ``text`` with a pseudonym for every identifier that is found.

        Raises:
            StoreError: If the map cannot be written; then nothing may be sent.
        """
        with self._lock:
            cued = list(names.cued(text))
            self._names.remember(text, cued)
            out, at = [], 0
            for found in self._spans(text, cued):
                out += [text[at : found.start], self._pseudonyms.of(text, found)]
                at = found.end
            self._pseudonyms.keep()
            return "".join(out) + text[at:]

    def restore(self, text: str) -> str:
        """Return an answer with what its pseudonyms stand for."""
        with self._lock:
            return self._pseudonyms.restore(text)
