"""Prodigy's JSON lines become tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.core.errors import TaskError
from tests.evals.exports.given import drug, made, note, nothing_written, write

Object = dict[str, JsonValue]


def row(
    i: int, answer: str = "accept", who: str = "db-ana", also: Object | None = None, **more: JsonValue
) -> Object:
    return {
        "text": note(i), "_input_hash": 1000 + i, "_task_hash": -i, "answer": answer,
        "_timestamp": 1700000000 + i, "_annotator_id": who, "_session_id": who,
        "meta": {"patient": f"p{i // 2}", "note_id": f"n{i}"}, **more, **(also or {}),
    }  # fmt: skip


def choice(i: int, *accepted: str, **more: JsonValue) -> Object:
    options: JsonValue = [{"id": x, "text": x.upper()} for x in ("yes", "no", "unclear")]
    return {"options": options, "accept": [*accepted], "_view_id": "choice", **more}


def test_choices_that_were_accepted_are_gold(tmp_path: Path) -> None:
    rows: list[JsonValue] = [row(i, also=choice(i, ("yes", "no")[i % 2])) for i in range(10)]
    rows += [row(10, "reject", also=choice(10, "yes")), row(11, "ignore", also=choice(11))]
    got = made(write(tmp_path / "a.jsonl", rows))
    assert got.found.tool == "Prodigy"
    assert (got.found.id, got.found.group) == ("id", "patient")
    assert (got.gold("n1"), got.gold("n10"), got.gold("n11")) == ({"label": "no"}, None, None)
    assert len({e.group for e in got.task.examples}) == 6
    assert "answers that are no gold: 1 reject and 1 ignore" in got.remarks()


def test_a_style_of_several_choices_is_a_list(tmp_path: Path) -> None:
    rows: list[JsonValue] = [
        row(i, config={"choice_style": "multiple"}, also=choice(i, *(("yes",) if i % 2 else ())))
        for i in range(10)
    ]
    got = made(write(tmp_path / "a.jsonl", rows))
    assert (got.gold("n0"), got.gold("n1")) == ({"label": []}, {"label": ["yes"]})


def test_options_with_numbers_are_called_by_their_texts(tmp_path: Path) -> None:
    options: JsonValue = [{"id": 1, "text": "present"}, {"id": 2, "text": "absent"}]
    rows: list[JsonValue] = [row(i, options=options, accept=[1 + i % 2]) for i in range(10)]
    got = made(write(tmp_path / "a.jsonl", rows))
    assert got.gold("n1") == {"label": "absent"}


def test_spans_become_lists(tmp_path: Path) -> None:
    rows: list[JsonValue] = []
    for i in range(10):
        start, end = drug(i)
        span: Object = {"start": start, "end": end, "token_start": 3, "token_end": 3, "label": "DRUG"}
        rows.append(row(i, spans=[span] if i else [], tokens=[], _view_id="ner_manual"))
    rows.append(row(3, "accept", spans=[], tokens=[], _view_id="ner_manual"))
    rows.append(row(4, "reject", who="db-ben", spans=[], tokens=[], _view_id="ner_manual"))
    got = made(write(tmp_path / "a.jsonl", rows))
    assert (got.gold("n0"), got.gold("n1")) == ({"DRUG": []}, {"DRUG": ["ibuprofen"]})
    assert got.gold("n3") == {"DRUG": []}  # the last word of an annotator counts
    assert got.gold("n4") == {"DRUG": ["aspirin"]}
    assert got.found.copied == ("DRUG",)


def test_decisions_about_one_label_are_yes_and_no(tmp_path: Path) -> None:
    rows: list[JsonValue] = [row(i, ("accept", "reject")[i % 2], label="FALL") for i in range(10)]
    got = made(write(tmp_path / "a.jsonl", [*rows, row(10, "ignore", label="FALL")]))
    assert (got.gold("n0"), got.gold("n1"), got.gold("n10")) == ({"FALL": "yes"}, {"FALL": "no"}, None)
    assert got.found.defaults == {"FALL": "no"}


def test_of_decisions_about_several_labels_the_accepted_count(tmp_path: Path) -> None:
    rows: list[JsonValue] = [
        row(i, "accept" if (i % 2 == 0) == (name == "A") else "reject", label=name)
        for i in range(10)
        for name in ("A", "B")
    ]
    got = made(write(tmp_path / "a.jsonl", [*rows, row(10, "reject", label="A")]))
    assert (got.gold("n0"), got.gold("n1"), got.gold("n10")) == ({"label": "A"}, {"label": "B"}, None)


def test_annotators_are_never_two_notes(tmp_path: Path) -> None:
    rows: list[JsonValue] = [
        row(i, who=who, also=choice(i, ("yes", "no")[(i + (i == 5 and who == "b")) % 2]))
        for who in ("a", "b")
        for i in range(10)
    ]
    got = made(write(tmp_path / "a.jsonl", rows))
    assert (len(got.task.examples), got.gold("n5")) == (10, None)
    assert "agreement on 'label': 90% of 10 notes the same, Cohen's kappa 0.80" in got.remarks()


def test_only_rejected_answers_are_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [row(i, "reject", also=choice(i, "yes")) for i in range(4)])
    with pytest.raises(TaskError, match="none of its 4 notes is annotated"):
        made(path)
    assert nothing_written(path)
