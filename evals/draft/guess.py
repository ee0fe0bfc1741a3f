"""Guesses what the columns of a table of labelled notes are.

Owns which column is the id, the patient, the text, the split, a label or a list, and which label stands
for «nothing found». Leaves the look of single columns to ``evals.cells``, owners to ``evals.owners``,
and exports of annotation tools to ``evals.exports``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from preceptor.core.errors import TaskError
from preceptor.core.fields import NAME, ListField
from preceptor.core.spelling import columns_shown, shown
from preceptor.evals import cells as look
from preceptor.evals import data, owners, splits
from preceptor.evals.cells import MOST_LABEL_CHARS, MOST_LABELS, Table
from preceptor.evals.draft.record import Draft
from preceptor.evals.owners import Owner

CASES = ("fallnummer", "fallnr", "fall_nr", "fall_nummer", "fallid", "fall_id")
IDS = (
    "id", "note_id", "noteid", "document_id", "doc_id", "record_id", "report_id", "row_id",
    "dokument_id", "dokumentid", "befund_id", "befundid", "befundnummer", "brief_id", "briefid",
    "filename", "file_name", "file", *CASES,
)  # fmt: skip
NOTHING = (
    "unknown", "not mentioned", "not stated", "none", "nothing", "no", "absent", "negative", "n/a",
    "false", "0", "unbekannt", "keine", "nein",
)  # fmt: skip
ITEM_MARKS = (";", "|", ",")
"""What may stand between the items of a list that is written as a text."""

USUAL_MOST: int = ListField.model_fields["max_items"].default
"""The most items of a list whose task file does not say."""

TEMPLATES = (
    ("title", "titel", "titre", "titulo", "subject", "heading", "headline", "betreff"),
    ("question", "frage", "pregunta"),
    ("sentence", "satz", "context", "history", "anamnese", "subjective", "findings"),
    ("concept", "term", "entity", "mention", "objective", "impression", "beurteilung", "assessment"),
    ("answer", "antwort", "respuesta", "plan", "therapie"),
)
"""Columns that are read together with a note, in the order in which they are."""

LEAST_USES = 5
"""How often the items of a list occur on average before they look like a closed set."""

_NAME_RULE = "letters, digits, '_', '-', '/' or spaces, a letter first, 64 at most"
_TOOLS = (*look.ANNOTATORS, "annotation_id", "lead_time", "created_at", "updated_at", "annotated_at")


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
    lines, columns = [line for line, _ in numbered], look.table([row for _, row in numbered])
    gold = next((c for c in look.named(columns, ("gold",)) if look.holds_objects(columns[c])), None)
    text = look.note_column({c: cells for c, cells in columns.items() if c != gold})
    if text is None:
        raise TaskError(f"{path}: no column looks like notes", "name the column of the notes 'text'")
    rest = [c for c in columns if c not in (text, gold)]
    split = next((c for c in look.named(rest, ("split",)) if is_split(columns[c])), None)
    owned = {c: columns[c] for c in rest if c != split}
    name, owner = owners_of(owned, columns[text])
    rest = [c for c in rest if c not in (split, name, owner and owner.column)]
    asked = _asked(path, gold, rest, columns)
    mark, parted = (None, []) if gold else _parted(asked)
    lists = tuple(c for c, cells in asked.items() if c in parted or look.is_list(cells))
    labels = {c: look.labels(cells) for c, cells in asked.items() if c not in lists}
    fields = look.field_names([c for c in asked if c in lists or labels[c]])
    if not fields or (gold and len(fields) < len(asked)):
        raise _no_field(path, gold, [c for c in asked if c not in fields], columns)
    unused = [c for c in rest if gold or c not in fields]
    owner = owner or next(iter(owners.find({c: columns[c] for c in unused}, columns[text])), None)
    group = owner.column if owner else None
    return Draft(
        id=name,
        group=group,
        text=text,
        split=split,
        gold=gold,
        labels={field: labels[c] for c, field in fields.items() if c not in lists},
        defaults={field: default(labels[c]) for c, field in fields.items() if c not in lists},
        lists=tuple(fields[c] for c in lists),
        most={fields[c]: n for c in lists if (n := _most(asked[c], mark)) > USUAL_MOST},
        columns={field: c for c, field in fields.items() if field != c},
        unused=tuple(c for c in unused if c != group),
        remarks=(
            *_empty(columns, lines, [text, *([group] if group else [])]),
            *([owner_remark(owner)] if owner and not _is_plain(owner) else []),
            *_passed_over(columns, lines, rest, name),
            *_half_said({c: columns[c] for c in unused if c in asked}),
            *_unscored(columns, parted),
            *_closed(asked, lists, mark),
            *_together(columns, text, unused),
        ),
        delimiter=between if between not in (None, ",") and path.suffix.casefold() == ".csv" else None,
        items=mark,
        owners=owner.counts() if owner else "",
    )


def _asked(path: Path, gold: str | None, rest: Sequence[str], columns: Table) -> Table:
    """Return the columns that may be fields."""
    if gold:
        return _golden(path, gold, columns[gold])
    never = look.named(rest, (*IDS, *_TOOLS, "group", "split"))
    asked = {c: columns[c] for c in rest if c.strip() and c not in never}
    return {c: cells for c, cells in asked.items() if not look.holds_objects(cells)}


def _is_plain(owner: Owner) -> bool:
    """Return whether nobody wonders why this is the patient."""
    return owner.level == owners.PERSON


def owner_remark(owner: Owner) -> str:
    """Return why a column is taken as the group."""
    return f"{shown(owner.column)} is taken as the group ({owner.counts()}): {owner.why}"


def is_split(cells: Sequence[str]) -> bool:
    """Return whether cells say train, dev and test."""
    return any(cells) and set(cells) <= {*splits.PARTS, ""}


def owners_of(columns: Table, texts: Sequence[str]) -> tuple[str | None, Owner | None]:
    """Return the column of ids and that of patients, None for one that is not there.

    Only names count here: what the values say is asked when the fields are known. A visit that has
    one row each is an id if a coarser owner (its patient) has several.
    """
    said = owners.find({c: cells for c, cells in columns.items() if owners.level(c)}, texts)
    patients = {owner.column: owner for owner in said}
    cases = [
        c for c in look.named(columns, ("fall",)) if not look.labels(columns[c])
    ]  # or somebody fell
    rest = [c for c in columns if c not in look.named(columns, _TOOLS)]
    name = next((c for c in look.named(rest, IDS) + cases if look.unique(columns[c])), None)
    coarsest = min((o.level for o in said if o.values < o.rows), default=0)
    single = [c for c in rest if look.unique(columns[c]) and "id" in c.casefold()]
    name = name or next((c for c in single if c not in patients), None)
    name = name or next((c for c in single if 0 < coarsest < patients[c].level), None)
    return name, next((owner for c, owner in patients.items() if c != name), None)


def _golden(path: Path, column: str, cells: Sequence[str]) -> Table:
    """Return the values of each field in a column of gold objects."""
    objects = [look.read(cell) if cell.strip() else {} for cell in cells]
    table = look.table([value for value in objects if isinstance(value, dict)])
    for name in table:
        if not NAME.fullmatch(name) or name != name.strip():
            raise TaskError(
                f"{path}: {shown(name)} in column {shown(column)} cannot be a field's name",
                f"rename it: {_NAME_RULE}",
            )
    return table


def _no_field(path: Path, gold: str | None, odd: Sequence[str], columns: Table) -> TaskError:
    labels = f"a label column holds 2 to {MOST_LABELS} short values (an empty cell is none)"
    if gold and odd:
        return TaskError(
            f"{path}: {shown(odd[0])} in column {shown(gold)} looks like no field",
            f"{labels}, most of them more than once; leave it out, or write the task file by hand",
        )
    return TaskError(
        f"{path}: no column looks like a field", f"{labels}; {columns_shown(list(columns))}"
    )


def _empty(columns: Table, lines: Sequence[int], needed: Sequence[str]) -> Iterator[str]:
    for column in needed:
        bare = [line for line, cell in zip(lines, columns[column], strict=True) if not cell.strip()]
        if bare:
            more = f" and {len(bare) - 1} more" if bare[1:] else ""
            yield f"{shown(column)} is empty in line {bare[0]}{more}: fill it or drop the row"


def _half_said(columns: Table) -> Iterator[str]:
    """Tell of columns that say one thing, or nothing: «yes» and empty cells."""
    for column, cells in columns.items():
        said = {cell.strip().casefold(): cell.strip() for cell in cells if cell.strip()}
        bare = sum(not cell.strip() for cell in cells)
        if bare and len(said) == 1 and max(map(len, said)) <= MOST_LABEL_CHARS:
            only = shown(next(iter(said.values())))
            yield (
                f"{shown(column)} is not used: it holds {only} or nothing; if its {bare} empty cells "
                "mean another label, write it there"
            )


def _unscored(columns: Table, parted: Sequence[str]) -> Iterator[str]:
    for column in parted:
        bare = sum(not cell.strip() for cell in columns[column])
        if bare:
            times = "once" if bare == 1 else f"{bare} times"
            told = f"{shown(column)} is empty {times} and not scored there"
            yield f'{told}: write [] where it means "none"'


def _closed(asked: Table, lists: Sequence[str], mark: str | None) -> Iterator[str]:
    """Propose closed lists where the same few items stand again and again."""
    for column in lists:
        items = Counter(item for cell in asked[column] for item in _items(cell, mark))
        if 2 <= len(items) <= MOST_LABELS and items.total() >= LEAST_USES * len(items):
            short = all(shown(item) == repr(item) for item in items)
            few = ", ".join(map(_plain, sorted(items))) if short else "…"
            told = f"{shown(column)} holds {len(items)} different items"
            yield f"{told}; a closed list says values: [{few}]"


def _items(cell: str, mark: str | None) -> list[str]:
    """Return the items of a list's cell."""
    value = look.read(cell) if cell.lstrip().startswith("[") else None
    if isinstance(value, list):
        return [str(item).strip() for item in value]
    return [item.strip() for item in cell.split(mark) if item.strip()] if mark else []


