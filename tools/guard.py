"""The copy guard: what a teacher writes into a prompt must not carry a patient's words.

Owns the two rules. A text shares no run of six words and no 30 characters with a train note; a short
phrase that stands in the notes stands there with at least two patients. Worked examples are exempt:
they are train text, marked as such, and stay with the student. Messages name at most the offending
words, which the teacher has just written itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from preceptor.core.errors import InputError
from preceptor.core.records import Example
from preceptor.core.spelling import nfc
from preceptor.core.text import flat, words

RUN_WORDS = 6
"""A text may share fewer words in a row than this with a note."""

RUN_CHARS = 30
"""A text may share fewer characters in a row than this with a note."""

MIN_PATIENTS = 2
"""A phrase that stands in the notes must stand there with this many patients."""

_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”')


def _even(text: str) -> str:
    return " ".join(nfc(text).split()).casefold()


class CopyGuard:
    """Compares texts with the notes of one Evidence.

    Args:
        examples: The train notes.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        by_group: dict[str, list[str]] = {}
        for example in examples:
            by_group.setdefault(example.group, []).append(example.text)
        self._patients = ["\n".join(flat(t) for t in texts) for texts in by_group.values()]
        self._words = "\n".join(self._patients)
        self._chars = "\n".join(_even(example.text) for example in examples)

    def patients(self, phrase: str) -> int:
        """Return how many patients have ``phrase`` (as whole words) in a note."""
        wanted = flat(phrase)
        return sum(wanted in text for text in self._patients)

    def check_text(self, text: str, what: str) -> None:
        """Refuse a text that copies a note.

        Args:
            text: A rule, a meaning or an instruction.
            what: What it is, for the message.

        Raises:
            InputError: If it does; the message names the shared words.
        """
        shared = self._shared(text)
        if shared:
            raise InputError(
                f"{what} copies a note: {shared!r}",
                f"use general words: under {RUN_WORDS} words and {RUN_CHARS} characters in a row",
            )
        for match in _QUOTED.finditer(text):
            self.check_phrase(match.group(1) or match.group(2), f"the quotation in {what}")

    def check_phrase(self, phrase: str, what: str) -> None:
        """Refuse a phrase that is one single patient's.

        Args:
            phrase: A hint, or the quoted part of a rule.
            what: What it is, for the message.

        Raises:
            InputError: If the phrase, or one of its words, stands in the notes of one patient only.
        """
        shared = self._shared(phrase)
        if shared:
            raise InputError(f"{what} copies a note: {shared!r}", "use a shorter phrase")
        for part in dict.fromkeys((" ".join(words(phrase)), *words(phrase))):
            if 0 < self.patients(part) < MIN_PATIENTS:
                raise InputError(
                    f"{what}: {part!r} stands in the notes of one patient only",
                    f"use phrases that at least {MIN_PATIENTS} patients share, or a general synonym",
                )

    def _shared(self, text: str) -> str:
        tokens = words(text)
        for i in range(len(tokens) - RUN_WORDS + 1):
            run = " ".join(tokens[i : i + RUN_WORDS])
            if f" {run} " in self._words:
                return run
        even = _even(text)
        for i in range(len(even) - RUN_CHARS + 1):
            if even[i : i + RUN_CHARS] in self._chars:
                # Whole words, so that whoever logs the message can tell what it repeats.
                start = even.rfind(" ", 0, i + 1) + 1
                end = even.find(" ", i + RUN_CHARS - 1)
                return even[start : end if end >= 0 else len(even)]
        return ""
