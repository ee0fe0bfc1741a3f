"""OpenAI's strict function schemas: the model can then write nothing but arguments that fit.

Owns the translation of a tool's JSON Schema into the part of the language that strict mode takes
(every property required, optional ones may be null; no defaults, no limits), and back: a null
argument is one that was left out. And a schema without its explanations, where there is little room.
"""

from __future__ import annotations

from pydantic import JsonValue

_KEPT = ("type", "description", "enum", "const", "items", "anyOf", "properties", "required", "$ref")


def schema(given: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return ``given`` as strict mode wants it; values are still checked on arrival."""
    made = _strict(given)
    assert isinstance(made, dict)
    definitions = given.get("$defs")
    if isinstance(definitions, dict):
        made["$defs"] = {name: _strict(inner) for name, inner in definitions.items()}
    return made


def _strict(given: JsonValue) -> JsonValue:
    if not isinstance(given, dict):
        return given
    made: dict[str, JsonValue] = {k: v for k, v in given.items() if k in _KEPT}
    options = given.get("oneOf", given.get("anyOf"))
    if isinstance(options, list):
        made["anyOf"] = [_strict(option) for option in options]
    if "items" in made:
        made["items"] = _strict(made["items"])
    properties = given.get("properties")
    if isinstance(properties, dict) or given.get("type") == "object":
        properties = properties if isinstance(properties, dict) else {}
        asked = given.get("required")
        needed = asked if isinstance(asked, list) else []
        made["properties"] = {
            name: _strict(inner) if name in needed or _is_kind(inner) else _or_null(_strict(inner))
            for name, inner in properties.items()
        }
        made["required"] = list(properties)
        made["additionalProperties"] = False
    return made


def _is_kind(given: JsonValue) -> bool:
    """Return whether a property only says which of several objects it is part of."""
    return isinstance(given, dict) and "const" in given


def _or_null(given: JsonValue) -> JsonValue:
    options = given.get("anyOf") if isinstance(given, dict) else None
    if isinstance(options, list):
        return {"anyOf": options if {"type": "null"} in options else [*options, {"type": "null"}]}
    return {"anyOf": [given, {"type": "null"}]}


_SAID = ("title", "description", "default", "discriminator")


def plain(given: JsonValue) -> JsonValue:
    """Return a schema without what only explains it, for a model that reads little."""
    if isinstance(given, list):
        return [plain(inner) for inner in given]
    if not isinstance(given, dict):
        return given
    made: dict[str, JsonValue] = {}
    for key, inner in given.items():
        if key in ("properties", "$defs") and isinstance(inner, dict):
            made[key] = {name: plain(one) for name, one in inner.items()}
        elif key not in _SAID:
            made[key] = plain(inner)
    return made


def without_nulls(value: JsonValue) -> JsonValue:
    """Return arguments without those that are null."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value