def _plain(item: str) -> str:
    """Return an item as YAML reads it in a list."""
    said = yaml.safe_load(f"[{item}]")[0] if re.fullmatch(r"[\w -]+", item) else None
    return item if said == item else json.dumps(item, ensure_ascii=False)


def _passed_over(
    columns: Table, lines: Sequence[int], rest: Sequence[str], name: str | None
) -> Iterator[str]:
    """Tell why a column is not what its name says."""
    for column in look.named(rest, ("split",)):
        yield f"{shown(column)} is not used: it holds other values than {', '.join(splits.PARTS)}"
    for column in look.named(rest, IDS) if name is None else ():
        seen: dict[str, int] = {}
        for line, cell in zip(lines, columns[column], strict=True):
            first = seen.setdefault(cell, line)
            if first != line or not cell.strip():
                what = f"holds the same in lines {first} and {line}" if cell.strip() else "is empty"
                where = "" if cell.strip() else f" in line {line}"
                yield f"{shown(column)} {what}{where}, so the row number is the id"
                break


def _together(columns: Table, text: str, unused: Sequence[str]) -> Iterator[str]:
    """Propose to read several columns of text as one note."""
    known = [name for names in TEMPLATES for name in names]
    found = [c for c in look.named(unused, known) if _is_prose(columns[c])]
    if not found:
        return
    rank = {c: next(i for i, names in enumerate(TEMPLATES) if look.named([c], names)) for c in found}
    own = next((i for i, names in enumerate(TEMPLATES) if look.named([text], names)), 2)
    order = sorted([text, *found], key=lambda c: rank.get(c, own))
    shown = r"\n".join(f"{{{c}}}" for c in order)
    yield f'several columns hold text; to read them as one note, say text: "{shown}" under columns'


