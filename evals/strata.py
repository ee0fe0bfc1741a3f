"""What of a gold value is balanced when notes are drawn: the strata it belongs to.

Owns that one rule, for splits and subsets alike. A label is its own stratum, an open list is empty or
not, and a closed list belongs to each of its values, or to the empty text.
"""

from __future__ import annotations

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, ListField

SOME, NONE = "some", "none"


def strata(field: FieldSpec | None, value: JsonValue) -> tuple[str, ...]:
    """Return the strata of a gold value; a field that is not known is taken to be open."""
    if isinstance(value, str):
        return (value,)
    if isinstance(field, ListField) and field.values and isinstance(value, list):
        return tuple(dict.fromkeys(str(item) for item in value)) or ("",)
    return (SOME if value else NONE,)
