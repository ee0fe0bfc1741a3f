"""The rows of a Parquet file, batch by batch, and of their columns only those that are needed.

Owns reading one and what its values are in JSON: a column that nobody asked for is neither decoded nor
able to fail. Memory does not grow with the file.
"""

from __future__ import annotations

import datetime
import importlib
import math
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import ModuleType

from pydantic import JsonValue

from preceptor.core.errors import InputError, TaskError, boundary
from preceptor.core.spelling import as_key, shown

BATCH = 512

READ_BYTES = 65_536
"""Of a Parquet file, read at once of each column."""

HINT = "install it: pip install pyarrow, or use .jsonl"

Choose = Callable[[list[str]], Collection[str]]
"""Given the columns that there are, says which are needed."""


def pyarrow(module: str = "pyarrow") -> ModuleType:
    """Import pyarrow, or one of its modules, late.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise InputError("Parquet files need the package pyarrow", HINT) from cause


def parquet_rows(
    path: Path, choose: Choose | None = None
) -> Iterator[tuple[int, dict[str, JsonValue]]]:
    """Yield (row number from 1, row) of a Parquet file, batch by batch.

    Pages are read as they are needed: of a row group of any size, a few of each column are in memory.

    Args:
        path: The file.
        choose: Which columns are needed; all if None.

    Raises:
        TaskError: If it cannot be read.
    """
    parquet = pyarrow("pyarrow.parquet")
    number = 0
    with boundary(TaskError, f"{path} cannot be read as Parquet", "check the file", quiet=True):
        with path.open("rb") as opened:
            file = parquet.ParquetFile(opened, buffer_size=READ_BYTES, pre_buffer=False)
            names = {name: as_key(name) for name in file.schema_arrow.names}
            wanted = set(names.values()) if choose is None else choose(list(names.values()))
            taken = {name: key for name, key in names.items() if key in wanted}
            spelt = [as_key(name) for name in file.schema_arrow.names]
            for key in taken.values():
                if spelt.count(key) > 1:
                    raise TaskError(
                        f"{path}: column {shown(key)} is there twice", "rename one of the two"
                    )
            for batch in file.iter_batches(BATCH, columns=list(taken), use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    where = f"{path}, row {number}"
                    yield number, {key: plain(row[name], where) for name, key in taken.items()}


def plain(value: object, where: str) -> JsonValue:
    """Return a value as JSON would hold it: times and decimals as texts, NaN as null.

    Raises:
        TaskError: If bytes are no UTF-8.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as cause:
            raise TaskError(f"{where}: bytes that are not UTF-8", "write texts in UTF-8") from cause
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item, where) for name, item in value.items()}
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
