"""Label Studio's JSON, JSON-MIN and CSV become tasks."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.core.errors import InputError, TaskError
from tests.evals.exports.given import DRUGS, drug, made, note, nothing_written, write

Object = dict[str, JsonValue]


def result(field: str, kind: str, value: Object) -> Object:
    return {
        "id": "aB3", "from_name": field, "to_name": "text", "type": kind, "origin": "manual",
        "value": value,
    }  # fmt: skip


def choice(field: str, *labels: str) -> Object:
    return result(field, "choices", {"choices": [*labels]})


def span(i: int, label: str = "Drug") -> Object:
    start, end = drug(i)
    value: Object = {"start": start, "end": end, "text": note(i)[start:end], "labels": [label]}
    return result("label", "labels", value)


def annotation(results: list[Object], who: JsonValue = 1, **more: JsonValue) -> Object:
    return {
        "id": 77, "completed_by": who, "result": [*results], "was_cancelled": False,
        "ground_truth": False, "created_at": "2024-01-01T10:00:00Z",
        "updated_at": "2024-01-01T10:00:00Z", "lead_time": 3.5, **more,
    }  # fmt: skip


def task(i: int, *annotations: Object, **data: JsonValue) -> Object:
    return {
        "id": i, "data": {"text": note(i), **data}, "annotations": [*annotations], "drafts": [],
        "predictions": [], "file_upload": "a.json", "meta": {}, "inner_id": i,
        "created_at": "2024-01-01T09:00:00Z", "updated_at": "2024-01-01T10:00:00Z", "project": 1,
    }  # fmt: skip


def label(i: int) -> str:
    return ("given", "withheld")[i % 2]


def test_choices_spans_texts_and_taxonomies(tmp_path: Path) -> None:
    rows: list[JsonValue] = [
        task(
            i,
            annotation(
                [
                    choice("status", label(i)),
                    choice("places", *(("ward", "bed") if i % 3 else ("ward",))),
                    span(i),
                    result("why", "textarea", {"text": [f"because {i}"]}),
                    result("class", "taxonomy", {"taxonomy": [["Drug", DRUGS[i % 2]]]}),
                    result("sure", "rating", {"rating": 1 + i % 5}),
                ]
            ),
            patient=f"p{i // 2}",
        )
        for i in range(20)
    ]
    got = made(write(tmp_path / "export.json", rows))
    assert got.found.tool == "Label Studio"
    assert got.gold("1") == {
        "status": "withheld", "places": ["ward", "bed"], "Drug": ["ibuprofen"],
        "why": ["because 1"], "class": "Drug > ibuprofen", "sure": "2",
    }  # fmt: skip
    assert got.found.group == "patient"
    assert len({e.group for e in got.task.examples}) == 10
    assert got.found.options == {"places": ("ward", "bed")}
    assert "'places' may have several choices in a note, so it is a list: ward, bed" in got.remarks()
    assert got.found.copied == ("Drug",)


def test_what_is_no_gold_is_left_out(tmp_path: Path) -> None:
    rows: list[JsonValue] = [task(i, annotation([choice("status", label(i))])) for i in range(10)]
    cancelled = task(10, annotation([choice("status", "given")], was_cancelled=True))
    guessed: Object = {
        **task(11),
        "predictions": [{"result": [choice("status", "given")], "score": 0.9}],
    }
    checked = task(
        12,
        annotation([choice("status", "given")], who=1),
        annotation([choice("status", "withheld")], who=2, ground_truth=True),
    )
    empty = task(13, annotation([]))
    got = made(write(tmp_path / "export.json", [*rows, cancelled, guessed, checked, empty]))
    assert [got.gold(n) for n in ("10", "11", "13")] == [None] * 3
    assert got.gold("12") == {"status": "withheld"}
    assert "3 of 14 notes have no gold and are kept without" in got.remarks()
    assert "predictions of 1 notes are no gold" in got.remarks()
    assert "1 notes have a ground truth" in got.remarks()


def test_annotators_of_a_note_are_one_note(tmp_path: Path) -> None:
    people: list[JsonValue] = [{"id": 1, "email": "ana@x"}, {"id": 2, "email": "ben@x"}]
    rows: list[JsonValue] = [
        task(
            i,
            annotation([choice("status", label(i)), span(i)], people[0]),
            annotation([choice("status", label(i + (i < 4))), span(i)], people[1]),
        )
        for i in range(20)
    ]
    path = write(tmp_path / "export.json", rows)
    got = made(path)
    assert len(got.task.examples) == 20
    assert [f.name for f in got.task.fields] == ["status", "Drug"]
    assert got.gold("0") == {"Drug": ["aspirin"]}
    assert got.gold("4") == {"status": "given", "Drug": ["aspirin"]}
    # 16 of 20 the same, each says 10 and 10: chance 0.5, kappa (0.8 - 0.5) / 0.5
    kappa = (
        "agreement on 'status': 80% of 20 notes the same, Cohen's kappa 0.60; tied and not scored: 4"
    )
    assert kappa in got.remarks()
    assert "agreement on 'Drug': 100% of 20 notes the same, F1 of the items 1.00" in got.remarks()
    assert "2 annotators (ana@x, ben@x): the majority counts" in got.remarks()


def test_one_annotator_can_be_picked(tmp_path: Path) -> None:
    rows: list[JsonValue] = [
        task(
            i,
            annotation([choice("status", label(i))], 1),
            annotation([choice("status", label(i + 1))], 2),
        )
        for i in range(20)
    ]
    path = write(tmp_path / "export.json", rows)
    with pytest.raises(TaskError, match=r"annotators 1, 2 disagree in every note.*--annotator 1"):
        made(path)
    assert nothing_written(path)
    with pytest.raises(InputError, match=r"no annotator '3' \(there are: 1, 2\)"):
        made(path, "3")
    got = made(path, "2")
    assert got.gold("0") == {"status": "withheld"}
    assert "only what 2 said counts" in got.remarks()
    assert "agreement on 'status': 0% of 20 notes the same, Cohen's kappa -1.00" in got.remarks()


def test_three_annotators_vote(tmp_path: Path) -> None:
    rows: list[JsonValue] = [
        task(i, *(annotation([choice("status", label(i + (who == i % 3)))], who) for who in range(3)))
        for i in range(12)
    ]
    got = made(write(tmp_path / "export.json", rows))
    assert [got.gold(str(i)) for i in range(3)] == [{"status": label(i)} for i in range(3)]


def test_spans_that_overlap_nest_or_count_utf16(tmp_path: Path) -> None:
    text = "😀 given: low molecular heparin, then aspirin."
    at = text.index("low")
    units = at + 1  # a browser counts the smiley twice

    def marked(start: int, end: int, said: str) -> Object:
        value: Object = {"start": start, "end": end, "text": said, "labels": ["Drug"]}
        return result("label", "labels", value)

    spans = [
        marked(units, units + 21, "low molecular heparin"),
        marked(units + 14, units + 21, "heparin"),
    ]
    rows: list[JsonValue] = [task(i, annotation([span(i)])) for i in range(5)]
    got = made(write(tmp_path / "e.json", [*rows, task(9, annotation(spans), text=text)]))
    assert got.gold("9") == {"Drug": ["low molecular heparin", "heparin"]}
    assert "spans of one type overlap or nest, and each is an item of its own: Drug (1 notes)" in (
        got.remarks()
    )


BROKEN = {
    "none annotated": ([task(1), task(2)], "none of its 2 notes is annotated"),
    "one label": ([task(1, annotation([choice("a", "x")]))], "only one label was ever chosen: 'a'"),
    "images": ([{"id": 1, "data": {"image": "a.png"}, "annotations": []}], "no column|no text|none of"),
    "other text": (
        [task(1, annotation([span(2)]))],
        "task 1: offsets .* cover another text than the annotation says",
    ),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_what_gives_no_gold_is_one_line(case: tuple[list[JsonValue], str], tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", case[0])
    with pytest.raises(TaskError, match=case[1]) as error:
        made(path)
    assert "\n" not in str(error.value)
    assert nothing_written(path)


def test_a_half_written_file_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", [task(1, annotation([choice("a", "x")]))])
    path.write_text(path.read_text("utf-8")[:-20], "utf-8")
    with pytest.raises(TaskError, match=r"export.json, line \d+: not JSON .*export it once more"):
        made(path)
    assert nothing_written(path)


def flat(i: int, who: int, status: str) -> Object:
    start, end = drug(i)
    marks: JsonValue = [{"start": start, "end": end, "text": note(i)[start:end], "labels": ["Drug"]}]
    places: JsonValue = {"choices": ["ward", "bed"]} if i % 2 else "ward"
    return {
        "text": note(i), "patient_id": f"p{i // 2}", "id": i, "status": status, "label": marks,
        "places": places, "annotator": who, "annotation_id": 10 * i + who,
        "created_at": "2024-01-01T10:00:00Z", "updated_at": "2024-01-01T10:00:00Z",
        "lead_time": 1.5 * i,
    }  # fmt: skip


@pytest.mark.parametrize("ending", ["json", "csv"])
def test_flat_rows_are_annotations(ending: str, tmp_path: Path) -> None:
    rows = [flat(i, who, label(i)) for i in range(16) for who in (1, 2)]
    path = tmp_path / f"export.{ending}"
    if ending == "json":
        write(path, [*rows])
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, rows[0])
            out.writeheader()
            for row in rows:
                cells = {
                    k: v if isinstance(v, str | int | float) else json.dumps(v) for k, v in row.items()
                }
                out.writerow(cells)
    got = made(path)
    assert got.found.tool == "Label Studio"
    assert len(got.task.examples) == 16
    assert sorted(f.name for f in got.task.fields) == ["Drug", "places", "status"]
    assert got.gold("1") == {
        "status": "withheld", "places": ["ward", "bed"], "Drug": ["ibuprofen"],
    }  # fmt: skip
    assert got.found.group == "patient_id"
    assert "agreement on 'status': 100% of 16 notes the same, Cohen's kappa 1.00" in got.remarks()


def test_a_table_with_an_annotator_in_each_row(tmp_path: Path) -> None:
    path = tmp_path / "raters.csv"
    lines = [
        f"n{i},{who},{note(i)},{label(i + (i == 3 and who == 'ben'))}"
        for i in range(20)
        for who in ("ana", "ben")
    ]
    path.write_text("\n".join(["note_id,Rater,text,status", *lines]), "utf-8")
    got = made(path)
    assert [f.name for f in got.task.fields] == ["status"]
    assert (len(got.task.examples), got.gold("n3"), got.gold("n4")) == (20, None, {"status": "given"})
    assert made(path, "ben").gold("n3") == {"status": "given"}


def test_one_id_with_two_texts_is_refused(tmp_path: Path) -> None:
    rows = [f"{i // 2},{1 + i % 2},{note(i)},{label(i // 2)},2,3,4" for i in range(20)]
    head = "id,annotator,text,status,annotation_id,lead_time,created_at"
    path = tmp_path / "export.csv"
    path.write_text("\n".join([head, *rows]), "utf-8")
    with pytest.raises(TaskError, match=r"line 2 and .*line 3: one id, but two texts"):
        made(path)
