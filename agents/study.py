"""The study: what the student's answers and the notes say, counted once per turn.

Owns the view of the evidence from which moves are made: per field what was missed, found or wrong,
and which phrases may be its mentions. Leaves the counting to ``agents.mining`` and
``agents.mentions``, and what is made of it to ``agents.moves``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from preceptor.agents.meaning import MOST, Fits, Meaning
from preceptor.agents.mentions import Verdict, judge
from preceptor.agents.mining import (
    MAX_CHARS,
    MIN_PATIENTS,
    Cell,
    Corpus,
    Phrase,
    cells,
    log_odds,
    nested,
    nothing,
)
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.ports import Evidence
from preceptor.core.render import calls
from preceptor.core.text import words

CHARS_PER_TOKEN = 4
MAX_HINTS = 12
SURE = 0.7
"""How likely a phrase must be a mention for other counts to lean on it."""


@dataclass(frozen=True)
class FieldStudy:
    """What the student's answers say about one field.

    Attributes:
        field: The field.
        unit: What one repaired note of this field adds to the run's metric where there is something to
            find.
        unit_empty: The same where there is nothing to find.
        cells: Its notes.
        mentions: The phrases that speak for a mention, best first.
    """

    field: FieldSpec
    unit: float
    unit_empty: float
    cells: tuple[Cell, ...]
    mentions: tuple[Phrase, ...]

    def notes(self, gold: bool | None = None, right: bool | None = None) -> frozenset[int]:
        """Return the notes with(out) something to find that were (not) answered rightly."""
        empty = nothing(self.field)
        return frozenset(
            c.note
            for c in self.cells
            if (gold is None or (c.gold != empty) == gold) and (right is None or c.right == right)
        )

    @property
    def missed(self) -> frozenset[int]:
        """The notes where the student found nothing, and something is there."""
        empty = nothing(self.field)
        return frozenset(c.note for c in self.cells if c.said == empty and c.gold != empty)


class Study:
    """Everything that was counted for one turn.

    Args:
        evidence: The train notes and the student's answers.
        corpus: The same notes, cut up.
        meaning: What phrases mean, where there is an embedder.
    """

    def __init__(self, evidence: Evidence, corpus: Corpus, meaning: Meaning | None = None) -> None:
        self.evidence = evidence
        self.corpus = corpus
        self.meaning = meaning
        found = {f.name: tuple(cells(evidence, f)) for f in evidence.fields}
        mentions = self._mentions(found)
        self.fields = tuple(
            FieldStudy(f, *_units(evidence, f, found[f.name]), found[f.name], tuple(mentions[f.name]))
            for f in evidence.fields
        )

    def _mentions(self, found: dict[str, tuple[Cell, ...]]) -> dict[str, list[Phrase]]:
        """Return the phrases that may be mentions of each field, likeliest first."""
        out: dict[str, list[Phrase]] = {}
        by_labels: dict[tuple[str, ...], list[LabelField]] = {}
        for field in self.evidence.fields:
            if isinstance(field, LabelField):
                rest = (v for v in field.values if v != field.default)
                by_labels.setdefault((field.default, *rest), []).append(field)
            else:
                out[field.name] = _items(found[field.name], self.corpus)
        fits = self._fits() if by_labels else None
        for labels, fields in by_labels.items():
            golds = [{c.note: str(c.gold) for c in found[f.name]} for f in fields]
            guides = [self.evidence.recipe.prompt.guide(f.name) for f in fields]
            told = [
                " ".join((f.name.replace("_", " "), g.meaning, *g.look_for))
                for f, g in zip(fields, guides, strict=True)
            ]
            judged = judge(self.corpus, golds, labels, told, self._of(fits, fields))
            for field, chances in zip(fields, judged, strict=True):
                out[field.name] = _likely(self.corpus, found[field.name], field.default, chances)
        return out

    def _fits(self) -> Fits | None:
        """Return how well the phrases of the notes fit all fields, None without an embedder."""
        if self.meaning is None:
            return None
        texts = []
        for field in self.evidence.fields:
            guide = self.evidence.recipe.prompt.guide(field.name)
            said = (field.name.replace("_", " "), guide.meaning, *guide.look_for)
            texts.append([text for text in said if text.strip()])
        return self.meaning.fits(self._vocabulary(), texts)

    def near(self, least: float, chance: float) -> list[tuple[Phrase, ...]]:
        """Return, per field, phrases that mean nearly what it is told to look for; none if unknown.

        Each stands in notes of two patients with something to find, and there more often than in the
        others; it is nearer to this field's phrases than to any other's, and not found by them already.

        Args:
            least: How near, in standard deviations of all phrases of the notes.
            chance: How likely such a phrase is a mention at least.
        """
        told = [self.hints(of) for of in self.fields]
        if self.meaning is None or not any(told):
            return [() for _ in self.fields]
        phrases = self._vocabulary()
        named = [
            hints or (of.field.name.replace("_", " "),)
            for hints, of in zip(told, self.fields, strict=True)
        ]
        rows = self.meaning.nearness(phrases, named).tolist() if phrases else []
        found: list[list[Phrase]] = [[] for _ in self.fields]
        for text, row in zip(phrases, rows, strict=True):
            k = max(range(len(row)), key=row.__getitem__)
            if row[k] < least or any(nested(text, hint) for hint in told[k]) or not told[k]:
                continue
            of = self.fields[k]
            known = next((p for p in of.mentions if p.text == text), None)
            held = self.corpus.holding(text)
            there, bare = of.notes(gold=True), of.notes(gold=False)
            if log_odds(len(held & there), len(held & bare), len(there), len(bare)) <= 0:
                continue
            inside = known.inside if known else held & there
            outside = known.outside if known else held & bare
            if self.corpus.patients(inside) >= MIN_PATIENTS:
                sure = max(chance, known.chance if known else 0.0)
                found[k].append(Phrase(text, row[k], inside, outside, sure))
        return [tuple(sorted(own, key=lambda p: (-p.chance, -p.z, p.text))) for own in found]

    def _vocabulary(self) -> list[str]:
        """Return the phrases of the notes, sorted; of very many those that stand in most notes."""
        by_notes = sorted(self.corpus.closed, key=lambda p: (-len(p[1]), p[0]))
        return sorted(text for text, _ in by_notes[:MOST])

    def _of(self, fits: Fits | None, fields: Sequence[FieldSpec]) -> Fits | None:
        """Return the fits of some fields alone."""
        if fits is None:
            return None
        places = [self.evidence.fields.index(field) for field in fields]
        return {phrase: tuple(row[k] for k in places) for phrase, row in fits.items()}

    @cached_property
    def base_tokens(self) -> float:
        """The mean prompt tokens of one note, as the backend counted or by the rule of thumb."""
        known = [a.prompt_tokens for a in self.evidence.answers if a.prompt_tokens is not None]
        if known:
            return max(1.0, sum(known) / len(known))
        if not self.evidence.examples:
            return 1.0
        made = calls(self.evidence.recipe, self.evidence.fields, self.evidence.examples[0])
        return max(1.0, sum(len(m.content) for c in made for m in c.messages) / CHARS_PER_TOKEN)

    def hints(self, study: FieldStudy) -> tuple[str, ...]:
        """Return the phrases that the prompt tells the student to look for."""
        return self.evidence.recipe.prompt.guide(study.field.name).look_for

    def names(self, study: FieldStudy, least: float = SURE) -> list[str]:
        """Return what a mention of the field can be told by: its hints, its name, its own phrases."""
        strong = [p.text for p in study.mentions if p.chance >= least][:MAX_HINTS]
        return [*self.hints(study), study.field.name.replace("_", " "), *strong]

    def support(self, notes: frozenset[int]) -> float:
        """Return how much of a phrase's support is left without one patient: 1, or a half."""
        return 1.0 if self.corpus.patients(notes) > MIN_PATIENTS else 0.5


