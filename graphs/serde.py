"""What a run's checkpoint may hold: plain data, and LangGraph's own mark of a question to a person.

Owns reading and writing the values of the checkpoint. LangGraph's default reader imports and calls
whatever a checkpoint names, so that a run from somebody else would execute code as soon as it is
resumed; its strict mode still knows some forty types. The state of a run is made of numbers, texts,
lists and mappings (``graphs.state``), and nothing else is read here: what is more is refused, not
skipped, since a checkpoint that holds it was not written by Preceptor.
"""

from __future__ import annotations

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_KW_ARGS,
    JsonPlusSerializer,
)
from langgraph.types import Interrupt

from preceptor.core.errors import StoreError, boundary

_INTERRUPT = (Interrupt.__module__, Interrupt.__qualname__)
_OPTIONS = ormsgpack.OPT_NON_STR_KEYS
HINT = "Preceptor did not write it: do not run it; docs/runs.md says what can be done with such a run"


class PlainSerde:
    """Writes as LangGraph does, reads plain data only."""

    def __init__(self) -> None:
        self._writer = JsonPlusSerializer(allowed_msgpack_modules=None)

    def dumps_typed(self, obj: object) -> tuple[str, bytes]:
        """Return the kind of a value's bytes, and the bytes."""
        return self._writer.dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> object:
        """Return a value.

        Raises:
            StoreError: If it is more than plain data, or damaged.
        """
        kind, packed = data
        if kind == "null":
            return None
        if kind != "msgpack":
            raise StoreError(f"the checkpoint of this run holds {_name(kind)}, not plain data", HINT)
        objects: list[str] = []

        def extended(code: int, inner: bytes) -> Interrupt | None:
            """Return the one object that may be there; nothing is imported or looked up by name."""
            said = ormsgpack.unpackb(inner, ext_hook=extended, option=_OPTIONS)
            module, name, parts, *_ = (
                [*said, None, None, None] if isinstance(said, list) else [None] * 3
            )
            mark = code == EXT_CONSTRUCTOR_KW_ARGS and (module, name) == _INTERRUPT
            if mark and isinstance(parts, dict):
                return Interrupt(value=parts.get("value"), id=str(parts.get("id", "")))
            objects.append(f"{_name(module)}.{_name(name)}")
            return None

        hint = "start it anew: preceptor refine"
        with boundary(StoreError, "the checkpoint of this run is damaged", hint, quiet=True):
            found: object = ormsgpack.unpackb(packed, ext_hook=extended, option=_OPTIONS)
        if objects:
            # The library keeps no error that its hook raises.
            raise StoreError(
                f"the checkpoint of this run holds objects ({objects[0]}), not plain data", HINT
            )
        return found


def _name(said: object) -> str:
    """Return a name out of a checkpoint if it is a short one, as text that may be printed."""
    plain = isinstance(said, str) and len(said) <= 60 and said.replace(".", "_").isidentifier()
    return str(said) if plain else "?"
