"""How far annotators agree: Cohen's kappa for choices, F1 for open lists.

Owns the figures over the notes that several annotators answered. Kappa is Cohen's (1960, Educational
and Psychological Measurement 20), averaged over the pairs of annotators by their common notes; open
lists have no chance level, so the F1 of the items stands in its place (Hripcsak and Rothschild 2005,
JAMIA 12).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Items = frozenset[str]
Said = Mapping[str, Mapping[str, Items]]
"""What each annotator said about a field: by annotator, by note."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a field's annotators agree.

    Attributes:
        notes: Notes that at least two of them answered.
        same: The share of pairs of answers that are the same.
        kappa: Cohen's kappa; None for open lists, or where all say the same one thing.
        f1: The F1 of the items, for open lists.
    """

    notes: int
    same: float
    kappa: float | None
    f1: float | None

    def words(self) -> str:
        """Return the figures in words."""
        if self.f1 is not None:
            more = f", F1 of the items {self.f1:.2f}"
        else:
            more = f", Cohen's kappa {self.kappa:.2f}" if self.kappa is not None else ""
        return f"{self.same:.0%} of {self.notes} notes the same{more}"


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa of two annotators' labels; None if chance alone makes them agree."""
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[label] * second[label] for label in first) / len(pairs) ** 2
    seen = sum(a == b for a, b in pairs) / len(pairs)
    return (seen - chance) / (1 - chance) if chance < 1 else None


def agreement(said: Said, closed: Sequence[str] = ()) -> Agreement | None:
    """Return how far annotators agree about a field; None if no note has two answers.

    Args:
        said: What each said.
        closed: The choices, if there is a closed set of them; none for an open list.
    """
    sames: list[bool] = []
    hits = sizes = 0
    kappas: list[tuple[float, int]] = []
    notes: dict[str, int] = defaultdict(int)
    for one, other in combinations(sorted(said), 2):
        common = [n for n in said[one] if n in said[other]]
        answers = [(said[one][n], said[other][n]) for n in common]
        for note in common:
            notes[note] += 1
        sames += [a == b for a, b in answers]
        hits += sum(2 * len(a & b) for a, b in answers)
        sizes += sum(len(a) + len(b) for a, b in answers)
        found = _kappa(answers, closed) if closed and answers else None
        if found is not None:
            kappas.append((found, len(common)))
    if not sames:
        return None
    weight = sum(n for _, n in kappas)
    return Agreement(
        notes=len(notes),
        same=sum(sames) / len(sames),
        kappa=sum(k * n for k, n in kappas) / weight if weight else None,
        f1=None if closed else (hits / sizes if sizes else 1.0),
    )


def _kappa(answers: Sequence[tuple[Items, Items]], closed: Sequence[str]) -> float | None:
    if all(len(a) == len(b) == 1 for a, b in answers):
        return kappa([(next(iter(a)), next(iter(b))) for a, b in answers])
    return kappa([(str(c in a), str(c in b)) for a, b in answers for c in closed])
