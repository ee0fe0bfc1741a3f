"""Weak labels: what rules, models or several voters say of notes that nobody has labelled.

Owns their form (an artefact that names notes by id and holds no text), how votes become labels with
agreement and confidence, and which of them a training may use, how often. Leaves voting to whoever has
rules or models, and training to ``tools.sft``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field, JsonValue, ValidationError

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, ListField
from preceptor.core.ports import Evidence
from preceptor.core.record import Record, canonical
from preceptor.core.records import Example, Gold
from preceptor.tools.sft.data import Row

Absent = Literal["keep", "agreed", "unknown"]


class Vote(Record):
    """What one voter says of one note.

    Attributes:
        values: By field; one that is left out is no vote.
        confidence: By field, in [0, 1]; 1 where it is left out.
    """

    values: Gold
    confidence: dict[str, float] = Field(default_factory=dict)


Voter = Callable[[Evidence, Sequence[Example]], Sequence[Vote]]
"""(what may be looked at, notes) -> one vote per note, in their order; no gold of them is looked at."""


@runtime_checkable
class Ahead(Protocol):
    """A voter that would rather hear of all the notes of a look at once, before its votes."""

    def ahead(self, evidence: Evidence, notes: Sequence[Example]) -> None:
        """Prepare the votes on these notes."""
        ...


class WeakLabel(Record):
    """One field of one note.

    Attributes:
        value: What most voters say.
        agreement: The share of those who voted that say so.
        confidence: Their mean confidence.
        votes: How many voted.
    """

    value: JsonValue
    agreement: float = Field(ge=0, le=1)
    confidence: float = Field(default=1.0, ge=0, le=1)
    votes: int = Field(ge=1)

    @property
    def trust(self) -> float:
        """Agreement times confidence."""
        return self.agreement * self.confidence


class WeakNote(Record):
    """The labels of one note, by field; one that nobody voted on is not there."""

    id: str
    labels: dict[str, WeakLabel]


class WeakLabels(Record):
    """An artefact: all labels of all notes, before any is dropped. It holds no text of a note."""

    format: int = 1
    voters: tuple[str, ...]
    notes: tuple[WeakNote, ...]


class WeakUse(Record):
    """Which weak labels a training uses.

    Attributes:
        labels: The artefact's content hash.
        min_agreement: Labels with less are dropped; of two voters who differ, both say half.
        min_confidence: Likewise.
        absent: What becomes of labels that say «nothing found»: ``keep`` them, keep those on which
            at least two voters ``agreed``, or take them as ``unknown`` and drop them all.
        weight: How often a label is shown per epoch on which all agree with full confidence; less
            trusted ones in proportion, once at least.
    """

    labels: str = Field(pattern=r"^[0-9a-f]{8,64}$")
    min_agreement: float = Field(default=0.6, ge=0, le=1)
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    absent: Absent = "keep"
    weight: int = Field(default=1, ge=1, le=5)


@dataclass(frozen=True)
class Labelled:
    """Weak labels with the notes that they name."""

    labels: WeakLabels
    notes: tuple[Example, ...]


def read(data: bytes) -> WeakLabels:
    """Return the labels of an artefact.

    Raises:
        InputError: If it is something else.
    """
    try:
        return WeakLabels.from_json(data)
    except (ValidationError, ValueError) as cause:
        raise InputError(
            "this artefact holds no weak labels", "name what label_examples gave"
        ) from cause


def combine(
    notes: Sequence[Example], fields: Sequence[FieldSpec], votes: Mapping[str, Sequence[Vote]]
) -> WeakLabels:
    """Return what the voters say together.

    A label is what most say; of several with as many votes the most confident, then the one of the
    voter named first. Of a list, the items stay that at least half of the voters name.

    Args:
        notes: What was voted on.
        fields: The task's fields.
        votes: By voter, in the notes' order.
    """
    made = []
    for i, note in enumerate(notes):
        labels = {}
        for field in fields:
            cast = [
                (said.values[field.name], said.confidence.get(field.name, 1.0))
                for said in (votes[name][i] for name in votes)
                if field.name in said.values
            ]
            if cast:
                labels[field.name] = _items(cast) if isinstance(field, ListField) else _label(cast)
        made.append(WeakNote(id=note.id, labels=labels))
    return WeakLabels(voters=tuple(votes), notes=tuple(made))


def _label(cast: Sequence[tuple[JsonValue, float]]) -> WeakLabel:
    sure: dict[str, list[float]] = defaultdict(list)
    said: dict[str, JsonValue] = {}
    for value, confidence in cast:
        sure[canonical(value)].append(confidence)
        said.setdefault(canonical(value), value)
    best = max(said, key=lambda key: (len(sure[key]), sum(sure[key])))
    return WeakLabel(
        value=said[best],
        agreement=len(sure[best]) / len(cast),
        confidence=fmean(sure[best]),
        votes=len(cast),
    )


def _items(cast: Sequence[tuple[JsonValue, float]]) -> WeakLabel:
    count: dict[str, int] = defaultdict(int)
    for value, _ in cast:
        for item in {str(item) for item in value} if isinstance(value, list) else ():
            count[item] += 1
    kept = sorted(item for item, n in count.items() if 2 * n >= len(cast))
    shares = [max(n, len(cast) - n) / len(cast) for n in count.values()]
    return WeakLabel(
        value=[*kept],
        agreement=fmean(shares) if shares else 1.0,
        confidence=fmean(confidence for _, confidence in cast),
        votes=len(cast),
    )


def examples(
    found: Labelled, fields: Sequence[FieldSpec], how: WeakUse
) -> tuple[tuple[Example, ...], dict[tuple[str, str], float]]:
    """Return the notes with the labels that may be used as their gold, and the trust in each.

    A note of which no label is left is left out; its own gold, if it has any, is not looked at.

    Args:
        found: Labels and notes.
        fields: The task's fields.
        how: What may be used.

    Raises:
        InputError: If a label does not fit its field, or notes that are named are not here.
    """
    texts = {note.id: note for note in found.notes}
    missing = [note.id for note in found.labels.notes if note.id not in texts]
    if missing:
        raise InputError(
            f"{len(missing)} weakly labelled notes are not among the notes to learn from", "label again"
        )
    kept, trust = [], {}
    for note in found.labels.notes:
        gold: Gold = {}
        for field in fields:
            label = note.labels.get(field.name)
            if label is not None and _usable(label, field, how):
                gold[field.name] = _fitting(field, label.value)
                trust[note.id, field.name] = label.trust
        if gold:
            kept.append(texts[note.id].model_copy(update={"gold": gold}))
    return tuple(kept), trust


def _usable(label: WeakLabel, field: FieldSpec, how: WeakUse) -> bool:
    if label.agreement < how.min_agreement or label.confidence < how.min_confidence:
        return False
    nothing = label.value == ([] if isinstance(field, ListField) else field.default)
    if not nothing or how.absent == "keep":
        return True
    return how.absent == "agreed" and label.votes > 1 and label.agreement == 1


def _fitting(field: FieldSpec, value: JsonValue) -> JsonValue:
    try:
        return field.read(value)
    except ValueError as cause:
        raise InputError(f"a weak label does not fit field {field.name!r}", "label again") from cause


def weighted(rows: Sequence[Row], trust: Mapping[tuple[str, str], float], weight: int) -> list[Row]:
    """Return the rows, those with weak labels shown as often as their least trusted label allows.

    Args:
        rows: Training rows.
        trust: By note and field, in [0, 1]; rows of notes that are not in it stay as they are.
        weight: How often a row of full trust is shown.
    """
    made = []
    for row in rows:
        sure = [trust[row.id, name] for name in row.fields if (row.id, name) in trust]
        times = max(1, round(weight * min(sure))) if sure else row.times
        made.append(row.model_copy(update={"times": times}))
    return made
