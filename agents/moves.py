"""The moves that the rule teacher can think of, each with what it should bring and cost.

Owns the step from counts to patches: phrases to look for, cue rules, worked examples, dropped hints.
An expected gain is in points of the mean note score on the shown part of train: notes that the move
would repair minus notes that it could break, each times a prior chance, with the support of one
patient taken away (what only two patients share counts half). Leaves the choice to ``agents.rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import JsonValue

from preceptor.agents.mentions import Verdict, judge
from preceptor.agents.mining import (
    MAX_CHARS,
    MIN_PATIENTS,
    Beside,
    Cell,
    Corpus,
    Phrase,
    attributable,
    beside,
    cells,
    cover,
    cues,
    nested,
    nothing,
)
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.ports import Evidence
from preceptor.core.render import calls
from preceptor.core.text import flat, words

MAX_HINTS = 12
MAX_CUES = 6
MAX_SHOTS = 2
MAX_SHOT_WORDS = 30
FIX = {"hints": 0.6, "cues": 0.35, "shots": 0.2, "prune": 0.4}
"""Prior chance that a note which a move addresses is repaired by it."""

BREAK = {"hints": 0.4, "cues": 0.35, "shots": 0.05, "prune": 0.4}
"""Prior chance that a right answer which a move touches is broken by it."""

HOPEFUL, SURE = 0.35, 0.7
"""How likely a mention must be to be tried, and for others to lean on it."""

CUE_Z = 1.8
"""The least log-odds z-score of a cue."""

CHARS_PER_TOKEN = 4

Patch = dict[str, JsonValue]


@dataclass(frozen=True)
class Move:
    """A move that could be made.

    Attributes:
        family: What kind it is; moves of a family share what was learnt about them.
        tool: Which tool makes it.
        args: The tool's arguments.
        gain: What it should bring, in points of [0, 1] on train.
        tokens: What it adds to the prompts of one note, in tokens.
        why: One line for the trace.
    """

    family: str
    tool: str
    args: dict[str, JsonValue]
    gain: float
    tokens: int
    why: str


@dataclass(frozen=True)
class FieldStudy:
    """What the student's answers say about one field.

    Attributes:
        field: The field.
        unit: What one repaired note of this field adds to the mean note score.
        cells: Its notes.
        mentions: The phrases that speak for a mention, best first.
    """

    field: FieldSpec
    unit: float
    cells: tuple[Cell, ...]
    mentions: tuple[Phrase, ...]

    def notes(self, gold: bool | None = None, right: bool | None = None) -> frozenset[int]:
        """Return the notes with(out) something to find that were (not) answered rightly."""
        empty = nothing(self.field)
        return frozenset(
            c.note
            for c in self.cells
            if (gold is None or (c.gold != empty) == gold) and (right is None or c.right == right)
        )

    @property
    def missed(self) -> frozenset[int]:
        """The notes where the student found nothing, and something is there."""
        empty = nothing(self.field)
        return frozenset(c.note for c in self.cells if c.said == empty and c.gold != empty)


class Study:
    """Everything that was counted for one turn.

    Args:
        evidence: The train notes and the student's answers.
        corpus: The same notes, cut up.
    """

    def __init__(self, evidence: Evidence, corpus: Corpus) -> None:
        self.evidence = evidence
        self.corpus = corpus
        total = sum(f.weight for f in evidence.fields)
        notes = max(len(evidence.examples), 1)
        found = {f.name: tuple(cells(evidence, f)) for f in evidence.fields}
        mentions = self._mentions(found)
        self.fields = tuple(
            FieldStudy(f, f.weight / total / notes, found[f.name], tuple(mentions[f.name]))
            for f in evidence.fields
        )

    def _mentions(self, found: dict[str, tuple[Cell, ...]]) -> dict[str, list[Phrase]]:
        """Return the phrases that may be mentions of each field, likeliest first."""
        out: dict[str, list[Phrase]] = {}
        by_labels: dict[tuple[str, ...], list[LabelField]] = {}
        for field in self.evidence.fields:
            if isinstance(field, LabelField):
                rest = (v for v in field.values if v != field.default)
                by_labels.setdefault((field.default, *rest), []).append(field)
            else:
                out[field.name] = _items(found[field.name], self.corpus)
        for labels, fields in by_labels.items():
            golds = [{c.note: str(c.gold) for c in found[f.name]} for f in fields]
            guides = [self.evidence.recipe.prompt.guide(f.name) for f in fields]
            told = [
                " ".join((f.name.replace("_", " "), g.meaning, *g.look_for))
                for f, g in zip(fields, guides, strict=True)
            ]
            judged = judge(self.corpus, golds, labels, told)
            for field, chances in zip(fields, judged, strict=True):
                out[field.name] = _likely(self.corpus, found[field.name], field.default, chances)
        return out

    @cached_property
    def base_tokens(self) -> float:
        """The mean prompt tokens of one note, as the backend counted or by the rule of thumb."""
        known = [a.prompt_tokens for a in self.evidence.answers if a.prompt_tokens is not None]
        if known:
            return max(1.0, sum(known) / len(known))
        if not self.evidence.examples:
            return 1.0
        made = calls(self.evidence.recipe, self.evidence.fields, self.evidence.examples[0])
        return max(1.0, sum(len(m.content) for c in made for m in c.messages) / CHARS_PER_TOKEN)

    def hints(self, study: FieldStudy) -> tuple[str, ...]:
        """Return the phrases that the prompt tells the student to look for."""
        return self.evidence.recipe.prompt.guide(study.field.name).look_for

    def names(self, study: FieldStudy) -> list[str]:
        """Return what a mention of the field can be told by: its hints, its name, its own phrases."""
        strong = [p.text for p in study.mentions if p.chance >= SURE][:MAX_HINTS]
        return [*self.hints(study), study.field.name.replace("_", " "), *strong]

    def support(self, notes: frozenset[int]) -> float:
        """Return how much of a phrase's support is left without one patient: 1, or a half."""
        return 1.0 if self.corpus.patients(notes) > MIN_PATIENTS else 0.5


