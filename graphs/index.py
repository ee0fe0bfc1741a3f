"""What must be known of every note of a corpus, on disk: its id, hash, and whether it is answered.

Owns one SQLite file that is made anew by every extraction and is never more than a help: the answers
themselves are what counts. It holds no text.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from preceptor.core.database import store_errors, transaction

Add = Callable[[str, int, str, bool], int | None]

_TABLE = (
    "CREATE TABLE notes (id TEXT PRIMARY KEY, line INTEGER NOT NULL, key TEXT NOT NULL,"
    " mine INTEGER NOT NULL, status TEXT) WITHOUT ROWID"
)


class Index:
    """The notes of one corpus, by id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        with store_errors(path):
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = MEMORY")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute(_TABLE)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def filling(self) -> Iterator[Add]:
        """Write in one transaction; hands out the function that adds a note.

        It takes (id, row number, key, whether the note is in this shard), and returns None, or the
        row number of an earlier note with the same id.
        """

        def add(name: str, line: int, key: str, mine: bool) -> int | None:
            try:
                self._connection.execute(
                    "INSERT INTO notes (id, line, key, mine) VALUES (?, ?, ?, ?)",
                    (name, line, key, mine),
                )
                return None
            except sqlite3.IntegrityError:
                return int(self._one("SELECT line FROM notes WHERE id = ?", name) or 0)

        with store_errors(self._path), transaction(self._connection):
            yield add

    def _one(self, query: str, *values: str) -> str | int | None:
        row = self._connection.execute(query, values).fetchone()
        return row[0] if row else None

    def key(self, name: str) -> str | None:
        """Return the hash of a note of this shard, None if it is not in it."""
        with store_errors(self._path):
            found = self._one("SELECT key FROM notes WHERE id = ? AND mine", name)
        return None if found is None else str(found)

    def answered(self, given: Sequence[tuple[str, str]]) -> None:
        """Write down new answers: (id, status)."""
        with store_errors(self._path):
            self._connection.executemany(
                "UPDATE notes SET status = ? WHERE id = ?", [(status, name) for name, status in given]
            )

    def is_left(self, name: str) -> bool:
        """Return whether a note of this shard has no answer yet."""
        query = "SELECT 1 FROM notes WHERE id = ? AND mine AND status IS NULL"
        with store_errors(self._path):
            return self._one(query, name) is not None

    def left(self) -> int:
        """Return how many notes of this shard have no answer yet."""
        with store_errors(self._path):
            return int(self._one("SELECT count(*) FROM notes WHERE mine AND status IS NULL") or 0)

    def statuses(self) -> Counter[str]:
        """Return how many notes of this shard have which status."""
        query = "SELECT status, count(*) FROM notes WHERE mine AND status IS NOT NULL GROUP BY status"
        with store_errors(self._path):
            return Counter(dict(self._connection.execute(query).fetchall()))
