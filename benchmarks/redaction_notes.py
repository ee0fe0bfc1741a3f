"""Generated English notes with planted identifiers, for ``redaction.py``: every plant's place is known.

Names, places and wordings are made up here, apart from the lists that the redactor ships; half of the
first names and none of the surnames stand in those.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Planted = tuple[str, list[tuple[int, int, str]]]
"""A note and (start, end, kind) of what identifies somebody in it."""

FIRST = (
    "Margaret Walter Susan Kenneth Diane Raymond Joyce Gerald Tamika Declan Oluwaseun Xiomara Thandiwe "
    "Bronwyn Quinlan Zoraida Aurelio Marguerite Keisha Ignatius Wren Delphine Bartholomew Saoirse"
).split()
LAST = (
    "Abernathy Okonkwo Delacroix Whitcombe Petrakis Yoshimura Brannigan Szczepanski Oyelaran Thistlewood "
    "Marchetti Dunleavy Kowalczyk Hargreaves Iwasaki Castellanos Rutherford McAllister O'Shaughnessy "
    "Fitzgerald-Moore Lindqvist Achterberg Nwosu Prendergast"
).split()
STREET = "Maple Elmwood Harrington Juniper Old Mill Crestview Wexford Larkspur".split()
CITY = "Dunmore Elkhart Tiverton Oxnard Yakima Bangor".split()
HOSPITAL = (
    "St. Brendan's Hospital", "Whitmore General Hospital", "Lakeview Medical Center",
    "Mount Carver Clinic", "Ridgeway Cancer Center", "University of Dunmore Medical Center",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip

LINES = (
    "Patient: {name}   DOB: {date}   MRN: {id}",
    "{name} is a {old}-year-old retired teacher seen on {date} for follow-up.",
    "Mr. {last} reports chest pain since {date}. No fever, no chills.",
    "Mrs. {last} denies nausea. Pain 4/10, strength 5/5, BP 128/76.",
    "Ms. {last}'s daughter, {name}, was called at {phone}.",
    "Her husband {first} drove her in and can be reached at {phone}.",
    "Referred by Dr. {name}, {hospital}.",
    "Discussed with Dr. {last} on {date}; she agrees with the plan.",
    "Transferred from {hospital} on {date} after a fall at home.",
    "Lives at {address} with two cats.",
    "Home address: {address}, {town}, {state} {zip}. Phone: {phone}.",
    "E-mail for results: {email}. Insurance ID: {id}.",
    "SSN {ssn} verified at the desk. Account number {id}.",
    "Signed by {name}, MD on {date}.",
    "{name}, RN, gave the first dose without reaction.",
    "cc: {name}, MD, fax {phone}",
    "The patient moved here from {town} in {month} {year}.",
    "Mother died at {old} of heart failure; a brother is well.",
    "Specimen {id} showed adenocarcinoma, 3 of 15 nodes positive.",
    "{first} feels better and wants to go home.",
    "Seen in room {ward}; next visit {date}.",
)
PLAIN = (
    "White count 11.2, hemoglobin 9.8 g/dL, platelets 210,000.",
    "Continue metoprolol 25 mg twice daily and aspirin 81 mg.",
    "Alzheimer disease and Parkinson disease run in the family.",
    "Barrett esophagus on biopsy; Gleason 3+4; Child-Pugh A.",
    "CT abdomen without contrast shows no free air.",
    "Assessment and Plan: stable, continue present care.",
    "Denies tobacco; drinks one glass of wine a week.",
    "Follow up in 6 weeks with labs 2 days before.",
    "He may resume driving. Will call with results.",
    "Grade 2 neuropathy in both hands, worse in the cold.",
)


def note(seed: int) -> Planted:
    """Return one note of 8 to 12 lines."""
    r = Random(seed)
    name = r.choice(FIRST), r.choice(LAST)
    lines = [LINES[0], *r.sample(LINES[1:], r.randint(5, 7)), *r.sample(PLAIN, r.randint(2, 4))]
    text, planted = "", []
    for i, line in enumerate(lines):
        for piece in _pieces(line):
            if piece.startswith("{"):
                kind = piece[1:-1]
                value = _value(r, kind, name if i == 0 or kind in ("last", "first") else None)
                if kind != "state" and (kind != "old" or int(value) > 89):
                    planted.append((len(text), len(text) + len(value), _KIND.get(kind, kind)))
                text += value
            else:
                text += piece
        text += "\n"
    return text, planted


_KIND = {"first": "name", "last": "name", "old": "age", "town": "city", "month": "date", "year": "date",
         "address": "street", "ssn": "id"}  # fmt: skip


def _pieces(line: str) -> list[str]:
    out = []
    for part in line.split("{"):
        inner, brace, rest = part.partition("}")
        out += ["{" + inner + "}", rest] if brace else [part]
    return out


def _value(r: Random, kind: str, name: tuple[str, str] | None) -> str:
    first, last = name or (r.choice(FIRST), r.choice(LAST))
    day, month, year = r.randint(1, 28), r.randint(1, 12), r.randint(1931, 2026)
    made: dict[str, Callable[[], str]] = {
        "name": lambda: r.choice((f"{first} {last}", f"{first} {r.choice('ABCDEFGHJKL')}. {last}")),
        "first": lambda: first,
        "last": lambda: last,
        "date": lambda: r.choice(
            (
                f"{month:02d}/{day:02d}/{year}",
                f"{month}/{day}/{year % 100:02d}",
                f"{year}-{month:02d}-{day:02d}",
                f"{MONTHS[month - 1]} {day}, {year}",
                f"{day} {MONTHS[month - 1][:3]} {year}",
            )
        ),
        "month": lambda: MONTHS[month - 1],
        "year": lambda: str(year),
        "id": lambda: r.choice(
            (
                f"{r.randint(10**6, 10**8)}",
                f"{r.choice('ABKM')}{r.randint(10**5, 10**7)}",
                f"{r.randint(10, 99)}-{r.randint(10**5, 10**6)}",
            )
        ),
        "ssn": lambda: f"{r.randint(100, 899)}-{r.randint(10, 99)}-{r.randint(1000, 9999)}",
        "phone": lambda: r.choice(
            (
                f"({r.randint(201, 989)}) {r.randint(200, 999)}-{r.randint(1000, 9999)}",
                f"{r.randint(201, 989)}-{r.randint(200, 999)}-{r.randint(1000, 9999)}",
                f"{r.randint(201, 989)}.{r.randint(200, 999)}.{r.randint(1000, 9999)}",
            )
        ),
        "email": lambda: f"{first}.{last.replace(chr(39), '')}@example.com".lower(),
        "address": lambda: (
            f"{r.randint(2, 9999)} {r.choice(STREET)} {r.choice(('Street', 'Ave', 'Road', 'Lane', 'Dr.'))}"
        ),
        "state": lambda: r.choice(("PA", "IN", "RI", "CA", "WA", "ME")),
        "town": lambda: r.choice(CITY),
        "zip": lambda: f"{r.randint(10000, 99999)}",
        "hospital": lambda: r.choice(HOSPITAL),
        "ward": lambda: f"{r.choice('ABCE')}{r.randint(100, 599)}",
        "old": lambda: str(r.choice((34, 58, 72, 81, 92, 97, 101))),
    }
    return made[kind]()
