"""The shapes an answer can have: what a field asks for, and what counts as an answer to it.

Owns the kinds of field. A kind is one class here (its JSON Schema, the line that asks for it, how
a raw JSON value is read) and one scorer in ``evals.scorers``; renderer, parser, constrained decoding
and evaluation need nothing else. Two kinds are implemented: ``label`` (one of a closed set) and
``list`` (an open list of texts). An ordinal is a ``label`` with ``ordered`` set, one class per note
is a task with one label field; numbers with units, spans with offsets and nested records are further
classes of ``FieldSpec``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from preceptor.core.record import Record
from preceptor.core.spelling import folded, nfc

NAME = re.compile(r"[^\W\d][\w \-/]{0,63}")
_POINT = re.compile(r"(?<=\d)\.0+$")


class _Base(Record):
    name: str
    weight: float = Field(default=1.0, gt=0)

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        name = nfc(name)
        if not NAME.fullmatch(name) or name != name.strip():
            raise ValueError(
                f"field name {name!r}: letters, digits, '_', '-', '/' or spaces, 64 at most"
            )
        return name


class LabelField(_Base):
    """One label out of a closed set.

    Attributes:
        values: The labels, in order (from low to high if ``ordered``).
        meanings: What a label stands for, shown to the student beside it.
        default: The label that says «nothing found»; errors away from it are spurious, errors
            into it are missed. The last label if not given.
        ordered: Whether the labels form a scale.
    """

    kind: Literal["label"] = "label"
    values: tuple[str, ...] = Field(min_length=2)
    meanings: dict[str, str] = Field(default_factory=dict)
    default: str = ""
    ordered: bool = False

    @model_validator(mode="before")
    @classmethod
    def _fill_default(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("default") and data.get("values"):
            return {**data, "default": list(data["values"])[-1]}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> LabelField:
        known = {folded(v) for v in self.values}
        if len(known) != len(self.values) or "" in known:
            raise ValueError(f"field {self.name!r}: labels must be distinct and not empty")
        unknown = (set(self.meanings) | {self.default}) - set(self.values)
        if unknown:
            raise ValueError(f"field {self.name!r}: {sorted(unknown)!r} is not among its labels")
        return self

    def json_schema(self) -> dict[str, JsonValue]:
        """Return the JSON Schema of one answer."""
        return {"type": "string", "enum": list(self.values)}

    def ask(self) -> str:
        """Return the line that tells the student what to answer with."""
        shown = (f"{v} ({self.meanings[v]})" if self.meanings.get(v) else v for v in self.values)
        return "Labels: " + "; ".join(shown)

    def read(self, raw: JsonValue) -> str:
        """Return the label that ``raw`` names.

        Case, blanks and Unicode's composition do not matter, nor that a whole number is written with
        a decimal point (``1.0``); null is no label.

        Raises:
            ValueError: If it names none.
        """
        wanted = "" if raw is None else folded(str(raw))
        for name in (wanted, _POINT.sub("", wanted)):
            for value in self.values:
                if folded(value) == name:
                    return value
        raise ValueError(f"field {self.name!r}: not one of its labels")


class ListField(_Base):
    """An open list of short texts, as written in the note; order does not matter.

    Attributes:
        of: What the items are, for the line that asks («medication names»).
        max_items: The most items one answer may have.
        copied: Whether every item is a piece of the note, word for word. Students in process that
            are constrained give nothing else then; no reader refuses other items.
    """

    kind: Literal["list"] = "list"
    of: str = "items"
    max_items: int = Field(default=32, ge=1)
    copied: bool = False

    def json_schema(self) -> dict[str, JsonValue]:
        """Return the JSON Schema of one answer."""
        return {"type": "array", "items": {"type": "string"}, "maxItems": self.max_items}

    def ask(self) -> str:
        """Return the line that tells the student what to answer with."""
        return f"List: {self.of}, as written in the note; [] when there is none"

    def read(self, raw: JsonValue) -> list[JsonValue]:
        """Return the items, outer spaces removed, empty ones and repeats left out.

        Raises:
            ValueError: If it is no list of texts, or has more than ``max_items``.
        """
        if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
            raise ValueError(f"field {self.name!r}: not a list of texts")
        spelt = (str(item).strip() for item in raw)
        kept: dict[str, str] = {}
        for item in filter(None, spelt):
            kept.setdefault(nfc(item), item)
        if len(kept) > self.max_items:
            raise ValueError(f"field {self.name!r}: more than {self.max_items} items")
        return [*kept.values()]


FieldSpec = Annotated[LabelField | ListField, Field(discriminator="kind")]
"""Any kind of field; ``kind`` tells which."""


def object_schema(fields: tuple[FieldSpec, ...]) -> dict[str, JsonValue]:
    """Return the JSON Schema of one answer to ``fields``: every field, nothing else."""
    return {
        "type": "object",
        "properties": {f.name: f.json_schema() for f in fields},
        "required": [f.name for f in fields],
        "additionalProperties": False,
    }
