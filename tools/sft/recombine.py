"""New notes from old ones: sentences of train notes put together anew, with the labels that follow.

Owns a way to show a small model the same facts in ever new company, so that it learns which sentence
speaks of a field instead of learning notes by heart. A note is begun with some sentences of one note;
sentences of other notes that decide a field (``rag.evidence`` finds them) are put among them. What is
known of a sentence decides the labels:

- a field gets the label of the last sentence in the new note that decides it;
- it says «nothing found» where no sentence speaks of it, and the first note either said so, too, or its
  sentence was found and left out;
- it has no label where none of that is sure; no row is made of it.

The labels are as good as the sentences that were found (``docs/results/evidence.md``); fields other
than labels, and notes of one sentence, cannot be put together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Example
from preceptor.core.text import sentences
from preceptor.tools.rag.evidence import Spot, spots

PREFIX = "recombined-"
"""What the ids of such notes begin with."""

KEEP = 0.3
"""The share of the first note's sentences that stay."""

SPLICED = 6
"""How many sentences of other notes are tried."""

PER_CARRIER = 5
"""At most so many new notes for each sentence that decides a field: shown more often, sentences, and
what was guessed wrong about them, are learned by heart."""

DEFAULTS = 1.5
"""Fields that say «nothing found», for each field that says something; one at least."""

SURE = 0.5
"""A sentence decides a field only if its mention is at least so likely."""

FEWEST_SENTENCES, FEWEST_CARRIERS = 4.0, 8
"""Notes with fewer sentences (on average), or fewer sentences that decide anything, cannot be used."""

Place = tuple[int, int]
"""A sentence: the note's number and its own."""


@dataclass
class _Stock:
    """Notes cut into sentences, and what is known of each.

    Attributes:
        notes: The notes.
        fields: The label fields by name.
        cut: Their sentences.
        spots: What bears on a field, by sentence.
        found: The (note, field) whose deciding sentence is known.
        carriers: The deciding sentences, once for each field that they decide.
    """

    notes: tuple[Example, ...]
    fields: dict[str, LabelField]
    cut: list[list[str]]
    spots: dict[Place, list[Spot]] = field(default_factory=lambda: defaultdict(list))
    found: set[tuple[int, str]] = field(default_factory=set)
    carriers: list[Place] = field(default_factory=list)

    def label(self, note: int, name: str) -> JsonValue:
        """Return what a note says of a field, None if nobody said."""
        return (self.notes[note].gold or {}).get(name)

    def default(self, name: str) -> str:
        """Return a field's label for «nothing found»."""
        return self.fields[name].default


@dataclass(frozen=True)
class Wanted:
    """Which new notes.

    Attributes:
        count: How many; fewer where few sentences are known to decide anything.
        seed: Of everything random.
        own: Whether only sentences of the note itself are used: for a student that retrieves, since the
            examples of other patients must not be sentences of the note.
        whole: Whether only notes count in which every label field is sure, for students that are asked
            all fields at once; else some «nothing found» are left out.
    """

    count: int
    seed: int = 0
    own: bool = False
    whole: bool = False


def recombine(
    examples: Sequence[Example],
    fields: Sequence[FieldSpec],
    wanted: Wanted,
    hints: Mapping[str, Sequence[str]] | None = None,
) -> list[Example]:
    """Return new notes; none where the notes cannot be used.

    Args:
        examples: Labelled notes. A new note's group is that of the note that it was begun with.
        fields: The task's fields; those that are no labels are left out.
        wanted: Which new notes.
        hints: Phrases per field that speak for a mention.
    """
    stock = _stock(examples, fields, hints)
    total = sum(len(pieces) for pieces in stock.cut)
    if not stock.notes or total / len(stock.notes) < FEWEST_SENTENCES:
        return []
    if len(stock.carriers) < FEWEST_CARRIERS:
        return []
    count = min(wanted.count, PER_CARRIER * len(stock.carriers))
    r = Random(f"recombine:{wanted.seed}")
    made = (_note(stock, r, wanted) for _ in range(count))
    return [
        Example(id=f"{PREFIX}{number}", group=group, text=text, gold=gold)
        for number, (group, text, gold) in enumerate(made)
        if gold and (len(gold) == len(stock.fields) or not wanted.whole)
    ]


def _stock(
    examples: Sequence[Example],
    fields: Sequence[FieldSpec],
    hints: Mapping[str, Sequence[str]] | None,
) -> _Stock:
    notes = tuple(sorted((e for e in examples if e.gold), key=lambda e: e.id))
    known = {f.name: f for f in fields if isinstance(f, LabelField)}
    stock = _Stock(notes, known, [sentences(e.text) for e in notes])
    for spot in spots(notes, fields, hints):
        stock.spots[spot.note, spot.sentence].append(spot)
        if _decides(spot):
            stock.found.add((spot.note, spot.field))
            stock.carriers.append((spot.note, spot.sentence))
    return stock


def _decides(spot: Spot) -> bool:
    return spot.decides and spot.chance >= SURE


def _note(stock: _Stock, r: Random, wanted: Wanted) -> tuple[str, str, dict[str, JsonValue]]:
    """Return group, text and labels of a new note; no labels if nothing is sure in it."""
    first = r.randrange(len(stock.notes))
    places = [(first, i) for i in range(len(stock.cut[first])) if r.random() < KEEP]
    if wanted.own:
        r.shuffle(places)
    else:
        _splice(stock, r, first, places)
    gold = _labels(stock, first, places) if places else {}
    gold = gold if wanted.whole else _thinned(stock, r, gold)
    text = "\n".join(stock.cut[note][number] for note, number in places)
    return stock.notes[first].group, text, gold


def _splice(stock: _Stock, r: Random, first: int, places: list[Place]) -> None:
    """Put sentences of other notes among ``places`` that speak of fields nothing speaks of yet."""
    spoken = {spot.field for place in places for spot in stock.spots.get(place, ())}
    for _ in range(SPLICED):
        place = r.choice(stock.carriers)
        speaks = {spot.field for spot in stock.spots[place]}
        if place[0] != first and not speaks & spoken:
            spoken |= speaks
            places.insert(r.randrange(len(places) + 1), place)


def _labels(stock: _Stock, first: int, places: Sequence[Place]) -> dict[str, JsonValue]:
    """Return the labels that are sure in a note of these sentences, begun with note ``first``."""
    here: dict[str, list[Spot]] = defaultdict(list)
    for place in places:
        for spot in stock.spots.get(place, ()):
            here[spot.field].append(spot)
    gold: dict[str, JsonValue] = {}
    for name in stock.fields:
        default = stock.default(name)
        deciding = [spot for spot in here[name] if _decides(spot)]
        if deciding:
            gold[name] = stock.label(deciding[-1].note, name)
        elif here[name]:
            # Only lures are sure: a mention in a note that says «nothing found» of the field.
            if all(stock.label(spot.note, name) == default for spot in here[name]):
                gold[name] = default
        elif stock.label(first, name) == default or (first, name) in stock.found:
            gold[name] = default
    return {name: value for name, value in gold.items() if value is not None}


def _thinned(stock: _Stock, r: Random, gold: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the labels without the «nothing found» that are too many."""
    says = [name for name, value in gold.items() if value != stock.default(name)]
    nothing = [name for name in gold if name not in says]
    r.shuffle(nothing)
    kept = {*says, *nothing[: max(1, round(DEFAULTS * len(says)))]}
    return {name: value for name, value in gold.items() if name in kept}
