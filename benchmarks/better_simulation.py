"""How often better is said of a student that is no better, and what intervals of macro F1 cover.

    python benchmarks/better_simulation.py

Students that are equally good, each better for some patients and worse for others; one label that is
rare or not. "interval alone" is an interval above no change, "with the tests" what reports ask for.
Takes a few minutes on one core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Scored
from preceptor.evals.metrics import choice, resampling
from preceptor.evals.standing import SURE

RUNS = 400
ONE: tuple[FieldSpec, ...] = (LabelField(name="a", values=("yes", "no")),)
THREE: tuple[FieldSpec, ...] = tuple(LabelField(name=n, values=("yes", "no")) for n in "abc")
GOLD, FOUND, INVENTED = np.array([0.4, 0.05, 0.02]), np.array([0.8, 0.4, 0.3]), 0.05


def note(number: int, patient: str, gold: Sequence[int], said: Sequence[int]) -> Scored:
    """Return a scored note; 0 is yes, 1 is no."""
    names = [f.name for f in THREE[: len(gold)]]
    fields = {n: float(g == s) for n, g, s in zip(names, gold, said, strict=True)}
    return Scored(
        example_id=str(number),
        group=patient,
        fields=fields,
        score=sum(fields.values()) / len(fields),
        valid=True,
        outcomes={n: (int(g), int(s)) for n, g, s in zip(names, gold, said, strict=True)},
    )


def pairs(patients: int, heavy: bool, rng: np.random.Generator) -> tuple[list[Scored], list[Scored]]:
    """Return two students that are equally good, on two notes of each patient; one may have half."""
    groups = [f"p{i}" for i in range(patients - heavy) for _ in range(1 if heavy else 2)]
    groups += ["heavy"] * (2 * patients * heavy)
    lean = {g: 0.3 * (1 / (1 + np.exp(-1.5 * rng.normal())) - 0.5) for g in sorted(set(groups))}
    sides: tuple[list[Scored], list[Scored]] = ([], [])
    for i, group in enumerate(groups):
        gold = int(rng.random() >= 0.15)
        for side, sign in zip(sides, (-1, 1), strict=True):
            right = rng.random() < 0.6 + sign * lean[group]
            side.append(note(i, group, [gold], [gold if right else 1 - gold]))
    return sides


def no_better() -> Iterator[str]:
    """Yield how often a student that is no better is called better."""
    for name in ("accuracy", "macro_f1"):
        by = choice.make(name, ONE, {"a": ("yes",)})
        for patients, heavy in ((2, 0), (3, 0), (5, 0), (8, 0), (15, 0), (30, 0), (15, 1)):
            rng = np.random.default_rng(patients)
            alone = both = 0
            for _ in range(RUNS):
                before, after = pairs(patients, bool(heavy), rng)
                if resampling.difference(by, before, after).low > 0:
                    alone += 1
                    both += resampling.pair(by, before, after).better_p() <= SURE
            more = ", one with more than half of the notes" if heavy else ""
            yield (
                f"{name}, {patients} patients{more}: interval alone {100 * alone / RUNS:.1f} %, "
                f"with the tests {100 * both / RUNS:.1f} %"
            )


def covered() -> Iterator[str]:
    """Yield how often the interval of macro F1 of a common and two rare labels holds the truth."""
    by = choice.make("macro_f1", THREE, {f.name: ("yes",) for f in THREE})
    said = GOLD * FOUND + (1 - GOLD) * INVENTED
    truth = float((2 * GOLD * FOUND / (said + GOLD)).mean())
    rng, inside, first = np.random.default_rng(5), 0, 0
    for _ in range(RUNS):
        gold = rng.random((60, 3)) < GOLD
        given = np.where(gold, rng.random((60, 3)) < FOUND, rng.random((60, 3)) < INVENTED)
        scored = [note(i, f"p{i}", 1 - gold[i], 1 - given[i]) for i in range(60)]
        found = resampling.interval(by, scored)
        draws = resampling.resampled(by.value, resampling.by_patient(by, scored), 0)
        low, high = np.quantile(draws[np.isfinite(draws)], [0.025, 0.975])
        inside, first = inside + (found.low <= truth <= found.high), first + (low <= truth <= high)
    yield (
        f"macro F1 of 60 notes, truth {truth:.3f}: covered {100 * inside / RUNS:.1f} %, by plain "
        f"resampling {100 * first / RUNS:.1f} %"
    )


if __name__ == "__main__":
    for line in (*covered(), *no_better()):
        print(line, flush=True)
