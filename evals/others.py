"""The columns of a task's data file that the task does not use.

Owns reading them again, row by row as the examples stand, so that ``tasks check`` can tell whether one
of them says whose note a row is. A task that is built in Python has none.
"""

from __future__ import annotations

from pathlib import Path

from preceptor.evals import cells, data, taskfile
from preceptor.evals.cells import Table
from preceptor.evals.task import Task


def table(path: Path) -> tuple[taskfile.TaskFile, list[data.Row]]:
    """Return a task file and the rows of its data.

    Raises:
        TaskError: If one of them cannot be read.
    """
    said = taskfile.read(path)
    file = path.parent / said.data.path
    kind = data.format_of(file, said.data.format)
    return said, [row for _, row in data.rows(file, kind, said.data.delimiter)]


def unused(path: Path, task: Task) -> tuple[str | None, Table]:
    """Return the column of groups, and the columns that the task makes no use of.

    Args:
        path: The task file.
        task: What was loaded from it.
    """
    said, rows = table(path)
    columns = said.data.columns
    read = cells.table(rows)
    group = columns.group
    if group is None and "group" not in columns.model_fields_set and "group" in read:
        group = "group"
    if len(rows) != len(task.examples):
        return group, {}
    used = {columns.id, group, columns.split, columns.gold, "split", "gold"}
    used |= set(data.text_of(columns.text, list(read), str(path)).columns)
    used |= {columns.fields.get(f.name, f.name) for f in said.fields}
    return group, {c: v for c, v in read.items() if c not in used}
