"""Unicode's normal forms, in a time that grows with the text and no faster.

Owns what ``unicodedata.normalize`` does slowly: it puts marks that stand on one letter in order by
moving each past all before it, so that a note of nothing but marks takes minutes. Long runs of marks
are put in that order here first; the result is the same (Unicode Standard Annex 15, "stream-safe").
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

# Marks begin here; words in other scripts are seldom as long without a blank.
_LONG = re.compile(r"[\u0300-\U0010ffff]{64,}")


def normal(form: Form, text: str) -> str:
    """Return ``text`` in a normal form: what ``unicodedata.normalize`` returns."""
    if text.isascii():
        return text
    apart: Form = "NFKD" if form in ("NFKC", "NFKD") else "NFD"
    return unicodedata.normalize(form, _LONG.sub(lambda run: _ordered(run.group(), apart), text))


def _ordered(run: str, apart: Form) -> str:
    """Return a run with the marks after each letter in their canonical order."""
    out: list[str] = []
    marks: list[str] = []
    for char in run:
        for part in unicodedata.normalize(apart, char):
            if unicodedata.combining(part):
                marks.append(part)
                continue
            if marks:
                out += sorted(marks, key=unicodedata.combining)
                marks.clear()
            out.append(part)
    return "".join([*out, *sorted(marks, key=unicodedata.combining)])
