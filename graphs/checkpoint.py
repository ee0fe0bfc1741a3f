"""The checkpoint of a run: LangGraph's SQLite saver in the run's folder.

Owns opening and closing it, and the question whether there is anything to resume. What may stand in it
is decided in ``graphs.serde``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from langgraph.checkpoint.sqlite import SqliteSaver

from preceptor.core.database import store_errors
from preceptor.graphs.serde import PlainSerde

FILE = "checkpoint.sqlite"
THREAD = "run"


@contextmanager
def saver(folder: Path) -> Iterator[SqliteSaver]:
    """Open the saver of the run in ``folder``."""
    with (
        store_errors(folder / FILE),
        closing(sqlite3.connect(folder / FILE, check_same_thread=False)) as connection,
    ):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA busy_timeout=30000")
        # A file from somebody else may have views and triggers of its own.
        connection.execute("PRAGMA trusted_schema=OFF")
        yield SqliteSaver(connection, serde=PlainSerde())


def exists(folder: Path) -> bool:
    """Return whether the run in ``folder`` has a checkpoint to go on from."""
    if not (folder / FILE).exists():
        return False
    with saver(folder) as opened:
        return opened.get_tuple({"configurable": {"thread_id": THREAD}}) is not None
