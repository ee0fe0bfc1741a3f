"""Writes a task whose near-duplicates stand in one group: what ``tasks check --group-duplicates`` does.

Owns joining groups that share a near-duplicate, and writing a data file and a task file beside those
that there are. Never changes these, and never overwrites a file.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml
from pydantic import JsonValue

from preceptor.core.errors import InputError, TaskError
from preceptor.core.files import write_whole
from preceptor.evals import duplicates, others, splits, taskfile
from preceptor.evals.task import Task

COLUMN = "joined_group"


@dataclass(frozen=True, slots=True)
class Grouped:
    """What was written.

    Attributes:
        file: The task file.
        data: The data file.
        column: The column of groups in it.
        before: How many groups there were.
        after: How many there are.
        duplicates: How many examples are near-duplicates of another.
    """

    file: Path
    data: Path
    column: str
    before: int
    after: int
    duplicates: int


def joined(task: Task) -> tuple[list[str], int]:
    """Return a group for each example, and how many examples are near-duplicates of another.

    Groups that share a near-duplicate become one, called like the first of them.
    """
    places = duplicates.clusters([e.text for e in task.examples])
    root: dict[str, str] = {e.group: e.group for e in task.examples}

    def find(group: str) -> str:
        while root[group] != group:
            root[group] = root[root[group]]
            group = root[group]
        return group

    order = {group: i for i, group in enumerate(root)}
    for place, example in zip(places, task.examples, strict=True):
        a, b = sorted((find(task.examples[place].group), find(example.group)), key=lambda g: order[g])
        root[b] = a
    sizes = Counter(places)
    return [find(e.group) for e in task.examples], sum(n for n in sizes.values() if n > 1)


def write(path: Path, task: Task) -> Grouped:
    """Write ``NAME-grouped.yaml`` and the data that it names, beside the task file.

    Args:
        path: The task file.
        task: What was loaded from it.

    Raises:
        InputError: If there are no near-duplicates to join, or a file is there already.
        TaskError: If the joined groups cannot be split.
    """
    groups, count = joined(task)
    before = len({e.group for e in task.examples})
    if len(set(groups)) == before:
        raise InputError(
            f"{path}: no near-duplicates stand in different groups", "there is nothing to join"
        )
    regrouped = [
        e.model_copy(update={"group": group}) for e, group in zip(task.examples, groups, strict=True)
    ]
    _check_split(path, task.model_copy(update={"examples": tuple(regrouped)}))
    said, rows = others.table(path)
    names = dict.fromkeys(name for row in rows for name in row)
    column, own = _free(COLUMN, names), said.data.columns.id or _free("row_id", names)
    new, file = (
        path.with_name(f"{path.stem}-grouped.jsonl"),
        path.with_name(f"{path.stem}-grouped.yaml"),
    )
    for target in (new, file):
        if target.exists():
            raise InputError(f"{str(target)!r} exists already", "move it away first")
    lines = [
        row | {own: e.id if said.data.columns.id is None else row.get(own), column: group}
        for row, e, group in zip(rows, task.examples, groups, strict=True)
    ]
    text = _yaml(path, said, new.name, {"id": own, "group": column}).encode("utf-8")
    try:
        write_whole(new, b"".join(map(_line, lines)))
        write_whole(file, text)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return Grouped(file, new, column, before, len(set(groups)), count)


def _check_split(path: Path, task: Task) -> None:
    try:
        splits.make(task)
    except TaskError as cause:
        raise TaskError(
            f"{path}: its near-duplicates cannot be joined: {cause.message}",
            "drop duplicates from one of the parts, or give more notes",
        ) from cause


def _free(name: str, taken: dict[str, None]) -> str:
    while name in taken:
        name += "_"
    return name


def _line(row: dict[str, JsonValue]) -> bytes:
    try:
        return (json.dumps(row, ensure_ascii=False, default=str) + "\n").encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return (json.dumps(row, default=str) + "\n").encode()


def _yaml(path: Path, said: taskfile.TaskFile, data: str, columns: dict[str, str]) -> str:
    """Return a task file that says the same of other data."""
    out = said.model_dump(mode="json", exclude_unset=True)
    source = {k: v for k, v in out["data"].items() if k not in ("format", "delimiter")}
    out["data"] = source | {"path": data, "columns": source.get("columns", {}) | columns}
    if not out.get("name"):
        out = {"name": path.stem} | out
    head = f"{taskfile.HINT}# {path.name} with near-duplicates in one group.\n"
    return head + yaml.safe_dump(out, sort_keys=False, allow_unicode=True)


def told(path: Path, made: Grouped, as_json: bool = False) -> str:
    """Return what was written, in a line for a person or as JSON."""
    if as_json:
        return json.dumps(asdict(made), indent=2, default=str)
    return (
        f"{made.file} joins {made.duplicates} near-duplicates: {made.before} groups became "
        f"{made.after} (column {made.column!r} of {made.data.name}); "
        f"{path.name} and its data are as they were"
    )
