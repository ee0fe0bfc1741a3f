"""The function words of notes whose language nobody named, found by how they stand.

A function word («der», «und») stands in many notes, hardly ever ends a run of words, and is followed by
nearly as many different words as it occurs; a content word that is as frequent is followed by a few.
Owns that test only; the English list is in ``agents.mining``, and where it covers the notes nothing is
looked for here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

COVERED = 0.15
"""From this share of all words on the known list is of the notes' language (English: .3 to .5)."""

SHARE, NOTES = 0.1, 5
"""A function word stands in this share of the notes, and in so many."""

FEWEST = 10
"""Different words that follow it, at least."""

VARIETY, RANGE = 0.85, 0.25
"""Of n occurrences, n to this power are followed by different words; so is this share of all words."""

ENDS = 0.3
"""The most of its occurrences that end a run."""


def function_words(notes: Iterable[Sequence[Sequence[str]]], known: Collection[str]) -> frozenset[str]:
    """Return the function words of notes; none if the known ones cover them.

    Args:
        notes: For each note, its runs of words.
        known: Function words of a language that the notes may be in.
    """
    holding: dict[str, int] = {}
    counts: dict[str, int] = {}
    ends: dict[str, int] = {}
    after: dict[str, set[str]] = {}
    size = 0
    for found in notes:
        size += 1
        for word in {word for run in found for word in run}:
            holding[word] = holding.get(word, 0) + 1
        for run in found:
            for word, following in zip(run, (*run[1:], ""), strict=True):
                counts[word] = counts.get(word, 0) + 1
                if following.isalpha():
                    after.setdefault(word, set()).add(following)
                elif not following:
                    ends[word] = ends.get(word, 0) + 1
    most = RANGE * len(counts)
    covered = sum(count for word, count in counts.items() if word in known)
    if covered >= COVERED * sum(counts.values()):
        return frozenset()
    return frozenset(
        word
        for word, count in counts.items()
        if word.isalpha()
        and holding[word] >= max(NOTES, SHARE * size)
        and ends.get(word, 0) <= ENDS * count
        and len(after.get(word, ())) >= max(FEWEST, min(count**VARIETY, most))
    )
