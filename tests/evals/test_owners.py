"""Whose note a row is: told by the name of a column, or by its values."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from preceptor.evals import check, draft, others, owners, taskfile

KNOWN = {
    owners.PERSON: (
        "person_id person_source_value patient patient_num patientID PatientenNr. Patienten-Nr. "
        "subject_id subject.reference mrn USUBJID IPP id_patient N°_patient id_paciente paziente_id "
        "NHC participant_id DESYNPUF_ID group versichertennummer teilnehmer_id"
    ),
    owners.CASE: "hadm_id encounter_num visit_occurrence_id Fallnummer case_id stay_id id_sejour",
    owners.DOCUMENT: "source doc doi pmid file source_file article_id dokument_id url",
    None: (
        "sex patient_age patient_sex department note_date author note_id text ward person_count fallen "
        "document_type Versicherung cases_total filesize"
    ),
}


@pytest.mark.parametrize("level", KNOWN, ids=str)
def test_names_of_owners(level: int | None) -> None:
    assert {name: owners.level(name) for name in KNOWN[level].split()} == dict.fromkeys(
        KNOWN[level].split(), level
    )


TEXT = (
    "Visit {i}: the person of street {p} walks with a cane in the yard of house {p} and lives with "
    "cat {p} and dog {p} without news."
)


def rows(column: str, values: list[str], path: Path) -> Path:
    """Write 120 rows of 40 persons, whose texts are alike, with one more column."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["note_id", "text", "fall", column])
        for i in range(120):
            said = TEXT.format(i=i, p=i // 3)
            out.writerow([i, said, ("yes", "no")[i * 7 % 5 % 2], values[i]])
    return path


def shuffled(values: list[str]) -> list[str]:
    random.Random(7).shuffle(values)
    return values


OWNERS = {
    "person_id": [str(5000 + i // 3) for i in range(120)],
    "hadm_id": [f"h{i // 2}" for i in range(120)],
    "source": [f"letter {i // 3}.docx" for i in range(120)],
    "Kürzel": [f"K{i // 3:03}" for i in range(120)],
    "who": [str(70_000 + i // 3) for i in range(120)],
}
NONE = {
    "sex": ["f" if i % 2 else "m" for i in range(120)],
    "department": shuffled([f"department {i % 30}" for i in range(120)]),
    "source": ["web" if i % 3 else "fax" for i in range(120)],
    "age": [str(40 + i // 3) for i in range(120)],
    "measured": [str(61.5 + i // 3) for i in range(120)],
    "seen": [f"2024-01-{1 + i // 5:02}" for i in range(120)],
    "author": [f"Dr {i // 3}" for i in range(120)],
    "remark": shuffled([f"R{i % 40}" for i in range(120)]),
    "case": [("mild", "severe", "none")[i % 3] for i in range(120)],
}


@pytest.mark.parametrize("column", OWNERS)
def test_an_owner_is_proposed(column: str, tmp_path: Path) -> None:
    _, found = draft.write("it", rows(column, OWNERS[column], tmp_path / "n.csv"), tmp_path)
    assert found.group == column
    assert found.owners == f"{len(set(OWNERS[column]))} values in 120 rows"
    why = "its name says so" if owners.level(column) else "rows of one value stand together"
    told = [f"{column!r} is taken as the group ({found.owners}): {why}"]
    assert [*found.remarks] == ([] if column == "person_id" else told)


@pytest.mark.parametrize("column", NONE)
def test_a_description_is_no_owner(column: str, tmp_path: Path) -> None:
    file, found = draft.write("it", rows(column, NONE[column], tmp_path / "n.csv"), tmp_path)
    assert found.group is None
    task = taskfile.load(file)
    group, unused = others.unused(file, task)
    assert not [w for w in check.check(task, 0, group, unused).warnings if "column" in w]


def test_rows_of_one_value_with_similar_texts_have_an_owner(tmp_path: Path) -> None:
    path = rows("who", OWNERS["who"], tmp_path / "n.csv")
    head, *lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([head, *shuffled(lines)]) + "\n", "utf-8")
    found = draft.draft(path)
    assert found.group == "who"
    assert found.remarks[0].endswith("rows of one value have similar texts")


def checked(path: Path, column: str) -> list[str]:
    """Return the warnings about a task that does not use one column."""
    file, _ = draft.write("it", path, path.parent)
    said = file.read_text("utf-8").replace(f"group: {column}", "group: null")
    file.write_text(said, "utf-8")
    task = taskfile.load(file)
    return list(check.check(task, None, *others.unused(file, task)).warnings)


@pytest.mark.parametrize("column", OWNERS)
def test_an_unused_owner_on_both_sides_is_warned_of(column: str, tmp_path: Path) -> None:
    path = rows(column, OWNERS[column], tmp_path / "n.csv")
    worst = checked(path, column)[:2]
    about = next(w for w in worst if w.startswith(f"column {column!r} is not used"))
    assert f"of its {len(set(OWNERS[column]))} values stand in more than one part" in about
    assert f"say 'group: {column}' under columns" in about


def test_what_is_finer_than_the_group_is_not_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    lines = [
        f"{i},p{i // 4},v{i // 2},f{i % 30}.txt,{TEXT.format(i=i, p=i)},{('yes', 'no')[i % 2]}"
        for i in range(120)
    ]
    path.write_text("\n".join(["id,patient,visit_id,file,text,fall", *lines]), "utf-8")
    file, found = draft.write("it", path, tmp_path)
    assert found.group == "patient"
    task = taskfile.load(file)
    warned = check.check(task, None, *others.unused(file, task)).warnings
    assert not [w for w in warned if w.startswith("column")]
    file.write_text(file.read_text("utf-8").replace("group: patient", "group: visit_id"), "utf-8")
    task = taskfile.load(file)
    assert "column 'patient' is not used" in "".join(
        check.check(task, None, *others.unused(file, task)).warnings
    )


def test_columns_that_belong_together_are_proposed_as_one_text(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    lines = [
        f"{i},Title number {i},{TEXT.format(i=i, p=i)},{('yes', 'no')[i % 2]},x" for i in range(30)
    ]
    path.write_text("\n".join(["id,title,body,fall,question", *lines]), "utf-8")
    remarks = draft.draft(path).remarks
    said = [r for r in remarks if "text:" in r]
    assert said == [
        "several columns hold text; to read them as one note, "
        r'say text: "{title}\n{body}" under columns'
    ]