def _likely(
    corpus: Corpus, found: Sequence[Cell], empty: str, verdicts: dict[str, Verdict]
) -> list[Phrase]:
    """Return the phrases that speak for a mention, likeliest first, then by log-odds.

    Their notes are those that a reader who goes by the phrase would answer rightly, and those where
    it would lure him.
    """
    inside = frozenset(c.note for c in found if c.gold != empty)
    outside = frozenset(c.note for c in found if c.gold == empty)
    said = [
        Phrase(p.text, p.z, v.right & inside, v.lured, v.chance)
        for p in corpus.contrast(inside, outside)
        if (v := verdicts.get(p.text)) is not None
    ]
    return sorted(said, key=lambda p: (-p.chance, -p.z, p.text))


def _items(found: Sequence[Cell], corpus: Corpus) -> list[Phrase]:
    """Return the items of a list field that two patients share, as phrases."""
    holding: dict[str, set[int]] = {}
    for cell in found:
        for item in cell.gold if isinstance(cell.gold, list) else []:
            holding.setdefault(" ".join(words(str(item))), set()).add(cell.note)
    out = []
    for text, notes in sorted(holding.items()):
        short = 0 < len(text.split()) <= 5 and len(text) <= MAX_CHARS
        if short and corpus.patients(notes) >= MIN_PATIENTS:
            outside = corpus.holding(text) - notes
            out.append(Phrase(text, float(len(notes)), frozenset(notes), outside))
    return sorted(out, key=lambda p: (-p.z, p.text))


def _edit(patches: list[Patch], family: str, gain: float, tokens: int, why: str) -> Move:
    args: dict[str, JsonValue] = {"patches": [*patches], "reason": f"{family}: {why}"}
    return Move(family, "edit_prompt", args, gain, tokens, why)


def field_hints(study: Study, of: FieldStudy, least: float) -> tuple[list[Phrase], float]:
    """Choose phrases to look for in one field; return them with the expected gain."""
    missed, right = of.missed, of.notes(right=True)
    held = study.hints(of)
    left = missed - frozenset(i for h in held for i in study.corpus.holding(" ".join(words(h))))
    worth: dict[str, float] = {}
    able = []
    for phrase in of.mentions:
        if phrase.chance >= least and phrase.inside & left:
            fails = (len(phrase.inside & missed) + 0.5) / (len(phrase.inside) + 1)
            share = phrase.chance * fails
            worth[phrase.text] = FIX["hints"] * share * study.support(phrase.inside)
            worth["-" + phrase.text] = BREAK["hints"] * len(phrase.outside & right) + 0.1
            able.append(phrase)
    chosen = cover(able, left, worth, MAX_HINTS - len(held), held)
    gain, todo = 0.0, set(left)
    for phrase in chosen:
        gain += len(phrase.inside & todo) * worth[phrase.text] - worth["-" + phrase.text]
        todo -= phrase.inside
    return chosen, gain * of.unit


