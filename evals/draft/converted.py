"""From a merged export to the rows of a data file and what a task file says about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from pydantic import JsonValue

from preceptor.evals import cells, owners
from preceptor.evals.draft.guess import (
    IDS,
    USUAL_MOST,
    default,
    is_split,
    owner_remark,
)
from preceptor.evals.draft.record import Draft
from preceptor.evals.exports.merge import Merged, Note, merge
from preceptor.evals.exports.record import Export
from preceptor.evals.owners import Owner


def drafted(
    export: Export, path: Path, annotator: str | None
) -> tuple[Draft, list[dict[str, JsonValue]]]:
    """Return what to say about an export, and its rows.

    Raises:
        InputError: If there is no such annotator.
        TaskError: If no gold is left.
    """
    found = merge(export, path, annotator)
    fields = {*found.labels, *found.lists}
    table = cells.table([note.answer.meta for note in found.notes])
    texts = [note.answer.text for note in found.notes]
    split = next((c for c in cells.named(table, ("split",)) if is_split(table[c])), None)
    said = [o for o in owners.find(table, texts) if o.column != split]
    taken = next((c for c in cells.named(table, IDS) if cells.unique(table[c])), None)
    owner = next((o for o in said if o.column != taken and _is_full(o, found)), None)
    own = "note_id" if "id" in fields else "id", "note_text" if "text" in fields else "text"
    names = _columns(list(table), fields | {*own}, {split, owner.column if owner else None})
    rows: list[dict[str, JsonValue]] = [
        {own[0]: name, own[1]: normalize("NFC", note.answer.text), **_row(note, names)}
        for note, name in zip(found.notes, _ids(found, taken), strict=True)
    ]
    longest = {f: max(len(n.lists.get(f, ())) for n in found.notes) for f in found.lists}
    used = {split, owner.column if owner else None, taken}
    draft = Draft(
        id=own[0],
        group=names[owner.column] if owner else None,
        text=own[1],
        split=names[split] if split else None,
        labels=dict(found.labels),
        defaults={f: default(values) for f, values in found.labels.items()},
        lists=found.lists,
        options=dict(found.options),
        copied=found.copied,
        most={f: n for f, n in longest.items() if n > USUAL_MOST},
        unused=tuple(name for c, name in names.items() if c not in used),
        remarks=(*_partly(said, owner, taken, found), *_why(owner), *found.remarks),
        owners=owner.counts() if owner else "",
        tool=export.tool,
    )
    return draft, rows


def _is_full(owner: Owner, found: Merged) -> bool:
    return owner.rows == len(found.notes)


def _why(owner: Owner | None) -> Iterator[str]:
    if owner and owner.level != owners.PERSON:
        yield owner_remark(owner)


def _partly(said: list[Owner], owner: Owner | None, taken: str | None, found: Merged) -> Iterator[str]:
    """Tell of an owner that not every note has."""
    for other in said:
        if owner is None and other.column != taken and not _is_full(other, found):
            bare = len(found.notes) - other.rows
            yield f"{other.column!r} would be the group, but {bare} notes have none: fill it in"


def _columns(meta: list[str], fields: set[str], used: set[str | None]) -> dict[str, str]:
    """Return the column of each piece of metadata: its name, unless something else is called so."""
    taken = set(fields)
    names: dict[str, str] = {}
    for column in sorted(meta, key=lambda c: c not in used):
        name = column
        while name in taken:
            name += "_"
        taken.add(name)
        names[column] = name
    return names


def _ids(found: Merged, taken: str | None) -> list[str]:
    """Return an id for each note: the one that its metadata or the tool give, made unique."""
    given = [n.answer.meta[taken] if taken else n.answer.id for n in found.notes]
    counts = Counter(given)
    ids: list[str] = []
    seen = {name for name in given if name and counts[name] == 1}
    for number, name in enumerate(given, 1):
        own = name if name and counts[name] == 1 else ""
        trial = name or f"note-{number}"
        while not own:
            own, trial = ("", f"{trial}-{number}") if trial in seen else (trial, trial)
        seen.add(own)
        ids.append(own)
    return ids


def _row(note: Note, names: dict[str, str]) -> dict[str, JsonValue]:
    row: dict[str, JsonValue] = {names[c]: value for c, value in note.answer.meta.items()}
    row |= {field: label for field, label in note.labels.items()}
    row |= {field: [normalize("NFC", item) for item in items] for field, items in note.lists.items()}
    return row
