"""Open lists by a dictionary of train's items, and the answers that are the same for every note."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import JsonValue

from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Example
from preceptor.evals import baselines
from preceptor.evals.task import Task

DRUGS = ListField(name="drugs")
AIDS = ListField(name="aids", values=("cane", "walker", "wheel_chair"))
PAIN = LabelField(name="pain", values=("yes", "no"))
LISTS = Task(name="t", fields=(DRUGS,))


def note(text: str, name: str = "a", drugs: Sequence[str] | None = None, group: str = "") -> Example:
    gold: dict[str, JsonValue] | None = None if drugs is None else {"drugs": [*drugs]}
    return Example(id=name, group=group or name, text=text, gold=gold)


TRAIN = (
    note("On aspirin.", "t1", ["aspirin"]),
    note("Acetylsalicylic acid and Café-Extrakt.", "t2", ["Acetylsalicylic acid", "Café-Extrakt"]),
    note("5-FU, acid reflux. Acetylsalicylic.", "t3", ["5-FU", "acid", "Acetylsalicylic"]),
)


def found(
    text: str, name: baselines.Name = "dictionary", train: Sequence[Example] = TRAIN
) -> JsonValue:
    return baselines.predict(name, LISTS, train, [note(text, "z")])["z"]["drugs"]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("ASPIRIN twice", ["ASPIRIN"]),
        ("aspirins, paraspirin", []),
        ("acetylsalicylic\nacid", ["acetylsalicylic\nacid"]),
        ("acid", ["acid"]),
        ("cafe\u0301-extrakt", ["café-extrakt"]),
        ("5-FU-induced", ["5-FU"]),
        ("acid then aspirin, Acid", ["acid", "aspirin"]),
        ("ends with acetylsalicylic", ["acetylsalicylic"]),
        ("ends with café", []),
        ("", []),
    ],
)
def test_whole_items_as_the_note_has_them_the_longest_first(text: str, items: list[str]) -> None:
    assert found(text) == items


def test_under_scopes_only_what_is_affirmed_counts() -> None:
    text = "No aspirin. Takes 5-FU.\nMother had acid."
    assert found(text) == ["aspirin", "5-FU", "acid"]
    assert found(text, "dictionary+context") == ["5-FU"]


def test_a_precise_dictionary_leaves_out_what_is_mostly_wrong_in_train() -> None:
    wrong = [note("acid reflux", f"w{i}", []) for i in range(2)]
    unknown = [note("acid", f"u{i}") for i in range(9)]
    half = [*TRAIN, *wrong[:1], *unknown]
    assert found("acid, aspirin", "dictionary+precise", half) == ["acid", "aspirin"]
    assert found("acid, aspirin", "dictionary+precise", [*TRAIN, *wrong]) == ["aspirin"]
    assert found("acid, aspirin", "dictionary", [*TRAIN, *wrong]) == ["acid", "aspirin"]


def test_no_more_items_than_the_field_allows() -> None:
    task = Task(name="t", fields=(ListField(name="drugs", max_items=1),))
    said = baselines.predict("dictionary", task, TRAIN, [note("aspirin and 5-FU", "z")])
    assert said["z"]["drugs"] == ["aspirin"]


def test_without_gold_every_list_is_empty() -> None:
    for name in baselines.NAMES:
        assert baselines.predict(name, LISTS, [note("aspirin")], [note("aspirin", "z")]) == {
            "z": {"drugs": []}
        }


def always(train: Sequence[Example], name: baselines.Name = "commonest") -> JsonValue:
    said = baselines.predict(name, LISTS, train, [note("x", "y"), note("other", "z")])
    assert said["y"] == said["z"]
    return said["y"]["drugs"]


def test_the_commonest_items_are_as_many_as_are_worth_it_on_train() -> None:
    two = [note("x", f"n{i}", ["Aspirin", "5-FU"]) for i in range(6)]
    assert always([*two, note("x", "o", ["iron"]), note("x", "p", ["iron"])]) == ["5-FU", "Aspirin"]
    mostly_empty = [note("x", f"n{i}e", []) for i in range(9)]
    assert always([*mostly_empty, *two]) == ["5-FU", "Aspirin"], "F1 gives nothing for silence"
    assert always(two, "majority") == []


def test_the_commonest_spelling_counts_and_one_patient_does_not() -> None:
    spelt = ["aspirin", "Aspirin", "aspirin"]
    assert always([note("x", f"n{i}", [item]) for i, item in enumerate(spelt)]) == ["aspirin"]
    assert always([note("x", f"n{i}", ["aspirin"], "p") for i in range(3)]) == []


def aids(name: baselines.Name, held: Sequence[Sequence[str]], text: str = "Seen.") -> JsonValue:
    task = Task(name="t", fields=(AIDS,))
    train = [
        Example(id=f"n{i}", group=f"p{i}", text=f"x {' '.join(some)}", gold={"aids": [*some]})
        for i, some in enumerate(held)
    ]
    return baselines.predict(name, task, train, [note(text, "z")])["z"]["aids"]


def test_the_majority_of_a_closed_list_are_the_values_of_most_notes() -> None:
    assert aids("majority", [["walker", "cane"], ["cane"], ["walker"], ["cane"]]) == ["cane"]
    assert aids("majority", [[], [], []]) == []


def test_values_of_a_closed_list_are_found_by_their_names() -> None:
    text = "Has a wheel chair. No cane."
    assert aids("keyword", [], text) == ["cane", "wheel_chair"]
    assert aids("context", [], text) == ["wheel_chair"]


def test_phrases_are_mined_for_each_value() -> None:
    task = Task(name="t", fields=(AIDS,))
    texts = [("stick in hand", ["cane"]), ("rollator beside him", ["walker"]), ("on foot", [])] * 4
    train = [
        Example(id=f"n{i}", group=f"p{i}", text=text, gold={"aids": [*held]})
        for i, (text, held) in enumerate(texts)
    ]
    said = baselines.predict("context+mined", task, train, [note("A stick; no rollator.", "z")])
    assert said["z"]["aids"] == ["cane"]


def test_a_word_of_any_alphabet_is_mined_whole() -> None:
    task = Task(name="t", fields=(PAIN,))
    train = [
        Example(id=f"n{i}", group=f"p{i}", text=text, gold={"pain": label})
        for i, (text, label) in enumerate([("übelkeit heute", "yes"), ("geht heute", "no")] * 6)
    ]
    assert baselines.mine(task, train)["pain"] == ["übelkeit"]


def test_a_task_has_the_baselines_that_can_say_something() -> None:
    labels = baselines.names_for(Task(name="t", fields=(PAIN,)))
    assert labels == (
        "majority", "always-positive", "keyword", "context", "keyword+mined", "context+mined", "tfidf",
    )  # fmt: skip
    assert baselines.names_for(LISTS) == (
        "majority", "commonest", "dictionary", "dictionary+context", "dictionary+precise",
        "dictionary+precise+context",
    )  # fmt: skip
    both = baselines.names_for(Task(name="t", fields=(PAIN, DRUGS)), embedder=True)
    assert both == ("majority", "always-positive", "commonest", *labels[2:], "embedding")
    closed = baselines.names_for(Task(name="t", fields=(AIDS,)))
    assert closed == ("majority", "commonest", *labels[2:])
    assert baselines.trivial_names(LISTS) == ("majority", "commonest")
    assert {n: baselines.kind_of(n) for n in ("commonest", "context", "tfidf")} == {
        "commonest": "trivial", "context": "rule", "tfidf": "supervised",
    }  # fmt: skip


def test_where_labels_and_open_lists_are_asked_rules_read_the_lists_by_the_dictionary() -> None:
    task = Task(name="t", fields=(PAIN, DRUGS))
    for name in ("keyword", "context", "keyword+mined", "context+mined", "tfidf"):
        said = baselines.predict(name, task, TRAIN, [note("aspirin", "z")])
        assert said["z"]["drugs"] == ["aspirin"]
