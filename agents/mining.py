"""Phrase mining: which words of the train notes separate what from what.

Owns the counting: phrases of one to four words inside a run of words, the log-odds ratio with an
informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, «Fightin' Words», eq. 15–19, on note
counts), the greedy choice of phrases that cover missed notes, and the cues beside a mention. Leaves
to ``agents.rules`` what is made of them. Everything is sorted: the same notes give the same phrases.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import JsonValue

from preceptor.agents.function_words import function_words
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.ports import Evidence
from preceptor.core.records import Example
from preceptor.core.text import flat, runs, sentences, words

MAX_WORDS = 4
MAX_CHARS = 29
"""The copy guard refuses 30 characters of a note."""

MIN_PATIENTS = 2
PRIOR_SHARE = 0.2
"""Weight of the prior: this share of the number of notes, spread as the phrase is over all notes."""

STOP = frozenset(
    """
    a about after again all also although am an and any are as at be because been before being both
    but by can could did do does doing down during each few for from further had has have having he
    her here hers him his how i i'm i've if in into is it it's its just me more most my no nor not now
    of off on once only or other our out over own per re she should since so some still such than that
    the their them then there these they this those through to too under until up us very was we were
    what when where which while who whom why will with without would yes yet you your
    denies denied deny reports reported report states stated says said notes noted complains complained
    complaining endorses endorsed describes described mentions mentioned admits feels felt has had
    patient patients pt pts he/she his/her today yesterday currently current recent recently lately week
    weeks day days month months year years visit exam examination review history hx h/o c/o w/o w/ s/p
    negative positive absent present unknown none nil neg pos never new ongoing persistent
    mr mrs ms dr
    """.split()
)
"""Words at which no phrase to look for begins or ends: function words, and cues of their own."""

_BLAND = frozenset(
    """
    a an the of and or is are was were be been to in on at for with by as it its this that these those
    he she his her him they their them patient pt i my me you your we our has have had do does did so
    very also today some any all s
    """.split()
)
"""Words that are no cue by themselves."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase that speaks for something.

    Attributes:
        text: Its words.
        z: The log-odds ratio over its standard error.
        inside: The notes of the first kind that hold it.
        outside: The notes of the second kind that hold it.
        chance: How likely it is a mention at all.
    """

    text: str
    z: float
    inside: frozenset[int]
    outside: frozenset[int]
    chance: float = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of one note: what is right, and what the student said (None: unreadable)."""

    note: int
    gold: JsonValue
    said: JsonValue
    right: bool


def nothing(field: FieldSpec) -> JsonValue:
    """Return the value that says «nothing found»."""
    return field.default if isinstance(field, LabelField) else []


def cells(evidence: Evidence, field: FieldSpec) -> list[Cell]:
    """Return the notes that have a gold value for ``field``, in order."""
    rows = zip(evidence.examples, evidence.answers, evidence.scored, strict=True)
    return [
        Cell(
            i,
            example.gold[field.name],
            (answer.record or {}).get(field.name),
            scored.fields[field.name] >= 1.0,
        )
        for i, (example, answer, scored) in enumerate(rows)
        if example.gold is not None and field.name in scored.fields
    ]


def grams(run: Sequence[str], longest: int = MAX_WORDS) -> Iterator[tuple[str, ...]]:
    """Yield every run of one to ``longest`` words."""
    for start in range(len(run)):
        for size in range(1, min(longest, len(run) - start) + 1):
            yield tuple(run[start : start + size])


def sayable(gram: Sequence[str]) -> bool:
    """Return whether a phrase can be looked for: no stop word or number at its edges, not too long."""
    edges = gram[0], gram[-1]
    if any(w in STOP or len(w) < 2 or not any(c.isalpha() for c in w) for w in edges):
        return False
    return len(" ".join(gram)) <= MAX_CHARS


def log_odds(a: int, b: int, n: int, m: int) -> float:
    """Return the z-score of a phrase that stands in ``a`` of ``n`` notes and ``b`` of ``m`` others."""
    prior = PRIOR_SHARE * (n + m)
    share = prior * (a + b) / max(n + m, 1)
    if not 0 < a + b < n + m:
        return 0.0
    ins = math.log((a + share) / (n + prior - a - share))
    out = math.log((b + share) / (m + prior - b - share))
    return (ins - out) / math.sqrt(1 / (a + share) + 1 / (b + share))


