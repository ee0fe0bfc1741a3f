"""What a run's checkpoint may hold: plain data, and LangGraph's own mark of a question to a person.

Owns reading and writing the values of the checkpoint. LangGraph's default reader imports and calls
whatever a checkpoint names, so that a run from somebody else would execute code as soon as it is
resumed; its strict mode still knows some forty types. The state of a run is made of numbers, texts,
lists and mappings (``graphs.state``), and nothing else is read here: what is more is refused, not
skipped, since a checkpoint that holds it was not written by Preceptor.
"""

from __future__ import annotations

from typing import cast

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_KW_ARGS,
    JsonPlusSerializer,
)
from langgraph.types import Interrupt

from preceptor.core.errors import StoreError

_INTERRUPT = (Interrupt.__module__, Interrupt.__qualname__)
_OPTIONS = ormsgpack.OPT_NON_STR_KEYS
HINT = (
    "if the run is yours, start it anew; if it is somebody else's, do not run it: docs/runs.md "
    "says what can be done with it"
)


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
            raise StoreError(f"the checkpoint of this run holds {_name(kind)}, no plain data", HINT)
        try:
            return cast("object", ormsgpack.unpackb(packed, ext_hook=_extended, option=_OPTIONS))
        except StoreError:
            raise
        except Exception as cause:
            # What the library makes of an error in the hook differs by version.
            found: BaseException | None = cause
            while found is not None and not isinstance(found, StoreError):
                found = found.__cause__ or found.__context__
            if found is not None:
                raise found from None
            raise StoreError(
                "the checkpoint of this run is damaged", "start it anew: preceptor refine"
            ) from cause


def _extended(code: int, packed: bytes) -> Interrupt:
    """Return the one thing that is no plain data; nothing is imported, called or looked up by name."""
    said = ormsgpack.unpackb(packed, ext_hook=_extended, option=_OPTIONS)
    if not isinstance(said, list) or len(said) != 3:
        raise StoreError("the checkpoint of this run holds objects, no plain data", HINT)
    module, name, parts = said
    if code != EXT_CONSTRUCTOR_KW_ARGS or (module, name) != _INTERRUPT or not isinstance(parts, dict):
        what = f"an object ({_name(module)}.{_name(name)})"
        raise StoreError(f"the checkpoint of this run holds {what}, no plain data", HINT)
    return Interrupt(value=parts.get("value"), id=str(parts.get("id", "")))


def _name(said: object) -> str:
    """Return a name out of a checkpoint if it is a short one, as text that may be printed."""
    plain = isinstance(said, str) and len(said) <= 60 and said.replace(".", "_").isidentifier()
    return str(said) if plain else "something without a name"
