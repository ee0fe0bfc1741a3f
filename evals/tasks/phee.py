"""The tasks ``phee`` and ``phee-l``: drugs and adverse effects in sentences about cases, as lists.

Owns the mapping from the corpus's JSON lines to a task. The data are not part of the project:
``preceptor tasks fetch phee`` gets them, or ``data_dir`` names a folder that holds ``phee_v2/``.

* ``drugs``: the drugs of every event of the sentence; ``effects``: the effects of its adverse events,
  those that the corpus marks as speculated or negated included. Items stand in the sentence as they are
  in the list, in the order of the sentence; one that stands there twice is listed once.
* Groups: a sentence's id begins with its MEDLINE abstract; that is the group.
* Parts: the authors' train, dev and test, which share no abstract. ``phee-l`` has all 4,827 sentences;
  ``phee`` has whole abstracts of each part, up to the sizes in ``SIZES``, always the same ones.

Sun et al. 2022, EMNLP (PHEE), second version of the labels: Sun et al. 2024. MIT licence.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, Field, JsonValue, ValidationError

from preceptor.core.errors import TaskError
from preceptor.core.fields import ListField
from preceptor.core.records import Example, Gold, Guide, Prompt
from preceptor.evals import data
from preceptor.evals.splits import PARTS, SPLIT_KEY
from preceptor.evals.task import Task
from preceptor.evals.tasks import fetch

SIZES = {"train": 800, "dev": 250, "test": 400}
FIELDS = (
    ListField(name="drugs", of="names of drugs", max_items=8, copied=True),
    ListField(name="effects", of="adverse effects of drugs", max_items=8, copied=True),
)
MEANINGS = {
    "drugs": "the drugs that were given",
    "effects": "what a drug did to the patient that was not wanted",
}


class Mention(BaseModel):
    """One argument of an event: its pieces in the sentence, with where each begins."""

    text: list[list[str]]
    start: list[list[int]]

    def pieces(self) -> Iterator[tuple[int, str]]:
        """Yield (offset, text) of every piece."""
        for texts, starts in zip(self.text, self.start, strict=True):
            yield from zip(starts, texts, strict=True)


class Treatment(BaseModel):
    """The treatment of an event, of which only the drugs are used."""

    drug: Mention | None = Field(default=None, alias="Drug")


class Event(BaseModel):
    """An adverse or a potential therapeutic event."""

    event_type: str
    treatment: Treatment | None = Field(default=None, alias="Treatment")
    effect: Mention | None = Field(default=None, alias="Effect")


class Annotation(BaseModel):
    """One annotator's events."""

    events: list[Event]


class Sentence(BaseModel):
    """A line of a file."""

    id: str
    context: str
    annotations: list[Annotation]

    def gold(self) -> Gold:
        """Return the gold values.

        Raises:
            ValueError: If an item does not stand in the sentence.
        """
        events = [event for annotation in self.annotations for event in annotation.events]
        treated = [e.treatment.drug for e in events if e.treatment and e.treatment.drug]
        adverse = [e.effect for e in events if e.effect and e.event_type == "Adverse_event"]
        return {"drugs": self._items(treated), "effects": self._items(adverse)}

    def _items(self, mentions: Sequence[Mention]) -> list[JsonValue]:
        pieces = sorted({piece for mention in mentions for piece in mention.pieces()})
        items: dict[str, JsonValue] = {}
        for _, text in pieces:
            item = text.strip()
            if not item or item not in self.context:
                raise ValueError(f"an item of {len(item)} characters does not stand in the sentence")
            items.setdefault(item.casefold(), item)
        return [*items.values()]


def task(data_dir: Path | None = None) -> Task:
    """Return ``phee``, a part of the corpus, from ``<data_dir>/phee_v2/*.json``.

    Raises:
        TaskError: If the files are not there, or not as they should be.
    """
    every = _examples(data_dir)
    kept: set[str] = set()
    for part, size in SIZES.items():
        kept |= _drawn([e for e in every if _part(e) == part], size)
    return _task("phee", tuple(e for e in every if e.group in kept))


def task_l(data_dir: Path | None = None) -> Task:
    """Return ``phee-l``, the whole corpus; otherwise like ``task``."""
    return _task("phee-l", tuple(_examples(data_dir)))


def _task(name: str, examples: tuple[Example, ...]) -> Task:
    return Task(
        name=name,
        fields=FIELDS,
        prompt=Prompt(
            instruction="Read the sentence and fill in the field. Answer in JSON.",
            guides={name: Guide(meaning=meaning) for name, meaning in MEANINGS.items()},
        ),
        examples=examples,
        description="Drugs and adverse effects in sentences of case reports, as lists.",
        source="PHEE (Sun et al. 2022), MIT licence; github.com/ZhaoyueSun/phee-with-chatgpt",
    )


def _part(example: Example) -> str:
    return str(example.meta[SPLIT_KEY])


def _drawn(examples: Sequence[Example], size: int) -> set[str]:
    """Return whole groups of at most ``size`` sentences, drawn by a hash of their names."""
    members: dict[str, int] = defaultdict(int)
    for example in examples:
        members[example.group] += 1
    taken: set[str] = set()
    for group in sorted(members, key=lambda g: hashlib.sha256(g.encode()).digest()):
        if members[group] <= size:
            taken.add(group)
            size -= members[group]
    return taken


def _examples(data_dir: Path | None) -> list[Example]:
    folder = fetch.place("phee", data_dir)
    found = [e for part in PARTS for e in _read(folder / f"{part}.json", part)]
    first: dict[str, str] = {}
    for example in found:
        part = _part(example)
        if first.setdefault(example.group, part) != part:
            raise TaskError(
                f"{folder}: abstract {example.group!r} stands in {first[example.group]} and {part}",
                "fetch the data again: preceptor tasks fetch phee",
            )
    return found


def _read(path: Path, part: str) -> Iterator[Example]:
    for line, row in data.rows(path, "jsonl"):
        try:
            sentence = Sentence.model_validate(row)
            gold = sentence.gold()
        except (ValidationError, ValueError) as cause:
            first = cause.errors()[0] if isinstance(cause, ValidationError) else None
            why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(cause)
            raise TaskError(
                f"{path}, line {line}: no sentence of the corpus ({why})",
                "fetch the data again: preceptor tasks fetch phee",
            ) from cause
        yield Example(
            id=sentence.id,
            group=sentence.id.rpartition("_")[0] or sentence.id,
            text=sentence.context,
            gold=gold,
            meta={SPLIT_KEY: part},
        )
