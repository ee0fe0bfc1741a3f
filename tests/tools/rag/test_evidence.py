"""The sentence that decides is found from labels of whole notes."""

from __future__ import annotations

from random import Random

import pytest

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example
from preceptor.core.text import sentences
from preceptor.tools.rag.evidence import spots
from preceptor.tools.rag.passages import MAX_CHARS, from_notes
from tests.contracts.evidence import FIELDS, NAMES, corpus

NOTES = corpus(60)


def names(field: str, text: str) -> bool:
    return any(surface in text.casefold() for surface in NAMES[field])


def test_the_deciding_sentence_is_found() -> None:
    found = {(s.note, s.field): s for s in spots(NOTES, FIELDS) if s.decides}
    wanted = [(i, f.name) for i, e in enumerate(NOTES) for f in FIELDS if _gold(e, f) != "unknown"]
    right = [
        key
        for key in wanted
        if key in found and names(key[1], sentences(NOTES[key[0]].text)[found[key].sentence])
    ]
    assert len(right) > 0.9 * len(wanted)
    assert set(found) <= set(wanted)
    assert len(right) > 0.95 * len(found)


def _gold(example: Example, field: FieldSpec) -> object:
    return (example.gold or {})[field.name]


def test_filler_is_no_evidence() -> None:
    for passage in from_notes(NOTES, FIELDS, "sentence"):
        assert names(passage.field, passage.text), passage.text


@pytest.mark.parametrize("seed", range(5))
def test_labels_that_say_nothing_give_little_evidence(seed: int) -> None:
    labels, draw = ("present", "absent", "unknown"), Random(seed)
    field = LabelField(name="zzz", values=labels)
    notes = [e.model_copy(update={"gold": {"zzz": draw.choice(labels)}}) for e in NOTES]
    assert sum(s.decides for s in spots(notes, [field])) < 0.2 * len(NOTES)


def test_a_lure_in_a_note_without_the_symptom_is_a_hard_negative() -> None:
    passages = from_notes(corpus(60, family=0.6), FIELDS, "sentence")
    lures = [p for p in passages if p.answer == "unknown"]
    assert lures
    assert sum(p.text.startswith("Mother had") for p in lures) > 0.8 * len(lures)
    for field in FIELDS:
        others = sum(p.field == field.name and p.answer != "unknown" for p in passages)
        assert sum(p.field == field.name for p in lures) <= max(3, round(0.5 * others))


def test_the_later_of_two_alike_sentences_decides() -> None:
    noted = list(corpus(60))
    said = "Reports queasy."
    twice = Example(
        id="t", group="t", text=f"{said}\nTakes vitamins.\n{said}", gold={"nausea": "present"}
    )
    mine = [s for s in spots([*noted, twice], FIELDS) if s.note == 60 and s.decides]
    assert [s.sentence for s in mine if s.field == "nausea"] == [2]


def test_the_order_of_notes_does_not_matter() -> None:
    assert from_notes(NOTES[::-1], FIELDS, "sentence") == from_notes(NOTES, FIELDS, "sentence")


def test_list_fields_take_the_sentences_that_hold_items() -> None:
    field = ListField(name="drugs")
    note = Example(
        id="a", group="a", text="Sleeps well. Takes aspirin. Insulin at night.",
        gold={"drugs": ["aspirin", "insulin"]},
    )  # fmt: skip
    found = {p.text: p.answer for p in from_notes([note], [field], "sentence")}
    assert found == {"Takes aspirin.": ["aspirin"], "Insulin at night.": ["insulin"]}


def test_whole_notes_and_sections_are_cut() -> None:
    long = NOTES[0].model_copy(update={"text": NOTES[0].text + "\n" + "Very long. " * 5000})
    for granularity in ("note", "section"):
        passages = from_notes([long, *NOTES[1:]], FIELDS, granularity)
        assert passages
        assert max(len(p.text) for p in passages) <= MAX_CHARS[granularity]


def test_notes_of_one_sentence_need_no_search() -> None:
    notes = [Example(id="a", group="a", text="It works.", gold={"rash": "absent"})]
    assert [p.text for p in from_notes(notes, FIELDS, "sentence")] == ["It works."]


def test_german_notes() -> None:
    field = LabelField(name="Mundtrockenheit", values=("vorhanden", "fehlt", "unbekannt"))
    said = {"vorhanden": "Klagt über {}.", "fehlt": "Keine {}.", "unbekannt": "Vater hatte {}."}
    r, notes = Random(1), []
    for i in range(40):
        label = r.choice(list(said))
        lines = [said[label].format(r.choice(("Mundtrockenheit", "trockenen Mund")))]
        lines += r.sample(("Gewicht stabil.", "Kontrolle im Juni.", "Schläft gut.", "Gehstock."), 2)
        r.shuffle(lines)
        gold = {field.name: label}
        notes.append(Example(id=f"n{i}", group=f"p{i}", text=" ".join(lines), gold=dict(gold)))
    found = [s for s in spots(notes, [field]) if s.decides]
    assert len(found) > 15
    assert all("Mund" in sentences(notes[s.note].text)[s.sentence] for s in found)
