"""Writes the folder of a first task: ``task.yaml`` and the data beside it, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import yaml
from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.files import store_error, sync_folder, write_whole
from preceptor.evals import exports, taskfile
from preceptor.evals.draft.converted import drafted
from preceptor.evals.draft.guess import draft
from preceptor.evals.draft.record import Draft

_TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def write(name: str, source: Path, folder: Path, annotator: str | None = None) -> tuple[Path, Draft]:
    """Write ``NAME/task.yaml`` and the data file beside it.

    A table is copied as it is; an export of an annotation tool becomes JSON lines.

    Args:
        name: The task's name.
        source: The labelled notes: a table, or what an annotation tool exports.
        folder: Where the new folder is made.
        annotator: Whose annotations count; the majority's if None.

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
    export = exports.read(source)
    if export is not None:
        found, rows = drafted(export, source, annotator)
        copy = "notes.jsonl"
        content = b"".join(map(_line, rows))
    else:
        if annotator is not None:
            raise InputError(f"{source}: no annotators are told apart in it", "leave --annotator away")
        found, copy, content = draft(source), f"notes{source.suffix.casefold()}", source.read_bytes()
    said = to_yaml(name, copy, found).encode("utf-8")
    _make(target, {copy: content, "task.yaml": said})
    return target / "task.yaml", found


def _line(row: dict[str, JsonValue]) -> bytes:
    try:
        return (json.dumps(row, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return (json.dumps(row) + "\n").encode()


def _make(target: Path, files: dict[str, bytes]) -> None:
    """Make a folder with its files: a reader, or a crash, sees all of it or nothing."""
    made = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        made.mkdir(parents=True)
        for name, content in files.items():
            write_whole(made / name, content)
        made.rename(target)
        sync_folder(target.parent)
    except OSError as cause:
        raise store_error("make", target, cause) from cause
    finally:
        shutil.rmtree(made, ignore_errors=True)


def to_yaml(name: str, copy: str, found: Draft) -> str:
    """Return the task file of what was guessed."""
    fields: list[dict[str, object]] = []
    for column, values in found.labels.items():
        labels = {"values": list(values), "default": found.defaults[column]}
        fields.append({"name": column, **labels, "meaning": "", "look_for": []})
    fields += [_list(column, found) for column in found.lists]
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


def _list(name: str, found: Draft) -> dict[str, object]:
    field: dict[str, object] = {"name": name, "kind": "list"}
    closed = found.options.get(name)
    if closed:
        return field | {"values": list(closed)}
    field["of"] = name
    if name in found.most:
        field["max_items"] = found.most[name]
    if name in found.copied:
        field["copied"] = True
    return field
