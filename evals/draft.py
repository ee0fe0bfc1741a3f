"""A first task file from labelled notes in a CSV or JSON-lines file.

Owns the guesses: which column is the id, the patient, the text, the split, a label or a list, and which
label stands for «nothing found». Whatever is guessed is written down in a task file that a person reads
and corrects, and whatever is odd about it is remarked; the data file is copied as it is.
"""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from pydantic import Field, JsonValue

from preceptor.core.errors import InputError, TaskError
from preceptor.core.fields import NAME
from preceptor.core.files import write_whole
from preceptor.core.record import Record
from preceptor.evals import data, splits, taskfile

MOST_LABELS, MOST_LABEL_CHARS = 12, 40
CASES = ("fallnummer", "fallnr", "fall_nr", "fall_nummer", "fallid", "fall_id")
IDS = (
    "id", "note_id", "noteid", "document_id", "doc_id", "record_id", "report_id", "row_id",
    "dokument_id", "dokumentid", "befund_id", "befundid", "befundnummer", "brief_id", "briefid",
    *CASES,
)  # fmt: skip
GROUPS = (
    "group", "patient", "patient_id", "patientid", "subject", "subject_id", "mrn", "case_id", "pid",
    "patient_nr", "patientnr", "patientennummer", "patientennr", "patienten_nr", "patienten_nummer",
    "patientenid", "patienten_id", "pat_id", "patid", "pat_nr", "patnr", *CASES,
)  # fmt: skip
TEXTS = (
    "text", "note", "report", "body", "content", "letter", "narrative",
    "befund", "befundtext", "brief", "brieftext", "arztbrief", "bericht", "notiz", "epikrise",
)  # fmt: skip
NOTHING = (
    "unknown", "not mentioned", "not stated", "none", "nothing", "no", "absent", "negative", "n/a",
    "false", "0", "unbekannt", "keine", "nein",
)  # fmt: skip
ITEM_MARKS = (";", "|", ",")
"""What may stand between the items of a list that is written as a text."""

_NO_NAME = re.compile(r"[^\w \-/]+")
_NAME_RULE = "letters, digits, '_', '-', '/' or spaces, a letter first, 64 at most"
_TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Draft(Record):
    """What was guessed.

    Attributes:
        id: The column of ids; None if no column has one per row.
        group: The column of patients, if there seems to be one.
        text: The column of notes.
        split: The column that says train, dev or test, if there is one.
        gold: The column that holds the values of all fields, if there is one.
        labels: The labels of each label field, most frequent first.
        defaults: The label for «nothing found» of each.
        lists: The list fields.
        columns: The column of a field, where its name cannot be that of a field.
        unused: Columns that are none of these.
        remarks: What is odd, one line each.
        delimiter: What stands between the cells of a CSV file, if it is no comma.
        items: What stands between the items of lists that are written as texts, if there are such.
    """

    id: str | None
    group: str | None
    text: str
    split: str | None = None
    gold: str | None = None
    labels: dict[str, tuple[str, ...]]
    defaults: dict[str, str]
    lists: tuple[str, ...]
    columns: dict[str, str] = Field(default_factory=dict)
    unused: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    delimiter: str | None = None
    items: str | None = None


Table = dict[str, list[str]]
"""The cells of each column as texts, in the rows' order; empty where a row has none."""


def draft(path: Path) -> Draft:
    """Guess what the columns of a file are.

    Raises:
        TaskError: If the file cannot be read, or no column looks like notes or labels.
    """
    kind = _kind(path)
    between = data.delimiter(path) if kind == "csv" else None
    numbered = list(data.rows(path, kind, between))
    if not numbered:
        raise TaskError(f"{path}: no rows in it", "give it at least one labelled note")
    lines, found = [line for line, _ in numbered], [row for _, row in numbered]
    columns = _table(found)
    gold = next((c for c in _named(list(columns), ("gold",)) if _holds_objects(columns[c])), None)
    text = _note_column(path, {c: cells for c, cells in columns.items() if c != gold})
    rest = [c for c in columns if c not in (text, gold)]
    split = next((c for c in _named(rest, ("split",)) if _is_split(columns[c])), None)
    name, group = _owners([c for c in rest if c != split], columns)
    rest = [c for c in rest if c not in (split, name, group)]
    if gold:
        asked = _golden(path, gold, columns[gold])
    else:
        asked = {c: columns[c] for c in rest if c.strip() and not _named([c], (*IDS, "group", "split"))}
        asked = {c: cells for c, cells in asked.items() if not _holds_objects(cells)}
    mark, parted = (None, []) if gold else _parted(asked)
    lists = tuple(c for c, cells in asked.items() if c in parted or _is_list(cells))
    labels = {c: _labels(cells) for c, cells in asked.items() if c not in lists}
    fields = _field_names([c for c in asked if c in lists or labels[c]])
    if not fields or (gold and len(fields) < len(asked)):
        raise _no_field(path, gold, [c for c in asked if c not in fields], columns)
    return Draft(
        id=name,
        group=group,
        text=text,
        split=split,
        gold=gold,
        labels={field: labels[c] for c, field in fields.items() if c not in lists},
        defaults={field: _default(labels[c]) for c, field in fields.items() if c not in lists},
        lists=tuple(fields[c] for c in lists),
        columns={field: c for c, field in fields.items() if field != c},
        unused=tuple(c for c in rest if gold or c not in fields),
        remarks=(
            *_empty(columns, lines, [text, *([group] if group else [])]),
            *_passed_over(columns, lines, rest, name),
            *_unscored(columns, parted),
        ),
        delimiter=between if between not in (None, ",") and path.suffix.casefold() == ".csv" else None,
        items=mark,
    )


