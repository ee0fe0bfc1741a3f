"""What rules without any model reach: the numbers that a student has to beat.

Owns five baselines for label fields and the phrases two of them mine from train. An open list is
answered with the empty list. Leaves scoring to ``evals.evaluate``: a baseline returns one Gold per
example id.

* ``majority``: the most frequent label of the field in train.
* ``keyword``: the field's name stands in the note.
* ``context``: the same, under triggers and scopes in the manner of NegEx (Chapman et al. 2001,
  J Biomed Inform 34:301) and ConText (Harkema et al. 2009, J Biomed Inform 42:839): a trigger reaches
  to the end of its sentence or to a termination term; pseudo-triggers are taken out first.
* ``keyword+mined`` and ``context+mined``: with phrases from train beside the name.

Labels: the first one that is not the field's default says «there», the second one, if there is one,
«not there»; the default says «nothing found».
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, get_args

from pydantic import JsonValue

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Example, Gold
from preceptor.evals.task import Task

Name = Literal["majority", "keyword", "context", "keyword+mined", "context+mined"]
NAMES: tuple[Name, ...] = get_args(Name)

Status = Literal["affirmed", "negated", "other"]
Phrases = Mapping[str, Sequence[str]]
"""Phrases per field name, in lower case."""

MINED = 6
"""The most phrases mined per field."""

LEAST_Z = 1.5
"""The least z-score of a mined phrase."""

PRIOR = 0.1
"""Weight of the prior: it counts as a tenth of the data."""


def _any(*phrases: str) -> re.Pattern[str]:
    words = "|".join(sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])")


PSEUDO = _any(
    "no change", "no increase", "no improvement", "not only", "not resolved", "without relief",
    "no better", "not improved", "gram negative", "not certain whether", "without difficulty",
)  # fmt: skip
BEFORE = _any(
    "no", "not", "without", "w/o", "denies", "denied", "deny", "negative for", "neg for", "free of",
    "absence of", "never", "no evidence of", "no signs of", "no complaints of", "no longer", "none of",
    "nothing to suggest", "rules out", "ruled out", "resolved",
)  # fmt: skip
AFTER = _any(
    "denied", "negative", "absent", "none", "nil", "resolved", "ruled out", "not present", "not seen",
    "cleared", "settled", "gone", "is unlikely", "stopped",
)  # fmt: skip
HISTORY = _any(
    "history of", "hx of", "h/o", "previous", "previously", "prior to", "before rt", "before treatment",
    "in the past", "remote", "pmh", "past hx", "past medical", "as a young man", "used to",
    r"(?:19|20)\d\d",
)  # fmt: skip
FAMILY = _any(
    "father", "mother", "brother", "sister", "uncle", "aunt", "cousin", "neighbor", "family history",
    "fhx", "famhx", "wife", "husband", "son", "daughter", "his brother", "grandfather",
)  # fmt: skip
HYPOTHETICAL = _any(
    "if", "return", "should", "call for", "warned", "counseled", "risk of", "watch for", "possible",
    "discussed", "will", "plan to", "in case", "handout", "questionnaire", "not assessed",
)  # fmt: skip
END = _any(
    "but", "however", "though", "although", "except", "apart from", "other than", "despite", "still",
    "yet", "which", "because", "secondary to", "aside from",
)  # fmt: skip

_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")


def predict(
    name: Name, task: Task, train: Sequence[Example], examples: Sequence[Example]
) -> dict[str, Gold]:
    """Return a baseline's answer to every example, by id.

    Args:
        name: Which baseline.
        task: The task.
        train: Labelled examples; only ``majority`` and the mined ones look at them.
        examples: The notes to answer; their gold is not looked at.
    """
    if name == "majority":
        common = {f.name: _majority(f, train) for f in task.fields}
        return {e.id: dict(common) for e in examples}
    phrases = {f.name: [f.name.casefold()] for f in task.fields}
    if name.endswith("+mined"):
        mined = mine(task, train)
        phrases = {name: [*own, *mined[name]] for name, own in phrases.items()}
    reader = _affirmed if name.startswith("keyword") else status
    return {e.id: read(e.text, task.fields, phrases, reader) for e in examples}


def _majority(field: FieldSpec, train: Iterable[Example]) -> JsonValue:
    if not isinstance(field, LabelField):
        return []
    seen = Counter(str(e.gold[field.name]) for e in train if e.gold and field.name in e.gold)
    return max(field.values, key=lambda v: (seen[v], v == field.default))


def read(
    text: str,
    fields: Iterable[FieldSpec],
    phrases: Phrases,
    reader: Callable[[str, int, int], Status],
) -> Gold:
    """Return the answer that phrases give; one affirmed mention outweighs all negated ones."""
    sentences = [s.casefold() for s in _SENTENCE.split(text)]
    gold: Gold = {}
    for field in fields:
        if not isinstance(field, LabelField):
            gold[field.name] = []
            continue
        pattern = _any(*(re.escape(p) for p in phrases[field.name]))
        found: set[Status] = {
            reader(s, m.start(), m.end()) for s in sentences for m in pattern.finditer(s)
        }
        gold[field.name] = _label(field, found)
    return gold


def _label(field: LabelField, found: set[Status]) -> str:
    others = [v for v in field.values if v != field.default]
    if "affirmed" in found:
        return others[0]
    return others[1] if "negated" in found and len(others) > 1 else field.default


def _affirmed(sentence: str, start: int, end: int) -> Status:
    return "affirmed"


def status(sentence: str, start: int, end: int) -> Status:
    """Return what a sentence says of the phrase at ``start:end``, after NegEx and ConText."""
    before, after = sentence[:start], sentence[end:]
    pseudo = [m.end() for m in PSEUDO.finditer(before)]
    before = before[max([0, *pseudo, *(m.end() for m in END.finditer(before))]) :]
    after_end = END.search(after)
    after = PSEUDO.sub(" ", after[: after_end.start()] if after_end else after)
    whole = f"{before} {after}"
    if HYPOTHETICAL.search(before) or FAMILY.search(whole) or HISTORY.search(whole):
        return "other"
    return "negated" if BEFORE.search(before) or AFTER.search(after) else "affirmed"


def mine(task: Task, train: Sequence[Example], most: int = MINED) -> dict[str, list[str]]:
    """Return, per label field, the phrases of one to three words that mark a mention in train.

    Log-odds with an informative Dirichlet prior, as a z-score (Monroe, Colaresi and Quinn 2008,
    Political Analysis 16:372, eq. 16 and 22), of notes with a label other than the default against
    notes with the default. A phrase needs two groups and ``LEAST_Z``, and goes only to the field that
    it marks best; one that contains a better phrase of the same field is left out.
    """
    notes = [(_grams(e.text), e) for e in train if e.gold]
    best: dict[str, tuple[float, str]] = {}
    for field in task.fields:
        for gram, z in _scores(field, notes).items() if isinstance(field, LabelField) else ():
            best[gram] = max(best.get(gram, (LEAST_Z, "")), (z, field.name))
    kept: dict[str, list[str]] = {f.name: [] for f in task.fields}
    for gram in sorted(best, key=lambda g: (-best[g][0], g)):
        mine_of = kept.get(best[gram][1])
        if mine_of is not None and len(mine_of) < most:
            if not any(f" {k} " in f" {gram} " for k in mine_of):
                mine_of.append(gram)
    return kept


def _scores(field: LabelField, notes: Iterable[tuple[set[str], Example]]) -> dict[str, float]:
    """Return the z-score of every phrase that two groups use in notes that mention the field."""
    there, not_there = Counter[str](), Counter[str]()
    groups: dict[str, set[str]] = defaultdict(set)
    for grams, example in notes:
        if not example.gold or field.name not in example.gold:
            continue
        found = example.gold[field.name] != field.default
        (there if found else not_there).update(grams)
        for gram in grams if found else ():
            groups[gram].add(example.group)
    sizes = there.total(), not_there.total()
    if not all(sizes):
        return {}  # Where every note mentions the field, no phrase marks that.
    return {g: _z(there[g], not_there[g], *sizes) for g, who in groups.items() if len(who) > 1}


def _grams(text: str) -> set[str]:
    grams: set[str] = set()
    for sentence in _SENTENCE.split(text.casefold()):
        words = re.findall(r"[a-z][\w'-]*", sentence)
        grams.update(" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1))
    return grams


def _z(a: int, b: int, n: int, m: int) -> float:
    """Return the z-score of a phrase that occurs ``a`` times among ``n`` and ``b`` among ``m``."""
    prior = PRIOR * (a + b)
    top, other = a + prior, b + prior
    odds = math.log(top / (n * (1 + PRIOR) - top)) - math.log(other / (m * (1 + PRIOR) - other))
    return odds / math.sqrt(1 / top + 1 / other)
