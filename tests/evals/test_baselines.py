"""Rule baselines: scopes in the manner of NegEx and ConText, and phrases mined from train."""

import pytest

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example, Gold
from preceptor.evals import baselines
from preceptor.evals.task import Task

FIELDS: tuple[FieldSpec, ...] = (
    LabelField(name="nausea", values=("present", "absent", "unknown")),
    ListField(name="drugs"),
)


def note(text: str, name: str = "a", gold: Gold | None = None) -> Example:
    return Example(id=name, group=name, text=text, gold=gold)


def said(name: baselines.Name, text: str) -> object:
    task = Task(name="t", fields=FIELDS)
    return baselines.predict(name, task, (), (note(text),))["a"]["nausea"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Reports nausea.", "present"),
        ("Denies vomiting or nausea.", "absent"),
        ("Denies pain but reports nausea.", "present"),
        ("No complaints except nausea.", "present"),
        ("Nausea resolved.", "absent"),
        ("No change in nausea.", "present"),
        ("Nausea not resolved.", "present"),
        ("History of nausea.", "unknown"),
        ("Mother has nausea.", "unknown"),
        ("Return if nausea.", "unknown"),
        ("No pain. Nausea today.", "present"),
        ("Denies nausea.\nNausea since Monday.", "present"),
        ("All well.", "unknown"),
        ("Nauseated.", "unknown"),
    ],
)
def test_context(text: str, label: str) -> None:
    assert said("context", text) == label


def test_keyword_knows_no_negation() -> None:
    assert said("keyword", "Denies nausea.") == "present"
    assert said("keyword", "All well.") == "unknown"


def test_majority_is_that_of_train() -> None:
    task = Task(name="t", fields=FIELDS)
    train = [note("x", f"n{i}", {"nausea": v}) for i, v in enumerate(["absent", "absent", "present"])]
    answer = baselines.predict("majority", task, train, (note("y", "z"),))
    assert answer == {"z": {"nausea": "absent", "drugs": []}}


def test_two_labels_have_no_label_for_denied() -> None:
    task = Task(name="t", fields=(LabelField(name="ADR", values=("yes", "no")),))
    answer = baselines.predict("context", task, (), (note("no adr", "a"), note("an adr", "b")))
    assert [answer[i]["ADR"] for i in "ab"] == ["no", "yes"]


def test_mined_phrases_mark_the_field_and_not_the_words_around() -> None:
    texts = [("queasy today", "present"), ("walks today", "unknown")] * 8
    train = [note(text, f"n{i}", {"nausea": label}) for i, (text, label) in enumerate(texts)]
    task = Task(name="t", fields=FIELDS)
    assert baselines.mine(task, train)["nausea"] == ["queasy"]
    answer = baselines.predict("context+mined", task, train, (note("denies feeling queasy", "z"),))
    assert answer["z"]["nausea"] == "absent"


def test_a_phrase_of_one_patient_is_not_mined() -> None:
    texts = [("queasy today", "present"), ("walks today", "unknown")] * 8
    same = [
        Example(id=f"n{i}", group="p", text=text, gold={"nausea": label})
        for i, (text, label) in enumerate(texts)
    ]
    assert baselines.mine(Task(name="t", fields=FIELDS), same)["nausea"] == []


def test_where_all_notes_have_the_finding_nothing_is_mined() -> None:
    notes = [note("Feels sick.", f"n{i}", {"nausea": "present"}) for i in range(6)]
    task = Task(name="t", fields=FIELDS)
    found = baselines.predict("keyword+mined", task, notes, (note("Feels sick."),))
    assert found["a"]["nausea"] == "unknown"


def test_where_every_note_mentions_a_field_no_phrase_marks_that() -> None:
    train = [note("Reports nausea.", name, {"nausea": "present"}) for name in "abc"]
    assert baselines.mine(Task(name="t", fields=FIELDS), train)["nausea"] == []