def _table(found: Sequence[data.Row]) -> Table:
    names = dict.fromkeys(name for row in found for name in row)
    return {name: [_text(row.get(name)) for row in found] for name in names}


def _holds_objects(cells: Sequence[str]) -> bool:
    filled = [_read(cell) for cell in cells if cell.strip()]
    return bool(filled) and all(isinstance(value, dict) for value in filled)


def _is_split(cells: Sequence[str]) -> bool:
    return any(cells) and set(cells) <= {*splits.PARTS, ""}


def _owners(rest: Sequence[str], columns: Table) -> tuple[str | None, str | None]:
    """Return the column of ids and that of patients, None for one that is not there."""
    cases = [c for c in _named(rest, ("fall",)) if not _labels(columns[c])]  # else somebody fell
    patients = _named(rest, GROUPS) + cases
    name = next((c for c in _named(rest, IDS) + cases if _unique(columns[c])), None)
    name = name or next(
        (c for c in rest if _unique(columns[c]) and "id" in c.casefold() and c not in patients), None
    )
    return name, next((c for c in patients if c != name), None)


def _golden(path: Path, column: str, cells: Sequence[str]) -> Table:
    """Return the values of each field in a column of gold objects."""
    objects = [_read(cell) if cell.strip() else {} for cell in cells]
    table = _table([value for value in objects if isinstance(value, dict)])
    for name in table:
        if not NAME.fullmatch(name) or name != name.strip():
            raise TaskError(
                f"{path}: {name!r} in column {column!r} cannot be a field's name",
                f"rename it: {_NAME_RULE}",
            )
    return table


def _field_names(columns: Sequence[str]) -> dict[str, str]:
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


def _no_field(path: Path, gold: str | None, odd: Sequence[str], columns: Table) -> TaskError:
    labels = f"a label column holds 2 to {MOST_LABELS} short values"
    if gold and odd:
        return TaskError(
            f"{path}: {odd[0]!r} in column {gold!r} looks like no field",
            f"{labels}, most of them more than once; leave it out, or write the task file by hand",
        )
    return TaskError(
        f"{path}: no column looks like a field", f"{labels}; there are: {', '.join(columns)}"
    )


def _empty(columns: Table, lines: Sequence[int], needed: Sequence[str]) -> Iterator[str]:
    for column in needed:
        bare = [line for line, cell in zip(lines, columns[column], strict=True) if not cell.strip()]
        if bare:
            more = f" and {len(bare) - 1} more" if bare[1:] else ""
            yield f"{column!r} is empty in line {bare[0]}{more}: fill it or drop the row"


def _unscored(columns: Table, parted: Sequence[str]) -> Iterator[str]:
    for column in parted:
        bare = sum(not cell.strip() for cell in columns[column])
        if bare:
            yield f"{column!r} is empty {bare} times and not scored there: write [] if that is «none»"


def _passed_over(
    columns: Table, lines: Sequence[int], rest: Sequence[str], name: str | None
) -> Iterator[str]:
    """Tell why a column is not what its name says."""
    for column in _named(rest, ("split",)):
        yield f"{column!r} is not used: it holds other values than {', '.join(splits.PARTS)}"
    for column in _named(rest, IDS) if name is None else ():
        seen: dict[str, int] = {}
        for line, cell in zip(lines, columns[column], strict=True):
            first = seen.setdefault(cell, line)
            if first != line or not cell.strip():
                what = f"holds the same in lines {first} and {line}" if cell.strip() else "is empty"
                where = "" if cell.strip() else f" in line {line}"
                yield f"{column!r} {what}{where}, so the row number is the id"
                break


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
    """Return the columns that are called one of ``names``, in the order of these."""
    folded = {re.sub(r"[\W_]+", "_", c.casefold()).strip("_"): c for c in columns}
    return [folded[n] for n in names if n in folded]


def _note_column(path: Path, columns: dict[str, list[str]]) -> str:
    long = {c: statistics.median(map(len, cells)) for c, cells in columns.items()}
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


def _read(cell: str) -> JsonValue:
    """Return what a cell holds if it is JSON, None otherwise."""
    try:
        value: JsonValue = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return value


def _reads_as_list(cell: str) -> bool:
    value = _read(cell)
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _parted(asked: Table) -> tuple[str | None, list[str]]:
    """Return the columns of lists that are written as texts, and what stands between their items."""
    found = {m: [c for c, cells in asked.items() if _is_parted(cells, m)] for m in ITEM_MARKS}
    mark = max(ITEM_MARKS, key=lambda m: len(found[m]))
    return (mark, found[mark]) if found[mark] else (None, [])


def _is_parted(cells: Sequence[str], mark: str) -> bool:
    """Return whether cells are short items of which there are sometimes several, in several ways."""
    filled = [cell for cell in cells if cell.strip() and not _reads_as_list(cell)]
    cut = [[item.strip().casefold() for item in cell.split(mark) if item.strip()] for cell in filled]
    items = Counter(item for row in cut for item in row)
    if len({len(row) for row in cut}) < 2 or not all(map(_is_item, items)):
        return False
    combined = len({frozenset(row) for row in cut}) > len(items)
    return combined or (not _labels(cells) and items.total() >= 2 * len(items))


def _is_item(item: str) -> bool:
    return len(item) <= MOST_LABEL_CHARS and any(map(str.isalpha, item))


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
    columns: dict[str, object] = {"id": found.id, "text": found.text}
    owned = {"group": found.group, "split": found.split, "gold": found.gold}
    columns |= {use: c for use, c in owned.items() if c or use in found.unused}
    if found.columns:
        columns["fields"] = found.columns
    source: dict[str, object] = {"path": copy, "columns": columns}
    if found.delimiter:
        source["delimiter"] = found.delimiter
    if found.items:
        source["items"] = found.items
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
