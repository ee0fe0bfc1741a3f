"""Training rows: the text of inference, and what refuses a training."""

from __future__ import annotations

import pytest

from preceptor.core import render
from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Call, Example, IndexRef, ModelRef, Recipe
from preceptor.tools.sft import data, quoting
from preceptor.tools.sft.data import Guard, Selection
from tests.contracts.evidence import FIELDS, blind, corpus, evidence_of
from tests.contracts.test_suites import ByWords

NOTES = corpus(20)
PER_FIELD = Recipe(model=ModelRef(spec="nano"))
JOINT = PER_FIELD.model_copy(update={"mode": "joint"})


def chat(call: Call) -> tuple[dict[str, str], ...]:
    return tuple({"role": m.role, "content": m.content} for m in call.messages)


@pytest.mark.parametrize("recipe", [PER_FIELD, JOINT])
def test_a_row_is_what_inference_asks_and_the_right_answer(recipe: Recipe) -> None:
    asked = [c for e in NOTES for c in render.calls(recipe, FIELDS, e)]
    made = data.rows(recipe, FIELDS, NOTES)
    assert [row.prompt for row in made] == [chat(c) for c in asked]
    gold = {e.id: e.gold or {} for e in NOTES}
    assert [row.answer for row in made] == [
        render.answer_text(gold[c.example_id], c.fields) for c in asked
    ]


def test_rows_show_the_hits_of_other_patients() -> None:
    recipe = PER_FIELD.model_copy(update={"index": IndexRef(digest="0" * 20)})
    retriever = ByWords(NOTES)
    made = data.rows(recipe, FIELDS, NOTES, retriever=retriever)
    asked = [
        c
        for e, hits in zip(NOTES, retriever.hits(NOTES, FIELDS), strict=True)
        for c in render.calls(recipe, FIELDS, e, hits)
    ]
    assert [row.prompt for row in made] == [chat(c) for c in asked]
    assert all("Examples:" in row.prompt[1]["content"] for row in made)


def test_what_the_student_got_wrong_is_repeated() -> None:
    seen = evidence_of(NOTES, blind)
    made = data.rows(PER_FIELD, FIELDS, NOTES, seen.scored, Selection(weight_errors=3))
    gold = {e.id: e.gold or {} for e in NOTES}
    wrong = [row for row in made if gold[row.id][row.fields[0]] != "unknown"]
    assert wrong
    assert {row.times for row in wrong} == {3}
    assert {row.times for row in made if row not in wrong} == {1}


def test_defaults_are_thinned_out_per_field_and_errors_stay() -> None:
    made = data.rows(PER_FIELD, FIELDS, NOTES, selection=Selection(defaults=0.5))
    for field in FIELDS:
        said = [row.answer for row in made if row.fields == (field.name,)]
        defaults = sum("unknown" in answer for answer in said)
        assert defaults == max(1, round(0.5 * (len(said) - defaults)))
    assert made == data.rows(PER_FIELD, FIELDS, NOTES, selection=Selection(defaults=0.5))
    wrong = evidence_of(NOTES, lambda e, f: "present").scored
    kept = data.rows(PER_FIELD, FIELDS, NOTES, wrong, Selection(defaults=0.5))
    assert sum("unknown" in row.answer for row in kept) == sum(
        "unknown" in row.answer for row in data.rows(PER_FIELD, FIELDS, NOTES)
    )


def test_only_some_fields() -> None:
    made = data.rows(PER_FIELD, FIELDS, NOTES, selection=Selection(fields=("rash",)))
    assert {row.fields for row in made} == {("rash",)}
    with pytest.raises(InputError, match="no field 'fever'"):
        data.rows(PER_FIELD, FIELDS, NOTES, selection=Selection(fields=("fever",)))
    with pytest.raises(InputError, match="one call"):
        data.rows(JOINT, FIELDS, NOTES, selection=Selection(fields=("rash",)))


def test_notes_without_the_gold_value_make_no_row() -> None:
    partly = [NOTES[0].model_copy(update={"gold": {"rash": "absent"}}), *NOTES[1:8]]
    unlabelled = NOTES[8].model_copy(update={"gold": None})
    made = data.rows(PER_FIELD, FIELDS, [*partly, unlabelled])
    assert [row.fields for row in made if row.id == NOTES[0].id] == [("rash",)]
    assert unlabelled.id not in {row.id for row in made}
    assert NOTES[0].id not in {row.id for row in data.rows(JOINT, FIELDS, partly)}


def test_a_note_outside_of_train_is_refused() -> None:
    guard = Guard(allowed=frozenset(e.id for e in NOTES[1:]))
    guard.check(NOTES[1:])
    with pytest.raises(InputError, match="1 notes to train on are not in train, 'n0'"):
        guard.check(NOTES)


def test_a_near_duplicate_of_a_held_out_note_is_refused() -> None:
    def alike(examples: object) -> list[str]:
        return ["n3"]

    with pytest.raises(InputError, match="nearly repeat a dev or test note, first 'n3'"):
        Guard(forbidden=alike).check(NOTES)


def test_too_few_notes() -> None:
    data.check(data.rows(PER_FIELD, FIELDS, NOTES[:8]))
    with pytest.raises(InputError, match="7 labelled notes are too few"):
        data.check(data.rows(PER_FIELD, FIELDS, NOTES[:7]))


def test_one_class_only() -> None:
    fields: tuple[FieldSpec, ...] = (
        LabelField(name="pain", values=("yes", "no")),
        ListField(name="drugs"),
    )
    same = [
        Example(id=f"n{i}", group=f"p{i}", text=f"note {i}", gold={"pain": "no", "drugs": []})
        for i in range(10)
    ]
    with pytest.raises(InputError, match="one answer only"):
        data.check(data.rows(PER_FIELD, fields, same))
    other = same[0].model_copy(update={"gold": {"pain": "no", "drugs": ["aspirin"]}})
    data.check(data.rows(PER_FIELD, fields, [other, *same[1:]]))


def test_patients_are_set_aside_whole() -> None:
    made = data.rows(PER_FIELD, FIELDS, NOTES)
    kept, aside = data.split(made, 0.2, 0)
    assert len({row.group for row in aside}) == 2
    assert not {row.group for row in aside} & {row.group for row in kept}
    assert data.split(made, 0.2, 0) == (kept, aside)
    assert data.split(made, 0.05, 0) == (made, [])


def test_rows_survive_the_file() -> None:
    odd = NOTES[0].model_copy(update={"text": "line\u2028separator\x0b, «quote»\r\nend"})
    made = data.rows(PER_FIELD, FIELDS, [odd, *NOTES[1:]])
    assert list(data.load(data.dump(made))) == made
    with pytest.raises(InputError, match="line 2"):
        list(data.load(data.dump(made[:1]) + b"{}\n"))


def test_a_failure_quotes_no_note(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "data.jsonl"
    file.write_bytes(data.dump(data.rows(PER_FIELD, FIELDS, NOTES[:1])))
    text = NOTES[0].text.splitlines()
    said = quoting.without_notes(f"ValueError: bad input {text[0]} {text[1]} {text[2]}", file)
    assert said.startswith("ValueError: bad input")
    assert text[1] not in said
    assert (
        quoting.without_notes("ValueError: nothing of a note", file) == "ValueError: nothing of a note"
    )
