"""The single questions a task asks of a note: one per label field, one per value of a closed list.

Owns how fields fall into questions, and what gold says to each. An open list asks none: what it can
hold is not known beforehand, so ``dictionary`` answers it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from preceptor.core.composing import normal
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Example


def fold(text: str) -> str:
    """Return a text in one Unicode form (NFC) and without case."""
    return normal("NFC", text).casefold()


@dataclass(frozen=True)
class Target:
    """One question.

    Attributes:
        field: The field that it is part of.
        value: The value of a closed list that it asks for; empty for a label field.
    """

    field: FieldSpec
    value: str = ""

    @property
    def key(self) -> str:
        """The question's own name: that of the field, for a value with the value behind it."""
        return f"{self.field.name}\n{self.value}" if self.value else self.field.name

    @property
    def word(self) -> str:
        """What a note may call it, as far as the task tells, without case."""
        return fold((self.value or self.field.name).replace("_", " "))

    def known(self, example: Example) -> bool:
        """Return whether a note has gold for it."""
        return example.gold is not None and self.field.name in example.gold

    def gold(self, example: Example) -> str:
        """Return the gold label of a note, for a value of a list itself or an empty text."""
        said = (example.gold or {})[self.field.name]
        if isinstance(self.field, LabelField):
            return str(said)
        return self.value if isinstance(said, list) and self.value in said else ""

    @property
    def nothing(self) -> str:
        """The answer that says «nothing found»."""
        return self.field.default if isinstance(self.field, LabelField) else ""


def targets(fields: Iterable[FieldSpec]) -> list[Target]:
    """Return the questions of the fields, in order."""
    found: list[Target] = []
    for field in fields:
        if isinstance(field, LabelField):
            found.append(Target(field))
        else:
            found += [Target(field, value) for value in field.values]
    return found


def is_open(field: FieldSpec) -> bool:
    """Return whether a field is a list that may hold anything."""
    return not isinstance(field, LabelField) and not field.values
