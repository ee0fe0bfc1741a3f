"""What annotation tools export, as answers of annotators about notes.

Owns recognising an export: by its columns and keys, not by its name. Label Studio, doccano, Prodigy,
brat and CoNLL have a reader each; what has none is refused with what to export instead. Leaves whose
word counts to ``exports.merge``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.evals import cells, data
from preceptor.evals.exports import brat, conll, doccano, flat, label_studio, prodigy
from preceptor.evals.exports.record import Export, load_json

__all__ = ["Export", "read"]

_HEAD = 20_000
_REFUSED = {
    ".zip": "unzip it, and give the folder or the file",
    ".gz": "unpack it, and give the folder or the file",
    ".tar": "unpack it, and give the folder or the file",
    ".tgz": "unpack it, and give the folder or the file",
    ".spacy": "export JSON lines instead: prodigy db-out NAME > notes.jsonl",
    ".xmi": "export CoNLL 2003 instead",
    ".xml": "export JSON, CoNLL 2003 or brat's standoff format instead",
    ".db": "export JSON lines instead: prodigy db-out NAME > notes.jsonl",
    ".sqlite3": "export JSON from the tool instead",
}
_PLAIN = "Label Studio: JSON, JSON-MIN or CSV; doccano and Prodigy: JSON lines; brat: a folder; CoNLL"
Rows = list[tuple[str, dict[str, JsonValue]]]


def read(path: Path) -> Export | None:
    """Return the answers of an export; None for a file that is a plain table or unknown.

    Raises:
        TaskError: If it is an export that cannot be read.
    """
    if path.is_dir():
        return _folder(path)
    ending = path.suffix.casefold()
    if not path.is_file():
        return None
    if ending in _REFUSED:
        raise TaskError(f"{path}: {ending} cannot be read", _REFUSED[ending])
    if ending == ".ann" or (ending == ".txt" and path.with_suffix(".ann").exists()):
        raise TaskError(f"{path}: one file of brat's", f"give its folder: --from {path.parent}")
    if ending == ".json" and data.format_of(path) == "json":
        return _objects(path, _listed(path, load_json(path)))
    if ending in (".jsonl", ".ndjson", ".json"):
        return _objects(path, _numbered(path))
    head = _head(path)
    if head.startswith("#FORMAT=WebAnno"):
        raise TaskError(f"{path}: WebAnno's TSV cannot be read", "export CoNLL 2003 instead")
    if ending in conll.ENDINGS or (ending not in (".csv",) and conll.is_export(head)):
        return conll.read([path])
    return _table(path) if ending in (".csv", ".tsv") else None


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_HEAD).decode("utf-8-sig", "replace").replace("\r\n", "\n")


def _listed(path: Path, value: JsonValue) -> Rows:
    """Return the objects of a JSON file, each with where it stands."""
    if isinstance(value, dict) and {"%TYPES", "%VIEWS", "%FEATURE_STRUCTURES", "_views"} & set(value):
        raise TaskError(f"{path}: UIMA CAS JSON cannot be read", "export CoNLL 2003 instead")
    found = value if isinstance(value, list) else [value]
    return [(f"{path}, object {n}", row) for n, row in enumerate(found, 1) if isinstance(row, dict)]


def _numbered(path: Path) -> Rows:
    return [(f"{path}, line {n}", row) for n, row in data.rows(path, "jsonl")]


def _objects(path: Path, rows: Rows, annotator: str = "") -> Export | None:
    plain: Sequence[JsonValue] = [row for _, row in rows]
    if label_studio.is_export(plain):
        return label_studio.read(path, plain)
    if prodigy.is_export(plain):
        return prodigy.read(path, rows)
    if doccano.is_export(plain):
        return doccano.read([(annotator, rows)])
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    if flat.is_label_studio(names):
        return flat.read(path, rows, label_studio.TOOL)
    table = cells.table([row for _, row in rows])
    return flat.read(path, rows, "annotations") if flat.has_annotators(table) else None


def _table(path: Path) -> Export | None:
    rows = [(f"{path}, line {n}", row) for n, row in data.rows(path, "csv")]
    if not rows:
        return None
    table = cells.table([row for _, row in rows])
    if doccano.is_table(table):
        return doccano.read([("", rows)])
    if flat.is_label_studio(list(table)):
        return flat.read(path, rows, label_studio.TOOL)
    return flat.read(path, rows, "annotations") if flat.has_annotators(table) else None


def _folder(path: Path) -> Export:
    """Return the answers of a folder: brat's, doccano's files of several annotators, or CoNLL files."""
    if brat.is_export(path):
        return brat.read(path)
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    lines = [p for p in files if p.suffix.casefold() in (".jsonl", ".json")]
    if lines:
        return _several(path, lines)
    tagged = [p for p in files if p.suffix.casefold() in (*conll.ENDINGS, ".tsv", ".txt")]
    tagged = [p for p in tagged if p.suffix.casefold() in conll.ENDINGS or conll.is_export(_head(p))]
    if tagged:
        return conll.read(tagged)
    raise TaskError(f"{path}: a folder without .ann or other annotations", f"readable are {_PLAIN}")


def _several(path: Path, files: list[Path]) -> Export:
    """Return the answers of doccano's files, one for each annotator."""
    found: list[tuple[str, Rows]] = []
    for file in files:
        is_lines = file.suffix.casefold() == ".jsonl"
        rows = _numbered(file) if is_lines else _listed(file, load_json(file))
        if file.stem == "unknown" or not rows:
            continue
        if not doccano.is_export([row for _, row in rows]):
            raise TaskError(f"{path}: several files, and {file.name} is not doccano's", "give one file")
        found.append((file.stem, rows))
    if not found:
        raise TaskError(f"{path}: no notes in its files", f"readable are {_PLAIN}")
    named = found if len(found) > 1 else [("", found[0][1])]
    return doccano.read(named)
