"""Putting the answers of several shards into one file.

Owns the checks: every shard there once, finished, of one corpus and one student, every note answered
once, and nothing else in the way. The rows are sorted by id, on disk, so that the file is the same
however the corpus was cut.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from preceptor.core.database import store_errors, transaction
from preceptor.core.errors import InputError
from preceptor.graphs import answers, appending, corpus


def merge(parts: Sequence[Path], target: Path, *, exact: bool = False) -> answers.Slip:
    """Write all answers of ``parts`` to ``target``, whole or not at all (``exact``: ``answers.write``).

    Returns:
        The slip of the merged file.

    Raises:
        InputError: If a part is missing, unfinished, double, or of another corpus or student, or a
            note has no answer or two; or if ``target`` is there and is no earlier result of this
            corpus.
    """
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {str(target.parent)!r}", "make it, or change --out")
    if corpus.kind(target, "--out") == ".parquet":
        corpus.pyarrow()
    if any(target.exists() and part.exists() and target.samefile(part) for part in parts):
        raise InputError("--out is one of the parts", "choose another --out")
    slips = [answers.read_slip(part) for part in parts]
    _check(parts, slips)
    first = slips[0]
    _check_target(target, first)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        file = Path(folder) / "rows.sqlite"
        with store_errors(file):
            connection = sqlite3.connect(file, isolation_level=None)
            try:
                _fill(connection, parts)
                found = connection.execute("SELECT count(*) FROM rows").fetchone()[0]
                if found != first.notes:
                    raise InputError(
                        f"the parts answer {found} notes, the corpus has {first.notes}",
                        "extract the shards again from one unchanged file",
                    )
                answers.write(target, _sorted(connection), first.fields, exact=exact)
            finally:
                connection.close()
    statuses: Counter[str] = Counter()
    for slip in slips:
        statuses.update(slip.statuses)
    merged = first.model_copy(
        update={"shards": 1, "shard_index": 0, "rows": first.notes, "statuses": dict(statuses)}
    )
    answers.write_slip(target, merged)
    return merged


def _check(parts: Sequence[Path], slips: Sequence[answers.Slip]) -> None:
    first = slips[0]
    for part, slip in zip(parts, slips, strict=True):
        if (slip.corpus, slip.shards) != (first.corpus, first.shards):
            raise InputError(
                f"{str(part)!r} and {str(parts[0])!r} are not shards of one corpus",
                "extract all shards from the same file, with the same --shards",
            )
        if slip.recipe != first.recipe:
            raise InputError(
                f"{str(part)!r} and {str(parts[0])!r} were answered by different students",
                "extract all shards with the same bundle",
            )
    there = Counter(slip.shard_index for slip in slips)
    missing = [str(i) for i in range(first.shards) if i not in there]
    double = [str(i) for i, times in there.items() if times > 1]
    if missing:
        raise InputError(f"shard {', '.join(missing)} of {first.shards} is missing", "give every part")
    if double:
        raise InputError(f"shard {', '.join(double)} is given twice", "give every part once")


def _check_target(target: Path, first: answers.Slip) -> None:
    """Refuse to write over anything but an earlier result of the same corpus."""
    if not target.exists():
        return
    try:
        appending.check_ours(target, begun=False)
        if answers.read_slip(target).corpus == first.corpus:
            return
    except InputError:
        pass
    raise InputError(
        f"--out {str(target)!r} is there and is no earlier result of this corpus",
        "choose another --out",
    )


def _fill(connection: sqlite3.Connection, parts: Sequence[Path]) -> None:
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID")
    for part in parts:
        with transaction(connection):
            for row in answers.read(part):
                try:
                    connection.execute("INSERT INTO rows VALUES (?, ?)", (row.id, row.to_json()))
                except sqlite3.IntegrityError as cause:
                    raise InputError(
                        f"note {row.id!r} is answered twice, again in {str(part)!r}",
                        "extract the shards again into fresh files",
                    ) from cause


def _sorted(connection: sqlite3.Connection) -> Iterator[answers.Row]:
    for (text,) in connection.execute("SELECT row FROM rows ORDER BY id"):
        yield answers.Row.from_json(text)
