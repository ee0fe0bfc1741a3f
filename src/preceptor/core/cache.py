"""The answers of a run: what was asked once is never asked again.

Owns the cache's file and the keys of an answer. Leaves to ``evals`` when it is asked, and in which
batches answers are committed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from preceptor.core.database import Migration, connect, store_errors, transaction
from preceptor.core.errors import StoreError
from preceptor.core.fields import FieldSpec
from preceptor.core.parse import PARSE_VERSION
from preceptor.core.record import digest
from preceptor.core.records import RENDER_VERSION, Answer, Example, ModelRef, Recipe

_MIGRATIONS: tuple[Migration, ...] = (
    (
        "CREATE TABLE answers (recipe TEXT NOT NULL, example TEXT NOT NULL, answer TEXT NOT NULL,"
        " PRIMARY KEY (recipe, example)) WITHOUT ROWID",
    ),
)

_CHUNK = 900
"""Keys per query: SQLite builds may allow no more than 999 parameters."""


def answer_key(recipe: Recipe, ref: ModelRef, fields: Sequence[FieldSpec] = ()) -> str:
    """Return what names a student's answers: recipe, renderer, parser, model digest, fields.

    Args:
        recipe: The student.
        ref: The model as the backend tells it, with its digest.
        fields: The task's fields. They may be left out where the cache knows only one task.
    """
    versions = [RENDER_VERSION, PARSE_VERSION]
    asked = [field.to_json() for field in fields]
    return digest([recipe.fingerprint, *versions, ref.spec, ref.digest, *asked])


def example_key(example: Example) -> str:
    """Return what names a note: its id and text. Its gold answer has no part in it."""
    return digest([example.id, example.text])


class AnswerCache:
    """Answers by (``answer_key``, ``example_key``); safe for several processes and threads.

    The first committed answer stays. Every process opens its own.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            StoreError: If it cannot be opened, is damaged, or is of a newer version.
        """
        self.path = path
        self._lock = threading.Lock()
        self._connection = connect(path, _MIGRATIONS)

    def get_many(self, recipe_key: str, example_keys: Sequence[str]) -> dict[str, Answer]:
        """Return the answers that are there, by example key.

        Raises:
            StoreError: If the file cannot be read or an answer in it is damaged.
        """
        found: dict[str, Answer] = {}
        for start in range(0, len(example_keys), _CHUNK):
            chunk = example_keys[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT example, answer FROM answers WHERE recipe = ? AND example IN ({marks})"
            with self._lock, store_errors(self.path):
                rows = self._connection.execute(query, (recipe_key, *chunk)).fetchall()
            found.update((key, self._read(text)) for key, text in rows)
        return found

    def _read(self, text: str) -> Answer:
        try:
            return Answer.model_validate_json(text)
        except ValidationError as cause:
            raise StoreError(
                f"{str(self.path)!r} holds a damaged answer", "move the file away, then resume"
            ) from cause

    def put_many(self, recipe_key: str, answers: Mapping[str, Answer]) -> None:
        """Commit answers by example key, in one transaction; ``failed`` ones are left out.

        Raises:
            StoreError: If the disk is full or read-only; nothing is committed then.
        """
        rows = [
            (recipe_key, key, answer.model_dump_json(exclude_defaults=True))
            for key, answer in answers.items()
            if answer.status != "failed"
        ]
        if not rows:
            return
        with self._lock, store_errors(self.path), transaction(self._connection):
            self._connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", rows)

    def __len__(self) -> int:
        with self._lock, store_errors(self.path):
            return int(self._connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Give the file back. May be called twice."""
        with self._lock, store_errors(self.path):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
