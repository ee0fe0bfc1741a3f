"""Which column says whose note a row is: the patient, the case, the document.

Rows of one owner must not stand on both sides of a split. Owns how such a column is told: by its name
(OMOP, i2b2, MIMIC, FHIR and CDISC, registries; English, German, French, Spanish, Italian), or by its
values: many distinct ones that repeat, in rows that stand together or have similar texts. Never takes a
column of labels (``sex``, ``department``) for one. Leaves what to do about it to ``evals.draft`` and
``evals.check``.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from preceptor.core.record import Record
from preceptor.evals import cells as cells_
from preceptor.evals.cells import Table
from preceptor.evals.duplicates import shingles

PERSON, CASE, DOCUMENT, BEHAVIOUR = 1, 2, 3, 4
"""How coarse an owner is; a person has cases, a case has documents."""

_PERSONS = (
    "patient patients patienten patientin patientinnen person persons personne persona sujet "
    "sujeto subject subj usubj participant participants teilnehmer proband probanden probandin "
    "individual paciente pacientes paziente pazienti client member beneficiary bene desynpuf pat "
    "pt mrn medicalrecord healthrecord empi nhc ipp nip kvnr versicherten versicherter "
    "krankenakte historia historiaclinica dossier prontuario child twin donor user pid"
).split()
_CASES = (
    "case fall cas caso encounter enc visit visitoccurrence visitdetail hadm icustay stay csn "
    "admission aufnahme aufenthalt behandlungsfall sejour episode episodio ricovero ingreso tumor "
    "hospitalization"
).split()
_DOCUMENTS = (
    "source quelle fuente doc docs document dokument documento doi pmid pmc pmcid file datei "
    "fichier archivo filename filepath article artikel artigo articulo abstract paper study "
    "thread conversation dialog dialogue session url book chapter transcript"
).split()
_AFFIXES = (
    "id ids nr num number no nummer numero n key code hash hashed uid uuid guid sid sk identifier "
    "ident identificador identifiant identificativo kennung kennzeichen ref reference source "
    "value src name de du del la le el des pseudo pseudonym anon deid research record original "
    "parent clinica clinico"
).split()
_OTHERS = frozenset(
    (
        "sex gender geschlecht sexe sexo age alter edad eta date datum fecha data time zeit hora "
        "uhrzeit year jahr annee ano month monat mois mes day tag ward station department dept "
        "abteilung service servicio unit klinik clinic hospital site type typ tipo title titel titre "
        "category kategorie categorie categoria specialty fach status author autor auteur physician "
        "doctor arzt medico provider zip plz city ort country land language sprache langue version "
        "score count length weight gewicht height grosse room zimmer bed bett icd code diagnosis "
        "diagnose race ethnicity"
    ).split()
)
"""Words in the names of columns that describe a row and own none."""

_LEAST_VALUES, _MOST_ROWS_EACH = 13, 12
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?\b.*|\d\d?[./]\d\d?[./]\d{2,4}\b.*")
_SAMPLE = 200


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    affix = f"(?:{'|'.join(_AFFIXES)}){{0,3}}"
    return re.compile(f"{affix}(?:{'|'.join(words)}){affix}")


_NAMES = {level: _pattern(words) for level, words in enumerate((_PERSONS, _CASES, _DOCUMENTS), 1)}
_BARE = frozenset(
    "fall case cas caso visit stay source quelle fuente doc docs file user child study session book "
    "url subject person member client abstract dossier historia".split()
)
"""Names that say something else as often: the values must speak for them."""


class Owner(Record):
    """A column that seems to say whose note a row is.

    Attributes:
        column: The column.
        level: How coarse: 1 a person, 2 a case, 3 a document, 4 told by its values only.
        values: How many different ones.
        rows: How many rows have one.
        why: What speaks for it.
    """

    column: str
    level: int
    values: int
    rows: int
    why: str

    def counts(self) -> str:
        """Return its counts in words."""
        return f"{self.values} values in {self.rows} rows"


def level(column: str) -> int | None:
    """Return what a column's name says that it owns, None if it says nothing."""
    short = cells_.folded(column).replace("_", "")
    if short in ("group", "groupid"):
        return PERSON
    return next((found for found, pattern in _NAMES.items() if pattern.fullmatch(short)), None)


