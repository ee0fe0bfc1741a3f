"""Task files and data files: what works, and one line for everything that does not."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from preceptor.core.errors import TaskError
from preceptor.core.fields import LabelField, ListField
from preceptor.evals import data, splits, taskfile
from preceptor.evals.task import resolve

jsonschema = pytest.importorskip("jsonschema")

FILE: dict[str, Any] = {
    "name": "cough",
    "instruction": "Read it.",
    "rules": ["Only the patient counts."],
    "mode": "joint",
    "fields": [
        {
            "name": "cough",
            "kind": "label",
            "values": ["yes", "no", "unknown"],
            "meanings": {"unknown": "not said"},
            "weight": 2,
            "meaning": "a cough today",
            "look_for": ["tussis"],
            "rules": ["Not the wife's."],
        },
        {"name": "drugs", "kind": "list", "of": "drug names"},
    ],
    "data": {
        "path": "notes.jsonl",
        "columns": {"id": "nr", "text": "note", "group": "patient", "gold": "truth"},
    },
    "split": {"train": 4, "dev": 2, "test": 2, "seed": 5, "stratify_by": "cough"},
}
CSV_DATA = {"path": "notes.csv", "columns": {"text": "note"}}


def row(i: int, **more: object) -> dict[str, object]:
    truth = {"cough": ("yes", "no", "unknown")[i % 3], "drugs": ["aspirin"] if i % 2 else []}
    return {"nr": i, "note": f"note {i}", "patient": f"p{i}", "truth": truth, **more}


def rows(n: int = 8) -> list[dict[str, object]]:
    return [row(i) for i in range(n)]


def write(folder: Path, task: object, notes: object = None) -> Path:
    path = folder / "task.yaml"
    path.write_text(task if isinstance(task, str) else yaml.safe_dump(task), encoding="utf-8")
    if isinstance(notes, bytes):
        (folder / "notes.jsonl").write_bytes(notes)
    elif isinstance(notes, str):
        (folder / "notes.csv").write_text(notes, encoding="utf-8")
    elif isinstance(notes, list):
        (folder / "notes.jsonl").write_text("\n".join(map(json.dumps, notes)), encoding="utf-8")
    return path


def with_data(**data: object) -> dict[str, Any]:
    return {**FILE, "data": data}


def test_everything_arrives(tmp_path: Path) -> None:
    task = resolve(str(write(tmp_path, FILE, rows())))
    cough, drugs = task.fields
    assert isinstance(cough, LabelField)
    assert isinstance(drugs, ListField)
    assert (cough.values, cough.default, cough.weight) == (("yes", "no", "unknown"), "unknown", 2)
    assert (drugs.of, task.mode, task.prompt.instruction) == ("drug names", "joint", "Read it.")
    assert task.prompt.guide("cough").look_for == ("tussis",)
    assert task.prompt.guide("cough").rules == ("Not the wife's.",)
    assert task.prompt.guide("drugs").meaning == ""
    assert task.examples[1].gold == {"cough": "no", "drugs": ["aspirin"]}
    assert (task.examples[1].id, task.examples[1].group) == ("1", "p1")
    assert [len(splits.make(task).ids(p)) for p in splits.PARTS] == [4, 2, 2]


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    one = resolve(str(write(tmp_path, FILE, rows())))
    again = resolve(str(write(tmp_path, FILE, rows())))
    other = resolve(str(write(tmp_path, FILE, [*rows(7), row(7, note="another")])))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_csv_with_quotes_and_line_breaks(tmp_path: Path) -> None:
    text = 'id,note,cough,drugs\na,"one, two\nthree",yes,"[""x""]"\nb,four,,[]\n'
    task = taskfile.load(write(tmp_path, with_data(**CSV_DATA), text))
    assert [e.text for e in task.examples] == ["one, two\nthree", "four"]
    assert task.examples[0].gold == {"cough": "yes", "drugs": ["x"]}
    assert task.examples[1].gold == {"drugs": []}


CUT = {
    "a comma in a column's name": ("id;note;cough, today\n", "{};Was well{} so he said.;yes\n", ";"),
    "a comma in every note": ("id;note;cough, today\n", "{};Well, he said{}.;yes\n", ";"),
    "semicolons in the notes": ("id,note,cough; today\n", "{},Was well; home; {}.,yes\n", ","),
    "quoted line breaks": ('"id"|"note"|"cough, today"\n', '{}|"One, two;\nthree {}|"|yes\n', "|"),
    "more than is looked at": ("id;note;cough, today\n", '{};"Well{}.\n' + "\n" * 300 + '";yes\n', ";"),
}


@pytest.mark.parametrize("case", CUT.values(), ids=CUT.keys())
def test_the_rows_tell_what_parts_their_cells(tmp_path: Path, case: tuple[str, str, str]) -> None:
    header, line, between = case
    text = header + "".join(line.format(i, i) for i in range(20))
    path = tmp_path / "notes.csv"
    path.write_text(text, "utf-8")
    name = "cough; today" if between == "," else "cough, today"
    assert data.delimiter(path) == between
    assert [row[name] for _, row in data.rows(path, "csv")] == ["yes"] * 20
    path.write_text(text + "20;torn\n", "utf-8")
    assert data.delimiter(path) == between


def test_columns_of_other_names_and_a_given_split(tmp_path: Path) -> None:
    columns = {"id": None, "text": "note", "fields": {"cough": "c", "drugs": "d"}, "split": "part"}
    text = "note;c;d;part\n" + "".join(f"n{i};YES;[];{p}\n" for i, p in enumerate(splits.PARTS))
    data = with_data(path="notes.csv", delimiter=";", columns=columns)
    task = taskfile.load(write(tmp_path, data, text))
    made = splits.make(task)
    assert task.examples[0].gold == {"cough": "yes", "drugs": []}
    assert (made.train, made.dev, made.test) == (("row-2",), ("row-3",), ("row-4",))


def test_lists_may_be_written_as_texts(tmp_path: Path) -> None:
    cells = ["aspirin; ibuprofen ;", '"[""a; b""]"', "[]", ""]
    text = "id,note,cough,drugs\n" + "".join(f"{i},n{i},yes,{c}\n" for i, c in enumerate(cells))
    task = taskfile.load(write(tmp_path, with_data(**CSV_DATA, items=";"), text))
    found = [(e.gold or {}).get("drugs") for e in task.examples]
    assert found == [["aspirin", "ibuprofen"], ["a; b"], [], None]


def test_no_gold_at_all_is_an_unlabelled_example(tmp_path: Path) -> None:
    task = taskfile.load(write(tmp_path, FILE, [*rows(), row(9, truth=None)]))
    assert task.examples[-1].gold is None


def test_the_schema_is_a_json_schema_that_knows_this_file() -> None:
    schema = json.loads(taskfile.schema_json())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(FILE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**FILE, "nmae": "x"}, schema)


def broken(tmp_path: Path, task: object, notes: object = None) -> str:
    with pytest.raises(TaskError) as caught:
        resolve(str(write(tmp_path, task, notes)))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(tmp_path) + "/", "")


FIELD = {"name": "cough", "values": ["a", "b"]}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({**FILE, "nmae": "x"}, r"task.yaml: unknown key 'nmae' (known here: name, "),
        (
            {**FILE, "fields": [{**FIELD, "vals": 1}]},
            "unknown key 'fields.0.vals' (known here: name, kind",
        ),
        ({**FILE, "split": {"tset": 1}}, "unknown key 'split.tset' (known here: train, dev, test"),
        ({**FILE, "fields": []}, "fields: Tuple should have at least 1 item"),
        ({"name": "x"}, "'fields' is missing"),
        ({**FILE, "mode": "both"}, "mode: Input should be 'per_field' or 'joint'"),
        (
            {**FILE, "fields": [{"name": "c", "kind": "list", "default": "a"}]},
            "'default' does not go with kind 'list'",
        ),
        ({**FILE, "fields": [{"name": "c", "values": ["a"]}]}, "field 'c', values"),
        ({**FILE, "fields": [{"name": "c"}]}, "field 'c'"),
        ({**FILE, "fields": [{**FIELD, "default": "z"}]}, "['z'] is not among its labels"),
        ({**FILE, "split": {"train": 1, "dev": 0.5, "test": 1}}, "not both"),
        ({**FILE, "split": {"stratify_by": "fever"}}, "'fever' is no field (fields: cough, drugs)"),
        ("a: [1,\nb: 2", "task.yaml, line 2: broken YAML"),
        ("name: a\nname: b\n", "task.yaml, line 2: broken YAML: the key 'name' stands twice"),
        ("- a\n", "task.yaml: not a task file"),
        ("", "task.yaml: not a task file"),
    ],
)
def test_a_broken_task_file(tmp_path: Path, task: object, expected: str) -> None:
    assert expected in broken(tmp_path, task, rows())


def dump(*values: object) -> bytes:
    return b"\n".join(json.dumps(v).encode() for v in values)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        (None, "notes.jsonl: no such file"),
        (b"", "notes.jsonl: no examples in it"),
        (dump(row(0)) + b"\n{", "notes.jsonl, line 2: not JSON"),
        (b"[1]", "line 1: not a JSON object"),
        (b'{"nr": 1}', "line 1: no column 'note' (there are: nr)"),
        (dump(row(0), row(1), row(0)), "notes.jsonl: id '0' stands in lines 1 and 3"),
        (dump(row(0), row(1, note="  ")), "line 2: column 'note' holds no text"),
        (dump(row(0, nr=None)), "line 1: column 'nr' holds no id"),
        (dump(row(0, truth=[1])), "line 1: column 'truth' is no object"),
        (dump(row(0, truth={"fever": "yes"})), "line 1: 'fever' is no field (fields: cough, drugs)"),
        (
            dump(row(0), row(1, truth={"cough": "maybe"})),
            "line 2, field 'cough': 'maybe' does not fit (allowed labels: yes, no, unknown)",
        ),
        (dump(row(0, truth={"drugs": "aspirin"})), "line 1, field 'drugs': does not fit (a list of"),
        (dump(row(0)) + b"\n" + b'{"nr": "\xe9"}', "notes.jsonl, line 2: not UTF-8 at byte "),
        (b"\x00", "line 1: a NUL character"),
    ],
)
def test_broken_jsonl(tmp_path: Path, notes: object, expected: str) -> None:
    assert expected in broken(tmp_path, FILE, notes)


def test_the_byte_of_bad_utf8_is_that_of_the_file(tmp_path: Path) -> None:
    data = dump(row(0)) + b'\n{"nr": "\xe9"}'
    assert f"at byte {data.index(0xE9)} " in broken(tmp_path, FILE, data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,note,cough,drugs\na,b,yes\n", "notes.csv, line 2: 3 cells, the header has 4"),
        ("id,note,cough\na,b,yes\n", "line 2: no column 'drugs' (there are: id, note, cough)"),
        ("id,note,cough,drugs\na,b,yes,x;y\n", "field 'drugs': not JSON (write lists as"),
        ('id,note,cough,drugs\na,"b"x,yes,[]\n', "line 2: broken CSV"),
        ("id,id\n", "line 1: a column name occurs twice"),
        ("id,note,cough,drugs\n", "no examples in it"),
    ],
)
def test_broken_csv(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in broken(tmp_path, with_data(**CSV_DATA), text)


def test_a_group_in_two_given_splits(tmp_path: Path) -> None:
    notes = [row(0, part="train"), row(1, part="test", patient="p0")]
    columns = {**FILE["data"]["columns"], "split": "part"}
    said = broken(tmp_path, with_data(path="notes.jsonl", columns=columns), notes)
    assert "group 'p0' stands in two splits (train in line 1, test in line 2)" in said
    said = broken(tmp_path, with_data(path="notes.jsonl", columns=columns), [row(0, part="valid")])
    assert "line 1: split 'valid' (one of train, dev, test, or empty)" in said


def test_an_unknown_format_and_a_missing_task_file(tmp_path: Path) -> None:
    assert "notes.xml: cannot tell its format" in broken(tmp_path, with_data(path="notes.xml"))
    with pytest.raises(TaskError, match="no such file"):
        resolve(str(tmp_path / "none.yaml"))


PLAIN = {**FILE, "data": {"path": "notes.jsonl"}}


def plain(i: int, **more: object) -> dict[str, object]:
    """Return a row under the names that the manual gives."""
    part = splits.PARTS[i // 4]
    whole = {"id": f"n{i}", "group": f"p{i // 2}", "text": f"note {i}", "split": part}
    return {**whole, "cough": "yes", "drugs": ["aspirin"], **more}


def without(made: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in made.items() if name not in names}


def test_group_and_split_are_understood_by_their_names(tmp_path: Path) -> None:
    task = taskfile.load(write(tmp_path, PLAIN, [plain(i) for i in range(12)]))
    made = splits.make(task)
    assert len({e.group for e in task.examples}) == 6
    assert made.train == ("n0", "n1", "n2", "n3")
    assert made.test == ("n8", "n9", "n10", "n11")


def test_a_gold_object_is_understood_by_its_name(tmp_path: Path) -> None:
    gold = {"cough": "no", "drugs": []}
    notes: list[dict[str, Any]] = [{"id": f"n{i}", "text": f"note {i}", "gold": gold} for i in range(3)]
    notes.append({"id": "n3", "text": "no gold", "gold": None})
    found = taskfile.load(write(tmp_path, PLAIN, notes)).examples
    assert [e.gold for e in found] == [gold, gold, gold, None]
    both = [{**note, "cough": "yes", "drugs": ["x"]} for note in notes[:3]]
    found = taskfile.load(write(tmp_path, PLAIN, both)).examples
    assert found[0].gold == {"cough": "yes", "drugs": ["x"]}, "columns of the fields go first"


def test_columns_that_are_named_otherwise_or_not_at_all_are_left_alone(tmp_path: Path) -> None:
    notes = [plain(i, ward=f"w{i // 6}", split="", gold="by hand") for i in range(12)]
    columns = {"group": "ward", "split": None}
    found = taskfile.load(write(tmp_path, with_data(path="notes.jsonl", columns=columns), notes))
    assert {e.group for e in found.examples} == {"w0", "w1"}
    assert not any(e.meta for e in found.examples)
    asked = {**PLAIN, "split": {}, "fields": [{"name": "split", "values": ["left", "right"]}]}
    found = taskfile.load(write(tmp_path, asked, [plain(i, split="left") for i in range(3)]))
    assert found.examples[0].gold == {"split": "left"}, "a field of that name"
    assert not found.examples[0].meta


@pytest.mark.parametrize("name", ["group", "split"])
def test_a_usual_column_is_there_in_every_row_or_in_none(tmp_path: Path, name: str) -> None:
    empty = f"line 2: column {name!r} is empty or not there (fill it in every row, or say "
    for bad in (plain(1, **{name: ""}), plain(1, **{name: None}), without(plain(1), name)):
        assert empty in broken(tmp_path, PLAIN, [plain(0), bad])
    late = [without(plain(0), name), without(plain(1), name), plain(2)]
    assert f"line 3: a column {name!r}, which the first row" in broken(tmp_path, PLAIN, late)
    named = with_data(path="notes.jsonl", columns={name: name})
    assert f"line 2: no column {name!r}" in broken(tmp_path, named, [plain(0), without(plain(1), name)])


def test_a_field_that_a_row_leaves_out_is_not_scored_for_it(tmp_path: Path) -> None:
    notes = [without(plain(0), "drugs"), *(plain(i) for i in range(1, 12))]
    found = taskfile.load(write(tmp_path, PLAIN, notes)).examples
    assert found[0].gold == {"cough": "yes"}
    assert found[1].gold == {"cough": "yes", "drugs": ["aspirin"]}
    nowhere = [without(plain(i), "drugs") for i in range(12)]
    assert "line 1: no column 'drugs' (there are: id, group" in broken(tmp_path, PLAIN, nowhere)


def test_no_error_quotes_a_note(tmp_path: Path) -> None:
    secret = "Mrs Smith of Elm Street"
    for bad in ({"truth": {"drugs": secret}}, {"nr": [secret]}, {"truth": secret}):
        assert secret not in broken(tmp_path, FILE, [row(0, note=secret, **bad)])
