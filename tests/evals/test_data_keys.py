"""One patient is one patient, and one word one word, however they are spelt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, get_args
from unicodedata import normalize

import pytest

from preceptor.core import parse
from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Example, ModelRef, Recipe, Reply
from preceptor.core.render import answer_text, calls
from preceptor.evals import baselines, data, duplicates, findings, scorers, taskfile
from preceptor.evals.task import Task, resolve

FIELDS: tuple[FieldSpec, ...] = (
    LabelField(name="Übelkeit", values=("häufig", "keine")),
    ListField(name="complaints", of="complaints", copied=True),
)
TEXT = "Brief: häufig Übelkeit und Diarrhö."
ITEMS = ["Übelkeit", "Diarrhö"]
GOLD = {"Übelkeit": "häufig", "complaints": ITEMS}
Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = get_args(Form)


def test_a_blank_behind_a_key_makes_no_second_patient(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("id,group,text,fever\n1,p1,a,yes\n2,p1 ,b,no\n3,\u00a0p2,c,no\n4,p2\ufeff,d,no\n")
    fever = LabelField(name="fever", values=("yes", "no"))
    found = data.load(data.Source(path=str(path)), (fever,))
    assert [e.group for e in found] == ["p1", "p1", "p2", "p2"]
    path.write_text("id,text,fever\n1,a,yes\n1 ,b,no\n")
    with pytest.raises(TaskError, match="id '1' stands in lines 2 and 3"):
        data.load(data.Source(path=str(path)), (fever,))


def test_a_patient_in_two_splits_is_found_through_the_spelling(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    rows = [
        f"1,{normalize('NFC', 'Müller')},a,yes,train",
        f"2,{normalize('NFD', 'Müller')} ,b,no, test ",
    ]
    path.write_text("id,group,text,fever,split\n" + "\n".join(rows))
    with pytest.raises(TaskError, match="stands in two splits"):
        data.load(data.Source(path=str(path)), (LabelField(name="fever", values=("yes", "no")),))


def note(name: str, group: str, text: str = "well") -> Example:
    return Example(id=name, group=group, text=text)


def test_keys_that_look_alike_are_remarked() -> None:
    alike = [note("a 1", "P1"), note("A1", "p 1"), note("b", "p2"), note("c", "p2")]
    groups, ids = data.lookalikes(alike)
    assert "2 groups differ in case, blanks, leading zeros or a '.0' only ('P1' and 'p 1')" in groups
    assert "2 ids differ in case, blanks, leading zeros or a '.0' only ('A1' and 'a 1')" in ids
    assert data.lookalikes(alike[2:]) == ()
    own = [note("a", "a"), note("A", "A")]
    assert [line.split()[1] for line in data.lookalikes(own)] == ["ids"], "said once"
    long = [note("1", "Mrs " * 20 + c) for c in "xX"]
    assert "Mrs" not in data.lookalikes(long)[0], "whatever a key holds, a long one is not shown"


@pytest.mark.parametrize("spelt", ["7.0", "7.00", "007", "07.0"])
def test_one_number_written_in_two_ways_is_remarked(spelt: str) -> None:
    """A data frame writes 7.0 where a gap made the column a float; a spreadsheet drops zeros."""
    groups = data.lookalikes([note("a", "7"), note("b", spelt), note("c", "70"), note("d", "7.5")])
    assert len(groups) == 1
    assert "2 groups differ" in groups[0]
    assert data.lookalikes([note("a", "0"), note("b", "10"), note("c", "1.10")]) == ()


def test_texts_that_a_conversion_has_harmed_are_remarked() -> None:
    whole = "„Müde“ – 5 €"
    latin = whole.encode("cp1252").decode("latin1")
    twice = "Müde".encode().decode("cp1252")
    found = data.remarks([note("1", "p", t) for t in (whole, latin, latin, twice, "caf\ufffd")])
    assert len(found) == 3
    assert "2 texts hold control characters" in found[0]
    assert "iconv -f cp1252" in found[0]
    assert "1 text holds U+FFFD" in found[1]
    assert "1 text holds UTF-8 that was read as cp1252" in found[2]
    assert data.remarks([note("1", "p", whole)]) == ()


def loaded(folder: Path, text: Form, gold: Form) -> Example:
    row = {"id": "1", "text": normalize(text, TEXT)}
    row |= json.loads(normalize(gold, json.dumps(GOLD, ensure_ascii=False)))
    (folder / "n.jsonl").write_text(json.dumps(row))
    return data.load(data.Source(path=str(folder / "n.jsonl")), FIELDS)[0]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("gold", FORMS)
@pytest.mark.parametrize("said", FORMS)
def test_a_perfect_reader_is_perfect_in_any_form(
    tmp_path: Path, text: Form, gold: Form, said: Form
) -> None:
    example = loaded(tmp_path, text, gold)
    assert example.gold == {**GOLD, "complaints": [normalize(gold, i) for i in ITEMS]}
    raw = normalize(said, json.dumps(GOLD, ensure_ascii=False))
    names = tuple(f.name for f in FIELDS)
    answer = parse.answer("1", FIELDS, [Reply(("1", names), raw)])
    assert answer.record == GOLD
    assert scorers.score_answer(example, answer, FIELDS).score == 1.0
    assert findings.diagnose([example], [answer], FIELDS) == ()
    taught = json.loads(answer_text(example.gold or {}, FIELDS))
    asked = calls(Recipe(model=ModelRef(spec="scripted")), FIELDS, example)[0]
    assert all(item in asked.source for item in taught["complaints"]), "it can be copied"


def test_rules_and_duplicates_read_notes_in_any_form(tmp_path: Path) -> None:
    found = [loaded(tmp_path, form, "NFC") for form in FORMS]
    task = Task(name="t", fields=FIELDS, examples=(found[0],))
    for example in found:
        assert baselines.predict("keyword", task, [], [example])["1"]["Übelkeit"] == "häufig"
    assert len(list(duplicates.pairs([e.text for e in found]))) == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FORMS)
def test_a_task_file_in_any_form(tmp_path: Path, form: Form, name: Form) -> None:
    path = normalize(name, "nöte.csv")
    head = (
        "fields:\n  - {name: Übelkeit, values: [häufig, keine], look_for: [übel]}\n"
        "split: {stratify_by: Übelkeit}\n"
    )
    (tmp_path / path).write_text(normalize("NFD", f"id,text,Fälle,Übelkeit\n1,{TEXT},p,HÄUFIG\n"))
    columns = normalize(form, "columns: {group: Fälle}")
    (tmp_path / "t.yaml").write_text(normalize(form, head) + f"data: {{path: {path}, {columns}}}\n")
    task = resolve(str(tmp_path / "t.yaml"))
    assert task.examples[0].gold == {"Übelkeit": "häufig"}
    assert task.examples[0].group == "p"
    assert task.prompt.guide("Übelkeit").look_for == ("übel",)


def test_a_task_in_python_in_any_form() -> None:
    fields = (LabelField(name=normalize("NFD", "Übelkeit"), values=("häufig", "keine")), FIELDS[1])
    example = Example(id="1", group="p", text=normalize("NFD", TEXT), gold={"Übelkeit": "häufig"})
    task = Task(name="t", fields=fields, examples=(example,))
    assert task.examples[0].text == TEXT
    answer = parse.answer("1", FIELDS, [Reply(("1", ("Übelkeit",)), '{"Übelkeit": "häufig"}')])
    assert scorers.score_answer(task.examples[0], answer, task.fields).score == 1.0


def test_labels_may_be_written_as_numbers_and_truth_values(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(
        "fields:\n  - {name: grade, values: [0, 1], meanings: {0: none}, default: 0}\n"
        "  - {name: known, values: [true, false]}\ndata: {path: n.csv}\n"
    )
    (tmp_path / "n.csv").write_text("id,text,grade,known\n1,a,1.0,True\n")
    task = resolve(str(tmp_path / "t.yaml"))
    assert task.examples[0].gold == {"grade": "1", "known": "true"}
    assert isinstance(task.fields[0], LabelField)
    assert (task.fields[0].default, task.fields[0].meanings) == ("0", {"0": "none"})


HALF = "\ud83d"
ROW = {"id": "n", "group": "p", "text": "Well.", "fever": "yes", "drugs": ["iron"]}


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"id": "n" + HALF}, "column 'id'"),
        ({"group": HALF}, "column 'group'"),
        ({"text": "a" + HALF}, "the text"),
        ({"fever": "yes" + HALF}, "a gold value"),
        ({"drugs": [HALF]}, "a gold value"),
        ({"x" + HALF: 1}, "a column's name"),
    ],
)
def test_half_a_character_is_one_line(tmp_path: Path, broken: dict[str, object], named: str) -> None:
    path = tmp_path / "n.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "id": "m", **broken}))
    fields = (LabelField(name="fever", values=("yes", "no")), ListField(name="drugs"))
    with pytest.raises(TaskError, match=f"line 2: half a character in {named}") as caught:
        data.load(data.Source(path=str(path)), fields)
    assert caught.value.exit_code == 2
    str(caught.value).encode("utf-8")


def test_half_a_character_in_a_task(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("id,text,fever\n1,a,yes\n")
    file = 'name: "{}"\nfields: [{{name: fever, values: ["yes", no]}}]\ndata: {{path: n.csv}}\n'
    (tmp_path / "t.yaml").write_text(file.format(r"a\ud83d"))
    with pytest.raises(TaskError, match="name: half a character"):
        taskfile.load(tmp_path / "t.yaml")
    (tmp_path / "t.yaml").write_text(file.format(r"\ud83d\ude42"))
    assert taskfile.load(tmp_path / "t.yaml").name == "🙂", "a pair is a character, as in JSON"
    field = LabelField(name="fever", values=("yes", "no"))
    for bad in (note(HALF, "p"), note("1", HALF), note("1", "p", HALF + "a")):
        with pytest.raises(TaskError, match="half a character"):
            Task(name="t", fields=(field,), examples=(bad,))
    with pytest.raises(TaskError, match="half a character"):
        Task(name="t", fields=(LabelField(name="fever", values=("yes", HALF)),))