def find(columns: Table, texts: Sequence[str]) -> list[Owner]:
    """Return the columns that seem to be owners, the coarsest first.

    Args:
        columns: The columns to look at.
        texts: The notes, to compare those that have a value in common.
    """
    found = [owner for c, cells in columns.items() if (owner := judge(c, cells, texts))]
    return sorted(found, key=lambda o: (o.level, cells_.folded(o.column) != "group"))


def judge(column: str, cells: Sequence[str], texts: Sequence[str]) -> Owner | None:
    """Return what speaks for a column as an owner, None if too little does."""
    counts = Counter(cell.strip() for cell in cells if cell.strip())
    if len(counts) < 2:
        return None
    said = level(column)
    if said is None:
        why = _behaves(column, cells, counts, texts)
        rank = BEHAVIOUR
    else:
        why, rank = "its name says so", said
        if not _may_own(column, counts, said):
            return None
    if why is None:
        return None
    return Owner(column=column, level=rank, values=len(counts), rows=counts.total(), why=why)


def _may_own(column: str, counts: Counter[str], said: int) -> bool:
    """Return whether the values do not speak against the name: «fall: yes, no», «source: web»."""
    if max(map(len, counts)) > 200:
        return False
    short = cells_.folded(column)
    if short == "group":
        return True
    if len(counts) <= cells_.MOST_LABELS and (said != PERSON or short in _BARE):
        return counts.total() <= 4 * len(counts) and any(map(_has_digit, counts))
    return len(counts) > 2 and not (said == DOCUMENT and counts.total() == len(counts))


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _behaves(
    column: str, cells: Sequence[str], counts: Counter[str], texts: Sequence[str]
) -> str | None:
    """Return what speaks for a column whose name says nothing, None if too little does."""
    rows, values = counts.total(), len(counts)
    words = set(re.split(r"_|(?<=[a-z])(?=[A-Z])", cells_.folded(column)))
    if words & _OTHERS or rows < 0.9 * len(cells) or values < _LEAST_VALUES:
        return None
    repeated = sum(n for n in counts.values() if n > 1)
    if repeated < rows / 3 or rows > _MOST_ROWS_EACH * values or max(counts.values()) > rows / 5:
        return None
    if _is_measure(list(counts)) or max(map(len, counts)) > cells_.MOST_LABEL_CHARS:
        return None
    runs = 1 + sum(a != b for a, b in itertools.pairwise(cells))
    if runs <= 1.1 * values:
        return "rows of one value stand together"
    within, between = _likeness(cells, texts)
    if within >= 2 * between + 0.05:
        return "rows of one value have similar texts"
    return None


def _is_measure(values: Sequence[str]) -> bool:
    """Return whether values are dates, or numbers of the size of ages and weights."""
    if all(map(_DATE.fullmatch, values)):
        return True
    try:
        numbers = [float(value.replace(",", ".")) for value in values]
    except ValueError:
        return False
    return any(n != int(n) for n in numbers if abs(n) < 1e15) or max(map(abs, numbers)) <= 250


def _likeness(cells: Sequence[str], texts: Sequence[str]) -> tuple[float, float]:
    """Return how alike texts of one value are, and texts of two: means of Jaccard similarities."""
    places: dict[str, list[int]] = defaultdict(list)
    for i, cell in enumerate(cells):
        if cell.strip():
            places[cell.strip()].append(i)
    same = [pair for at in places.values() for pair in itertools.pairwise(at)][:_SAMPLE]
    step = len(cells) // 2 or 1
    other = [
        (i, (i + step) % len(cells))
        for i in range(len(cells))
        if cells[i] != cells[(i + step) % len(cells)]
    ][:_SAMPLE]
    return _mean(same, texts), _mean(other, texts)


def _mean(pairs: Sequence[tuple[int, int]], texts: Sequence[str]) -> float:
    total = 0.0
    for i, j in pairs:
        a, b = shingles(texts[i]), shingles(texts[j])
        total += len(a & b) / len(a | b)
    return total / len(pairs) if pairs else 0.0
