"""The look ``label_examples``: what it gives, what it says, and that it sees no gold it must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence, Tool
from preceptor.core.records import AdapterRef, Example, Gold
from preceptor.tools.distill.label import LabelExamples, LabelExamplesArgs
from preceptor.tools.distill.weak import Vote, read
from tests.contracts.evidence import NAMES, believes_everything, corpus, evidence_of
from tests.contracts.tool import ToolContract

UNLABELLED = [
    note.model_copy(update={"id": f"u{note.id}", "group": f"u{note.group}"})
    for note in corpus(30, seed=7)
]
EVIDENCE = evidence_of(corpus(), believes_everything)


def blind(evidence: Evidence, notes: Sequence[Example]) -> list[Vote]:
    assert not {n.id for n in notes} & {e.id for e in evidence.examples}
    return [Vote(values={name: "unknown" for name in NAMES}) for _ in notes]


def words(evidence: Evidence, notes: Sequence[Example]) -> list[Vote]:
    assert all(note.gold is None for note in notes)
    made = []
    for note in notes:
        said: Gold = {
            name: "present" if any(s in note.text for s in forms) else "unknown"
            for name, forms in NAMES.items()
        }
        made.append(Vote(values=said))
    return made


class TestLabelExamples(ToolContract):
    @pytest.fixture
    def tool(self) -> Tool[Any]:
        return LabelExamples(UNLABELLED, {"words": words, "blind": blind})

    @pytest.fixture
    def good(self) -> dict[str, JsonValue]:
        return {"voters": ["words", "blind"], "notes": 20}


def tool() -> LabelExamples:
    return LabelExamples(UNLABELLED, {"words": words, "blind": blind})


def test_labels_so_many_notes_and_names_the_artefact() -> None:
    result = tool().run(LabelExamplesArgs(voters=("words",), notes=12), EVIDENCE)
    ((name, raw),) = result.artefacts.items()
    assert name in result.text
    made = read(raw)
    assert len(made.notes) == 12
    assert {n.id for n in made.notes} < {n.id for n in UNLABELLED}
    assert made.voters == ("words",)
    assert not any(note.text.encode() in raw for note in UNLABELLED)


def test_says_what_the_labels_are_worth() -> None:
    said = tool().run(LabelExamplesArgs(voters=("words",)), EVIDENCE).text
    assert "all voters agree on 100% of 120 labels" in said
    for name in NAMES:
        gold = [str((e.gold or {})[name]) for e in EVIDENCE.examples]
        (field,) = (f for f in EVIDENCE.fields if f.name == name)
        given = [believes_everything(e, field) for e in EVIDENCE.examples]
        hits = sum(g == s != "unknown" for g, s in zip(gold, given, strict=True))
        there, told = sum(g != "unknown" for g in gold), sum(s != "unknown" for s in given)
        line = f"- {name}: precision {hits / told:.2f}, recall {hits / there:.2f} ({there} in gold)"
        assert line in said
    none = tool().run(LabelExamplesArgs(voters=("blind",)), EVIDENCE).text
    assert "precision none said, recall 0.00" in none


def test_refuses_what_it_cannot_do() -> None:
    with pytest.raises(InputError, match="no voter 'oracle'"):
        tool().run(LabelExamplesArgs(voters=("oracle",)), EVIDENCE)
    with pytest.raises(InputError, match="no unlabelled notes"):
        LabelExamples([], {"words": words}).run(LabelExamplesArgs(), EVIDENCE)


def by_heart(evidence: Evidence, notes: Sequence[Example]) -> list[Vote]:
    """Know the shown notes' answers by heart, as trained weights may; say «present» of all others."""
    known = {e.text: e.gold or {} for e in EVIDENCE.examples}
    return [Vote(values=known.get(n.text) or dict.fromkeys(NAMES, "present")) for n in notes]


def test_a_student_is_not_measured_on_what_it_learned_from() -> None:
    voters = {"words": words, "student": by_heart}
    made = LabelExamples(UNLABELLED, voters, models=("student",))
    tuned = EVIDENCE.recipe.model_copy(update={"adapter": AdapterRef(digest="a" * 20)})
    all_shown = replace(EVIDENCE, recipe=tuned)
    none = made.run(LabelExamplesArgs(voters=("student",)), all_shown).text
    assert "Not measured: " in none
    assert "precision" not in none
    held = tuple(e.model_copy(update={"id": f"held-{e.id}"}) for e in corpus(30)[-8:])
    held = tuple(e.model_copy(update={"text": f"{e.text} Seen again."}) for e in held)
    with_held = replace(all_shown, train=(*EVIDENCE.examples, *held))
    told = made.run(LabelExamplesArgs(voters=("student",)), with_held).text
    name = next(iter(NAMES))
    there = sum((e.gold or {})[name] != "unknown" for e in held)
    right = sum((e.gold or {})[name] == "present" for e in held)
    line = f"- {name}: precision {right / len(held):.2f}, recall {right / there:.2f} ({there} in gold)"
    assert line in told
    # Rules learned nothing from the recipe: they are measured on shown notes all the same.
    rules = made.run(LabelExamplesArgs(voters=("words",)), with_held).text
    assert rules == made.run(LabelExamplesArgs(voters=("words",)), EVIDENCE).text


def test_each_voter_is_measured_alone_too() -> None:
    one = tool().run(LabelExamplesArgs(voters=("words",)), EVIDENCE).text
    assert "alone" not in one
    two = tool().run(LabelExamplesArgs(voters=("words", "blind")), EVIDENCE).text
    assert "Each voter alone, all fields pooled: words precision 0." in two
    assert "; blind precision none said, recall 0.00." in two
