"""How much of what identifies persons the redactor finds: ``docs/results/redaction.md``.

    PRECEPTOR_DATA=DIR python -m benchmarks.redaction > docs/results/redaction.md

German: GraSCCo with its annotation of protected health information (CC BY 4.0), from
``$PRECEPTOR_DATA/grascco_phi``. Letters are split in halves by the hash of their name; the rules were
written with the first half in view, the second was only counted. English: generated notes.
With ``--presidio`` Presidio's recognisers are measured on the same texts.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import real_data
from benchmarks.redaction_notes import Planted, note
from preceptor.agents.redaction.redactor import Redactor

Spans = list[tuple[int, int]]
Finder = Callable[[str], Spans]

GROUPS = {
    "names": ("NAME_PATIENT", "NAME_DOCTOR", "NAME_RELATIVE", "NAME_EXT", "NAME_USERNAME", "name"),
    "dates": ("DATE", "date"),
    "phone, fax, e-mail": ("CONTACT_PHONE", "CONTACT_FAX", "CONTACT_EMAIL", "phone", "email"),
    "street, postal code, city": (
        "LOCATION_STREET",
        "LOCATION_ZIP",
        "LOCATION_CITY",
        "street",
        "zip",
        "city",
    ),
    "hospitals": ("LOCATION_HOSPITAL", "LOCATION_ORGANIZATION", "hospital"),
    "numbers of patients, cases, wards": ("ID", "id", "ward"),
    "ages over 89": ("age",),
}
"""What is to be found; the annotation's titles, professions, countries and younger ages are not."""

PARTICLES = frozenset("von van der den de dos da del di zu".split())
NOTES = 300


@dataclass
class Count:
    """Found and all per group; finds that hit something annotated, and all."""

    found: Counter[str] = field(default_factory=Counter)
    all: Counter[str] = field(default_factory=Counter)
    right: int = 0
    finds: int = 0


def wilson(k: int, n: int) -> str:
    """Return ``0.95 [0.93, 0.97]``, Wilson's 95 % interval; spans count as independent."""
    if not n:
        return "-"
    z = 1.959964
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{p:.3f} [{max(0.0, centre - half):.3f}, {min(1.0, centre + half):.3f}]"


def grascco(folder: Path, half: int) -> list[Planted]:
    """Return the letters of one half with their annotations."""
    out = []
    for path in sorted(folder.rglob("*_phi.json")):
        name = path.name.split(".")[0]
        if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 != half:
            continue
        features = json.loads(path.read_text("utf-8"))["%FEATURE_STRUCTURES"]
        text = next(f["sofaString"] for f in features if f["%TYPE"] == "uima.cas.Sofa")
        spans = [
            (f.get("begin", 0), f["end"], f.get("kind") or "")
            for f in features
            if f["%TYPE"].endswith(".PHI")
        ]
        old = [
            (a, b, "age" if k == "AGE" and text[a:b].isdigit() and int(text[a:b]) > 89 else k)
            for a, b, k in spans
        ]
        out.append((text, sorted(old)))
    return out


def ours(text: str) -> Spans:
    """Find with this project's rules, knowing nothing but the one note."""
    redactor = Redactor()
    redactor.learn([text])
    return [(f.start, f.end) for f in redactor.spans(text)]


def presidio(language: str) -> Finder:
    """Return Presidio's recognisers for a language, without a language model: none is on PyPI."""
    # Named at run time: the package is installed for this measurement only.
    spacy: Any = importlib.import_module("spacy")
    presidio_analyzer: Any = importlib.import_module("presidio_analyzer")
    engines: Any = importlib.import_module("presidio_analyzer.nlp_engine")

    class Blank(engines.NlpEngine):  # type: ignore[misc]
        """A tokenizer and no more."""

        def __init__(self) -> None:
            self.nlp = spacy.blank(language)

        def load(self) -> None: ...

        def is_loaded(self) -> bool:
            return True

        def process_text(self, text: str, language: str) -> object:
            doc = self.nlp(text)
            places, words = [t.idx for t in doc], [t.text for t in doc]
            return engines.NlpArtifacts([], doc, places, words, self, language)

        def process_batch(self, texts: object, language: str, **_: object) -> object: ...

        def is_stopword(self, word: str, language: str) -> bool:
            return False

        def is_punct(self, word: str, language: str) -> bool:
            return False

        def get_supported_entities(self) -> list[str]:
            return []

        def get_supported_languages(self) -> list[str]:
            return [language]

    registry = presidio_analyzer.RecognizerRegistry(supported_languages=[language])
    registry.load_predefined_recognizers(languages=[language], nlp_engine=Blank())
    engine = presidio_analyzer.AnalyzerEngine(
        registry=registry, nlp_engine=Blank(), supported_languages=[language]
    )
    return lambda text: [(f.start, f.end) for f in engine.analyze(text, language)]


