"""A small task whose notes name persons, all invented, for the tests of what leaves the machine."""

from __future__ import annotations

from random import Random

from pydantic import JsonValue

from preceptor.core.fields import LabelField
from preceptor.core.records import Example
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from tests.hostile.notes import CANARY

FIRST = ("Rosalind", "Theodore", "Beatrix", "Leopold", "Ottilie", "Ambrose")
LAST = ("Hollingbrook", "Vandermeer", "Castellano", "Ostrowski", "Fairweather", "Quillfeather")
DOCTOR = "Ebersbacher"
NOTES = 60
NUMBERS = tuple(f"{head}{i:05d}" for i in range(NOTES) for head in ("88", "55"))
"""Whole numbers: a pseudonym of the same form may well begin like one of them."""

SECRETS = (*LAST, DOCTOR, *NUMBERS)


def task() -> Task:
    """Return 60 one-note patients; every note holds a name, two numbers, a doctor and the canary."""
    fields = (
        LabelField(name="fever", values=("yes", "no")),
        LabelField(name="cough", values=("yes", "no")),
    )
    split = SplitSpec(train=24, dev=20, test=16)
    return Task(
        name="private",
        fields=fields,
        examples=tuple(map(_note, range(NOTES))),
        split=split,
        synthetic=True,
    )


def _note(i: int) -> Example:
    r = Random(i)
    fever, cough = r.random() < 0.5, r.random() < 0.5
    said = [
        f"Mrs. {r.choice(FIRST)} {r.choice(LAST)}, MRN 88{i:05d}, tel. 0171 55{i:05d}, was burning up."
        if fever
        else f"Mr. {r.choice(FIRST)} {r.choice(LAST)} feels well.",
        f"Dr. {DOCTOR} heard hacking." if cough else f"Dr. {DOCTOR} heard nothing.",
        f"{CANARY}.",
    ]
    gold: dict[str, JsonValue] = {"fever": "yes" if fever else "no", "cough": "yes" if cough else "no"}
    return Example(id=f"n{i}", group=f"p{i}", text=" ".join(said), gold=gold)
