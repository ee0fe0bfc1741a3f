"""Weak labels: votes become labels, and a training takes what may be trusted."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.tools.distill import weak
from preceptor.tools.distill.weak import Labelled, Vote, WeakLabels, WeakUse
from preceptor.tools.sft import data

FIELDS: tuple[FieldSpec, ...] = (
    LabelField(name="cough", values=("yes", "past", "no")),
    ListField(name="drugs"),
)
NOTE = Example(id="n", group="p", text="Coughs.")
HASH = "a" * 20


def votes(*said: JsonValue, sure: tuple[float, ...] = ()) -> dict[str, list[Vote]]:
    sure = sure or (1.0,) * len(said)
    return {
        str(i): [Vote(values={} if value is None else {"cough": value}, confidence={"cough": s})]
        for i, (value, s) in enumerate(zip(said, sure, strict=True))
    }


def label(*said: JsonValue, sure: tuple[float, ...] = ()) -> weak.WeakLabel | None:
    (note,) = weak.combine([NOTE], FIELDS, votes(*said, sure=sure)).notes
    return note.labels.get("cough")


def use(how: dict[str, Any], *said: JsonValue, sure: tuple[float, ...] = ()) -> JsonValue:
    """Return the gold of ``cough`` that a training would get, None if it is left out."""
    found = Labelled(weak.combine([NOTE], FIELDS, votes(*said, sure=sure)), (NOTE,))
    kept, _ = weak.examples(found, FIELDS, WeakUse(labels=HASH, **how))
    return kept[0].gold["cough"] if kept and kept[0].gold else None


def test_most_votes_win_and_agreement_is_kept() -> None:
    found = label("yes", "no", "yes")
    assert found is not None
    assert (found.value, found.votes) == ("yes", 3)
    assert found.agreement == pytest.approx(2 / 3)
    assert label(None, None) is None
    tie = label("no", "yes", sure=(0.3, 0.9))
    assert tie is not None
    assert (tie.value, tie.agreement, tie.confidence) == ("yes", 0.5, 0.9)
    first = label("past", "yes", None)
    assert first is not None
    assert (first.value, first.votes) == ("past", 2)


def test_items_stay_that_half_of_the_voters_name() -> None:
    said: list[JsonValue] = [["aspirin", "ibuprofen"], ["aspirin"], ["aspirin", "zinc"]]
    cast = {str(i): [Vote(values={"drugs": v})] for i, v in enumerate(said)}
    found = weak.combine([NOTE], FIELDS, cast).notes[0].labels["drugs"]
    assert found.value == ["aspirin"]
    assert found.agreement == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


def test_low_agreement_and_low_confidence_are_dropped() -> None:
    assert use({}, "yes", "no") is None
    assert use({"min_agreement": 0.5}, "yes", "no") == "yes"
    assert use({}, "yes", sure=(0.4,)) == "yes"
    assert use({"min_confidence": 0.5}, "yes", sure=(0.4,)) is None


def test_an_absent_label_may_be_unknown() -> None:
    assert use({"absent": "keep"}, "no") == "no"
    assert use({"absent": "unknown"}, "no", "no") is None
    assert use({"absent": "unknown"}, "yes", "yes") == "yes"
    assert use({"absent": "agreed"}, "no", "no") == "no"
    assert use({"absent": "agreed"}, "no") is None
    assert use({"absent": "agreed"}, "no", "no", "yes") is None


def test_own_gold_is_not_looked_at_and_labels_must_fit() -> None:
    gold = NOTE.model_copy(update={"gold": {"cough": "no", "drugs": []}})
    found = Labelled(weak.combine([gold], FIELDS, votes("yes")), (gold,))
    (kept,), trust = weak.examples(found, FIELDS, WeakUse(labels=HASH))
    assert kept.gold == {"cough": "yes"}
    assert trust == {("n", "cough"): 1.0}
    with pytest.raises(InputError, match="does not fit field 'cough'"):
        use({}, "perhaps")
    with pytest.raises(InputError, match="1 weakly labelled notes are not among"):
        weak.examples(Labelled(found.labels, ()), FIELDS, WeakUse(labels=HASH))


def test_rows_are_shown_as_often_as_they_are_trusted() -> None:
    notes = [NOTE.model_copy(update={"id": i, "gold": {"cough": "yes"}}) for i in "abc"]
    rows = data.rows(Recipe(model=ModelRef(spec="nano")), FIELDS, notes)
    trust = {("a", "cough"): 1.0, ("b", "cough"): 0.3}
    assert [row.times for row in weak.weighted(rows, trust, 4)] == [4, 1, 1]
    assert [row.times for row in weak.weighted(rows, trust, 1)] == [1, 1, 1]
    assert {row.fields for row in rows} == {("cough",)}


def test_the_artefact_holds_no_text_and_is_read_again() -> None:
    made = weak.combine([NOTE], FIELDS, votes("yes", "no"))
    raw = made.to_json().encode()
    assert b"Coughs" not in raw
    assert weak.read(raw) == made
    for broken in (b"", b"{}", b'{"voters": 1}'):
        with pytest.raises(InputError, match="holds no weak labels"):
            weak.read(broken)
    assert WeakLabels(voters=(), notes=()).fingerprint != made.fingerprint
