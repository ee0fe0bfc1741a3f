"""A list with ``values``: several of a closed set may hold of one note, or none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import jsonschema
import pytest
import yaml
from pydantic import BaseModel, JsonValue, ValidationError

from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec, LabelField, ListField, object_schema
from preceptor.core.parse import read
from preceptor.core.records import Answer, Example, Finding
from preceptor.evals import check, splits, taskfile
from preceptor.evals.findings import diagnose
from preceptor.evals.scorers import field_metrics, score_answer
from preceptor.evals.splits import SplitSpec
from preceptor.evals.subsets import nested
from preceptor.evals.task import Task

AIDS = ListField(name="aids", of="walking aids", values=("cane", "Walker", "café chair"))
OPEN = ListField(name="drugs", of="drug names", max_items=3)


def note(number: int, aids: Sequence[str], text: str = "Seen today.") -> Example:
    held: list[JsonValue] = [*aids]
    return Example(id=f"n{number}", group=f"p{number}", text=text, gold={"aids": held})


def test_case_spaces_unicode_form_order_and_repeats_do_not_matter() -> None:
    said: list[JsonValue] = ["cafe\u0301  CHAIR", " walker", "", "Walker"]
    assert AIDS.read(said) == ["Walker", "café chair"]
    assert AIDS.read([]) == []


@pytest.mark.parametrize("raw", [["stick"], ["cane", "stick"], "cane", None, {"cane": 1}, [1]])
def test_an_answer_outside_the_list_is_unreadable_as_an_unknown_label_is(raw: JsonValue) -> None:
    values, problems = read(json.dumps({"aids": raw}), [AIDS])
    assert (values, problems) == ({}, {"aids": "invalid"})


def test_constrained_students_are_told_the_values_and_nothing_that_decoders_do_not_know() -> None:
    assert AIDS.json_schema() == {
        "type": "array",
        "items": {"type": "string", "enum": ["cane", "Walker", "café chair"]},
        "maxItems": 3,
    }
    jsonschema.validate({"aids": ["Walker"]}, object_schema((AIDS,)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"aids": ["stick"]}, object_schema((AIDS,)))


def test_the_student_is_asked_with_values_and_meanings() -> None:
    field = ListField(
        name="aids", of="walking aids", values=("cane", "walker"), meanings={"walker": "rollator"}
    )
    assert field.ask() == "List: walking aids, any of: cane; walker (rollator); [] when there is none"


def test_an_open_list_keeps_its_line_its_schema_and_its_content_hash() -> None:
    # As they were before there were closed lists: runs and bundles made then must open.
    old = '{"copied":false,"kind":"list","max_items":3,"name":"drugs","of":"drug names","weight":1.0}'
    assert OPEN.to_json() == old
    assert ListField.from_json(old) == OPEN
    assert OPEN.ask() == "List: drug names, as written in the note; [] when there is none"
    assert OPEN.json_schema() == {"type": "array", "items": {"type": "string"}, "maxItems": 3}
    task = json.loads(Task(name="t", fields=(OPEN,)).to_json())
    assert task["fields"] == [json.loads(old)]


def test_a_closed_list_comes_back_from_its_json_within_a_task() -> None:
    task = Task(name="t", fields=(AIDS, OPEN), examples=(note(1, ["cane"]),))
    assert Task.from_json(task.to_json()) == task


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"values": ["a", "A "]}, "the value 'A ' is 'a' in other letters; keep one"),
        ({"values": ["é", "e\u0301"]}, "in other letters; keep one"),
        ({"values": ["a", "b", "a"]}, "the value 'a' stands twice; keep one"),
        ({"values": ["a", " "]}, "an empty value; leave it out, [] says «none»"),
        ({"values": ["a", "b"], "copied": True}, "'copied' does not go with 'values'"),
        ({"values": ["a", "b"], "meanings": {"c": "?"}}, "'c' is not among its values"),
        ({"meanings": {"c": "?"}}, "'c' is not among its values"),
        ({"values": ["a", "b"], "default": "a"}, "'default' does not go with kind 'list'"),
        ({"values": ["a", "b"], "max_items": 0}, "greater than or equal to 1"),
    ],
)
def test_a_broken_entry_is_one_line(tmp_path: Path, entry: dict[str, object], expected: str) -> None:
    with pytest.raises(TaskError) as caught:
        _load(tmp_path, entry, [{"id": "1", "text": "x", "c": []}])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("field 'c'") == 1


@pytest.mark.parametrize(
    ("extra", "gold", "expected"),
    [
        ({}, ["a", "x"], "field 'c': 'x' does not fit (a list of at most 3 of: a, b, c)"),
        (
            {"max_items": 2},
            ["c", "b", "a"],
            "field 'c': does not fit (a list of at most 2 of: a, b, c)",
        ),
        ({}, "a", "not JSON"),
    ],
)
def test_gold_outside_the_list_is_one_line_with_what_is_allowed(
    tmp_path: Path, extra: dict[str, object], gold: object, expected: str
) -> None:
    with pytest.raises(TaskError) as caught:
        _load(tmp_path, {"values": ["a", "b", "c"], **extra}, [{"id": "1", "text": "x", "c": gold}])
    assert "line 1" in str(caught.value)
    assert expected in str(caught.value)


def _load(folder: Path, entry: dict[str, object], rows: list[dict[str, object]]) -> Task:
    (folder / "n.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    field = {"name": "c", "kind": "list", **entry}
    told = {"fields": [field], "data": {"path": "n.jsonl"}}
    (folder / "task.yaml").write_text(yaml.safe_dump(told), "utf-8")
    return taskfile.load(folder / "task.yaml")


def test_all_values_fit_into_an_answer_however_many_they_are(tmp_path: Path) -> None:
    many = [f"v{i}" for i in range(40)]
    task = _load(tmp_path, {"values": many}, [{"id": "1", "text": "x", "c": many[::-1]}])
    assert task.examples[0].gold == {"c": many}


class Falls(BaseModel):
    """Walking aids."""

    aids: list[Literal["cane", "walker"]]


def test_a_list_of_literals_is_a_closed_list_and_its_gold_may_stand_in_any_order() -> None:
    held: list[JsonValue] = ["walker", "cane"]
    task = Task.from_model(Falls, [Example(id="1", group="1", text="x", gold={"aids": held})])
    assert task.fields == (ListField(name="aids", of="aids items", values=("cane", "walker")),)
    with pytest.raises(TaskError, match=r"'stick' does not fit \(a list of at most 2 of: cane, walker"):
        Task.from_model(Falls, [Example(id="1", group="1", text="x", gold={"aids": ["stick"]})])
    with pytest.raises(TaskError, match="not written as its field has it"):
        Task.from_model(Falls, [Example(id="1", group="1", text="x", gold={"aids": ["Cane"]})])


def found(gold: list[str], said: list[str], text: str = "Seen today.") -> list[Finding]:
    answers = [Answer(example_id="n1", record={"aids": [*said]})]
    return [*diagnose([note(1, gold, text)], answers, [AIDS])]


def test_findings_name_the_value() -> None:
    (missed,) = found(["cane"], [])
    assert (missed.kind, missed.cue) == ("missed", "cane")
    (added,) = found([], ["cane"], "Long walk to the clinic. He says he has no cane. Weight is stable.")
    assert (added.kind, added.cue) == ("negation", "cane (no)")
    (wrong,) = found(["cane"], ["Walker"])
    assert (wrong.kind, wrong.cue) == ("wrong_value", "Walker for cane")
    assert {(f.kind, f.cue) for f in found(["cane", "café chair"], ["Walker"])} == {
        ("missed", "cane"), ("missed", "café chair"), ("spurious", "Walker"),
    }  # fmt: skip


def test_findings_of_several_values_are_counted_apart() -> None:
    notes = [note(i, ["cane"] if i % 3 else ["Walker"]) for i in range(9)]
    answers = [Answer(example_id=e.id, record={"aids": []}) for e in notes]
    told = diagnose(notes, answers, [AIDS])
    assert [(f.cue, f.count, f.total) for f in told] == [("cane", 6, 9), ("Walker", 3, 9)]


def test_scores_are_f1_of_the_values_and_counts_come_per_value() -> None:
    example = note(1, ["cane", "Walker"])
    answer = Answer(example_id="n1", record={"aids": ["cane"]})
    assert score_answer(example, answer, [AIDS]).score == pytest.approx(2 / 3)
    (metrics,) = field_metrics([example], [answer], [AIDS])
    assert {v: (c.gold, c.said, c.hits) for v, c in metrics.labels.items()} == {
        "cane": (1, 1, 1), "Walker": (1, 0, 0), "café chair": (0, 0, 0),
    }  # fmt: skip
    assert metrics.macro_f1 == 0.5


def _rare(count: int = 120) -> tuple[Example, ...]:
    """Return notes of which one in ten has a walker, beside a cane: «some» tells nothing of that."""
    return tuple(note(i, ["cane", "Walker"] if i % 10 == 0 else ["cane"]) for i in range(count))


def test_parts_have_each_value_in_its_share() -> None:
    spec = SplitSpec(train=0.5, dev=0.25, test=0.25)
    for seed in range(4):
        made = splits.make(Task(name="t", fields=(AIDS,), examples=_rare(), split=spec), seed)
        held = Counter(p for p in splits.PARTS for i in made.ids(p) if int(i[1:]) % 10 == 0)
        assert held == {"train": 6, "dev": 3, "test": 3}


def test_subsets_have_each_value_in_its_share() -> None:
    for seed in range(4):
        drawn = nested(_rare(), [60], seed, fields=(AIDS,))[60]
        assert 5 <= sum(int(e.id[1:]) % 10 == 0 for e in drawn) <= 7


def test_check_counts_values_and_warns_where_all_lists_are_empty() -> None:
    task = Task(name="t", fields=(AIDS,), examples=_rare())
    (field,) = check.check(task).fields
    assert field.labels == {"[]": 0, "cane": 120, "Walker": 12, "café chair": 0}
    assert field.majority == 0.9
    empty = Task(name="t", fields=(AIDS,), examples=tuple(note(i, []) for i in range(60)))
    warnings = check.check(empty).warnings
    assert "field 'aids': 100% of the examples have one label" in warnings


def test_values_are_refused_where_the_kind_is_built_in_python() -> None:
    with pytest.raises(ValidationError, match="stands twice"):
        ListField(name="c", values=("a", "a"))
    fields: tuple[FieldSpec, ...] = (LabelField(name="b", values=("x", "y")), AIDS)
    assert Task(name="t", fields=fields).fields == fields
