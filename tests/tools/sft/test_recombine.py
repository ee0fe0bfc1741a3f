"""Notes put together anew: their sentences are old, their labels are right, nothing leaks into them."""

from __future__ import annotations

from functools import cache

from preceptor.core.fields import LabelField
from preceptor.core.records import Example
from preceptor.core.text import sentences
from preceptor.evals.splits import make
from preceptor.evals.tasks.toxicity import oracle, task
from preceptor.tools.sft.recombine import PREFIX, Wanted, recombine

COUNT = 150


@cache
def notes() -> tuple[Example, ...]:
    whole = task()
    return make(whole).examples(whole, "train")[:60]


@cache
def made(*, own: bool = False, whole: bool = False) -> tuple[Example, ...]:
    return tuple(recombine(notes(), task().fields, Wanted(COUNT, 3, own, whole)))


def test_labels_are_mostly_what_a_reader_would_say() -> None:
    """The oracle knows how the synthetic notes were written; the sentences that decide were guessed."""
    right: dict[bool, list[bool]] = {True: [], False: []}
    for note in made():
        read = oracle.read(note.text)
        for name, value in (note.gold or {}).items():
            right[value == "unknown"].append(read[name] == value)
    assert len(right[False]) > COUNT
    assert sum(right[False]) / len(right[False]) > 0.75
    assert sum(right[True]) / len(right[True]) > 0.85


def test_every_sentence_stands_in_a_train_note_and_groups_are_kept() -> None:
    known = {piece for note in notes() for piece in sentences(note.text)}
    groups = {note.group for note in notes()}
    for note in made():
        assert {piece for piece in sentences(note.text)} <= known
        assert note.group in groups
        assert note.id.startswith(PREFIX)
    assert len({note.text for note in made()}) > COUNT * 0.9


def test_a_student_that_retrieves_gets_sentences_of_one_patient_only() -> None:
    texts: dict[str, set[str]] = {}
    for note in notes():
        texts.setdefault(note.group, set()).update(sentences(note.text))
    assert made(own=True)
    assert all(set(sentences(note.text)) <= texts[note.group] for note in made(own=True))
    assert not all(set(sentences(note.text)) <= texts[note.group] for note in made())


def test_a_student_that_is_asked_everything_at_once_gets_every_label() -> None:
    names = {field.name for field in task().fields}
    assert all(set(note.gold or {}) == names for note in made(whole=True))
    assert not all(set(note.gold or {}) == names for note in made())


def test_the_same_seed_makes_the_same_notes_in_any_order() -> None:
    again = recombine(tuple(reversed(notes())), task().fields, Wanted(COUNT, 3))
    assert tuple(again) == made()
    assert tuple(recombine(notes(), task().fields, Wanted(COUNT, 4))) != made()


def test_notes_of_one_sentence_cannot_be_used() -> None:
    field = LabelField(name="rash", values=("present", "absent", "unknown"))
    short = [
        Example(id=f"n{i}", group=f"g{i}", text="Has a rash.", gold={"rash": "present"})
        for i in range(40)
    ]
    assert recombine(short, (field,), Wanted(10)) == []
    assert recombine((), (field,), Wanted(10)) == []