class Corpus:
    """The train notes, cut up and counted once.

    Args:
        examples: The notes.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.groups = [e.group for e in examples]
        self.sentences = [sentences(e.text) for e in examples]
        self._flat_sentences = [[flat(s) for s in found] for found in self.sentences]
        self.flat = ["\n".join(flat(" ".join(r)) for s in ss for r in runs(s)) for ss in self.sentences]
        cut = [[run for s in found for run in runs(s)] for found in self.sentences]
        own = function_words(cut, STOP)
        self.stop = STOP | own
        """Words at which no phrase begins or ends: the known ones, and those of the notes' language."""
        held: dict[tuple[str, ...], list[int]] = {}
        for i, made in enumerate(cut):
            for gram in {g for run in made for g in grams(run)}:
                held.setdefault(gram, []).append(i)
        self.phrases = {
            " ".join(gram): frozenset(notes)
            for gram, notes in sorted(held.items())
            if sayable(gram) and not {gram[0], gram[-1]} & own and self.patients(notes) >= MIN_PATIENTS
        }

    @cached_property
    def closed(self) -> list[tuple[str, frozenset[int]]]:
        """The phrases that no longer one replaces: one that holds them, in the same notes."""
        longest: dict[frozenset[int], list[str]] = {}
        for text in sorted(self.phrases, key=lambda t: (-len(t.split()), t)):
            kept = longest.setdefault(self.phrases[text], [])
            if not any(flat(text) in flat(k) for k in kept):
                kept.append(text)
        return sorted((text, notes) for notes, kept in longest.items() for text in kept)

    def patients(self, notes: Collection[int]) -> int:
        """Return how many patients the notes are of."""
        return len({self.groups[i] for i in notes})

    def holding(self, phrase: str) -> frozenset[int]:
        """Return the notes that hold ``phrase`` as whole words."""
        found = self.phrases.get(phrase)
        if found is not None:
            return found
        wanted = flat(phrase)
        return frozenset(i for i, text in enumerate(self.flat) if wanted in text)

    def contrast(self, inside: Collection[int], outside: Collection[int]) -> list[Phrase]:
        """Return the phrases that stand in notes of at least two patients ``inside``, best first."""
        first, second = frozenset(inside), frozenset(outside)
        out = []
        for text, notes in self.closed:
            a, b = notes & first, notes & second
            if len(a) >= MIN_PATIENTS and self.patients(a) >= MIN_PATIENTS:
                z = log_odds(len(a), len(b), len(first), len(second))
                if z > 0:
                    out.append(Phrase(text, z, a, b))
        return sorted(out, key=lambda p: (-p.z, p.text))

    def hit_sentences(self, note: int, phrases: Collection[str]) -> list[str]:
        """Return the sentences of a note that hold one of ``phrases``, in order."""
        wanted = [flat(p) for p in phrases]
        rows = zip(self.sentences[note], self._flat_sentences[note], strict=True)
        return [s for s, text in rows if any(w in text for w in wanted)]


def nested(one: str, other: str) -> bool:
    """Return whether one phrase stands inside the other, in whole words."""
    return flat(one) in flat(other) or flat(other) in flat(one)


def attributable(phrase: Phrase, base: float, strength: float = 2.0) -> float:
    """Return how far a note that holds ``phrase`` is of the first kind *because* of it, in [0, 1].

    The posterior mean of the share of its notes that are of the first kind, with ``strength`` notes
    at the ``base`` rate as prior, over what the base rate leaves to gain.
    """
    a, b = len(phrase.inside), len(phrase.outside)
    share = (a + strength * base) / (a + b + strength)
    return max(0.0, (share - base) / max(1 - base, 1e-9))


def cover(
    phrases: Sequence[Phrase],
    missed: frozenset[int],
    worth: dict[str, float],
    most: int,
    taken: Sequence[str] = (),
) -> list[Phrase]:
    """Choose phrases that cover the missed notes, greedily, none inside another.

    Args:
        phrases: To choose from, best first (ties go to the earlier one).
        missed: The notes to cover.
        worth: What covering one missed note by a phrase is worth, in notes; what the phrase breaks
            is under ``"-" + phrase``.
        most: How many to choose at most.
        taken: Phrases that are in use already.
    """
    chosen: list[Phrase] = []
    left = set(missed)
    while len(chosen) < most:
        best, best_gain = None, 0.0
        for phrase in phrases:
            new = len(phrase.inside & left)
            gain = new * worth[phrase.text] - worth["-" + phrase.text]
            if gain > best_gain + 1e-12 and not any(
                nested(phrase.text, t) for t in (*taken, *(c.text for c in chosen))
            ):
                best, best_gain = phrase, gain
        if best is None:
            break
        chosen.append(best)
        left -= best.inside
    return chosen


@dataclass(frozen=True, slots=True)
class Beside:
    """A sentence with a mention: its note, and the phrases beside the mention."""

    note: int
    grams: frozenset[str]


def beside(corpus: Corpus, note: int, mentions: Collection[str]) -> Beside | None:
    """Return what stands beside the last mention in a note, None if there is no mention.

    The last sentence with a mention counts, as a later statement supersedes an earlier one.
    """
    found = corpus.hit_sentences(note, mentions)
    if not found:
        return None
    taken = {w for m in mentions for w in words(m)}
    out = set()
    for run in runs(found[-1]):
        for gram in grams(run, 3):
            if not taken & set(gram) and tellable(gram):
                out.add(" ".join(gram))
    return Beside(note, frozenset(out))


def tellable(gram: Sequence[str]) -> bool:
    """Return whether a phrase can be a cue: it says something, holds no number, is not too long."""
    says = any(w not in _BLAND for w in gram)
    return says and not any(c.isdigit() for c in "".join(gram)) and len(" ".join(gram)) <= MAX_CHARS


def cues(
    inside: Sequence[Beside], outside: Sequence[Beside], wrong: frozenset[int], groups: Sequence[str]
) -> list[Phrase]:
    """Return the cues that stand beside mentions in ``inside`` more than in ``outside``, best first.

    Args:
        inside: Mentions in notes with the outcome that the cue should stand for.
        outside: Mentions in the other notes.
        wrong: The notes that a rule should repair; a cue stands in those of two patients.
        groups: The patient of each note.
    """
    first, second = _by_gram(inside), _by_gram(outside)
    out = []
    for gram, notes in sorted(first.items()):
        if len({groups[i] for i in notes & wrong}) < MIN_PATIENTS:
            continue
        others = second.get(gram, frozenset())
        z = log_odds(len(notes), len(others), len(inside), len(outside))
        if z > 0:
            out.append(Phrase(gram, z, notes, others))
    return sorted(out, key=lambda p: (-p.z, -len(p.text.split()), p.text))


def _by_gram(mentions: Sequence[Beside]) -> dict[str, frozenset[int]]:
    held: dict[str, set[int]] = {}
    for mention in mentions:
        for gram in mention.grams:
            held.setdefault(gram, set()).add(mention.note)
    return {gram: frozenset(notes) for gram, notes in held.items()}
