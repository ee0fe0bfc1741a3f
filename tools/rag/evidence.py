"""Which sentence of a labelled note says what the label says, when only the note is labelled.

Owns a multi-instance model: a note is a bag of sentences, at most one of which decides a field
(Dietterich, Lathrop & Lozano-Pérez 1997, "Solving the multiple instance problem"). Two things are
learnt in turn, by a few rounds of expectation maximisation over the train notes:

- *mentions*: for each phrase of one to three words, the chance that it names a field. It names one or
  none, either saying nothing about the label (the words around it do) or always the same label («fully
  continent»). What speaks for it is the sum, over its notes, of ln P(label | how it is said there) -
  ln P(label).
- *ways*: which label goes with the words around a mention, pooled over all fields with the same labels.
  What «denies» means is learnt from the labels; ``rag.cues`` only says that it may be counted
  together with «no», and in languages without such lists each word is counted for itself.

The sentence that decides is the one with a mention that is said in the way that fits the note's label
best, the last one if two are alike. Where no phrase stands out there is none.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Example
from preceptor.tools.rag.phrases import LONGEST, Occurrences, cut, occurrences_in, words_of

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

ROUNDS = 4
FOLDS = 5
"""A way of saying is learnt from other patients than those it is applied to."""

EXPECTED = 16.0
"""How many phrases a field is expected to have, before anything was counted."""

RARE = 0.01
"""The most that is expected of any phrase, also where there are few."""

NAMED = 0.6
"""How likely the field's name, or a hint from the prompt, is a mention before anything was counted."""

KIN = 30.0
"""How much likelier a phrase is if it shares the beginning of a word with the field's name."""

ALWAYS = 0.05
"""How much rarer phrases are that carry the label by themselves."""

HEREDITY = 3.0
"""The odds that a phrase is a mention, before anything was counted, if a part of it is one for sure."""

STEM = 5
TRUST = 0.8
"""How likely a mention is, at first, to go with a label other than the default."""

NOISE = 0.15
"""The share of mentions whose label says nothing about them: another sentence decides."""

TEMPER = 0.7
"""The words around a mention depend on each other; their logarithms count less."""

BEST_PLACE = 1.0
"""The most that standing between the right words speaks for a phrase, as a natural logarithm."""

PLACE = 1.5
"""How much the neighbours of a phrase count."""

SHRINK = 5.0
"""Mentions that a word around them must be seen with before it counts half."""

LEAST = 0.25
"""A phrase that is less likely than this is no mention."""

FIT = 0.7
"""A sentence decides only if its label is at least so likely there, in shares of how usual it is."""

ALIKE = 0.3
"""Two sentences whose scores (natural logarithms) differ less are alike; the later one decides."""


@dataclass(frozen=True)
class Spot:
    """One sentence that bears on one field of one note.

    Attributes:
        note: Which note, by its place in the list.
        field: Which field.
        sentence: Which sentence of the note, from 0.
        terms: The phrases in it that name the field, likeliest first.
        chance: How likely they are to.
        decides: Whether the note's label comes from this sentence, as far as can be told.
    """

    note: int
    field: str
    sentence: int
    terms: tuple[str, ...]
    chance: float
    decides: bool


@dataclass
class _Pool:
    """Fields with the same labels, and what is learnt about them."""

    labels: tuple[str, ...]
    fields: list[LabelField]
    golds: list[dict[int, int]] = field(default_factory=list)


def spots(
    examples: Sequence[Example],
    fields: Sequence[FieldSpec],
    hints: Mapping[str, Sequence[str]] | None = None,
) -> list[Spot]:
    """Return the sentences that bear on the label fields, in the order of notes, fields, sentences.

    Args:
        examples: Labelled notes.
        fields: The fields; those that are no ``LabelField`` are left out.
        hints: Phrases per field name that speak for a mention, beside the name itself.
    """
    pools: dict[tuple[str, ...], _Pool] = {}
    for spec in fields:
        if isinstance(spec, LabelField):
            labels = (spec.default, *(v for v in spec.values if v != spec.default))
            pools.setdefault(labels, _Pool(labels, [])).fields.append(spec)
    table = occurrences_in(cut(examples), [e.group for e in examples])
    found: list[Spot] = []
    if table.phrase:
        for pool in pools.values():
            pool.golds = [_golds(examples, spec, pool.labels) for spec in pool.fields]
            found += _Model(table, pool, hints or {}).run()
    order = {spec.name: i for i, spec in enumerate(fields)}
    return sorted(found, key=lambda s: (s.note, order[s.field], s.sentence))


