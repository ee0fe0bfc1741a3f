"""What the cells of a table look like: labels, lists, ids, or none of these.

Owns the guesses about one column that ``tasks new`` and the readers of annotation exports share. Leaves
what to make of them to ``evals.draft`` and ``evals.exports``.
"""

from __future__ import annotations

import json
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from preceptor.core.fields import NAME

MOST_LABELS, MOST_LABEL_CHARS = 12, 40
TEXTS = (
    "text", "note", "note_text", "report", "report_text", "body", "content", "letter", "narrative",
    "befund", "befundtext", "brief", "brieftext", "arztbrief", "bericht", "notiz", "epikrise",
    "texte", "compte_rendu", "texto", "nota", "informe",
)  # fmt: skip
ANNOTATORS = (
    "annotator", "annotator_id", "annotator_name", "annotated_by", "completed_by", "rater", "rater_id",
    "coder", "coder_id", "reviewer", "reviewer_id", "labeler", "labeller", "kodierer", "annotateur",
    "anotador",
)  # fmt: skip
"""Columns that say who annotated a row."""

MACHINERY = (
    "annotation_id", "lead_time", "created_at", "updated_at", "annotated_at", "comments",
    "inner_id", "was_cancelled", "ground_truth", "history", "agreement",
)  # fmt: skip
"""Columns that annotation tools write about an annotation: no fields, and no ids."""

Table = dict[str, list[str]]
"""The cells of each column as texts, in the rows' order; empty where a row has none."""

_NO_NAME = re.compile(r"[^\w \-/]+")


def table(found: Sequence[Mapping[str, JsonValue]]) -> Table:
    """Return the columns of rows."""
    names = dict.fromkeys(name for row in found for name in row)
    return {name: [text(row.get(name)) for row in found] for name in names}


def text(value: JsonValue) -> str:
    """Return a cell as a text: JSON of what is none, nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read(cell: str) -> JsonValue:
    """Return what a cell holds if it is JSON, None otherwise."""
    try:
        value: JsonValue = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return value


def folded(name: str) -> str:
    """Return a column's name without case, accents and punctuation, words parted by ``_``."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "_", plain.casefold()).strip("_")


def named(columns: Iterable[str], names: Sequence[str]) -> list[str]:
    """Return the columns that are called one of ``names``, in the order of these."""
    known: dict[str, str] = {}
    for column in columns:
        known.setdefault(folded(column), column)
    return [known[n] for n in names if n in known]


def unique(cells: Sequence[str]) -> bool:
    """Return whether no cell is empty or stands twice."""
    return all(cells) and len(set(cells)) == len(cells)


def holds_objects(cells: Sequence[str]) -> bool:
    """Return whether all cells that are filled hold JSON objects."""
    filled = [read(cell) for cell in cells if cell.strip()]
    return bool(filled) and all(isinstance(value, dict) for value in filled)


def is_list(cells: Sequence[str]) -> bool:
    """Return whether all cells that are filled hold JSON lists of texts."""
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(map(reads_as_list, filled))


def reads_as_list(cell: str) -> bool:
    """Return whether a cell holds a JSON list of texts."""
    value = read(cell)
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def labels(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the labels, most frequent first; none if the column does not look like labels."""
    counts: Counter[str] = Counter()
    spelt: dict[str, str] = {}
    for cell in cells:
        if cell.strip():
            counts[spelt.setdefault(cell.strip().casefold(), cell.strip())] += 1
    if not 2 <= len(counts) <= MOST_LABELS or max(map(len, counts)) > MOST_LABEL_CHARS:
        return ()
    if sum(counts.values()) < 2 * len(counts):
        return ()
    return tuple(value for value, _ in counts.most_common())


def note_column(columns: Table) -> str | None:
    """Return the column of notes: the one that is called so, or the one with the longest texts."""
    long = {c: statistics.median(map(len, cells)) for c, cells in columns.items()}
    known = [c for c in named(long, TEXTS) if not is_list(columns[c])]
    best = known[0] if known else max(long, key=lambda c: long[c], default=None)
    if best is None or long[best] < 1 or (not known and long[best] <= MOST_LABEL_CHARS):
        return None
    return best


def field_names(columns: Sequence[str]) -> dict[str, str]:
    """Return a field's name for each column: its own, or what is left of it by the rules of names."""
    names = {c: c for c in columns if NAME.fullmatch(c) and c == c.strip()}
    for number, column in enumerate(columns, 1):
        if column in names:
            continue
        kept = " ".join(_NO_NAME.sub(" ", column).split()).lstrip("0123456789-/ ")
        kept = kept[:60].strip() if NAME.fullmatch(kept[:60]) else f"field {number}"
        while kept in names.values():
            kept += "_"
        names[column] = kept
    return {c: names[c] for c in columns}
