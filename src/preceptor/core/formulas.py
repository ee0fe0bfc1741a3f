"""Cells of a CSV file that a spreadsheet program would run as a formula.

Owns which texts those are, and how they are written so that they stay text: with an apostrophe before
them (OWASP, "CSV Injection").
"""

from __future__ import annotations

import re

_BEGINS = re.compile(r"[ \t\r\n]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?")


def escaped(cell: str) -> str:
    """Return a cell that no spreadsheet program runs; numbers, and a sign alone, stay as they are."""
    if len(cell) < 2 or not _BEGINS.match(cell) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"
