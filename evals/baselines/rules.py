"""Rules that read a note by phrases: what labels, and which values of closed lists, stand in it.

Owns how mentions become answers. A label field's first label that is not its default says «there», the
second one, if there is one, «not there»; the default says «nothing found». A value of a closed list is
in the answer if it is affirmed anywhere. Leaves open lists to ``dictionary``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Example, Gold
from preceptor.evals.baselines.dictionary import Dictionary
from preceptor.evals.baselines.mining import mine
from preceptor.evals.baselines.scopes import SENTENCE, Reader, Status, affirmed, any_of, status
from preceptor.evals.baselines.targets import fold, is_open, targets
from preceptor.evals.task import Task

Phrases = Mapping[str, Sequence[str]]
"""Phrases in lower case by ``Target.key``."""


def predict(
    task: Task, train: Sequence[Example], examples: Sequence[Example], *, scopes: bool, mined: bool
) -> dict[str, Gold]:
    """Return what rules answer to each note, by id.

    Args:
        task: The task.
        train: Labelled notes: the items of open lists, and the phrases that are mined, come from them.
        examples: The notes to answer.
        scopes: Whether mentions are read as NegEx and ConText do, or all taken to be affirmed.
        mined: Whether train is asked for more: phrases beside the names, and which items of open lists
            are right half of the times that they stand in a note.
    """
    asked = targets(task.fields)
    phrases = {target.key: [target.word] for target in asked}
    if mined:
        found = mine(task, train)
        phrases = {key: [*own, *found[key]] for key, own in phrases.items()}
    reader = status if scopes else affirmed
    lists = [Dictionary.learn(f, train, reader, mined) for f in task.fields if is_open(f)]
    said = {e.id: read(e.text, task.fields, phrases, reader) for e in examples}
    for example in examples:
        for one in lists:
            said[example.id][one.field.name] = one.find(example.text)
    return said


def read(text: str, fields: Iterable[FieldSpec], phrases: Phrases, reader: Reader) -> Gold:
    """Return the answer that phrases give; one affirmed mention outweighs all negated ones."""
    sentences = [fold(s) for s in SENTENCE.split(text)]
    gold: Gold = {}
    for field in fields:
        if isinstance(field, LabelField):
            gold[field.name] = _label(field, _said(sentences, phrases[field.name], reader))
            continue
        held: list[JsonValue] = [
            target.value
            for target in targets([field])
            if "affirmed" in _said(sentences, phrases[target.key], reader)
        ]
        gold[field.name] = held[: field.max_items]
    return gold


def _said(sentences: Iterable[str], phrases: Sequence[str], reader: Reader) -> set[Status]:
    pattern = any_of(*(re.escape(p) for p in phrases))
    return {reader(s, m.start(), m.end()) for s in sentences for m in pattern.finditer(s)}


def _label(field: LabelField, found: set[Status]) -> str:
    others = [v for v in field.values if v != field.default]
    if "affirmed" in found:
        return others[0]
    return others[1] if "negated" in found and len(others) > 1 else field.default
