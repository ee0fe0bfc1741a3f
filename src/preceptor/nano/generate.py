"""Own the endless extraction tasks nano learns from: concepts, notes, questions, oracle labels.

A `Page` is one note with several questions about it. Everything follows from the random generator
handed in; the right answer follows from the mentions and rules, never from the text. The text of
every question goes through ``preceptor.core.render``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from preceptor.nano import pools, wordings
from preceptor.nano.words import Lexicon

SECOND = {"H": "A", "F": "U", "P": "U", "M": "A", "N": "U", "U": "N", "A": "A"}
"""What a kind of mention falls back to where the label set has no label of its own for it."""


@dataclass(frozen=True)
class Level:
    """How hard the tasks are.

    Attributes:
        words: Size of the lexicon.
        hints: The most further names a concept has.
        distract: The most statements about other things.
        long: Chance that a phrase has more than one word.
        schemes: -1 yes and no only, 0 two fixed label sets, 1 known names, 2 any names with meanings.
        special: Chance that a mention is history, family, possible or mild.
        rules: Chance that a question carries rules.
        shots: Chance that a question comes with worked examples.
        style: 0 bare sentences, 1 whole notes (sections, filler, capitals, typing errors).
        asked: Questions per note.
        bare: Chance that a question has neither hints nor worked examples.
        known: Chance that a question is about a thing of the dictionary, mostly without hints.
        again: Chance that a note comes back to a thing in another way.
        plain: How many wordings per kind are used, 0 for all.
        marks_only: Nothing is answered; only the mark at each hint is learned.
    """

    words: int = 400
    hints: int = 1
    distract: int = 1
    long: float = 0.0
    schemes: int = 0
    special: float = 0.0
    rules: float = 0.0
    shots: float = 0.0
    style: float = 0.0
    asked: int = 3
    bare: float = 0.0
    known: float = 0.0
    again: float = 0.0
    plain: int = 0
    marks_only: bool = False


@dataclass(frozen=True)
class Concept:
    """A thing a note may state, under one of several names; the first is the field's name."""

    forms: tuple[str, ...]


