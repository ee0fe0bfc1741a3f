"""The redactor: what it finds, that pseudonyms are consistent, and that answers come back."""

from __future__ import annotations

import os
import re
import time
from datetime import date
from pathlib import Path

import pytest

from benchmarks import real_data
from benchmarks import redaction as benchmark
from benchmarks.redaction_notes import note
from preceptor.agents.redaction.redactor import Redactor
from tests.hostile.notes import NOTES

LETTER = """Sehr geehrte Frau Kollegin Brombach,
wir berichten über Herrn Torvald Eschenlohr (geb. am 4.11.1951), Fallnummer: 100482211,
wohnhaft Lindenstraße 14, 04103 Leipzig, Tel.: 0341/55512-88, der vom 03.02.2024 bis 17.02.2024
im Klinikum Großhadern lag. Herr Eschenlohr ist 93-jährig, sein Morbus Parkinson ist bekannt.
RR 120/80, Hb 9,8 g/dl, Kalium 4.2, 2000 ml Einfuhr, PTT 35 sec.
Gez. Dr. med. Adelinde Kranzfelder"""
NOTE = """Patient: Rosalind Hollingbrook  DOB: 03/14/1948  MRN: 4471182
Mrs. Hollingbrook lives at 212 Maple Street, Dunmore, PA 18512; call (570) 555-0142 or r.h@mail.example.com.
Seen March 3, 2024 at St. Brendan's Hospital by Dr. Ostrowski. Alzheimer disease in her mother.
BP 128/76, WBC 11.2, strength 5/5, pain 4/10. Follow-up 03/17/2024. HOLLINGBROOK agrees."""
GONE = {
    LETTER: ("Brombach", "Torvald", "Eschenlohr", "4.11.1951", "100482211", "Lindenstraße", "04103", "Leipzig",
             "55512", "03.02.2024", "Großhadern", "93-", "Kranzfelder"),
    NOTE: ("Rosalind", "ollingbrook", "HOLLINGBROOK", "03/14/1948", "4471182", "Maple", "Dunmore", "18512", "0142",
           "mail.example", "March 3", "Brendan", "Ostrowski", "03/17"),
}  # fmt: skip
KEPT = {
    LETTER: ("Morbus Parkinson", "RR 120/80", "Hb 9,8", "Kalium 4.2", "2000 ml", "PTT 35 sec", "Sehr geehrte Frau"),
    NOTE: ("BP 128/76", "WBC 11.2", "strength 5/5", "pain 4/10", "Alzheimer disease", "Patient:", "Mrs. "),
}  # fmt: skip


@pytest.mark.parametrize("text", [LETTER, NOTE], ids=["German", "English"])
def test_identifiers_go_and_findings_stay(text: str) -> None:
    out = Redactor().redact(text)
    assert [word for word in GONE[text] if word in out] == []
    assert [words for words in KEPT[text] if words not in out] == []
    assert out.count("\n") == text.count("\n")


@pytest.mark.parametrize("text", [LETTER, NOTE], ids=["German", "English"])
def test_what_was_put_in_comes_back(text: str) -> None:
    redactor = Redactor()
    back = redactor.restore(redactor.redact(text))
    assert back == text.replace("93-", "90-")


def test_one_surface_has_one_pseudonym_in_every_text_and_form() -> None:
    redactor = Redactor()
    one, two = redactor.redact(NOTE), redactor.redact("Told Hollingbrook's son. Ms Hollingbrook left.")
    (name,) = re.findall(r"Mrs\. (\w+) lives", one)
    assert two == f"Told {name}'s son. Ms {name} left."
    assert name.upper() in one
    assert (
        redactor.restore(f"look for {name.lower()} and {name}'s")
        == "look for Hollingbrook and Hollingbrook's"
    )


def test_intervals_between_dates_stay() -> None:
    out = Redactor().redact(LETTER)
    days = [date(int(y), int(m), int(d)) for d, m, y in re.findall(r"(\d\d)\.(\d\d)\.(\d{4})", out)]
    assert (days[-1] - days[-2]).days == 14
    assert days[-2] != date(2024, 2, 3)


def test_another_run_has_other_pseudonyms_and_the_same_run_the_same(tmp_path: Path) -> None:
    path = tmp_path / "pseudonyms.jsonl"
    first = Redactor(path).redact(NOTE)
    again = Redactor(path)
    assert again.restore(first) == NOTE
    assert again.redact(NOTE) == first
    assert Redactor().redact(NOTE) != first


def test_the_map_is_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        Redactor(tmp_path / "pseudonyms.jsonl").redact(NOTE)
    finally:
        os.umask(old)
    assert (tmp_path / "pseudonyms.jsonl").stat().st_mode & 0o777 == 0o600


def test_names_learnt_from_whole_notes_are_known_in_excerpts() -> None:
    redactor = Redactor()
    excerpt = "… Eschenlohr was seen again …"
    assert redactor.redact(excerpt) == excerpt
    redactor.learn([LETTER], ids=["pat-00417", "n1"])
    assert "Eschenlohr" not in redactor.redact(excerpt)
    assert "pat-00417" not in redactor.redact("note pat-00417, note n1: gold yes")
    assert "note n1" in redactor.redact("note pat-00417, note n1: gold yes")


def test_fields_and_labels_are_kept() -> None:
    redactor = Redactor(keep=["Rose spots"])
    redactor.learn(["Mrs. Rose was seen."])
    assert redactor.redact("Field: Rose") == "Field: Rose"


def test_long_texts_do_not_take_for_ever() -> None:
    began = time.monotonic()
    for text in ("A " * 20_000, "1." * 20_000, "Dr. " * 10_000, "a" * 50_000, NOTES["combining"]):
        Redactor().redact(text)
    # Quadratic rules would take minutes.
    assert time.monotonic() - began < 60


def test_generated_notes_lose_what_was_planted() -> None:
    made = benchmark.count([note(seed) for seed in range(1000, 1040)], benchmark.ours)
    assert sum(made.found.values()) >= 0.97 * sum(made.all.values())
    assert made.right >= 0.97 * made.finds


@pytest.mark.skipif(bool(real_data.missing("grascco_phi")), reason=real_data.missing("grascco_phi"))
def test_german_letters_lose_most_of_what_is_annotated() -> None:
    letters = benchmark.grascco(real_data.folder() / "grascco_phi", 1)
    made = benchmark.count(letters, benchmark.ours)
    assert sum(made.found.values()) >= 0.9 * sum(made.all.values())
    assert made.right >= 0.95 * made.finds
