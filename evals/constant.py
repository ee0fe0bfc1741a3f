"""Fields to which a student gives one answer, whatever the note says.

Owns that finding. A field is *constant* if the answers vary less than a fifth as often as gold does
(the share of answers other than the commonest one, beside that of gold values other than gold's
commonest), and gold departs from its own commonest value in at least three notes: then a high score
says how common a value is, not that notes are read. Unreadable answers are no answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.record import canonical
from preceptor.core.records import Answer, Example, Finding

VARIES = 0.2
"""Answers that vary less than this, as a share of how much gold varies, are constant."""

FEWEST = 3
"""In fewer notes than this gold does not vary."""


def _value(value: JsonValue) -> str:
    """Return what names a value; items of a list count whatever their case and order."""
    if not isinstance(value, list):
        return canonical(value)
    return canonical(sorted({" ".join(str(item).casefold().split()) for item in value} - {""}))


def _commonest(values: Sequence[str]) -> tuple[str, int]:
    counts = Counter(values)
    return min(counts.items(), key=lambda item: (-item[1], item[0]))


def _constant(field: FieldSpec, pairs: Sequence[tuple[Example, Answer]]) -> Finding | None:
    name = field.name
    read = [
        (e.id, _value((e.gold or {})[name]), _value((a.record or {})[name]), (a.record or {})[name])
        for e, a in pairs
        if name not in a.problems and name in (a.record or {})
    ]
    if not read:
        return None
    notes = len(read)
    said, often = _commonest([s for _, _, s, _ in read])
    _, usual = _commonest([g for _, g, _, _ in read])
    if notes - usual < FEWEST or notes - often >= VARIES * (notes - usual):
        return None
    value = next(v for _, _, s, v in read if s == said)
    missed = tuple(i for i, g, _, _ in read if g != said)
    # The words of a list's items are those of a note.
    cue = str(value) if isinstance(field, LabelField) else ("[]" if not value else "")
    return Finding(
        kind="constant_answer",
        field=name,
        count=len(missed),
        total=len(pairs),
        example_ids=missed,
        cue=cue,
        said_share=often / notes,
        gold_share=usual / notes,
    )


def constant_fields(
    examples: Sequence[Example], answers: Sequence[Answer], fields: Sequence[FieldSpec]
) -> tuple[Finding, ...]:
    """Return a finding per field that is answered alike nearly everywhere, most notes first.

    Args:
        examples: Labelled notes; one without a gold value for a field is passed over there.
        answers: The student's, in the same order.
        fields: The task's fields.
    """
    found = []
    for field in fields:
        both = zip(examples, answers, strict=True)
        made = _constant(
            field, [(e, a) for e, a in both if e.gold is not None and field.name in e.gold]
        )
        found += [made] if made is not None else []
    return tuple(sorted(found, key=lambda f: (-f.count, f.field)))
