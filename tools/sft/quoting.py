"""What may be said about a failure: never a piece of a note.

Owns the check of a foreign error's line against the rows that were trained on.
"""

from __future__ import annotations

from pathlib import Path

_RUN = 24
"""A line that has so many characters in a row of a training row is not shown."""


def without_notes(line: str, rows: Path) -> str:
    """Return ``line``, cut where it begins to repeat the text of a training row.

    Args:
        line: What a library said.
        rows: The job's ``data.jsonl``.
    """
    try:
        text = _folded(rows.read_text("utf-8").replace("\\n", " "))
    except OSError:
        return line
    folded = _folded(line)
    for start in range(max(0, len(folded) - _RUN + 1)):
        if folded[start : start + _RUN] in text:
            return folded[:start].rstrip() + " … (not shown: text of a training row)"
    return line


def _folded(text: str) -> str:
    return " ".join(text.split())
