"""Own the large pools of wordings and the small dictionary that the task generator draws from.

``wordings.tsv`` holds one wording per line after its kind; ``concepts.txt`` one thing per line under
all its names. What only the evaluation sees is drawn by family: wordings with the same longest word
stand on the same side, so that a held-out wording is no near copy of one that is trained on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from hashlib import sha256
from importlib import resources

from preceptor.nano.phrases import MIXED, STATE, Pool
from preceptor.nano.wordings import COUNT, DROP, MEANING, NOW

HELD_SHARE = 7
"""One family in so many is held out."""

_SLOT = re.compile(r"\{\w*\}")
_WORD = re.compile(r"[^\W\d_]+")


def _lines(name: str) -> list[str]:
    text = resources.files("preceptor.nano.pools").joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip()]


@cache
def _wordings() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in _lines("wordings.tsv"):
        kind, _, text = line.partition("\t")
        found[kind].append(text)
    return {kind: tuple(texts) for kind, texts in found.items()}


def family(wording: str) -> str:
    """Return what a wording is told by: its longest word, the first of several."""
    return max(_WORD.findall(_SLOT.sub(" ", wording).lower()), key=len, default="")


def _bare(wording: str) -> str:
    """Return a wording without its subject, to compare two of them."""
    return " ".join(wording.replace("{S}", " ").split()).lower()


def is_held(wording: str) -> bool:
    """Whether a wording of the large pool is kept for the evaluation."""
    return sha256(family(wording).encode()).digest()[0] % HELD_SHARE == 0


def _merged(kind: str, core: Pool) -> Pool:
    """Return a pool with the wordings of the file added to its own, which stand first."""
    kept = {_bare(text) for text in core.held}
    fresh = [text for text in _wordings().get(kind, ()) if _bare(text) not in kept]
    held = (*core.held, *(text for text in fresh if is_held(text)))
    families = {family(text) for text in held if family(text)}
    known = {_bare(text) for text in core.train}
    more = [t for t in fresh if family(t) not in families and _bare(t) not in known]
    return Pool((*core.train, *more), held)


@cache
def state(kind: str) -> Pool:
    """Return the wordings that state a thing of a kind (``ANHFPM``)."""
    core = _merged(kind, STATE[kind])
    if kind != "A":
        return core
    # Nothing speaks against it: what a note just names counts as affirmed.
    plain = _merged("CTX", Pool((), ()))
    return Pool((*core.train, *plain.train), (*core.held, *plain.held))


@cache
def mixed() -> Pool:
    """Return the wordings that affirm ``{A}`` and negate ``{N}``."""
    return _merged("MIX", MIXED)


@cache
def drop(kind: str) -> Pool:
    """Return the rules by which a kind of mention (``FHPM``) does not count."""
    return _merged(f"RULE_{kind}", DROP[kind])


@cache
def count(kind: str) -> Pool:
    """Return the rules by which a kind of mention (``FHPM``) counts as ``{L}``."""
    return _merged(f"COUNT_{kind}", COUNT[kind])


@cache
def meaning(kind: str) -> Pool:
    """Return what a label for a kind means."""
    return _merged(f"MEAN_{kind}", MEANING[kind])


@cache
def now() -> Pool:
    """Return what «affirmed» means where history does not count."""
    return _merged("MEAN_NOW", NOW)


@cache
def fillers() -> tuple[str, ...]:
    """Return sentences that state nothing."""
    return _wordings().get("FILL", ())


@cache
def concepts() -> tuple[tuple[str, ...], ...]:
    """Return things under all their names, the first of which is a field's."""
    return tuple(tuple(part.strip() for part in line.split("|")) for line in _lines("concepts.txt"))