@dataclass(frozen=True)
class Mention:
    """One statement: which concept, as which words, of which kind, in which clause."""

    concept: int
    surface: str
    kind: str
    clause: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule: what it speaks of (a kind, a quoted phrase, or order) and what then holds."""

    on: str
    phrase: str
    then: str
    text: str


@dataclass(frozen=True)
class Scheme:
    """A label set: label by kind, in the order shown, with meanings."""

    by: dict[str, str]
    order: tuple[str, ...]
    meanings: dict[str, str]

    def label(self, kind: str) -> str:
        """Return the label for a kind of mention, or for none at all (``U``)."""
        while kind not in self.by:
            kind = SECOND[kind]
        return self.by[kind]


@dataclass(frozen=True)
class Question:
    """One field asked about a note, with its right answer and what the evaluation groups by."""

    name: str
    meaning: str
    hints: tuple[str, ...]
    rules: tuple[str, ...]
    scheme: Scheme
    shots: tuple[tuple[str, str], ...]
    gold: str
    plain: str
    kind: str
    seen: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Page:
    """A note, what is said before it, and the questions about it."""

    instruction: str
    rules: tuple[str, ...]
    note: str
    questions: tuple[Question, ...]


def scheme(r: Random, level: Level, lex: Lexicon, held: bool = False) -> Scheme:
    """Draw a label set."""
    two = r.random() < 0.4
    if level.schemes < 0:
        return Scheme({"A": "yes", "N": "no"}, ("yes", "no"), {})
    by = _names(r, level, lex, held, two)
    if level.schemes and level.special and r.random() < 0.15:
        kind, name = r.choice(wordings.EXTRA)
        if name not in by.values():
            by[kind] = name
    known = set(by.values()) <= {"yes", "no", "present", "absent", "unknown", "true", "false"}
    told = held or not known or r.random() < 0.6
    order = list(dict.fromkeys(by.values()))
    if level.schemes >= 1 and r.random() < 0.35:
        r.shuffle(order)
    return Scheme(by, tuple(order), _meanings(r, level, by, held) if told else {})


def _names(r: Random, level: Level, lex: Lexicon, held: bool, two: bool) -> dict[str, str]:
    """Draw label names for two or three kinds."""
    if level.schemes == 0:
        return {"A": "yes", "N": "no"} if two else {"A": "present", "N": "absent", "U": "unknown"}
    if level.schemes >= 2 and r.random() < 0.2 and not held:
        return dict(zip("AN" if two else "ANU", lex.labels(r, 3), strict=False))
    if two:
        pair = r.choice(wordings.BINARY_HELD if held else wordings.BINARY)
        return dict(zip("AN", pair, strict=True))
    three = r.choice(wordings.THREE_HELD if held else wordings.THREE)
    return dict(zip("ANU", three, strict=True))


def _meanings(r: Random, level: Level, by: dict[str, str], held: bool) -> dict[str, str]:
    """Draw what each label means; where «affirmed» means now, history goes with not mentioned."""
    meanings = {}
    for kind, name in by.items():
        key = "NU" if kind == "N" and "U" not in by else kind
        meanings[name] = r.choice(pools.meaning(key).pick(held))
    if level.special and "H" not in by and r.random() < 0.6:
        meanings[by["A"]] = r.choice(pools.now().pick(held))
        by["H"] = by.get("U", by["N"])
    return meanings


def answer(mentions: list[Mention], rules: tuple[Rule, ...], labels: Scheme) -> str:
    """Return the right label for the mentions of one concept: the oracle.

    Without rules a later statement beats an earlier one, and any statement about the patient beats
    one about the family or about what may happen (and about history, where only the present counts).
    """
    first = any(rule.on == "order" and rule.then == "first" for rule in rules)
    said: list[tuple[int, str]] = []
    for mention in reversed(mentions) if first else mentions:
        verdict = _ruled(mention, rules)
        if verdict == "drop":
            continue
        label = labels.label(mention.kind)
        past = mention.kind == "H" and label == labels.label("U") != labels.label("A")
        weak = (mention.kind in ("F", "P") or past) and verdict is None
        said.append((0 if weak else 1, verdict or label))
    if not said:
        return labels.label("U")
    best = max(rank for rank, _ in said)
    return [label for rank, label in said if rank == best][-1]


def _ruled(mention: Mention, rules: tuple[Rule, ...]) -> str | None:
    for rule in rules:
        if rule.on == "quote" and rule.phrase in mention.clause:
            return rule.then
    for rule in rules:
        if rule.on == mention.kind:
            return rule.then
    return None


def kind_rule(r: Random, kind: str, labels: Scheme, held: bool, drop: bool) -> Rule:
    """Draw a rule about a kind of mention: it does not count, or it counts as a label."""
    if drop:
        text = r.choice(pools.drop(kind).pick(held))
        return Rule(kind, "", "drop", text)
    text = r.choice(pools.count(kind).pick(held))
    label = labels.label("A")
    if "{L}" in text and r.random() < 0.3:
        label = r.choice(labels.order)
    return Rule(kind, "", label, text.replace("{L}", label))


def quote_rule(r: Random, phrase: str, labels: Scheme, avoid: str) -> Rule:
    """Draw a rule about a quoted phrase, with another outcome than ``avoid`` where there is one."""
    if r.random() < 0.45 and labels.label("U") != avoid:
        return Rule("quote", phrase, "drop", r.choice(wordings.QUOTE_DROP).format(phrase))
    others = [label for label in labels.order if label != avoid]
    label = r.choice(others)
    text = r.choice(wordings.QUOTE_COUNT).format(phrase, L=label)
    return Rule("quote", phrase, label, text)


def spare_rules(r: Random, lex: Lexicon, labels: Scheme, not_on: set[str], n: int) -> list[Rule]:
    """Draw rules that do not bear on the question."""
    kinds = [k for k in "FHPM" if k not in not_on]
    out = []
    for _ in range(n):
        if kinds and r.random() < 0.6:
            kind = kinds.pop(r.randrange(len(kinds)))
            out.append(kind_rule(r, kind, labels, False, r.random() < 0.5))
        else:
            phrase = lex.phrase(r) if r.random() < 0.5 else _template_cue(r)
            out.append(quote_rule(r, phrase, labels, ""))
    return out


def _template_cue(r: Random) -> str:
    pool = pools.state(r.choice("ANHFP")).train
    cues = [t.partition("{}")[0].replace("{S}", "").strip() for t in r.sample(pool, 4)]
    return next((cue for cue in cues if cue and "{" not in cue), "used to have")


def question(
    r: Random, lex: Lexicon, concept: Concept, mentions: list[Mention], labels: Scheme
) -> Question:
    """Return the plain question about a concept: its name, all its other forms as hints."""
    gold = answer(mentions, (), labels)
    kind = mentions[-1].kind if mentions else "U"
    name = lex.field_name(r, concept.forms[0])
    seen = tuple((m.surface, m.kind) for m in mentions)
    return Question(name, "", concept.forms[1:], (), labels, (), gold, gold, kind, seen)


def with_rules(asked: Question, mentions: list[Mention], rules: tuple[Rule, ...]) -> Question:
    """Return a question under rules, its answer recomputed."""
    gold = answer(mentions, rules, asked.scheme)
    return replace(asked, rules=tuple(rule.text for rule in rules), gold=gold)