def _is_prose(cells: Sequence[str]) -> bool:
    """Return whether cells are texts that differ, most of them there."""
    filled = [cell for cell in cells if any(map(str.isalpha, cell))]
    return len(filled) >= len(cells) / 2 and len(set(filled)) > MOST_LABELS and not look.is_list(cells)


def _kind(path: Path) -> data.Format:
    if not path.is_file():
        raise TaskError(f"there is no file {str(path)!r}", "--from names a file of labelled notes")
    if path.suffix.casefold() not in data.ENDINGS:
        raise TaskError(
            f"{path}: cannot tell its format",
            f"save it as CSV in UTF-8, or name it {', '.join(data.ENDINGS)}",
        )
    return data.format_of(path)


def _parted(asked: Table) -> tuple[str | None, list[str]]:
    """Return the columns of lists that are written as texts, and what stands between their items."""
    found = {m: [c for c, cells in asked.items() if _is_parted(cells, m)] for m in ITEM_MARKS}
    mark = max(ITEM_MARKS, key=lambda m: len(found[m]))
    return (mark, found[mark]) if found[mark] else (None, [])


def _is_parted(cells: Sequence[str], mark: str) -> bool:
    """Return whether cells are short items of which there are sometimes several, in several ways."""
    filled = [cell for cell in cells if cell.strip() and not look.reads_as_list(cell)]
    cut = [[item.strip().casefold() for item in cell.split(mark) if item.strip()] for cell in filled]
    items = Counter(item for row in cut for item in row)
    if len({len(row) for row in cut}) < 2 or not all(map(_is_item, items)):
        return False
    combined = len({frozenset(row) for row in cut}) > len(items)
    return combined or (not look.labels(cells) and items.total() >= 2 * len(items))


def _is_item(item: str) -> bool:
    return len(item) <= MOST_LABEL_CHARS and any(map(str.isalpha, item))


def _most(cells: Sequence[str], mark: str | None) -> int:
    """Return how many items the longest list of a column has."""
    lengths = [0]
    for cell in cells:
        value = look.read(cell) if cell.lstrip().startswith("[") else None
        lengths.append(len(value) if isinstance(value, list) else cell.count(mark) + 1 if mark else 0)
    return max(lengths)


def names_nothing(label: str) -> bool:
    """Return whether a label is called what stands for «nothing found»."""
    return label.casefold() in NOTHING


def default(values: Sequence[str]) -> str:
    """Return the label that says «nothing found»: by its name, or else the most frequent."""
    folded = {value.casefold(): value for value in values}
    return next((folded[n] for n in NOTHING if n in folded), values[0])