def hint_moves(study: Study) -> list[Move]:
    """Propose phrases to look for: for all weak fields at once, strict or not, and for one field."""
    out = []
    for least in (HOPEFUL, SURE):
        patches: list[Patch] = []
        total, tokens = 0.0, 0
        for of in study.fields:
            chosen, gain = field_hints(study, of, least)
            if not chosen:
                continue
            phrases: list[JsonValue] = [p.text for p in chosen]
            patch: Patch = {"kind": "add_look_for", "field": of.field.name, "phrases": phrases}
            cost = sum(len(p.text) + 2 for p in chosen) // CHARS_PER_TOKEN + 1
            patches.append(patch)
            total, tokens = total + gain, tokens + cost
            if least == HOPEFUL:
                out.append(_edit([patch], "hints_one", gain, cost, f"{of.field.name}"))
        if len(patches) > 1:
            why = f"{len(patches)} fields, each phrase at least {100 * least:.0f} % sure"
            out.append(_edit(patches, "hints_all", total, tokens, why))
    return out


@dataclass(frozen=True)
class _Pool:
    """Fields with the same labels, their notes numbered through."""

    fields: tuple[FieldStudy, ...]
    mentions: tuple[tuple[int, Cell, Beside], ...]
    groups: tuple[str, ...]


def _pool(study: Study, fields: Sequence[FieldStudy]) -> _Pool:
    found = []
    size = len(study.evidence.examples)
    for k, of in enumerate(fields):
        names = study.names(of)
        for cell in of.cells:
            mention = beside(study.corpus, cell.note, names)
            if mention is not None and cell.said is not None:
                at = k * size + cell.note
                found.append((k, cell, Beside(at, mention.grams)))
    return _Pool(tuple(fields), tuple(found), tuple(study.corpus.groups * len(fields)))


def _cue_rules(study: Study, pool: _Pool, label: str) -> list[tuple[str, float, frozenset[int]]]:
    """Return (rule, expected gain, fields it bears on) for the cues that stand for ``label``."""
    field = pool.fields[0].field
    default = nothing(field)
    inside = [m for _, c, m in pool.mentions if c.gold == label]
    outside = [m for _, c, m in pool.mentions if c.gold != label]
    seen = [(c, m) for _, c, m in pool.mentions if not c.right and c.said != default]
    wrong = frozenset(m.note for c, m in seen if c.gold == label)
    right = frozenset(m.note for _, c, m in pool.mentions if c.gold != label and c.right)
    base = len(inside) / max(len(pool.mentions), 1)
    units = {m.note: pool.fields[k].unit for k, _, m in pool.mentions}
    place = {m.note: k for k, _, m in pool.mentions}
    out: list[tuple[str, float, frozenset[int]]] = []
    taken: list[str] = []
    for cue in cues(inside, outside, wrong, pool.groups):
        if cue.z < CUE_Z or any(nested(cue.text, t) for t in taken):
            continue
        few = len({pool.groups[i] for i in cue.inside & wrong}) <= MIN_PATIENTS
        gain = FIX["cues"] * attributable(cue, base) * sum(units[i] for i in cue.inside & wrong)
        gain = gain * (0.5 if few else 1.0) - BREAK["cues"] * sum(units[i] for i in cue.outside & right)
        if gain <= 0:
            continue
        taken.append(cue.text)
        says = "does not count" if label == default else f"counts as {label}"
        out.append((f'"{cue.text}" {says}', gain, frozenset(place[i] for i in cue.inside)))
    return out


def cue_moves(study: Study) -> list[Move]:
    """Propose rules about the words beside a mention, pooled over fields with the same labels."""
    by_labels: dict[tuple[str, ...], list[FieldStudy]] = {}
    for of in study.fields:
        if isinstance(of.field, LabelField):
            by_labels.setdefault((of.field.default, *of.field.values), []).append(of)
    out = []
    for (_, *values), fields in by_labels.items():
        pool = _pool(study, fields)
        found = [(g, rule, at) for v in values for rule, g, at in _cue_rules(study, pool, v)]
        found = sorted(found, key=lambda f: (-f[0], f[1]))
        patches, gain, tokens = _rule_patches(study, fields, found)
        if patches:
            out.append(_edit(patches, "cues", gain, tokens, f"{len(patches)} rules"))
        if len(patches) > 1:
            patches, gain, tokens = _rule_patches(study, fields, found[:1])
            out.append(_edit(patches, "cues", gain, tokens, "the best rule") if patches else out[-1])
    return out


