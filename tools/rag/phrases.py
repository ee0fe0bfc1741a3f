"""Where each phrase stands in a set of notes, and which words stand around it.

Owns the cutting-up for ``rag.evidence``: sentences into words, words into phrases of one to three, and
for every occurrence of a phrase the words that may tell how it is said. A word of one patient only that
is one letter away from a word of several is read as that word. Everything is sorted: the same notes
give the same numbers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from preceptor.core.records import Example
from preceptor.core.text import sentences
from preceptor.tools.rag.cues import KIND_OF
from preceptor.tools.rag.tokens import is_piece, occurrences

LONGEST = 3
"""The most words in a phrase."""

BEFORE, AFTER = 5, 3
"""How many words before and after a phrase may tell how it is said."""

REACH = 8
"""How far from a phrase a word of a known kind (``rag.cues``) may stand."""

FEWEST_PATIENTS = 2
SHORTEST_MENDED = 5
MAX_SENTENCES = 2_000
"""Of one note; what stands after them is not read."""

_PAUSE = re.compile(r"[,;:()\[\]\"“”!?—–、。！？]|\.(?=\s|$)|\s[-+]\s|\n")


def words_of(text: str) -> list[str]:
    """Return the words of a text as tokens, pieces of long words left out."""
    return [token for token, _ in occurrences(text) if not is_piece(token)]


def phrases_of(text: str) -> Iterator[str]:
    """Yield every phrase of one to three words that crosses no punctuation."""
    for run in _PAUSE.split(text):
        words = words_of(run)
        for start in range(len(words)):
            for end in range(start + 1, min(start + LONGEST, len(words)) + 1):
                yield " ".join(words[start:end])


def stances(text: str, terms: Collection[str]) -> set[tuple[str, str]]:
    """Return (phrase, how it is said) for each of ``terms`` that stands in ``text``.

    How: the kind (``rag.cues``) of the nearest word of a known kind, those that follow («resolved»)
    before those that precede («denies»); a relative before it goes first («father has»). Empty if
    there is none.
    """
    words = words_of(text)
    kinds = [KIND_OF.get(word, "") for word in words]
    found = set()
    for start in range(len(words)):
        for end in range(start + 1, min(start + LONGEST, len(words)) + 1):
            phrase = " ".join(words[start:end])
            if phrase in terms:
                after = [k for k in kinds[end : end + AFTER] if k in ("gone", "no")]
                before = [k for k in kinds[max(0, start - REACH) : start] if k]
                how = "kin" if "kin" in before else (after[:1] or before[-1:] or [""])[0]
                found.add((phrase, how))
    return found


@dataclass(frozen=True)
class Sentence:
    """One sentence: its note, its number there (from 0), its runs of words, the heading above it."""

    note: int
    number: int
    runs: tuple[tuple[str, ...], ...]
    heading: str


@dataclass
class Occurrences:
    """Every occurrence of every phrase that several patients share, as parallel lists.

    Attributes:
        phrases: The phrases, sorted.
        phrase: Per occurrence, which phrase.
        sentence: Per occurrence, which sentence (its index in ``sentences``).
        wider: Per occurrence, the two that hold it and one word more (before, after); -1 for none.
        cue: Per (occurrence, word around it), which cue; ``owner`` says which occurrence.
        cues: The cues by name.
        edges: Per occurrence, its neighbours in the run (before, after); ``places`` names them.
        places: The neighbours by name.
    """

    sentences: list[Sentence]
    groups: Sequence[str] = ()
    phrases: list[str] = field(default_factory=list)
    phrase: list[int] = field(default_factory=list)
    sentence: list[int] = field(default_factory=list)
    wider: list[tuple[int, int]] = field(default_factory=list)
    cue: list[int] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    cues: dict[str, int] = field(default_factory=dict)
    edges: list[tuple[int, int]] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)


def cut(examples: Sequence[Example]) -> list[Sentence]:
    """Return the sentences of the notes, misspelt words mended."""
    found: list[Sentence] = []
    for note, example in enumerate(examples):
        heading = ""
        for number, text in enumerate(sentences(example.text)[:MAX_SENTENCES]):
            parts = (tuple(words_of(part)) for part in _PAUSE.split(text))
            found.append(Sentence(note, number, tuple(p for p in parts if p), heading))
            if text.endswith(":") and len(text) < 40:
                heading = " ".join(words_of(text))
    return _mended(found, [e.group for e in examples])


def _mended(found: list[Sentence], groups: Sequence[str]) -> list[Sentence]:
    holders: dict[str, set[str]] = defaultdict(set)
    for sentence in found:
        for run in sentence.runs:
            for word in run:
                holders[word].add(groups[sentence.note])
    near: dict[str, str] = {}
    usual = sorted(
        (w for w in holders if len(holders[w]) >= FEWEST_PATIENTS), key=lambda w: (-len(holders[w]), w)
    )
    for word in usual:
        for key in _shortened(word):
            near.setdefault(key, word)
    mended = {}
    for word in holders:
        if len(word) >= SHORTEST_MENDED and word.isalpha() and len(holders[word]) < FEWEST_PATIENTS:
            best = [near[key] for key in _shortened(word) if key in near]
            if best:
                mended[word] = min(best, key=lambda w: (-len(holders[w]), w))
    return [
        Sentence(
            s.note, s.number, tuple(tuple(mended.get(w, w) for w in run) for run in s.runs), s.heading
        )
        for s in found
    ]


def _shortened(word: str) -> list[str]:
    """Return ``word`` and each way to leave one letter out: two words that share one are close."""
    if len(word) < SHORTEST_MENDED - 1 or len(word) > 40 or not word.isalpha():
        return []
    return [word, *(word[:i] + word[i + 1 :] for i in range(1, len(word)))]


def occurrences_in(found: list[Sentence], groups: Sequence[str]) -> Occurrences:
    """Return every occurrence of the phrases that at least two patients share."""
    holders: dict[str, set[str]] = defaultdict(set)
    for sentence in found:
        for text, *_ in _spans(sentence):
            holders[text].add(groups[sentence.note])
    table = Occurrences(found, groups)
    table.phrases = sorted(t for t, g in holders.items() if len(g) >= FEWEST_PATIENTS)
    known = {text: i for i, text in enumerate(table.phrases)}
    for at, sentence in enumerate(found):
        flat = [word for run in sentence.runs for word in run]
        where: dict[tuple[int, int], int] = {}
        starts = {0, *accumulate(map(len, sentence.runs))}
        for text, start, end in _spans(sentence):
            if text in known:
                where[start, end] = len(table.phrase)
                _note(table, known[text], at, _cues(flat, start, end, sentence.heading))
                before = "^" if start in starts else "<" + flat[start - 1]
                after = "$" if end in starts else ">" + flat[end]
                number = table.places.setdefault
                pair = number(before, len(table.places)), number(after, len(table.places))
                table.edges.append(pair)
        for start, end in where:
            pair = where.get((start - 1, end), -1), where.get((start, end + 1), -1)
            table.wider.append(pair)
    return table


def _spans(sentence: Sentence) -> Iterator[tuple[str, int, int]]:
    """Yield (phrase, start, end) in words of the sentence."""
    offset = 0
    for run in sentence.runs:
        for start in range(len(run)):
            for end in range(start + 1, min(start + LONGEST, len(run)) + 1):
                yield " ".join(run[start:end]), offset + start, offset + end
        offset += len(run)


def _cues(flat: Sequence[str], start: int, end: int, heading: str) -> set[str]:
    cues = {"<" + word for word in flat[max(0, start - BEFORE) : start]}
    cues |= {">" + word for word in flat[end : end + AFTER]}
    cues |= {"<<" + " ".join(flat[max(0, start - 1) : start])} if start else {"^"}
    before = [KIND_OF[w] for w in flat[max(0, start - REACH) : start] if w in KIND_OF]
    cues.add(f"<!{before[-1]}" if before else "<!")
    cues |= {f">!{KIND_OF[w]}" for w in flat[end : end + REACH] if KIND_OF.get(w) in ("gone", "no")}
    return cues | ({"#" + heading} if heading else set())


def _note(table: Occurrences, phrase: int, sentence: int, cues: set[str]) -> None:
    owner = len(table.phrase)
    table.phrase.append(phrase)
    table.sentence.append(sentence)
    for cue in sorted(cues):
        table.cue.append(table.cues.setdefault(cue, len(table.cues)))
        table.owner.append(owner)
