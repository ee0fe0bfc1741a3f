"""What earlier moves taught, field by field: keep what helped on unseen train notes, drop what harmed.

A move over many fields is accepted or rejected whole, and one bad field can sink eleven good ones. The
loop says how each field fared on the part of train that the teacher was not shown, and what share of
that each phrase has; this module makes the move that those figures speak for. A teacher without an
embedder goes by fields alone. It owns that move only; other moves are in ``agents.moves``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from preceptor.agents.mining import MIN_PATIENTS
from preceptor.agents.moves import Move, Patch
from preceptor.agents.study import CHARS_PER_TOKEN, Study
from preceptor.core.records import Attempt
from preceptor.core.text import words

SHRINK = 0.5
"""Of a gain that was picked for being positive, about this share is real."""

HARM = -0.02
"""A field that fell by more than this under an accepted move loses that move's phrases again."""


def salvage_moves(study: Study, attempts: Sequence[Attempt]) -> list[Move]:
    """Return the one move that keeps every field's best rejected phrases and drops harmful ones."""
    kept = {**_best(study, attempts), **_harmful(study, attempts)}
    if not kept:
        return []
    patches = [patch for _, patch in (kept[name] for name in sorted(kept))]
    gain = SHRINK * sum(value for value, _ in kept.values()) / max(1, len(study.fields))
    tokens = sum(len(text) + 2 for p in patches for text in _phrases(p)) // CHARS_PER_TOKEN
    why = f"{len(patches)} fields whose own figures spoke for it"
    args: dict[str, JsonValue] = {"patches": [*patches], "reason": f"salvage: {why}"}
    return [Move("salvage", "edit_prompt", args, gain, tokens, why)]


def _patches(attempt: Attempt) -> list[Patch]:
    found = attempt.args.get("patches")
    listed = found if isinstance(found, list) else []
    return [p for p in listed if isinstance(p, dict) and p.get("kind") == "add_look_for"]


def _phrases(patch: Patch) -> list[str]:
    found = patch.get("phrases")
    return [str(text) for text in found] if isinstance(found, list) else []


def _best(study: Study, attempts: Sequence[Attempt]) -> dict[str, tuple[float, Patch]]:
    """Return, per field, the phrases of the rejected move under which it gained most."""
    best: dict[str, tuple[float, Patch]] = {}
    for attempt in attempts:
        if attempt.outcome != "rejected":
            continue
        for patch in _patches(attempt):
            name = str(patch.get("field"))
            allowed = [text for text in _phrases(patch) if _fresh(study, name, text)]
            gain, allowed = _worth_keeping(study, attempt, name, allowed)
            if gain > best.get(name, (0.0, {}))[0] and allowed:
                best[name] = gain, {**patch, "phrases": [*allowed]}
    return best


def _shares(study: Study, attempt: Attempt, field: str) -> dict[str, float]:
    """Return what each phrase has in a field's change, empty where the teacher goes by fields."""
    return attempt.phrases.get(field, {}) if study.meaning is not None else {}


def _worth_keeping(
    study: Study, attempt: Attempt, field: str, phrases: list[str]
) -> tuple[float, list[str]]:
    """Return the gain of a field's phrases without those that harmed, and what is left of them.

    In a field that lost as a whole only phrases that helped are left; what no phrase explains of a
    loss stands against them.
    """
    whole = attempt.fields.get(field, 0.0)
    shares = _shares(study, attempt, field)
    if not any(shares.get(text, 0.0) < 0 for text in phrases):
        return whole, phrases
    least = 0.0 if whole > 0 else 1e-9
    kept = [text for text in phrases if shares.get(text, 0.0) >= least]
    unexplained = min(0.0, whole - sum(shares.values()))
    return unexplained + sum(shares.get(text, 0.0) for text in kept), kept


def _harmful(study: Study, attempts: Sequence[Attempt]) -> dict[str, tuple[float, Patch]]:
    """Return, per field, the phrases of an accepted move under which it fell, as a drop."""
    dropped: dict[str, tuple[float, Patch]] = {}
    for attempt in attempts:
        if attempt.outcome not in ("accepted", "pending"):
            continue
        for patch in _patches(attempt):
            name = str(patch.get("field"))
            fell = attempt.fields.get(name, 0.0)
            there = study.evidence.recipe.prompt.guide(name).look_for
            told = [text for text in _phrases(patch) if text in there]
            shares = _shares(study, attempt, name)
            again: list[JsonValue] = [t for t in told if shares.get(t, 0.0) < 0] or [*told]
            if fell < HARM and again:
                dropped[name] = -fell, {"kind": "drop_look_for", "field": name, "phrases": again}
    return dropped


def _fresh(study: Study, field: str, phrase: str) -> bool:
    """Return whether a phrase is not told yet, and is no single patient's on the shown notes."""
    if phrase in study.evidence.recipe.prompt.guide(field).look_for:
        return False
    parts = [" ".join(words(phrase)), *words(phrase)]
    held = [study.corpus.patients(frozenset(study.corpus.holding(part))) for part in parts]
    return all(count == 0 or count >= MIN_PATIENTS for count in held)
