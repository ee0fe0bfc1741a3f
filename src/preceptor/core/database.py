"""SQLite files that several processes share: opening, migrating, and one-line errors.

Owns the connection's settings and the version of a file; leaves tables and queries to ``cache`` and
``ledger``.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from preceptor.core import private
from preceptor.core.errors import StoreError

Migration = Sequence[str]
"""The SQL statements that lead from one version to the next; never changed once released."""

BUSY_SECONDS = 60.0
"""How long a statement waits for another process before it gives up."""

_HINTS = {
    sqlite3.SQLITE_FULL: "the disk is full: make room, then resume",
    sqlite3.SQLITE_IOERR: "the disk is full or failing: make room, then resume",
    sqlite3.SQLITE_READONLY: "the file is read-only: choose another folder with runs_dir",
    sqlite3.SQLITE_CANTOPEN: "check that the folder exists and can be written",
    sqlite3.SQLITE_BUSY: "another process holds it for long: stop that one, then resume",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: move it away, then resume",
    sqlite3.SQLITE_NOTADB: "the file is damaged: move it away, then resume",
}


@contextmanager
def store_errors(path: Path | None) -> Iterator[None]:
    """Turn SQLite's errors inside into ``StoreError``.

    Raises:
        StoreError: With the file's name, SQLite's reason, and what to do.
    """
    try:
        yield
    except sqlite3.Error as cause:
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        hint = _HINTS.get(code, "the file is damaged or was written by something else")
        raise StoreError(f"cannot use {str(path or 'memory')!r}: {cause}", hint) from cause


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock from the first statement on; all or nothing is committed."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back by itself after a full disk or an I/O error.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def connect(path: Path | None, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Open a database in write-ahead mode and bring it to the newest version.

    Args:
        path: The file, made if it is missing; None for one in memory.
        migrations: All of them, oldest first; their number is the newest version.

    Returns:
        A connection without implicit transactions, usable from any thread by one at a time.

    Raises:
        StoreError: If the file cannot be opened, is damaged, or is of a newer version.
    """
    if path is not None:
        _make_private(path)
    with store_errors(path):
        connection = sqlite3.connect(
            path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path, migrations)
        except BaseException:
            connection.close()
            raise
    return connection


def _make_private(path: Path) -> None:
    """Make the file, if it is missing, so that only its owner may read it: SQLite goes by the umask."""
    with suppress(OSError):  # SQLite says what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, private.FILE))


def _prepare(
    connection: sqlite3.Connection, path: Path | None, migrations: Sequence[Migration]
) -> None:
    if _version(connection) > len(migrations):
        raise StoreError(
            f"{str(path)!r} is of version {_version(connection)}, "
            f"this program knows up to {len(migrations)}",
            "use the newer preceptor that wrote it",
        )
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    if _version(connection) < len(migrations):
        with transaction(connection):
            for statements in migrations[_version(connection) :]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait for others here by itself, so this does."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as cause:
            busy = cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
