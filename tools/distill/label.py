"""The look ``label_examples``: rules, a student, or a larger model label the notes that nobody has.

It is a look and no move: it changes no student. What it gives is an artefact of weak labels by content
hash, which the move ``fine_tune`` may then name, with what it takes of them. Voters see the gold of the
shown train notes only, and are measured on patients that they were not made from: rules on the other
half of the shown patients; a model whose recipe holds trained weights or worked examples on the notes
with gold that are not shown in this round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, ListField
from preceptor.core.ports import Evidence, ToolResult
from preceptor.core.record import Record, digest
from preceptor.core.records import Example, Gold
from preceptor.core.spelling import folded
from preceptor.tools.distill.weak import Ahead, Vote, Voter, WeakLabels, combine

MOST = 5000
"""The most notes that one call labels."""

USUAL = 1000
"""How many it labels if nobody says."""


ALL = ""
"""Stands for all voters together."""


@dataclass(frozen=True)
class Count:
    """Labels or items other than «nothing found»: in gold, said, and both."""

    gold: int = 0
    said: int = 0
    hits: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.gold + other.gold, self.said + other.said, self.hits + other.hits)

    def shown(self) -> str:
        """Return precision and recall in words."""
        right = f"{self.hits / self.said:.2f}" if self.said else "none said"
        found = f"{self.hits / self.gold:.2f}" if self.gold else "none there"
        return f"precision {right}, recall {found}"


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
        models: Those that answer by the working recipe, and so know what it learned.
    """

    name = "label_examples"
    changing = False
    args = LabelExamplesArgs

    def __init__(
        self,
        notes: Sequence[Example],
        voters: Mapping[str, Voter],
        paid: Collection[str] = (),
        models: Collection[str] = (),
    ) -> None:
        self._notes = sorted(notes, key=lambda note: digest(note.id))
        self._voters = dict(voters)
        self._models = frozenset(models)
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
        shown = [*notes, *(note for part in self._parts(names, evidence) for note in part[1])]
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
        ]
        quality = self._quality(made.voters, evidence)
        if not quality:
            return "\n".join(
                [
                    *lines,
                    "Not measured: all notes with gold are of patients that the voters were made from.",
                ]
            )
        lines.append("On train notes with gold, of patients that the voters were not made from:")
        for name, count in quality[ALL].items():
            lines.append(f"- {name}: {count.shown()} ({count.gold} in gold)")
        alone = {voter: sum(each.values(), Count()) for voter, each in quality.items() if voter != ALL}
        if len(alone) > 1:
            told = "; ".join(f"{voter} {count.shown()}" for voter, count in alone.items())
            lines.append(f"Each voter alone, all fields pooled: {told}.")
        return "\n".join(lines)

    def _parts(
        self, names: Sequence[str], evidence: Evidence
    ) -> list[tuple[Evidence, Sequence[Example]]]:
        """Return what voters are made from, and the notes with gold that they are measured on."""
        recipe = evidence.recipe
        learned = recipe.adapter is not None or bool(recipe.shots)
        if learned and self._models & set(names):
            known = {note.id for note in evidence.examples}
            held = [e for e in evidence.train if e.id not in known and e.gold is not None]
            return [(evidence, held)] if held else []
        halves: tuple[list[int], list[int]] = [], []
        for i, example in enumerate(evidence.examples):
            halves[int(digest(example.group), 16) % 2].append(i)
        return [
            (_part(evidence, other), [evidence.examples[i] for i in own])
            for own, other in (halves, halves[::-1])
            if own and other
        ]

    def _quality(self, names: Sequence[str], evidence: Evidence) -> dict[str, dict[str, Count]]:
        """Return the counts per field, of all voters together (``ALL``) and of each alone."""
        found: dict[str, dict[str, Count]] = {}
        for made_from, notes in self._parts(names, evidence):
            votes = self._votes(names, made_from, notes)
            for name, cast in {ALL: votes, **{n: {n: votes[n]} for n in names}}.items():
                counts = found.setdefault(name, {f.name: Count() for f in evidence.fields})
                labels = combine(notes, evidence.fields, cast)
                for note, weak in zip(notes, labels.notes, strict=True):
                    said = {field: label.value for field, label in weak.labels.items()}
                    for field in evidence.fields:
                        counts[field.name] += _count(field, note.gold or {}, said)
        return found


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


def _count(field: FieldSpec, gold: Gold, said: Gold) -> Count:
    """Return the counts of one field of one note, «nothing found» left out."""
    if field.name not in gold:
        return Count()
    wanted, given = _positive(field, gold), _positive(field, said)
    return Count(len(wanted), len(given), len(wanted & given))


def _positive(field: FieldSpec, values: Gold) -> set[str]:
    value = values.get(field.name)
    if isinstance(field, ListField):
        return {folded(str(item)) for item in value} if isinstance(value, list) else set()
    return set() if value is None or value == field.default else {str(value)}
