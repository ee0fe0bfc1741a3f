"""The shapes an answer can have: what a field asks for, and what counts as an answer to it.

Owns the kinds of field. A kind is one class here (its JSON Schema, the line that asks for it, how
a raw JSON value is read) and one scorer in ``evals.scorers``; renderer, parser, constrained decoding
and evaluation need nothing else. Two kinds are implemented: ``label`` (one of a closed set) and
``list`` (any texts, or, with ``values``, some of a closed set). An ordinal is a ``label`` with
``ordered`` set, one class per note is a task with one label field; numbers with units, spans with
offsets and nested records are further classes of ``FieldSpec``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

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
        return "Labels: " + _shown(self.values, self.meanings)

    def blank(self) -> str:
        """Return an answer's JSON with nothing in it yet."""
        return '"..."'

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
    """A list of short texts; order does not matter.

    Without ``values`` it is open: any text may stand in it, as written in the note. With ``values`` it
    is closed: several of these may hold of one note, or none.

    Attributes:
        of: What the items are, for the line that asks («medication names»).
        max_items: The most items one answer may have; of a closed list all values, if not given.
        copied: Whether every item is a piece of the note, word for word. Students in process that
            are constrained give nothing else then; no reader refuses other items.
        values: What may stand in a closed list, in order; empty for an open one.
        meanings: What a value stands for, shown to the student beside it.
    """

    kind: Literal["list"] = "list"
    of: str = "items"
    max_items: int = Field(default=32, ge=1)
    copied: bool = False
    values: tuple[str, ...] = ()
    meanings: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _room_for_all(cls, data: object) -> object:
        values = data.get("values") if isinstance(data, dict) else None
        if isinstance(data, dict) and isinstance(values, list | tuple) and values:
            return {"max_items": len(values), **data}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> ListField:
        seen: dict[str, str] = {}
        for value in self.values:
            key = folded(value)
            if not key:
                raise ValueError(f'field {self.name!r}: an empty value; leave it out, [] says "none"')
            if key in seen:
                same = "stands twice" if seen[key] == value else f"is {seen[key]!r} in other letters"
                raise ValueError(f"field {self.name!r}: the value {value!r} {same}; keep one")
            seen[key] = value
        if self.values and self.copied:
            raise ValueError(
                f"field {self.name!r}: 'copied' does not go with 'values'; drop one of the two"
            )
        unknown = sorted(set(self.meanings) - set(self.values))
        if unknown:
            raise ValueError(f"field {self.name!r}: {unknown[0]!r} is not among its values")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what only closed lists have, so that open ones keep their old content hash."""
        made: dict[str, object] = handler(self)
        return {k: v for k, v in made.items() if v or k not in ("values", "meanings")}

    def json_schema(self) -> dict[str, JsonValue]:
        """Return the JSON Schema of one answer.

        It does not say ``uniqueItems``, which constrained decoders do not know; reading takes a
        repeated value once.
        """
        item: dict[str, JsonValue] = {"type": "string"}
        if self.values:
            item["enum"] = list(self.values)
        return {"type": "array", "items": item, "maxItems": self.max_items}

    def ask(self) -> str:
        """Return the line that tells the student what to answer with."""
        if not self.values:
            return f"List: {self.of}, as written in the note; [] when there is none"
        return f"List: {self.of}, any of: {_shown(self.values, self.meanings)}; [] when there is none"

    def blank(self) -> str:
        """Return an answer's JSON with nothing in it yet."""
        return '["...", ...]'

    def read(self, raw: JsonValue) -> list[JsonValue]:
        """Return the items, outer spaces removed, empty ones and repeats left out.

        Those of a closed list are its values, in its order; case, spaces and the Unicode form of an
        accent do not matter. One that is no value makes the whole answer unreadable, like an unknown
        label: to drop it would score a guess outside the list as no guess.

        Raises:
            ValueError: If it is no list of texts, has more than ``max_items``, or holds something
                that is none of the values.
        """
        if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
            raise ValueError(f"field {self.name!r}: not a list of texts")
        kept: dict[str, str] = {}
        for item in filter(None, (str(item).strip() for item in raw)):
            kept.setdefault(nfc(item), item)
        found = [*kept.values()]
        if self.values:
            if self.unknown(raw) is not None:
                raise ValueError(f"field {self.name!r}: an item is none of its values")
            held = {folded(item) for item in found}
            found = [value for value in self.values if folded(value) in held]
        if len(found) > self.max_items:
            raise ValueError(f"field {self.name!r}: more than {self.max_items} items")
        return [*found]

    def unknown(self, raw: JsonValue) -> str | None:
        """Return the first text of a list that is none of the values, None if there is none."""
        known = {folded(value) for value in self.values} | {""}
        items = raw if isinstance(raw, list) and self.values else []
        return next((str(item) for item in items if folded(str(item)) not in known), None)


def _shown(values: Iterable[str], meanings: Mapping[str, str]) -> str:
    return "; ".join(f"{v} ({meanings[v]})" if meanings.get(v) else v for v in values)


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
