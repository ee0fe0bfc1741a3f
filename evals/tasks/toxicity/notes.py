"""Writes the synthetic notes: what each patient has at each visit, and how a note says so.

Owns the plan of a note (which symptom, said how, in which section), the text and the trace: for every
mention its place in the text, its slot, and whether it settles the label. The gold labels follow from
the trace. Words come from ``lexicon`` and ``frames``. Everything is drawn from one seeded generator
per patient, so the first patients of a larger corpus are those of a smaller one of the same seed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from preceptor.evals.tasks.toxicity import frames
from preceptor.evals.tasks.toxicity.lexicon import MISSPELT, SYMPTOMS, SYSTEMS, Symptom

SECTIONS = ("HPI", "PMH", "FHx", "ROS", "Exam", "A/P")
HEAD = (18, 15, 13, 10, 9)
"""Shares (in per cent) of the five usual forms of a symptom; the long tail shares the rest evenly."""

STEEP = 0.9
"""Steepness of the use of frames: frame k is drawn in proportion to (k + 1) ** -STEEP."""

_BY_NAME = {s.name: s for s in SYMPTOMS}
_SLOT = re.compile(r"\{(\w+)\}")
_MONTHS = ("Jan", "Feb", "March", "April", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec")

_WAYS: dict[str, tuple[tuple[str, float], ...]] = {
    "present": (("A", 38), ("say", 14), ("ROS.A", 14), ("A.plan", 8), ("N>A", 9)),
    "absent": (("N", 34), ("neg", 11), ("ROS.N", 20), ("R", 15), ("A>N", 9)),
    "unknown": (("", 70), ("H", 9), ("F", 6), ("C", 9), ("P", 6)),
}
_BESIDE = (("", 84), ("H", 6), ("F", 4), ("C", 6))


@dataclass(frozen=True)
class Mention:
    """One statement about one symptom: where it stands and what it says.

    Attributes:
        field: The symptom.
        slot: What is said (see ``frames``).
        surface: The words, as they stand in the note.
        start: Offset of ``surface`` in the text, in characters.
        sentence: The whole sentence.
        decides: Whether it settles the label.
    """

    field: str
    slot: str
    surface: str
    start: int
    sentence: str
    decides: bool = False

    @property
    def why(self) -> str:
        """What the sentence says, in a few words."""
        return frames.WHY[self.slot]


@dataclass(frozen=True)
class Note:
    """One visit of one patient."""

    patient: int
    visit: int
    text: str
    gold: dict[str, str]
    mentions: tuple[Mention, ...]


_Piece = tuple[str, str, str]
"""Text, and for a mention its field and slot (both empty for other text)."""


@dataclass
class _Author:
    """How the notes of one patient are written."""

    headings: dict[str, str]
    inline: bool
    subject: str
    sloppy: float
    age: int
    opening: str
    usual: dict[str, str] = field(default_factory=dict)
    ailments: list[list[_Piece]] = field(default_factory=list)


def corpus(seed: int, patients: int) -> list[Note]:
    """Return two notes for each of ``patients`` patients."""
    return [note for p in range(patients) for note in _patient(Random(f"{seed}/{p}"), p)]


def _patient(r: Random, patient: int) -> list[Note]:
    author = _Author(
        headings=r.choice(frames.HEADINGS),
        inline=r.random() < 0.5,
        subject=r.choice(("Pt", "He", "Patient")),
        sloppy=r.choice((0.04, 0.1, 0.3)),
        age=r.randint(56, 82),
        opening=r.choice(frames.OPENING),
    )
    author.opening = author.opening.replace("{rt}", r.choice(frames.RADIOTHERAPY))
    author.opening = author.opening.replace("{dx}", r.choice(frames.DIAGNOSES))
    ailments = r.sample(frames.FILLERS["PMH"], r.choice((2, 2, 3)))
    author.ailments = [_write(r, author, line, []) for line in ailments]
    first = {s.name: _label(r, s, 1.0) for s in SYMPTOMS}
    second = {s.name: first[s.name] if r.random() < 0.25 else _label(r, s, 0.9) for s in SYMPTOMS}
    return [_note(r, author, patient, 1, first, {}), _note(r, author, patient, 2, second, first)]


def _label(r: Random, symptom: Symptom, still: float) -> str:
    present, absent = symptom.rates[0] * still, symptom.rates[1] + symptom.rates[0] * (1 - still)
    x = r.random()
    return "present" if x < present else "absent" if x < present + absent else "unknown"


def _pick(r: Random, ways: Sequence[tuple[str, float]]) -> str:
    return r.choices([w for w, _ in ways], [n for _, n in ways])[0]


def _zipf(r: Random, items: Sequence[str], tail: float = STEEP) -> str:
    return r.choices(items, [(k + 1) ** -tail for k in range(len(items))])[0]


def _plan(r: Random, labels: dict[str, str], before: dict[str, str]) -> dict[str, list[str]]:
    """Return the symptoms to mention, by way of mentioning."""
    plan: dict[str, list[str]] = defaultdict(list)
    for name, label in labels.items():
        ways = list(_WAYS[label])
        if label == "present" and before:
            ways.append(("A.change", 16) if before[name] == "present" else ("A.new", 12))
        if label == "absent" and before.get(name) == "present":
            ways.append(("R.change", 30))
        way = _pick(r, ways)
        said = {
            "N>A": [r.choice(("N", "ROS.N")), "A.settle"],
            "A>N": [r.choice(("A", "ROS.A")), "N.settle"],
        }
        beside = _pick(r, _BESIDE) if label != "unknown" else ""
        for kind in [*said.get(way, [way]), beside]:
            if kind:
                plan[kind].append(name)
    for names in plan.values():
        r.shuffle(names)
    return plan


def _note(
    r: Random, author: _Author, patient: int, visit: int, labels: dict[str, str], before: dict[str, str]
) -> Note:
    plan = _plan(r, labels, before)
    body: dict[str, list[list[_Piece]]] = {s: [] for s in SECTIONS}
    body["ROS"] = _ros(r, author, plan)
    body["HPI"] = _history(r, author, plan)
    for kind in ("A.plan", "C", "P"):
        body["A/P"] += _sentences(r, author, kind, plan[kind])
    while plan["H"]:
        section = r.choice(("PMH", "HPI"))
        body[section] += _sentences(r, author, "H", [plan["H"].pop()])
    body["FHx"] = _sentences(r, author, "F", plan["F"])
    few = sum(len(names) for names in plan.values()) < 10
    body["PMH"] += author.ailments
    for section in ("HPI", "Exam", "A/P"):
        chosen = r.sample(frames.FILLERS[section], 3 if few else r.choice((2, 2, 3)))
        body[section] += [_write(r, author, line, []) for line in chosen]
    exam = [s for s in body["HPI"] if _on_skin(s) and r.random() < 0.6]
    body["HPI"] = [s for s in body["HPI"] if s not in exam]
    body["Exam"] += exam
    for section in SECTIONS:
        r.shuffle(body[section])
    opening = author.opening.replace("{when}", r.choice(frames.WHEN[visit]))
    body["HPI"].insert(0, [(opening.replace("{age}", str(author.age + visit - 1)), "", "")])
    for kind in ("A.settle", "N.settle"):
        body["A/P"] += _sentences(r, author, kind, plan[kind])
    text, mentions = _assemble(author, body)
    return Note(patient, visit, text, _gold(labels, mentions), tuple(mentions))


def _on_skin(sentence: list[_Piece]) -> bool:
    return len(sentence) == 1 and sentence[0][1:] in {("skin reaction", "A"), ("skin reaction", "N")}


def _history(r: Random, author: _Author, plan: dict[str, list[str]]) -> list[list[_Piece]]:
    out: list[list[_Piece]] = []
    for kind, slot in (("say", "A"), ("neg", "N")):
        for name in plan[kind]:
            pool = _BY_NAME[name].says if kind == "say" else _BY_NAME[name].negs
            out.append([(_fill(r, author, _zipf(r, pool, 0.5), ""), name, slot)])
    while plan["A"] and (plan["N"] or plan["R"]) and r.random() < 0.5:
        fits = [f for f in frames.FRAMES["AN"] if plan["R" if "{r}" in f else "N"]]
        out.append(_take(r, author, _zipf(r, fits), plan))
    for kind in ("A", "N", "R", "A.change", "A.new", "R.change"):
        out += _sentences(r, author, kind, plan[kind])
    return out


def _ros(r: Random, author: _Author, plan: dict[str, list[str]]) -> list[list[_Piece]]:
    out = []
    for system in SYSTEMS:
        here = {slot: [n for n in plan[f"ROS.{slot}"] if _BY_NAME[n].system == system] for slot in "AN"}
        head: _Piece = (f"{system}: ", "", "")
        if here["A"] and here["N"]:
            out.append([head, *_take(r, author, _zipf(r, frames.FRAMES["ROS"]), here, whole=True)])
            continue
        for slot, names in here.items():
            for sentence in _sentences(r, author, f"ROS.{slot}", names, whole=True):
                out.append([head, *sentence])
    return out


def _sentences(
    r: Random, author: _Author, kind: str, names: list[str], whole: bool = False
) -> list[list[_Piece]]:
    """Return sentences of one kind until all of ``names`` are said."""
    slot = kind[-1] if kind.startswith("ROS") else kind[0]
    left = {slot: list(names)}
    if kind == "N.settle":  # some of its frames say «denied», some «resolved»
        left["R"] = left["N"]
    out = []
    while left[slot]:
        out.append(_take(r, author, _zipf(r, frames.FRAMES[kind]), left, whole))
    return out


def _take(
    r: Random, author: _Author, frame: str, pools: dict[str, list[str]], whole: bool = False
) -> list[_Piece]:
    """Return one sentence; the symptoms that it says leave their pools."""
    said: list[tuple[str, list[str]]] = []
    for slot in _SLOT.findall(frame):
        if not frames.is_slot(slot):
            continue
        pool = pools[slot.upper()]
        many = len(pool) if whole else r.choice((1, 1, 2, 2, 3))
        count = min(many, len(pool)) if slot.isupper() else 1
        said.append((slot, [pool.pop() for _ in range(count)]))
    return _write(r, author, frame, said)


def _write(r: Random, author: _Author, frame: str, said: list[tuple[str, list[str]]]) -> list[_Piece]:
    """Fill a frame: symptoms into their slots, the rest with numbers, months, relatives."""
    queue = list(said)
    pieces: list[_Piece] = []
    about = said[0][1][0] if said else ""
    for i, part in enumerate(_SLOT.split(frame)):
        if i % 2 == 0:
            pieces.append((part, "", ""))
        elif queue and part == queue[0][0]:
            slot, names = queue.pop(0)
            pieces += _listed(r, author, slot.upper(), names)
        else:
            pieces.append((_fill(r, author, f"{{{part}}}", about), "", ""))
    pieces = [p for p in pieces if p[0]]
    text, name, slot = pieces[0]
    pieces[0] = (text[0].upper() + text[1:], name, slot)
    return pieces


def _listed(r: Random, author: _Author, slot: str, names: list[str]) -> list[_Piece]:
    last = " and " if slot == "A" else r.choice((" or ", " or ", " and ", ", "))
    slashed = r.random() < 0.15
    pieces: list[_Piece] = []
    for k, name in enumerate(names):
        if k:
            pieces.append(("/" if slashed else last if k == len(names) - 1 else ", ", "", ""))
        pieces.append((_surface(r, author, name), name, slot))
    return pieces


def _surface(r: Random, author: _Author, name: str) -> str:
    """Return words for a symptom; a patient's notes tend to use the same ones again."""
    form = author.usual.get(name, "")
    if not form or r.random() < 0.6:
        forms = _BY_NAME[name].forms
        rest = (100 - sum(HEAD)) / (len(forms) - len(HEAD))
        form = r.choices(forms, [*HEAD, *[rest] * (len(forms) - len(HEAD))])[0]
        author.usual[name] = form
    words = form.split()
    wrong = [i for i, word in enumerate(words) if word in MISSPELT]
    if wrong and r.random() < author.sloppy:
        i = r.choice(wrong)
        words[i] = r.choice(MISSPELT[words[i]])
    return " ".join(words)


