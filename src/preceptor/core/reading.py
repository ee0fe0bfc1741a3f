"""Reading what somebody else may have written or damaged: text, JSON, records.

Owns two promises: whatever is wrong with JSON is a ``ValueError``, also a nesting so deep that Python
gives up; and a file that is no text, or no such record, is one line that names it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from preceptor.core.errors import StoreError
from preceptor.core.record import Record

R = TypeVar("R", bound=Record)


def loads(text: str | bytes | bytearray) -> Any:  # as json.loads
    """Return the value of a JSON text.

    Raises:
        ValueError: If it is none, nested too deep, or holds a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError as cause:
        raise ValueError("nested too deep") from cause


def text_of(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        StoreError: If its bytes are no UTF-8.
        OSError: If it cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as cause:
        raise StoreError(
            f"{str(path)!r} is damaged: no UTF-8 at byte {cause.start}",
            "restore it, or start a new run",
        ) from cause


def record_of(path: Path, kind: type[R]) -> R:
    """Return the record that a file holds.

    Raises:
        StoreError: If it is none.
        OSError: If it cannot be read.
    """
    try:
        return kind.from_json(path.read_bytes())
    except ValidationError as cause:
        raise StoreError(
            f"{str(path)!r} is damaged, or of another version: no {kind.__name__.casefold()}",
            "use the preceptor that wrote it, or start a new run",
        ) from cause