def _units(evidence: Evidence, field: FieldSpec, found: Sequence[Cell]) -> tuple[float, float]:
    """Return what a note of a field is worth on average, where there is something to find or not."""
    share = field.weight / sum(f.weight for f in evidence.fields) / max(len(evidence.examples), 1)
    if not evidence.worth:
        return share, share
    empty = nothing(field)
    there = [evidence.worth_of(c.note, field) for c in found if c.gold != empty]
    bare = [evidence.worth_of(c.note, field) for c in found if c.gold == empty]
    return (
        sum(there) / len(there) if there else share,
        sum(bare) / len(bare) if bare else share,
    )


def _likely(
    corpus: Corpus, found: Sequence[Cell], empty: str, verdicts: dict[str, Verdict]
) -> list[Phrase]:
    """Return the phrases that speak for a mention, likeliest first, then by log-odds.

    Their notes are those that a reader who goes by the phrase would answer rightly, and those where
    it would lure him.
    """
    inside = frozenset(c.note for c in found if c.gold != empty)
    outside = frozenset(c.note for c in found if c.gold == empty)
    said = [
        Phrase(p.text, p.z, v.right & inside, v.lured, v.chance)
        for p in corpus.contrast(inside, outside)
        if (v := verdicts.get(p.text)) is not None
    ]
    return sorted(said, key=lambda p: (-p.chance, -p.z, p.text))


def _items(found: Sequence[Cell], corpus: Corpus) -> list[Phrase]:
    """Return the items of a list field that two patients share, as phrases."""
    holding: dict[str, set[int]] = {}
    for cell in found:
        for item in cell.gold if isinstance(cell.gold, list) else []:
            holding.setdefault(" ".join(words(str(item))), set()).add(cell.note)
    out = []
    for text, notes in sorted(holding.items()):
        short = 0 < len(text.split()) <= 5 and len(text) <= MAX_CHARS
        if short and corpus.patients(notes) >= MIN_PATIENTS:
            outside = corpus.holding(text) - notes
            out.append(Phrase(text, float(len(notes)), frozenset(notes), outside))
    return sorted(out, key=lambda p: (-p.z, p.text))
