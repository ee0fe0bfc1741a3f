"""Phrases that mark a finding in train: what a rule can look for beside a field's name.

Owns the statistics of it: log-odds with an informative Dirichlet prior, as a z-score (Monroe, Colaresi
and Quinn 2008, Political Analysis 16:372, eq. 16 and 22), of notes that have the finding against notes
that do not.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from preceptor.core.records import Example
from preceptor.evals.baselines.scopes import SENTENCE
from preceptor.evals.baselines.targets import Target, fold, targets
from preceptor.evals.task import Task

MINED = 6
"""The most phrases mined per field, or per value of a closed list."""

LEAST_Z = 1.5
"""The least z-score of a mined phrase."""

PRIOR = 0.1
"""Weight of the prior: it counts as a tenth of the data."""


def mine(task: Task, train: Sequence[Example], most: int = MINED) -> dict[str, list[str]]:
    """Return the phrases of one to three words that mark a mention in train.

    A phrase needs two groups and ``LEAST_Z``, and goes only to the question that it marks best; one
    that contains a better phrase of the same question is left out.

    Args:
        task: The task.
        train: Labelled notes.
        most: How many per question.

    Returns:
        Phrases in lower case by ``Target.key``: for a label field that is its name.
    """
    notes = [(_grams(e.text), e) for e in train if e.gold]
    asked = targets(task.fields)
    best: dict[str, tuple[float, str]] = {}
    for target in asked:
        for gram, z in _scores(target, notes).items():
            best[gram] = max(best.get(gram, (LEAST_Z, "")), (z, target.key))
    kept: dict[str, list[str]] = {target.key: [] for target in asked}
    for gram in sorted(best, key=lambda g: (-best[g][0], g)):
        mine_of = kept.get(best[gram][1])
        if mine_of is not None and len(mine_of) < most:
            if not any(f" {k} " in f" {gram} " for k in mine_of):
                mine_of.append(gram)
    return kept


def _scores(target: Target, notes: Iterable[tuple[set[str], Example]]) -> dict[str, float]:
    """Return the z-score of every phrase that two groups use in notes with the finding."""
    there, not_there = Counter[str](), Counter[str]()
    groups: dict[str, set[str]] = defaultdict(set)
    for grams, example in notes:
        if not target.known(example):
            continue
        found = target.gold(example) != target.nothing
        (there if found else not_there).update(grams)
        for gram in grams if found else ():
            groups[gram].add(example.group)
    sizes = there.total(), not_there.total()
    if not all(sizes):
        return {}  # With notes of one kind only, nothing tells the kinds apart.
    return {g: _z(there[g], not_there[g], *sizes) for g, who in groups.items() if len(who) > 1}


def _grams(text: str) -> set[str]:
    grams: set[str] = set()
    for sentence in SENTENCE.split(fold(text)):
        words = re.findall(r"[^\W\d_][\w'-]*", sentence)
        grams.update(" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1))
    return grams


def _z(a: int, b: int, n: int, m: int) -> float:
    """Return the z-score of a phrase that occurs ``a`` times among ``n`` and ``b`` among ``m``."""
    prior = PRIOR * (a + b)
    top, other = a + prior, b + prior
    odds = math.log(top / (n * (1 + PRIOR) - top)) - math.log(other / (m * (1 + PRIOR) - other))
    return odds / math.sqrt(1 / top + 1 / other)
