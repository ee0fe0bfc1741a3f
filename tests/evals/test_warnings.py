"""What ``tasks check`` warns of: few lines, the worst first, the same for many fields in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Example, Gold
from preceptor.evals import check, warnings
from preceptor.evals.task import Task

Captured = pytest.CaptureFixture[str]


def task(fields: int, notes: int = 60, twins: bool = False) -> Task:
    named = tuple(LabelField(name=f"f{k}", values=("yes", "no", "odd")) for k in range(fields))
    examples = [
        Example(
            id=f"n{i}",
            group=f"n{i}",
            text=f"Note {i // 2 if twins else i} of many words that say {i // 2 if twins else i} a lot",
            gold={f.name: ("yes", "no")[(i + k) % 2] for k, f in enumerate(named)},
        )
        for i in range(notes)
    ]
    return Task(name="t", fields=named, examples=tuple(examples))


def test_the_worst_comes_first() -> None:
    lines = check.check(task(2, 40, twins=True)).warnings
    starts = ["near-duplicates stand in", "dev has 12 groups", "duplicates have contradictory gold"]
    assert all(said in line for said, line in zip(starts, lines, strict=False))
    assert [line.split()[0] for line in lines[-3:]] == ["train", "dev", "test"]


def test_many_fields_are_one_line_and_all_of_it_is_to_be_had() -> None:
    found = check.check(task(20))
    rare = [line for line in check.text(found).splitlines() if "few examples" in line]
    assert len(rare) == 3
    assert rare[0] == (
        "warning: train has few examples of 'f0' odd (0), 'f1' odd (0), 'f2' odd (0), "
        "'f3' odd (0), 16 more"
    )
    assert "'f19' odd (0)" in check.text(found, everything=True)
    assert all("'f19' odd (0)" in line for line in found.warnings)


def test_lines_are_counted_where_there_are_more_than_ten() -> None:
    lines = [f"line {i}" for i in range(25)]
    assert warnings.shorten(lines) == [*lines[:9], "and 16 more: --all"]
    assert warnings.shorten(lines, everything=True) == lines
    assert warnings.shorten(lines[:10]) == lines[:10]


def test_duplicates_with_other_gold_are_named() -> None:
    plain = task(1)
    first, second, *rest = plain.examples
    copy = second.model_copy(update={"text": first.text.upper()})
    found = check.check(plain.model_copy(update={"examples": (first, copy, *rest)}))
    assert found.contradictory == (("n0", "n1"),)
    assert "1 duplicates have contradictory gold, correct it: n0 and n1" in found.warnings
    agreed = copy.model_copy(update={"gold": first.gold})
    found = check.check(plain.model_copy(update={"examples": (first, agreed, *rest)}))
    assert found.contradictory == ()
    assert not [line for line in found.warnings if "gold" in line]


def test_nearly_the_same_text_may_well_have_other_gold() -> None:
    plain = task(1)
    long = "the patient walks with a cane and a dog through the yard of the old house every day {}"
    a, b, *rest = plain.examples
    near = [
        a.model_copy(update={"text": long.format("x")}),
        b.model_copy(update={"text": long.format("y")}),
    ]
    found = check.check(plain.model_copy(update={"examples": (*near, *rest)}))
    assert found.contradictory == ()
    assert "1 near-duplicates have different gold, look at: n0 and n1" in found.warnings


def test_remarks_of_new_are_cut_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    fields = [f"l{k}" for k in range(14)]
    cells = [",".join([cell] * 14) for cell in ("a;b", "a", "", "b")]
    lines = [f"A note about a man on the ward under number {i}.,{cells[i % 4]}" for i in range(40)]
    Path("n.csv").write_text("\n".join(["text," + ",".join(fields), *lines]), "utf-8")
    assert main(["tasks", "new", "one", "--from", "n.csv"]) == 0
    said = capsys.readouterr().out
    assert said.count("note: ") == 10
    assert "note: and 19 more: --all" in said
    assert main(["tasks", "new", "two", "--from", "n.csv", "--all"]) == 0
    assert capsys.readouterr().out.count("note: ") == 28


def test_a_list_that_is_never_empty_beside_rows_without_a_value_is_warned_of() -> None:
    def lists(blank: Gold) -> Task:
        some: Gold = {"aids": ["cane"]}
        notes = [
            Example(
                id=f"n{i}",
                group=f"p{i}",
                text=f"Note {i} about something else",
                gold={"pain": "yes", **(some if i % 3 else blank)},
            )
            for i in range(60)
        ]
        fields = (LabelField(name="pain", values=("yes", "no")), ListField(name="aids"))
        return Task(name="t", fields=fields, examples=tuple(notes))

    line = "field 'aids': no list is empty, but 20 examples have no value and are not scored there"
    assert any(w.startswith(line) for w in check.check(lists({})).warnings)
    assert not any("no list is empty" in w for w in check.check(lists({"aids": []})).warnings)


def test_a_field_of_many_labels_is_a_readable_line_and_all_of_them_are_to_be_had() -> None:
    labels = tuple(f"intent{k}" for k in range(77))
    examples = tuple(
        Example(id=f"n{i}", group=f"n{i}", text=f"Question {i}", gold={"intent": labels[i * i % 77]})
        for i in range(200)
    )
    many = Task(name="t", fields=(LabelField(name="intent", values=labels),), examples=examples)
    found = check.check(many)
    brief, whole = check.text(found), check.text(found, everything=True)
    assert max(map(len, brief.splitlines())) < 300
    assert "and 65 rarer ones: --all" in brief
    assert "more labels" in brief
    assert all(f"{label} " in whole for label in labels)
    assert "--all" not in whole