def _rule_patches(
    study: Study, fields: Sequence[FieldStudy], found: Sequence[tuple[float, str, frozenset[int]]]
) -> tuple[list[Patch], float, int]:
    prompt = study.evidence.recipe.prompt
    everywhere = len(fields) == len(study.fields)
    patches: list[Patch] = []
    gain, tokens = 0.0, 0
    quoted: set[str] = set()
    for worth, rule, at in found:
        cue = rule.split('"')[1]
        if cue in quoted or len(patches) >= MAX_CUES:
            continue
        names = [""] if everywhere and len(at) > 1 else [fields[k].field.name for k in sorted(at)]
        have = [prompt.rules if not n else prompt.guide(n).rules for n in names]
        names = [n for n, rules in zip(names, have, strict=True) if not any(cue in r for r in rules)]
        if names:
            quoted.add(cue)
            patches += [{"kind": "add_rule", "field": n, "text": rule} for n in names]
            sent = len(fields) if names == [""] and study.evidence.recipe.mode == "per_field" else 1
            gain, tokens = gain + worth, tokens + sent * (len(rule) // CHARS_PER_TOKEN + 1)
    return patches, gain, tokens


def _shots_for(study: Study, of: FieldStudy) -> tuple[list[Patch], float, int]:
    """Choose worked sentences for one field: unambiguous ones that resemble what goes wrong."""
    errors = {c.note: c for c in of.cells if not c.right and c.said is not None}
    shown = {flat(s.text) for s in study.evidence.recipe.shots if of.field.name in s.answer}
    names = study.names(of)
    best: dict[str, tuple[float, int, str]] = {}
    for cell in of.cells:
        hits = study.corpus.hit_sentences(cell.note, names)
        if len(hits) != 1 or not 3 <= len(words(hits[0])) <= MAX_SHOT_WORDS or flat(hits[0]) in shown:
            continue
        gold = cell.gold
        if isinstance(gold, list) and not all(flat(str(i)) in flat(hits[0]) for i in gold):
            continue
        like = {n for n in names if flat(n) in flat(hits[0])}
        alike = [i for i, c in errors.items() if c.gold == gold or isinstance(gold, list)]
        helped = frozenset(i for i in alike if any(i in study.corpus.holding(n) for n in like))
        worth = len(helped) * study.support(helped) - len(hits[0]) / 1000
        key = str(gold)
        if helped and (key not in best or worth > best[key][0]):
            best[key] = worth, cell.note, hits[0]
    chosen = sorted(best.values(), key=lambda b: (-b[0], b[1]))[:MAX_SHOTS]
    chosen = [c for c in chosen if c[0] >= 1]
    ids = study.evidence.examples
    patches: list[Patch] = [
        {
            "kind": "add_shot",
            "field": of.field.name,
            "example_id": ids[i].id,
            "sentence": " ".join(s.split()),
        }
        for _, i, s in chosen
    ]
    touched = len(of.notes(right=True))
    gain = FIX["shots"] * sum(w for w, _, _ in chosen) - BREAK["shots"] * 0.1 * touched
    return patches, gain * of.unit, sum(len(s) + 15 for _, _, s in chosen) // CHARS_PER_TOKEN


def shot_moves(study: Study) -> list[Move]:
    """Propose worked sentences: for all fields that need them at once, and for one field."""
    out: list[Move] = []
    patches: list[Patch] = []
    total, cost = 0.0, 0
    for of in study.fields:
        own, gain, tokens = _shots_for(study, of)
        if own and gain > 0:
            out.append(_edit(own, "shots", gain, tokens, of.field.name))
            patches += own
            total, cost = total + gain, cost + tokens
    if len(out) > 1:
        out.append(_edit(patches, "shots", total, cost, f"{len(out)} fields"))
    return out


def prune_moves(study: Study) -> list[Move]:
    """Propose to drop hints that do more harm than good on train."""
    patches: list[Patch] = []
    total, tokens = 0.0, 0
    for of in study.fields:
        spurious = of.notes(gold=False, right=False)
        found = of.notes(gold=True, right=True)
        harmful: list[JsonValue] = []
        for hint in study.hints(of):
            holding = study.corpus.holding(" ".join(words(hint)))
            gain = FIX["prune"] * len(holding & spurious) - BREAK["prune"] * len(holding & found)
            if gain > 0 and study.corpus.patients(holding & spurious) >= MIN_PATIENTS:
                harmful.append(hint)
                total += gain * of.unit
                tokens -= (len(hint) + 2) // CHARS_PER_TOKEN
        if harmful:
            patches.append({"kind": "drop_look_for", "field": of.field.name, "phrases": harmful})
    return [_edit(patches, "prune", total, tokens, f"{len(patches)} fields")] if patches else []


Proposer = Callable[[Study], list[Move]]

PROPOSERS: dict[str, tuple[Proposer, ...]] = {
    "edit_prompt": (hint_moves, cue_moves, shot_moves, prune_moves),
}
"""Who proposes moves of which tool; a new tool's estimates join here."""


def propose(study: Study, tools: Sequence[str]) -> list[Move]:
    """Return the moves that the given tools could make, those that promise nothing left out."""
    found = [m for tool in tools for proposer in PROPOSERS.get(tool, ()) for m in proposer(study)]
    return [m for m in found if m.gain > 0]
