"""What a teacher says, for the trace: without the words of a note.

A teacher sees notes and may repeat them, in prose or in arguments that a tool then refuses. The trace
is shown, mailed and kept; so a run of words that stands in a note is left out of it. What was really
said is in the run's store, with the notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic import JsonValue

from preceptor.core.spelling import nfc

RUN_WORDS, RUN_CHARS = 6, 30
"""So many words, or characters of whole words, as in a note are left out; what is shorter is
everybody's language. The copy guard of ``edit_prompt`` draws the same line."""

LONGEST = 2000
"""Characters of one text that are kept."""

GAP = "[words of a note]"

_WORD = re.compile(r"[^\W_]+")


class Unquoted:
    """Leaves the words of notes out of texts.

    Args:
        texts: The notes.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs: set[int] = set()
        for text in texts:
            found = [w.casefold() for w in _WORD.findall(text)]
            self._runs.update(hash(run) for run in _windows(found) if run)

    def text(self, said: str) -> str:
        """Return a text without runs of words of a note, and cut if it is long."""
        said = nfc(said)  # as notes are
        found = list(_WORD.finditer(said[: 4 * LONGEST]))
        copied: set[int] = set()
        for i, run in enumerate(_windows([m.group().casefold() for m in found])):
            if run and hash(run) in self._runs:
                copied.update(range(i, i + len(run)))
        out, at = [], 0
        for i, match in enumerate(found):
            if i in copied:
                if i - 1 not in copied:
                    out += [said[at : match.start()], GAP]
                at = match.end()
        whole = "".join(out) + said[at:]
        if len(whole) > LONGEST:
            return f"{whole[:LONGEST]} … ({len(said)} characters)"
        return whole

    def value(self, said: JsonValue) -> JsonValue:
        """Return a JSON value with the same done to every text in it, keys too."""
        if isinstance(said, str):
            return self.text(said)
        if isinstance(said, list):
            return [self.value(inner) for inner in said]
        if isinstance(said, dict):
            return {self.text(key): self.value(inner) for key, inner in said.items()}
        return said


def _windows(found: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield, for every word, the shortest run from it on that is long enough; empty ones at the end."""
    for i in range(len(found)):
        chars = -1
        for n, word in enumerate(found[i : i + RUN_WORDS], 1):
            chars += len(word) + 1
            if n == RUN_WORDS or (n > 1 and chars >= RUN_CHARS):
                yield tuple(found[i : i + n])
                break
        else:
            yield ()