def _fill(r: Random, author: _Author, text: str, about: str) -> str:
    def value(match: re.Match[str]) -> str:
        key = match[1]
        if key == "care":
            return r.choice(_BY_NAME[about].care)
        small = author.subject if match.start() == 0 and len(text) > 3 else author.subject.lower()
        return {
            "S": small,
            "k": str(r.randint(2, 5)),
            "m": str(r.randint(6, 9)),
            "mo": r.choice(_MONTHS),
            "y": str(r.randint(1998, 2019)),
            "rel": r.choice(frames.RELATIVES[: frames.MEN if "erect" in about else None]),
            "psa": f"{r.uniform(0.05, 1.9):.2f}",
            "ecog": r.choice("01"),
        }[key]

    return _SLOT.sub(value, text)


def _assemble(author: _Author, body: dict[str, list[list[_Piece]]]) -> tuple[str, list[Mention]]:
    """Return the text of a note and its mentions, offsets in characters."""
    out: list[str] = []
    mentions: list[Mention] = []
    at = 0
    for section in SECTIONS:
        if not body[section]:
            continue
        head = author.headings[section] + (": " if author.inline else ":\n")
        out.append(("\n" if out else "") + head)
        at += len(out[-1])
        for k, sentence in enumerate(body[section]):
            whole = "".join(text for text, _, _ in sentence)
            if k:
                out.append(" ")
                at += 1
            spot = at
            for text, name, slot in sentence:
                if name:
                    mentions.append(Mention(name, slot, text, spot, whole))
                spot += len(text)
            out.append(whole)
            at += len(whole)
    return "".join(out), _settle(mentions)


def _settle(mentions: list[Mention]) -> list[Mention]:
    """Mark the last statement about the patient now, per symptom."""
    last = {m.field: i for i, m in enumerate(mentions) if m.slot in frames.NOW}
    return [
        Mention(m.field, m.slot, m.surface, m.start, m.sentence, last.get(m.field) == i)
        for i, m in enumerate(mentions)
    ]


def _gold(labels: dict[str, str], mentions: Sequence[Mention]) -> dict[str, str]:
    """Return the labels that the trace gives: what the note says, not what was planned."""
    said = {m.field: frames.NOW[m.slot] for m in mentions if m.decides}
    return {name: said.get(name, "unknown") for name in labels}
