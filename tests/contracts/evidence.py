"""A small made-up corpus and the Evidence of a student on it, for the contract suites and tests.

Four symptoms under three lay names each; negation, family history and filler around them. Nothing in
it comes from a real note.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.ports import Evidence
from preceptor.core.records import Answer, Example, Gold, ModelRef, Recipe, Scored

NAMES = {
    "dry mouth": ("parched lips", "sipping water constantly", "cotton feeling"),
    "nausea": ("queasy", "upset stomach", "wretched gut"),
    "dysphagia": ("food sticks", "trouble with solids", "coughing when eating"),
    "rash": ("red blotches", "skin peeling", "itchy patches"),
}
LABELS = ("present", "absent", "unknown")
FIELDS: tuple[FieldSpec, ...] = tuple(LabelField(name=n, values=LABELS) for n in NAMES)
STATED = {
    "present": ("Reports {}.", "Has had {} lately.", "Ongoing {}."),
    "absent": ("Denies {}.", "No {}."),
}
FILLER = (
    "The dressing was changed.",
    "Appetite is fair.",
    "Walks with a cane.",
    "Lives with a daughter.",
    "Blood pressure was fine.",
    "Weight stable at home.",
    "Sleeps well enough.",
    "Next scan in June.",
    "Drives himself to clinic.",
    "Takes vitamins.",
)


def corpus(notes: int = 60, seed: int = 0, family: float = 0.15) -> tuple[Example, ...]:
    """Return notes of two per patient; ``family``: how often an unknown symptom is the mother's."""
    r = Random(seed)
    out = []
    for i in range(notes):
        lines, gold = [], {}
        for name, surfaces in NAMES.items():
            label = r.choices(LABELS, (0.3, 0.2, 0.5))[0]
            gold[name] = label
            surface = r.choice(surfaces)
            if label != "unknown":
                lines.append(r.choice(STATED[label]).format(surface))
            elif r.random() < family:
                lines.append(f"Mother had {surface}.")
        lines += r.sample(FILLER, 4)
        r.shuffle(lines)
        values: Gold = {k: v for k, v in gold.items()}
        out.append(Example(id=f"n{i}", group=f"p{i // 2}", text="\n".join(lines), gold=values))
    return tuple(out)


def evidence_of(
    examples: tuple[Example, ...],
    say: Callable[[Example, FieldSpec], JsonValue],
    recipe: Recipe | None = None,
    fields: tuple[FieldSpec, ...] = FIELDS,
) -> Evidence:
    """Return the Evidence of a student that says ``say(note, field)``; None: could not be read."""
    answers, scored = [], []
    for example in examples:
        said = {f.name: say(example, f) for f in fields}
        read: Gold = {name: value for name, value in said.items() if value is not None}
        bad = [name for name in said if name not in read]
        gold = example.gold or {}
        marks = {f.name: float(said[f.name] == gold[f.name]) for f in fields if f.name in gold}
        answers.append(
            Answer(
                example_id=example.id,
                record=read or None,
                status="invalid" if bad else "ok",
                problems=dict.fromkeys(bad, "invalid"),
                calls=len(fields),
            )
        )
        score = sum(marks.values()) / max(len(marks), 1)
        scored.append(
            Scored(example_id=example.id, group=example.group, fields=marks, score=score, valid=not bad)
        )
    recipe = recipe or Recipe(model=ModelRef(spec="simulated"))
    return Evidence(fields, recipe, examples, tuple(answers), tuple(scored))


def blind(example: Example, field: FieldSpec) -> JsonValue:
    """Say «nothing found» to everything."""
    return [] if isinstance(field, ListField) else field.default


def believes_everything(example: Example, field: FieldSpec) -> JsonValue:
    """Say present wherever one of the field's names stands, whatever is said about it."""
    return "present" if any(s in example.text for s in NAMES[field.name]) else "unknown"
