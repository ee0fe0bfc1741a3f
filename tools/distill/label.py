"""The look ``label_examples``: rules, a student, or a larger model label the notes that nobody has.

It is a look and no move: it changes no student. What it gives is an artefact of weak labels by content
hash, which the move ``fine_tune`` may then name, with what it takes of them. Voters see the gold of the
shown train notes only, and are measured there on patients that they were not made from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from pydantic import Field

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, ListField
from preceptor.core.ports import Evidence, ToolResult
from preceptor.core.record import Record, digest
from preceptor.core.records import Example, Gold
from preceptor.tools.distill.weak import Ahead, Vote, Voter, WeakLabels, combine

MOST = 5000
"""The most notes that one call labels."""

USUAL = 1000
"""How many it labels if nobody says."""


class LabelExamplesArgs(Record):
    """The arguments of ``label_examples``.

    Attributes:
        voters: Who labels; all that cost nothing if empty. Agreement is counted between several.
        notes: How many of the unlabelled notes, at most.
        reason: Why, in one line, for the trace.
    """

    voters: tuple[str, ...] = ()
    notes: int = Field(default=USUAL, ge=8, le=MOST)
    reason: str = Field(default="", max_length=400)


class LabelExamples:
    """Label notes that have no gold.

    Args:
        notes: The unlabelled notes on train's side: none of a dev or test patient, none that nearly
            repeats one of their notes.
        voters: Who can label, by name.
        paid: Those of them that cost money: they label only if they are named.
    """

    name = "label_examples"
    changing = False
    args = LabelExamplesArgs

    def __init__(
        self, notes: Sequence[Example], voters: Mapping[str, Voter], paid: Collection[str] = ()
    ) -> None:
        self._notes = sorted(notes, key=lambda note: digest(note.id))
        self._voters = dict(voters)
        self._free = tuple(name for name in voters if name not in paid)
        priced = f" (only if named, since they cost money: {', '.join(paid)})" if paid else ""
        self.description = (
            f"Label up to {len(self._notes)} notes that have no gold answer. Voters: "
            f"{', '.join(self._voters)}{priced}; name several to have their agreement. Returns the "
            "hash of the labels, with each voter's precision and recall where gold is known; fine_tune "
            "learns from them with data 'weak' or 'both' and weak {labels: HASH, …}. Changes no "
            "student."
        )

    def run(self, args: LabelExamplesArgs, evidence: Evidence) -> ToolResult:
        """Return the labels as an artefact, and what they are worth where gold is known.

        Raises:
            InputError: If a voter is unknown, or there is nothing to label.
            BudgetStop: If asking a student or a larger model does not fit the budget.
        """
        unknown = [name for name in args.voters if name not in self._voters]
        if unknown:
            raise InputError(f"no voter {unknown[0]!r}", f"there are: {', '.join(self._voters)}")
        if not self._notes:
            raise InputError("there are no unlabelled notes on train's side", "label nothing")
        names = args.voters or self._free
        notes = self._notes[: args.notes]
        shown = [*notes, *evidence.examples]
        for voter in (self._voters[name] for name in names):
            if isinstance(voter, Ahead):
                voter.ahead(evidence, _hidden(shown))
        votes = self._votes(names, evidence, notes)
        made = combine(notes, evidence.fields, votes)
        data = made.to_json().encode("utf-8", "surrogatepass")
        text = self._say(digest(data), made, evidence)
        silent = {name: sum(not vote.values for vote in said) for name, said in votes.items()}
        for name, count in silent.items():
            text += f"\n{count} notes have no vote of {name}." if count else ""
        return ToolResult(text, artefacts={digest(data): data})

    def _votes(
        self, names: Sequence[str], evidence: Evidence, notes: Sequence[Example]
    ) -> dict[str, Sequence[Vote]]:
        hidden = _hidden(notes)
        return {name: self._voters[name](evidence, hidden) for name in names}

    def _say(self, named: str, made: WeakLabels, evidence: Evidence) -> str:
        whole = [label for note in made.notes for label in note.labels.values()]
        agreed = sum(label.agreement == 1 for label in whole) / max(1, len(whole))
        lines = [
            f"Weak labels {named}: {len(made.notes)} notes by {', '.join(made.voters)}; all voters "
            f"agree on {agreed:.0%} of {len(whole)} labels.",
            "On the shown train notes, by patients that the voters were not made from:",
        ]
        for name, (gold, said, hits) in self._quality(made.voters, evidence).items():
            right = f"{hits / said:.2f}" if said else "none said"
            found = f"{hits / gold:.2f}" if gold else "none there"
            lines.append(f"- {name}: precision {right}, recall {found} ({gold} in gold)")
        return "\n".join(lines)

    def _quality(self, names: Sequence[str], evidence: Evidence) -> dict[str, tuple[int, int, int]]:
        """Return (in gold, said, hits) per field, each half of the patients by voters of the other."""
        halves: tuple[list[int], list[int]] = [], []
        for i, example in enumerate(evidence.examples):
            halves[int(digest(example.group), 16) % 2].append(i)
        counts = {field.name: (0, 0, 0) for field in evidence.fields}
        for own, other in (halves, halves[::-1]):
            if not own or not other:
                continue
            notes = [evidence.examples[i] for i in own]
            votes = self._votes(names, _part(evidence, other), notes)
            found = combine(notes, evidence.fields, votes)
            for note, weak in zip(notes, found.notes, strict=True):
                said = {name: label.value for name, label in weak.labels.items()}
                for field in evidence.fields:
                    before, more = counts[field.name], _count(field, note.gold or {}, said)
                    counts[field.name] = (
                        before[0] + more[0],
                        before[1] + more[1],
                        before[2] + more[2],
                    )
        return counts


def _hidden(notes: Sequence[Example]) -> list[Example]:
    return [note.model_copy(update={"gold": None}) for note in notes]


def _part(evidence: Evidence, places: Sequence[int]) -> Evidence:
    return replace(
        evidence,
        examples=tuple(evidence.examples[i] for i in places),
        answers=tuple(evidence.answers[i] for i in places),
        scored=tuple(evidence.scored[i] for i in places),
        train=(),
    )


def _count(field: FieldSpec, gold: Gold, said: Gold) -> tuple[int, int, int]:
    """Return (in gold, said, hits) of one field of one note, «nothing found» left out."""
    if field.name not in gold:
        return 0, 0, 0
    wanted, given = _positive(field, gold), _positive(field, said)
    return len(wanted), len(given), len(wanted & given)


def _positive(field: FieldSpec, values: Gold) -> set[str]:
    value = values.get(field.name)
    if isinstance(field, ListField):
        return {str(item).casefold() for item in value} if isinstance(value, list) else set()
    return set() if value is None or value == field.default else {str(value)}