def count(texts: Sequence[Planted], find: Finder) -> Count:
    """Count what is found whole: all letters and digits of a span, but for particles of names."""
    made = Count()
    group_of = {kind: name for name, kinds in GROUPS.items() for kind in kinds}
    for text, planted in texts:
        spans = find(text)
        covered = {i for a, b in spans for i in range(a, b)}
        marked = {i for a, b, _ in planted for i in range(a, b)}
        for a, b, kind in planted:
            if kind in group_of:
                made.all[group_of[kind]] += 1
                made.found[group_of[kind]] += _needed(text, a, b) <= covered
        made.finds += len(spans)
        made.right += sum(bool(marked & set(range(a, b))) for a, b in spans)
    return made


def _needed(text: str, start: int, end: int) -> set[int]:
    needed: set[int] = set()
    at = start
    for word in text[start:end].split(" "):
        if word not in PARTICLES:
            needed.update(i for i in range(at, at + len(word)) if text[i].isalnum())
        at += len(word) + 1
    return needed


def table(title: str, made: Count) -> str:
    """Return a table of recall per group, and precision."""
    lines = [
        f"### {title}",
        "",
        "| what | found whole | of | recall [95 %] |",
        "| --- | ---: | ---: | --- |",
    ]
    for name in GROUPS:
        if made.all[name]:
            k, n = made.found[name], made.all[name]
            lines.append(f"| {name} | {k} | {n} | {wilson(k, n)} |")
    k, n = sum(made.found.values()), sum(made.all.values())
    lines.append(f"| **all of these** | {k} | {n} | **{wilson(k, n)}** |")
    lines += [
        "",
        f"Precision: {made.right} of {made.finds} finds touch something annotated: "
        f"{wilson(made.right, made.finds)}.",
        "",
    ]
    return "\n".join(lines)


HEAD = """# What the redactor finds, and what it misses

`PRECEPTOR_DATA=DIR python -m benchmarks.redaction{flag}`

An identifier counts as found only if all its letters and digits are replaced (particles of names, such
as "von", aside). Intervals are Wilson's, with spans taken as independent; those of one letter are not,
so the true intervals are wider. Each note is redacted by itself; in a run, names found in any train
note are known in all others, which finds more. Not looked for: titles, professions, countries, ages
up to 89.
"""
GERMAN = """## German: GraSCCo

63 alienated German and Austrian discharge letters with annotated health information (Zenodo 11502329,
CC BY 4.0). They are split in halves by the SHA-256 of their name. The rules were written while reading
the first half; of the second half nothing was looked at but these counts. **The second table is the
figure to go by.**
"""
ENGLISH = """## English: generated notes

{n} notes with planted identifiers (`benchmarks/redaction_notes.py`). The wordings were written by the
hands that wrote the rules: this shows that the rules do what they are meant to do, not how they do on
real English notes. No annotated English corpus was at hand.
"""
PRESIDIO = """## Presidio

`presidio-analyzer` {version} with all recognisers that need no language model. Its names, places and
most dates come from a spaCy model, and spaCy publishes its models outside PyPI: that part could not be
measured here, and Presidio with it may well be better than both tables. Without a network it also
tries to fetch the list of public domain suffixes.
"""
END = """## What this means

A recall under 1 means that some names and numbers do leave the machine under `redacted`. Where nothing
may leave, use `local-only` with a teacher on this machine.
"""


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--presidio", action="store_true", help="measure Presidio too")
    args = parser.parse_args()
    print(HEAD.format(flag=" --presidio" if args.presidio else ""))
    english = [note(seed) for seed in range(NOTES)]
    folder = real_data.folder() / "grascco_phi"
    german = [grascco(folder, half) for half in (0, 1)] if folder.is_dir() else []
    print(GERMAN if german else f"German: not measured, {real_data.missing('grascco_phi')}.\n")
    for title, letters in zip(
        ("first half (rules were written on it)", "second half (held out)"), german, strict=False
    ):
        print(table(f"{title}: {len(letters)} letters", count(letters, ours)))
    print(ENGLISH.format(n=NOTES))
    print(table("generated notes", count(english, ours)))
    if args.presidio and importlib.util.find_spec("presidio_analyzer"):
        from importlib.metadata import version

        print(PRESIDIO.format(version=version("presidio-analyzer")))
        if german:
            print(table("Presidio, German, second half", count(german[1], presidio("de"))))
        print(table("Presidio, English, generated notes", count(english, presidio("en"))))
    print(END, end="")


if __name__ == "__main__":
    main()
