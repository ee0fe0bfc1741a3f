"""A first task file from labelled notes in a CSV or JSON-lines file.

Owns the guesses: which column is the id, the patient, the text, a label or a list, and which label
stands for «nothing found». Whatever is guessed is written down in a task file that a person reads and
corrects; the data file is copied as it is.
"""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import JsonValue

from preceptor.core.errors import InputError, TaskError
from preceptor.core.fields import NAME
from preceptor.core.files import write_whole
from preceptor.core.record import Record
from preceptor.evals import data, taskfile

MOST_LABELS, MOST_LABEL_CHARS = 12, 40
IDS = ("id", "note_id", "noteid", "document_id", "doc_id", "record_id", "report_id", "row_id")
GROUPS = (
    "group",
    "patient",
    "patient_id",
    "patientid",
    "subject",
    "subject_id",
    "mrn",
    "case_id",
    "pid",
)
TEXTS = ("text", "note", "report", "body", "content", "letter", "narrative")
NOTHING = (
    "unknown", "not mentioned", "not stated", "none", "nothing", "no", "absent", "negative", "n/a",
    "false", "0", "unbekannt", "keine", "nein",
)  # fmt: skip
_TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Draft(Record):
    """What was guessed.

    Attributes:
        id: The column of ids; None if no column has one per row.
        group: The column of patients, if there seems to be one.
        text: The column of notes.
        labels: The labels of each label field, most frequent first.
        defaults: The label for «nothing found» of each.
        lists: The list fields.
        unused: Columns that are none of these.
        delimiter: What stands between the cells of a CSV file, if it is no comma.
    """

    id: str | None
    group: str | None
    text: str
    labels: dict[str, tuple[str, ...]]
    defaults: dict[str, str]
    lists: tuple[str, ...]
    unused: tuple[str, ...]
    delimiter: str | None = None


def draft(path: Path) -> Draft:
    """Guess what the columns of a file are.

    Raises:
        TaskError: If the file cannot be read, or no column looks like notes or labels.
    """
    kind = _kind(path)
    between = data.delimiter(path) if kind == "csv" else None
    table = [row for _, row in data.rows(path, kind, between)]
    if not table:
        raise TaskError(f"{path}: no rows in it", "give it at least one labelled note")
    columns = {name: [_text(row.get(name)) for row in table] for name in table[0]}
    text = _note_column(path, columns)
    rest = [name for name in columns if name != text]
    name = next((c for c in _named(rest, IDS) if _unique(columns[c])), None)
    name = name or next((c for c in rest if _unique(columns[c]) and "id" in c.casefold()), None)
    rest = [c for c in rest if c != name]
    group = next(iter(_named(rest, GROUPS)), None)
    fields = [c for c in rest if c != group and NAME.fullmatch(c) and c == c.strip()]
    lists = tuple(c for c in fields if _is_list(columns[c]))
    found = {c: _labels(columns[c]) for c in fields if c not in lists}
    labels = {c: values for c, values in found.items() if values}
    if not labels and not lists:
        raise TaskError(
            f"{path}: no column looks like a field",
            f"a label column holds 2 to {MOST_LABELS} short values; there are: {', '.join(columns)}",
        )
    return Draft(
        id=name,
        group=group,
        text=text,
        labels=labels,
        defaults={c: _default(values) for c, values in labels.items()},
        lists=lists,
        unused=tuple(c for c in rest if c != group and c not in labels and c not in lists),
        delimiter=between if between not in (None, ",") and path.suffix.casefold() == ".csv" else None,
    )


def _kind(path: Path) -> data.Format:
    if not path.is_file():
        raise TaskError(f"there is no file {str(path)!r}", "--from names a file of labelled notes")
    kinds: dict[str, data.Format] = {
        ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    }  # fmt: skip
    found = kinds.get(path.suffix.casefold())
    if found is None:
        raise TaskError(
            f"{path}: cannot tell its format",
            f"save it as CSV in UTF-8, or name it {', '.join(kinds)}",
        )
    return found


def _text(value: JsonValue) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _named(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    folded = {re.sub(r"[\s\-]+", "_", c.strip().casefold()): c for c in columns}
    return [folded[n] for n in names if n in folded]


def _note_column(path: Path, columns: dict[str, list[str]]) -> str:
    long = {c: statistics.median(map(len, cells)) for c, cells in columns.items() if all(cells)}
    named = [c for c in _named(list(long), TEXTS) if not _is_list(columns[c])]
    best = named[0] if named else max(long, key=lambda c: long[c], default="")
    if not best or long[best] < 1 or (not named and long[best] <= MOST_LABEL_CHARS):
        raise TaskError(f"{path}: no column looks like notes", "name the column of the notes 'text'")
    return best


def _unique(cells: Sequence[str]) -> bool:
    return all(cells) and len(set(cells)) == len(cells)


def _is_list(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(_reads_as_list(cell) for cell in filled)


def _reads_as_list(cell: str) -> bool:
    try:
        value = json.loads(cell)
    except ValueError:
        return False
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _labels(cells: Sequence[str]) -> tuple[str, ...]:
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


def _default(values: Sequence[str]) -> str:
    folded = {value.casefold(): value for value in values}
    return next((folded[n] for n in NOTHING if n in folded), values[0])


def write(name: str, source: Path, folder: Path) -> tuple[Path, Draft]:
    """Write ``NAME/task.yaml`` and the data file beside it.

    Args:
        name: The task's name.
        source: The labelled notes.
        folder: Where the new folder is made.

    Returns:
        The task file, and what was guessed.

    Raises:
        InputError: If the name cannot be used or is taken.
        TaskError: If the file cannot be read, or holds no notes or labels.
    """
    if not _TASK_NAME.fullmatch(name):
        raise InputError(f"task name {name!r}", "letters, digits, '.', '_' and '-', 64 at most")
    target = folder / name
    if target.exists():
        raise InputError(f"{str(target)!r} exists already", "choose another name")
    found = draft(source)
    copy = f"notes{source.suffix.casefold()}"
    content = source.read_bytes()
    target.mkdir(parents=True)
    write_whole(target / copy, content)
    write_whole(target / "task.yaml", _yaml(name, copy, found).encode("utf-8"))
    return target / "task.yaml", found


def _yaml(name: str, copy: str, found: Draft) -> str:
    fields: list[dict[str, object]] = []
    for column, values in found.labels.items():
        labels = {"values": list(values), "default": found.defaults[column]}
        fields.append({"name": column, **labels, "meaning": "", "look_for": []})
    for column in found.lists:
        fields.append({"name": column, "kind": "list", "of": column})
    columns = {"id": found.id, "text": found.text}
    if found.group:
        columns["group"] = found.group
    source: dict[str, object] = {"path": copy, "columns": columns}
    if found.delimiter:
        source["delimiter"] = found.delimiter
    said = {
        "name": name,
        "description": "",
        "fields": fields,
        "data": source,
        "split": {"train": 0.4, "dev": 0.3, "test": 0.3},
    }
    head = (
        f"{taskfile.HINT}# Guessed from the data: read it, and say in 'meaning' what each field is.\n"
    )
    return head + yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
