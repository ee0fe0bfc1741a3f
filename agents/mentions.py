"""Which phrases are mentions of which field: a small mixture model over the train notes.

Owns the step from «stands more often in notes where something is found» to «is how this is said». With
sixty notes thousands of phrases pass the first test by chance. What tells them apart: a mention stands
where statements stand (after «denies», «no», «reports», between commas), and its negation goes with the
right label. Each phrase is a mention of one field or of none; how often a mention is negated or stands
whole, and which label goes with that, is learnt from the notes by a few rounds of expectation
maximisation, pooled over fields with the same labels. Only the cue words are English; where they do
not occur, the labels alone decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from preceptor.agents.meaning import Fits, Trust
from preceptor.agents.mining import MAX_WORDS, STOP, Corpus, sayable
from preceptor.core.text import runs, words

NEGATIVE = frozenset(
    """
    no not denies denied deny denying without w/o never negative neg none nil absent free resolved
    resolution gone isn't hasn't doesn't stopped ceased cleared lost kein keine keinen ohne verneint
    """.split()
)
POSITIVE = frozenset(
    """
    reports reported endorses complains complaining c/o has have having had notes noted describes
    mentions positive pos present ongoing persistent worsening worse new continues still developed
    troubled bothered admits but however except complaints trouble some mild moderate severe
    """.split()
)
AFTER = frozenset("resolved denied absent none no gone cleared negative stopped".split())
"""Words that negate what stands up to three words before them."""

STATES = 6
EXPECTED = 10.0
"""How many phrases a field is expected to have, before anything was counted."""

KIN = 8.0
"""How much likelier a phrase is if it shares a word's beginning with the field's name or hints."""

STEM = 5

PREVAILS = 0.65

LEAST = 0.05
"""Phrases that are less likely than this are left out."""

ROUNDS = 6

SURE_ANYWAY = 0.95
"""How likely a phrase must be that does not fit its field."""

DOUBT = 0.3
"""How likely it is at most where it is not."""


@dataclass(frozen=True)
class Pool:
    """Fields with the same labels.

    Attributes:
        labels: The labels.
        golds: For each field, its label per note (a note without gold is left out).
        kin: For each field, the beginnings of words that speak for it.
    """

    labels: tuple[str, ...]
    golds: tuple[dict[int, str], ...]
    kin: tuple[frozenset[str], ...]


def stems(text: str) -> frozenset[str]:
    """Return the beginnings of the longer words of ``text``."""
    return frozenset(w[:STEM] for w in words(text) if len(w) >= STEM and w not in STOP)


def occurrences(corpus: Corpus) -> dict[str, dict[int, int]]:
    """Return, for each phrase that two patients share, in which state it stands last in each note.

    A state is 2 · (0: no cue before it, 1: asserted, 2: negated) + whether it stands whole, between
    stop words or punctuation.
    """
    found: dict[str, dict[int, int]] = {}
    for note, texts in enumerate(corpus.sentences):
        for sentence in texts:
            polarity = 0
            for run in runs(sentence):
                polarity = _scan(run, polarity, note, corpus, found)
    return found


def _scan(
    run: Sequence[str], polarity: int, note: int, corpus: Corpus, found: dict[str, dict[int, int]]
) -> int:
    """Note the phrases of one run; return the polarity that holds at its end."""
    for start, word in enumerate(run):
        for size in range(1, min(MAX_WORDS, len(run) - start) + 1):
            gram = run[start : start + size]
            text = " ".join(gram)
            if text not in corpus.phrases or not sayable(gram):
                continue
            end = start + size
            opens = start == 0 or run[start - 1] in corpus.stop
            closes = end == len(run) or run[end] in corpus.stop
            here = 2 if AFTER & set(run[end : end + 3]) else polarity
            found.setdefault(text, {})[note] = 2 * here + (opens and closes)
        polarity = 2 if word in NEGATIVE else 1 if word in POSITIVE else polarity
    return polarity


class Model:
    """The mixture, fitted.

    Args:
        corpus: The notes.
        pool: The fields.
        phrases: The phrases to judge.
        where: What ``occurrences`` returned.
        fits: How well each phrase fits each field, where an embedder says so.
    """

    def __init__(
        self,
        corpus: Corpus,
        pool: Pool,
        phrases: Sequence[str],
        where: dict[str, dict[int, int]],
        fits: Fits | None = None,
    ) -> None:
        self._pool = pool
        self._trust = Trust(fits, lambda p, k: bool(stems(p) & pool.kin[k])) if fits else None
        self._rows = [(p, sorted(where.get(p, {}).items())) for p in phrases]
        self._base = [_shares([g[n] for n in sorted(g)], pool.labels) for g in pool.golds]
        count = [1.0] * STATES
        for _, row in self._rows:
            for _, state in row:
                count[state] += 1
        total = sum(count)
        self._all = [c / total for c in count]
        self._noise = list(self._all)
        self._prior = EXPECTED / max(len(self._rows), 1)
        self._fit()

    def _fit(self) -> None:
        mean = {
            label: sum(base[label] for base in self._base) / max(len(self._base), 1)
            for label in self._pool.labels
        }
        self._state = list(self._noise)
        self._label = [dict(mean) for _ in range(STATES)]
        # The first round has only the field's own name to learn from.
        self.posterior = {p: self._kinship(p) for p, _ in self._rows}
        for _ in range(ROUNDS):
            self._learn(mean)
            if self._trust is not None:
                self._trust.learn(self.posterior)
            self.posterior = {p: self._judge(p, row) for p, row in self._rows}

    def _kinship(self, phrase: str) -> list[float]:
        own = stems(phrase)
        return [0.5 if own & kin else 0.0 for kin in self._pool.kin]

    def _learn(self, mean: dict[str, float]) -> None:
        """Re-estimate how mentions stand and which labels go with that."""
        prior = 4.0
        state = [prior * share for share in self._noise]
        label = [{k: prior * v for k, v in mean.items()} for _ in range(STATES)]
        for phrase, row in self._rows:
            for golds, weight in zip(self._pool.golds, self.posterior[phrase], strict=True):
                if weight < 0.02:
                    continue
                for note, at in row:
                    if note in golds:
                        state[at] += weight
                        label[at][golds[note]] += weight
        total = sum(state)
        self._state = [s / total for s in state]
        rest = [1.0] * STATES
        for phrase, row in self._rows:
            for _, at in row:
                rest[at] += 1 - sum(self.posterior[phrase])
        # Some of the plain share stays in it: what is seldom must not become proof.
        self._noise = [0.8 * r / sum(rest) + 0.2 * a for r, a in zip(rest, self._all, strict=True)]
        self._label = [{k: v / sum(c.values()) for k, v in c.items()} for c in label]

    def says(self, default: str) -> list[str]:
        """Return the label that goes with a mention in each state.

        The one for «nothing found» only where it clearly prevails, as for a negation where there is
        no label for that.
        """
        out = []
        for shares in self._label:
            rest = max((k for k in shares if k != default), key=lambda k: (shares[k], k))
            out.append(default if shares[default] > PREVAILS else rest)
        return out

    def _judge(self, phrase: str, row: Sequence[tuple[int, int]]) -> list[float]:
        """Return the probability that a phrase is a mention of each field."""
        own = stems(phrase)
        odds = []
        rows = zip(self._pool.golds, self._base, self._pool.kin, strict=True)
        for k, (golds, base, kin) in enumerate(rows):
            log = math.log(self._prior * (KIN if own & kin else 1.0))
            if self._trust is not None:
                log += math.log(self._trust.ratio(phrase, k))
            for note, at in row:
                if note in golds:
                    log += math.log(self._state[at] / self._noise[at])
                    log += math.log(self._label[at][golds[note]] / base[golds[note]])
            odds.append(math.exp(min(log, 60.0)))
        total = 1.0 + sum(odds)
        return [o / total for o in odds]

    def chance(self, phrase: str, field: int) -> float:
        """Return how likely a phrase is a mention of a field; one that does not fit must be surer."""
        found = self.posterior[phrase][field]
        doubted = self._trust is not None and self._trust.misfit(phrase, field)
        return min(found, DOUBT) if doubted and found < SURE_ANYWAY else found


def _shares(golds: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Return how often each label is, with one note's weight spread evenly."""
    return {k: (golds.count(k) + 1 / len(labels)) / (len(golds) + 1) for k in labels}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one phrase in one field.

    Attributes:
        chance: How likely it is a mention.
        right: The notes that a reader who goes by this phrase alone would answer rightly.
        lured: The notes with nothing to find where that reader would find something.
    """

    chance: float
    right: frozenset[int]
    lured: frozenset[int]


def judge(
    corpus: Corpus,
    golds: Sequence[dict[int, str]],
    labels: Sequence[str],
    told: Sequence[str],
    fits: Fits | None = None,
) -> list[dict[str, Verdict]]:
    """Return, for each field, the phrases that may be its mentions.

    Args:
        corpus: The notes.
        golds: For each field, its label per note.
        labels: The labels of all these fields, the one for «nothing found» first.
        told: For each field, its name and what is said about it already.
        fits: How well phrases fit these fields, where an embedder says so.
    """
    pool = Pool(tuple(labels), tuple(golds), tuple(stems(t) for t in told))
    where = occurrences(corpus)
    model = Model(corpus, pool, [p for p, _ in corpus.closed], where, fits)
    says = model.says(labels[0])
    out = []
    for k, gold in enumerate(golds):
        found: dict[str, Verdict] = {}
        for phrase in model.posterior:
            chance = model.chance(phrase, k)
            if chance >= LEAST:
                at = {n: says[s] for n, s in where[phrase].items() if n in gold}
                right = frozenset(n for n, said in at.items() if said == gold[n])
                lured = frozenset(n for n, said in at.items() if said != gold[n] == labels[0])
                found[phrase] = Verdict(chance, right, lured)
        out.append(found)
    return out
