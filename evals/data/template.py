r"""Where a row's text comes from: one column, or a template over several.

Owns the language of templates: ``{title}\n{body}`` puts two columns together; ``{{`` and ``}}`` are
braces, ``\n`` and ``\t`` a line break and a tab. Leaves which rows there are to ``evals.data.rows``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from preceptor.core.errors import TaskError
from preceptor.core.spelling import as_key, columns_shown, nfc, shown

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|\\[nt\\]|[^{}\\]+|\\")
_MARKS = {"{{": "{", "}}": "}", r"\n": "\n", r"\t": "\t", "\\\\": "\\"}


@dataclass(frozen=True)
class Text:
    """How a row's text is made.

    Attributes:
        said: What the task file or the command line says.
        pieces: What stands before, between and after the columns: one more than columns.
        columns: The columns, in order.
    """

    said: str
    pieces: tuple[str, ...]
    columns: tuple[str, ...]

    def of(self, row: dict[str, JsonValue], where: str) -> str:
        """Return a row's text, composed (NFC).

        Raises:
            TaskError: If a column is not there or holds no text, or all of them are empty.
        """
        for name in self.columns:
            if name not in row:
                raise missing(name, row, where)
        plain = self.pieces == ("", "")
        parts = [row[c] if plain else _part(row[c], c, where) for c in self.columns]
        if not any(isinstance(part, str) and part.strip() for part in parts):
            named = ", ".join(map(repr, dict.fromkeys(self.columns)))
            kind = f"column {named} holds" if len(self.columns) == 1 else f"columns {named} hold"
            raise TaskError(f"{where}: {kind} no text", "fill it or drop the row")
        joined = [self.pieces[0]]
        for part, piece in zip(parts, self.pieces[1:], strict=True):
            joined += [str(part), piece]
        return nfc("".join(joined))


def text_of(said: str, names: Iterable[str], where: str) -> Text:
    """Return how the text of rows with these columns is made.

    Args:
        said: A column's name, or a template. A column that has braces in its name goes first.
        names: The columns that there are.
        where: The file, and its first row, for the error.

    Raises:
        TaskError: If the template is broken, or names a column that is not there.
    """
    there = list(names)
    if as_key(said) in there or not is_template(said):
        made = Text(said, ("", ""), (as_key(said),))
    else:
        made = parsed(said)
    for name in made.columns:
        if name not in there:
            raise missing(name, there, where)
    return made


def is_template(said: str) -> bool:
    """Return whether this puts columns together, rather than naming one."""
    return "{" in said or "}" in said


def parsed(template: str) -> Text:
    """Return a template's parts.

    Raises:
        TaskError: If a brace stands alone, or no column is named.
    """
    pieces, columns = [""], []
    for match in _PIECE.finditer(template):
        found = match.group()
        if found in ("{", "}") or (match.group(1) is not None and not match.group(1).strip()):
            raise TaskError(
                f"text template {template!r}: {found!r} names no column",
                "write {COLUMN}, and {{ or }} for a brace",
            )
        if match.group(1) is not None:
            columns.append(as_key(match.group(1)))
            pieces.append("")
        else:
            pieces[-1] += _MARKS.get(found, found)
    if not columns:
        raise TaskError(f"text template {template!r} names no column", "write {COLUMN}")
    return Text(template, tuple(pieces), tuple(columns))


def missing(name: str, there: Iterable[str], where: str, more: str = "") -> TaskError:
    """Return the error that says which column is not there, and which are; ``more`` is what to do."""
    return TaskError(f"{where}: no column {shown(name)}", columns_shown(list(there)) + more)


def _part(value: JsonValue, column: str, where: str) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list | dict):
        raise TaskError(
            f"{where}: column {column!r} holds no text", "a template takes texts and numbers"
        )
    return json.dumps(value)