def _golds(examples: Sequence[Example], spec: LabelField, labels: Sequence[str]) -> dict[int, int]:
    known = ((i, (e.gold or {}).get(spec.name)) for i, e in enumerate(examples))
    return {i: labels.index(str(gold)) for i, gold in known if str(gold) in labels}


class _Model:
    """The model of one pool of fields."""

    def __init__(self, table: Occurrences, pool: _Pool, hints: Mapping[str, Sequence[str]]) -> None:
        import numpy as np

        self.np, self.table, self.pool = np, table, pool
        self.phrase, self.sentence = np.array(table.phrase), np.array(table.sentence)
        self.note = np.array([s.note for s in table.sentences])[self.sentence]
        self.cue, self.owner = np.array(table.cue, dtype=int), np.array(table.owner, dtype=int)
        self.edges, self.wider = np.array(table.edges), np.array(table.wider)
        self.size = np.array([t.count(" ") + 1 for t in table.phrases])
        number = {t: i for i, t in enumerate(table.phrases)}
        ends = [(t.rpartition(" ")[0], t.partition(" ")[2]) for t in table.phrases]
        self.parts = np.array([[number.get(part, -1) for part in pair] for pair in ends])
        self.gold = np.full((len(pool.fields), int(self.note.max()) + 1), -1)
        for f, known in enumerate(pool.golds):
            for note in known.keys() & set(self.note.tolist()):
                self.gold[f, note] = known[note]
        labels = range(len(pool.labels))
        counts = np.array([[list(k.values()).count(y) for y in labels] for k in pool.golds]) + 0.5
        self.base = counts / counts.sum(axis=1, keepdims=True)
        self.said = self.base * TRUST / self.base[:, 1:].sum(axis=1, keepdims=True)
        self.said[:, 0] = 1 - TRUST
        self.last, self.share = self._once_per_note()
        scale = min(RARE, EXPECTED / len(table.phrases))
        self.prior = np.array(
            [self._prior(spec, hints.get(spec.name, ()), scale) for spec in pool.fields]
        )
        patients = {group: i for i, group in enumerate(sorted(set(table.groups)))}
        folds = np.array([patients[group] % FOLDS for group in table.groups])
        self.fold = folds[self.note]
        self.stands = np.zeros(len(table.phrases))
        self.way = np.zeros((len(self.phrase), len(labels)))
        self.chance = np.zeros((len(pool.fields), len(labels), len(table.phrases)))
        self.here = np.zeros((len(pool.fields), len(labels), len(self.phrase)))

    def _once_per_note(self) -> tuple[Ints, Floats]:
        """Return the last occurrence of each phrase in each note, and one patient's share of it."""
        pairs = zip(self.phrase.tolist(), self.note.tolist(), strict=True)
        last = sorted({pair: i for i, pair in enumerate(pairs)}.values())
        mine = [(int(self.phrase[i]), self.table.groups[self.note[i]]) for i in last]
        often = Counter(mine)
        return self.np.array(last), self.np.array([1 / often[pair] for pair in mine])

    def _prior(self, spec: LabelField, hints: Sequence[str], scale: float) -> list[float]:
        """Return how likely each phrase is to name the field before anything was counted."""
        names = [" ".join(words_of(text)) for text in (spec.name.replace("_", " "), *hints)]
        stems = {w[:STEM] for name in names for w in name.split() if len(w) >= STEM}
        out = []
        for text in self.table.phrases:
            kin = any(w[:STEM] in stems for w in text.split())
            out.append(NAMED if text in names else scale * (KIN if kin else 1.0))
        return out

    def run(self) -> list[Spot]:
        """Fit the model and return the sentences."""
        for _ in range(ROUNDS):
            self._mentions()
            self._ways()
            self._places()
        self._mentions()
        return [spot for f in range(len(self.pool.fields)) for spot in self._field(f)]

    def _labels(self, f: int) -> Floats:
        """Return P(label | way) per occurrence for a plain mention of field ``f``."""
        scores = self.np.log(self.said[f]) + self.way
        scores -= scores.max(axis=1, keepdims=True)
        odds = self.np.exp(scores)
        shares: Floats = odds / odds.sum(axis=1, keepdims=True)
        mixed: Floats = (1 - NOISE) * shares + NOISE * self.base[f]
        return mixed

    def _mentions(self) -> None:
        """Learn which phrases name which field: index 0 plainly, y with the label y."""
        np, size = self.np, len(self.table.phrases)
        support = np.zeros_like(self.chance)
        for f in range(len(self.pool.fields)):
            known = self.gold[f, self.note[self.last]] >= 0
            at, share = self.last[known], self.share[known]
            gold, phrase = self.gold[f, self.note[at]], self.phrase[at]
            other = self._elsewhere(f)[at]
            plain = self._labels(f)[at, gold] / self.base[f, gold]
            plain = share * np.log(other + (1 - other) * plain)
            support[f, 0] = np.bincount(phrase, plain, size)
            for y in range(1, len(self.pool.labels)):
                sure = NOISE * self.base[f] + (1 - NOISE) * (np.arange(len(self.base[f])) == y)
                llr = share * np.log(other + (1 - other) * sure[gold] / self.base[f, gold])
                support[f, y] = np.bincount(phrase, llr, size) + math.log(ALWAYS)
        support += self.stands
        for size in range(1, LONGEST + 1):
            self._settle(support, self.size == size)
        self._narrow()

    def _settle(self, support: Floats, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        """Turn support into chances for phrases of one length; they inherit from their parts."""
        np = self.np
        found = support[:, :, chosen]
        prior = np.log(self.prior[:, None, chosen] / len(self.pool.labels))
        for side in range(2):
            part = self.parts[chosen, side]
            held = np.where(part >= 0, HEREDITY * self.chance[:, :, part], 0.0)
            # What speaks for the longer phrase spoke for its part already: only doubts count again.
            inherited = np.log(held + 1e-12) + np.minimum(found, 0.0)
            prior = np.maximum(prior, inherited - found)
        found = found + prior
        top = np.maximum(found.max(axis=(0, 1)), 0.0)
        odds = np.exp(found - top)
        self.chance[:, :, chosen] = odds / (odds.sum(axis=(0, 1)) + np.exp(-top))

    def _narrow(self) -> None:
        """Say per occurrence what its phrase is here: no more than the longer phrases around it."""
        np = self.np
        self.here = self.chance[:, :, self.phrase].copy()
        for size in range(LONGEST - 1, 0, -1):
            at = np.nonzero(self.size[self.phrase] == size)[0]
            for side in range(2):
                inner, outer = at[self.wider[at, side] >= 0], self.wider[at, side]
                outer = outer[outer >= 0]
                limit = self.here[:, :, outer].sum(axis=1, keepdims=True)
                mine = self.here[:, :, inner].sum(axis=1, keepdims=True)
                self.here[:, :, inner] *= np.minimum(1.0, limit / np.maximum(mine, 1e-12))

    def _elsewhere(self, f: int) -> Floats:
        """Return, per occurrence, how likely another sentence of its note has a mention of ``f``."""
        np = self.np
        per = np.zeros(len(self.table.sentences))
        np.maximum.at(per, self.sentence, self.here[f].sum(axis=0))
        note = np.array([s.note for s in self.table.sentences])
        first = np.zeros(int(note.max()) + 1)
        np.maximum.at(first, note, per)
        rest = np.where(per >= first[note], 0.0, per)
        second = np.zeros_like(first)
        np.maximum.at(second, note, rest)
        other: Floats = np.where(per >= first[note], second[note], first[note])
        there: Floats = other[self.sentence]
        return there

    def _ways(self) -> None:
        """Learn which words around a mention go with which label."""
        np, labels = self.np, len(self.pool.labels)
        weight = np.zeros((len(self.phrase), labels))
        for f in range(len(self.pool.fields)):
            gold = self.gold[f, self.note]
            mention = self.here[f, 0] * (gold >= 0)
            fits = np.minimum(1.0, self._labels(f)[np.arange(len(gold)), gold] / self.base[f, gold])
            np.add.at(weight, (np.arange(len(gold)), gold), mention * fits)
        for fold in range(FOLDS):
            mine = self.fold == fold
            score = self._cue_scores(weight * ~mine[:, None])
            for y in range(labels):
                found = np.bincount(self.owner, score[self.cue, y], len(self.phrase))
                self.way[mine, y] = TEMPER * found[mine]

    def _cue_scores(self, weight: Floats) -> Floats:
        """Return, per cue and label, ln P(cue | label) - ln P(cue), shrunk where little was seen."""
        np = self.np
        total = weight.sum(axis=0) + 1e-9
        share = total / total.sum()
        size = len(self.table.cues)
        columns = [np.bincount(self.cue, column[self.owner], size) for column in weight.T]
        counts = np.stack(columns, 1)
        seen = counts.sum(axis=1, keepdims=True)
        rate = (counts + SHRINK * share) / (total + SHRINK)
        usual = (seen + SHRINK) / (total.sum() + SHRINK)
        score: Floats = np.log(rate / usual) * seen / (seen + SHRINK)
        return score

    def _places(self) -> None:
        """Learn between which words mentions stand: a phrase cut out of a longer one does not."""
        np, size = self.np, len(self.table.phrases)
        mine = np.minimum(1.0, self.here.sum(axis=(0, 1)))
        score = np.zeros(len(mine))
        for side in range(2):
            place = self.edges[:, side]
            inside = np.bincount(place, mine, len(self.table.places))
            seen = np.bincount(place, minlength=len(self.table.places))
            usual = (seen + 1e-3) / seen.sum()
            rate = (inside + SHRINK * usual) / (inside.sum() + SHRINK)
            score += np.log(rate / usual)[place]
        count = np.bincount(self.phrase, minlength=size)
        mean = np.bincount(self.phrase, score, size) / count
        self.stands = np.minimum(PLACE * mean, BEST_PLACE)

    def _field(self, f: int) -> list[Spot]:
        np = self.np
        chance = self.here[f].sum(axis=0)
        likely = np.nonzero((chance >= LEAST) & (self.gold[f, self.note] >= 0))[0]
        plain = self._labels(f)
        by_note: dict[int, dict[int, list[tuple[float, float, str]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for i in likely:
            phrase, gold = self.phrase[i], self.gold[f, self.note[i]]
            shares = self.here[f, :, i]
            fit = shares[0] * plain[i, gold] + (shares[gold] if gold else 0.0) + 1e-6
            text = self.table.phrases[phrase]
            by_note[int(self.note[i])][int(self.sentence[i])].append(
                (math.log(fit), float(chance[i]), text)
            )
        out: list[Spot] = []
        for note, held in sorted(by_note.items()):
            scores = {s: max(score for score, _, _ in found) for s, found in held.items()}
            best = max(scores.values())
            decisive = max(s for s, score in scores.items() if score >= best - ALIKE)
            named = self.gold[f, note] > 0 and best > math.log(FIT * self.base[f, self.gold[f, note]])
            for s, found in sorted(held.items()):
                terms = sorted({(-p, t) for _, p, t in found})
                where = self.table.sentences[s].number
                texts = tuple(t for _, t in terms[:6])
                name = self.pool.fields[f].name
                out.append(Spot(note, name, where, texts, -terms[0][0], bool(named and s == decisive)))
        return out
