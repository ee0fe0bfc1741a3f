"""What goes into an index: notes cut into passages, each with the right value of one field.

Owns the choice of passages. Which sentence carries the evidence is ``rag.evidence``'s business; here a
sentence that decides gets the note's label, and a sentence that looks like a mention in a note labelled
«nothing found» (the father's, a warning, an old story) gets that label: a hard negative, since such a
sentence is what a student is lured by.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Example
from preceptor.core.text import flat, sentences
from preceptor.tools.rag import values
from preceptor.tools.rag.artefact import Granularity, Passage
from preceptor.tools.rag.evidence import Spot, spots

MAX_CHARS = {"sentence": 400, "section": 800, "note": 4000}
"""A longer passage is cut."""

NEGATIVES = 0.5
"""Hard negatives of a field: at most this share of its passages of other labels, three at least."""

COPIES = 2
"""Of passages that say the same, so many are kept, of as many patients."""

SURE = 0.5
"""A sentence is used as a passage only if its mention is at least so likely."""

_HEADING = re.compile(r"\s*(?:[^\s:]+[ /]?){1,4}:\s*$")


def from_notes(
    examples: Sequence[Example],
    fields: Sequence[FieldSpec],
    granularity: Granularity,
    hints: Mapping[str, Sequence[str]] | None = None,
) -> list[Passage]:
    """Return the passages of labelled notes, sorted.

    Args:
        examples: The notes.
        fields: The fields that are wanted.
        granularity: ``sentence``: the sentences that carry the evidence; ``section``: with what stands
            around them under the same heading; ``note``: whole notes, for every field they have gold
            for.
        hints: Phrases per field that speak for a mention.
    """
    labelled = sorted((e for e in examples if e.gold), key=lambda e: e.id)
    found = spots(labelled, fields, hints)
    of_values = values.decided(labelled, fields)
    by_note: dict[int, list[Spot]] = {}
    for spot in found:
        by_note.setdefault(spot.note, []).append(spot)
    out: list[Passage] = []
    for number, example in enumerate(labelled):
        pieces = sentences(example.text)
        mine = {(s.field, s.sentence): s for s in by_note.get(number, ())}
        for spec in fields:
            gold = (example.gold or {}).get(spec.name)
            if gold is None:
                continue
            spotted = [s for (name, _), s in sorted(mine.items()) if name == spec.name]
            if granularity == "note" or len(pieces) <= 1:
                terms = _terms(spotted) or _items(spec, gold)
                out.append(_passage(example, spec, gold, cut(example.text, "note"), terms))
            elif isinstance(spec, LabelField):
                out += _label(example, spec, pieces, spotted, granularity)
            else:
                out += _list(example, spec, pieces, granularity, of_values.get((number, spec.name), {}))
    return _limited(_distinct(out), fields)


def _distinct(passages: Sequence[Passage]) -> list[Passage]:
    """Return the passages with equal ones at most twice, from two patients.

    Twice, since for a note of the one patient the other's is left; more would only fill places.
    """
    copies: dict[tuple[str, str], dict[str, Passage]] = {}
    for passage in passages:
        held = copies.setdefault((passage.text, passage.key), {})
        if len(held) < COPIES:
            held.setdefault(passage.group, passage)
    return [passage for held in copies.values() for passage in held.values()]


def cut(text: str, granularity: Granularity) -> str:
    """Return a text with single spaces, cut at a word to what a passage may have."""
    even = " ".join(text.split())
    limit = MAX_CHARS[granularity]
    return even if len(even) <= limit else even[:limit].rpartition(" ")[0] or even[:limit]


def _terms(spotted: Sequence[Spot]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t for s in spotted for t in s.terms))


def _items(spec: FieldSpec, gold: JsonValue) -> tuple[str, ...]:
    if isinstance(spec, LabelField) or not isinstance(gold, list):
        return ()
    return tuple(sorted({flat(str(item)).strip() for item in gold} - {""}))


def _passage(
    example: Example, spec: FieldSpec, answer: JsonValue, text: str, terms: tuple[str, ...]
) -> Passage:
    return Passage(
        example_id=example.id,
        group=example.group,
        field=spec.name,
        text=text,
        answer=answer,
        terms=terms[:3],
    )


def _label(
    example: Example,
    spec: LabelField,
    pieces: Sequence[str],
    spotted: Sequence[Spot],
    granularity: Granularity,
) -> list[Passage]:
    """Return the deciding sentence with its label, or the likeliest lure of a note without one."""
    gold = str((example.gold or {})[spec.name])
    sure = [s for s in spotted if s.chance >= SURE]
    if gold == spec.default:
        chosen = sorted(sure, key=lambda s: (-s.chance, s.sentence))[:1]
    else:
        chosen = [s for s in sure if s.decides]
    return [
        _passage(example, spec, gold, around(pieces, s.sentence, granularity), s.terms) for s in chosen
    ]


def _list(
    example: Example,
    spec: FieldSpec,
    pieces: Sequence[str],
    granularity: Granularity,
    decided: Mapping[int, frozenset[str]],
) -> list[Passage]:
    """Return the sentences that hold items of the note's list, or decide values, each with its own."""
    gold = (example.gold or {}).get(spec.name)
    items = gold if isinstance(gold, list) else []
    out = []
    for number in range(len(pieces)):
        text = around(pieces, number, granularity)
        held: list[JsonValue] = [
            i
            for i in items
            if str(i) in decided.get(number, ())
            or (flat(str(i)).strip() and flat(str(i)) in flat(text))
        ]
        if held:
            out.append(_passage(example, spec, held, text, _items(spec, held)))
    return out


def around(pieces: Sequence[str], number: int, granularity: Granularity) -> str:
    """Return sentence ``number``, for sections with what stands around it under its heading."""
    if granularity == "sentence":
        return cut(pieces[number], granularity)
    first, last = number, number
    while first > 0 and number - first < 3 and not _HEADING.fullmatch(pieces[first]):
        first -= 1
    while last + 1 < len(pieces) and last - number < 2 and not _HEADING.fullmatch(pieces[last + 1]):
        last += 1
    return cut(" ".join(pieces[first : last + 1]), granularity)


def _limited(passages: list[Passage], fields: Sequence[FieldSpec]) -> list[Passage]:
    """Leave out the hard negatives that are too many, and return the rest in order."""
    defaults = {f.name: f.default for f in fields if isinstance(f, LabelField)}
    counts = Counter(p.field for p in passages if p.answer != defaults.get(p.field))
    room = {name: max(3, round(NEGATIVES * counts[name])) for name in defaults}
    kept = []
    for passage in sorted(passages, key=lambda p: (p.example_id, p.field, p.text, p.key)):
        if passage.answer == defaults.get(passage.field) and len(passage.text.split()) > 0:
            room[passage.field] -= 1
            if room[passage.field] < 0:
                continue
        kept.append(passage)
    return kept
