"""Whether a server forces the schema that it was asked to force, told by what it answered.

Owns the judgement of one text, the counts over many answers, and their words. A server that refuses or
passes over a schema still answers, and a good model may answer well; but nothing holds it to the form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.record import Record
from preceptor.core.records import Answer, Recipe
from preceptor.core.render import asked_together
from preceptor.core.thoughts import answer_in

SHARE = 0.05
"""Up to this share of answers in another form is put down to the grammar's own gaps."""

MEND = "take a server that forces it (Ollama, vLLM, llama.cpp), or a newer version"


class Loose(Record):
    """Answers that no schema held to their form.

    Attributes:
        notes: How many notes were answered.
        refused: Of how many the server refused the schema, and was asked without.
        ignored: Of how many an answer has another form than the schema that was not refused.
    """

    notes: int
    refused: int = 0
    ignored: int = 0

    def words(self) -> str:
        """Return what happened and what to do about it."""
        parts = []
        if self.refused:
            parts.append(
                f"the server refuses the schema (asked without it in {self.refused} of {self.notes})"
            )
        if self.ignored:
            parts.append(
                f"the server does not force the schema ({self.ignored} of {self.notes} answers have "
                "another form)"
            )
        return f"{' and '.join(parts)}: {MEND}"


def fits(raw: str, fields: Sequence[FieldSpec]) -> bool:
    """Return whether a text, its thoughts aside, is just what the schema of ``fields`` allows."""
    try:
        found = json.loads(answer_in(raw))
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict) or found.keys() != {f.name for f in fields}:
        return False
    return all(_allowed(found[field.name], field) for field in fields)


def _allowed(value: JsonValue, field: FieldSpec) -> bool:
    if isinstance(field, LabelField):
        return value in field.values
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return False
    return not field.values or all(item in field.values for item in value)


def count(answers: Iterable[Answer], recipe: Recipe, fields: Sequence[FieldSpec]) -> Loose | None:
    """Return the counts over answers that ``recipe`` gave, None if there is nothing to tell.

    There is nothing where the schema was forced, or was not asked for. Answers that were cut off or
    never came say nothing.
    """
    if not recipe.decoding.constrained:
        return None
    groups = asked_together(recipe, fields)
    given = [a for a in answers if a.status in ("ok", "invalid") and len(a.raw) == len(groups)]
    refused = sum(a.unforced for a in given)
    ignored = sum(not a.unforced and not all(map(fits, a.raw, groups)) for a in given)
    if not refused and ignored <= SHARE * len(given):
        return None
    return Loose(
        notes=len(given), refused=refused, ignored=ignored if ignored > SHARE * len(given) else 0
    )
