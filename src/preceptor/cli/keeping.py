"""The moves that a finished run kept, read from its report: owns that line."""

from __future__ import annotations

from pathlib import Path

from preceptor.core.reading import loads


def kept_moves(folder: Path) -> str:
    """Return the kept moves of a run, in order; empty if there are none or it has no report.

    Works for reports that were written before kept moves were told.
    """
    from preceptor.core.kept import summary
    from preceptor.core.records import Attempt

    try:
        found = loads((folder / "report.json").read_text("utf-8"))
        return summary([Attempt.model_validate(one) for one in found["attempts"]])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
