"""When the rule teacher has notes labelled that nobody has labelled, and what it makes of the labels.

Owns the rule. Before a training on gold that looks worth its cost, ``label_examples`` is asked once per
round, where it is offered: which it is only if there are unlabelled notes of no dev or test patient and
the student can be trained here. The voters are ``VOTERS``, two sets of rules that cost no call of a
student. The training then learns from ``both`` if at least ``LEAST_NOTES`` notes were labelled, and if
on shown train notes, of patients that the voters were not made from, the labels other than «nothing
found» have a precision of ``PRECISE`` and a recall of ``COMPLETE``, all fields pooled: what rules miss
would be taught as absent. Otherwise it learns from gold alone, as it would have. Its expected gain is
that of gold alone: nothing is known yet of what weak labels add.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from preceptor.agents.moves import Move

LABEL, TUNE = "label_examples", "fine_tune"
VOTERS = ("keyword+mined", "context+mined")
LEAST_NOTES = 20
PRECISE, COMPLETE = 0.8, 0.6

_HEAD = re.compile(r"Weak labels (?P<hash>[0-9a-f]{8,64}): (?P<notes>\d+) notes by ")
_FIELD = re.compile(
    r"^- .*: precision (?P<precision>[\d.]+|none said), "
    r"recall (?P<recall>[\d.]+|none there) \((?P<gold>\d+) in gold\)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Told:
    """What ``label_examples`` said of its labels.

    Attributes:
        labels: Their content hash.
        notes: How many notes have some.
        precision: On shown train notes, pooled over fields; 0 if nothing was said.
        recall: Likewise.
    """

    labels: str
    notes: int
    precision: float
    recall: float

    @property
    def good(self) -> bool:
        """Whether they are worth learning from."""
        enough = self.notes >= LEAST_NOTES
        return enough and self.precision >= PRECISE and self.recall >= COMPLETE


def read(text: str) -> Told | None:
    """Return what an answer of ``label_examples`` says, None if it is something else."""
    head = _HEAD.search(text)
    if head is None:
        return None
    gold = said = hits = 0.0
    for found in _FIELD.finditer(text):
        there = int(found["gold"])
        gold += there
        if found["precision"] == "none said" or found["recall"] == "none there":
            continue
        right = float(found["recall"]) * there
        hits += right
        said += right / float(found["precision"]) if float(found["precision"]) else 0.0
    precision, recall = (hits / said if said else 0.0), (hits / gold if gold else 0.0)
    return Told(head["hash"], int(head["notes"]), precision, recall)


def told(transcript: Sequence[dict[str, JsonValue]]) -> Told | None:
    """Return what was said of the labels in this round, None if nothing was."""
    for message in reversed(transcript):
        data = message.get("data")
        text = data.get("content") if isinstance(data, dict) else None
        name = data.get("name") if isinstance(data, dict) else None
        found = read(text) if name == LABEL and isinstance(text, str) else None
        if found is not None:
            return found
    return None


def with_labels(move: Move, known: Told) -> Move:
    """Return a training that learns from good weak labels, too."""
    weak: JsonValue = {"labels": known.labels}
    why = f"{move.why}; {known.notes} notes more with weak labels"
    return replace(move, args={**move.args, "data": "both", "weak": weak}, why=why)


def can_add(move: Move) -> bool:
    """Return whether a move is a training on gold alone."""
    return move.tool == TUNE and move.args.get("data", "gold") == "gold"
