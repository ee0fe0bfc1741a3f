"""The moves that the rule teacher can think of, each with what it should bring and cost.

Owns the step from counts to patches: phrases to look for, near-synonyms of them, cue rules, worked
examples, dropped hints.
An expected gain is in points of the run's metric on the shown part of train: notes that the move
would repair minus notes that it could break, each times a prior chance, with the support of one
patient taken away (what only two patients share counts half). Leaves the choice to ``agents.rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from preceptor.agents.mining import (
    MIN_PATIENTS,
    Beside,
    Cell,
    Phrase,
    attributable,
    beside,
    cover,
    cues,
    nested,
    nothing,
)
from preceptor.agents.study import CHARS_PER_TOKEN, MAX_HINTS, SURE, FieldStudy, Study
from preceptor.core.fields import LabelField
from preceptor.core.records import Situation
from preceptor.core.text import flat, words

NEAR_Z = 3.0
"""How near a phrase must be to one that is looked for, in standard deviations of all phrases."""

NEAR_CHANCE = 0.5
"""How likely a near phrase is a mention: the share on train of the synthetic tasks (ADR 18)."""

MAX_CUES = 6
MAX_SHOTS = 2
SHOTS_PER_FIELD = 4
MAX_SHOT_WORDS = 30
FIX = {"hints": 0.6, "cues": 0.35, "shots": 0.12, "prune": 0.4}
"""Prior chance that a note which a move addresses is repaired by it."""

BREAK = {"hints": 0.4, "cues": 0.35, "shots": 0.05, "prune": 0.4}
"""Prior chance that a right answer which a move touches is broken by it."""

HOPEFUL, CERTAIN = 0.6, 0.9
"""How likely a mention must be to be tried, and for others to lean on it."""

CUE_Z = 1.8
"""The least log-odds z-score of a cue."""


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
    risk = of.unit_empty / of.unit if of.unit else 1.0
    for phrase in of.mentions:
        if phrase.chance >= least and phrase.inside & left:
            fails = (len(phrase.inside & missed) + 0.5) / (len(phrase.inside) + 1)
            share = phrase.chance * fails
            worth[phrase.text] = FIX["hints"] * share * study.support(phrase.inside)
            worth["-" + phrase.text] = risk * BREAK["hints"] * len(phrase.outside & right) + 0.1
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


def near_moves(study: Study) -> list[Move]:
    """Propose phrases that mean nearly what is looked for already: for all fields, and for one."""
    out: list[Move] = []
    patches: list[Patch] = []
    total, tokens = 0.0, 0
    for of, found in zip(study.fields, study.near(NEAR_Z, NEAR_CHANCE), strict=True):
        chosen, gain = field_hints(study, replace(of, mentions=found), 0.0)
        if chosen and gain > 0:
            phrases: list[JsonValue] = [p.text for p in chosen]
            patch: Patch = {"kind": "add_look_for", "field": of.field.name, "phrases": phrases}
            cost = sum(len(p.text) + 2 for p in chosen) // CHARS_PER_TOKEN + 1
            out.append(_edit([patch], "near", gain, cost, of.field.name))
            patches.append(patch)
            total, tokens = total + gain, tokens + cost
    if len(patches) > 1:
        out.append(_edit(patches, "near", total, tokens, f"{len(patches)} fields"))
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
    units = {
        m.note: pool.fields[k].unit_empty if c.gold == default else pool.fields[k].unit
        for k, c, m in pool.mentions
    }
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
            patches.extend({"kind": "add_rule", "field": n, "text": rule} for n in names)
            sent = len(fields) if names == [""] and study.evidence.recipe.mode == "per_field" else 1
            gain, tokens = gain + worth, tokens + sent * (len(rule) // CHARS_PER_TOKEN + 1)
    return patches, gain, tokens


def _shots_for(study: Study, of: FieldStudy) -> tuple[list[Patch], float, int]:
    """Choose worked sentences for one field: those whose mention stands in notes that went wrong.

    A sentence is taken where it is the only one in its note with a mention, and where the mention and
    what stands beside it go with the note's label.
    """
    name = of.field.name
    shots = [s for s in study.evidence.recipe.shots if name in s.answer]
    shown = {flat(s.text) for s in shots}
    names = study.names(of, CERTAIN)
    holding = {n: study.corpus.holding(" ".join(words(n))) for n in names}
    fits = {p.text: p.inside for p in of.mentions}
    errors = {c.note: c.gold for c in of.cells if not c.right and c.said is not None}
    best: dict[str, tuple[float, int, str, int]] = {}
    for cell in of.cells:
        hits = study.corpus.hit_sentences(cell.note, names)
        if len(hits) != 1 or not _showable(hits[0], cell.gold) or flat(hits[0]) in shown:
            continue
        like = [n for n in names if flat(n) in flat(hits[0])]
        if not all(cell.note in fits.get(n, holding[n]) for n in like):
            continue
        alike = {i for i, gold in errors.items() if gold == cell.gold or isinstance(gold, list)}
        helped = frozenset(alike & set().union(*(holding[n] for n in like)))
        worth = len(helped) * study.support(helped) - len(hits[0]) / 1000
        key = str(cell.gold)
        if helped and (key not in best or worth > best[key][0]):
            best[key] = worth, cell.note, hits[0], len(helped)
    room = max(0, min(MAX_SHOTS, SHOTS_PER_FIELD - len(shots)))
    chosen = sorted((b for b in best.values() if b[0] >= 1), key=lambda b: (-b[0], b[1]))[:room]
    patches: list[Patch] = [
        {
            "kind": "add_shot",
            "field": name,
            "example_id": study.evidence.examples[i].id,
            "sentence": " ".join(s.split()),
        }
        for _, i, s, _ in chosen
    ]
    kept = len(of.notes(gold=True, right=True)) * of.unit
    kept += len(of.notes(gold=False, right=True)) * of.unit_empty
    risk = BREAK["shots"] * kept / 10 if chosen else 0.0
    gain = FIX["shots"] * sum(w for w, *_ in chosen) * of.unit - risk
    return patches, gain, sum(len(s) + 15 for _, _, s, _ in chosen) // CHARS_PER_TOKEN


def _showable(sentence: str, gold: JsonValue) -> bool:
    """Return whether a sentence is short enough, and holds all items of a list."""
    text = flat(sentence)
    whole = not isinstance(gold, list) or all(flat(str(i)) in text for i in gold)
    return whole and 3 <= len(words(sentence)) <= MAX_SHOT_WORDS


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
            gain = FIX["prune"] * len(holding & spurious) * of.unit_empty
            gain -= BREAK["prune"] * len(holding & found) * of.unit
            if gain > 0 and study.corpus.patients(holding & spurious) >= MIN_PATIENTS:
                harmful.append(hint)
                total += gain
                tokens -= (len(hint) + 2) // CHARS_PER_TOKEN
        if harmful:
            patches.append({"kind": "drop_look_for", "field": of.field.name, "phrases": harmful})
    return [_edit(patches, "prune", total, tokens, f"{len(patches)} fields")] if patches else []


Proposer = Callable[[Study], list[Move]]

PROPOSERS: dict[str, tuple[Proposer, ...]] = {
    "edit_prompt": (hint_moves, near_moves, cue_moves, shot_moves, prune_moves),
}
"""Who proposes moves of which tool; a new tool's estimates join here."""


def prospect_moves(situation: Situation, tools: Sequence[str]) -> list[Move]:
    """Return the moves whose gain their tools have estimated, those that promise nothing left out."""
    return [
        Move(p.tool, p.tool, {**p.args, "reason": f"{p.tool}: {p.why}"[:400]}, p.gain, p.tokens, p.why)
        for p in situation.prospects
        if p.gain > 0 and p.tool in tools
    ]


def propose(study: Study, tools: Sequence[str]) -> list[Move]:
    """Return the moves that the given tools could make, those that promise nothing left out."""
    found = [m for tool in tools for proposer in PROPOSERS.get(tool, ()) for m in proposer(study)]
    return [m for m in found if m.gain > 0]
