"""Which baselines there are, which of them a task has, and the one way to ask any of them.

Owns the names:

* ``majority``, ``always-positive`` and ``commonest``: the same answer to every note (``trivial``).
* ``keyword``: the field's name, or that of a closed list's value, stands in the note; ``context``: the
  same, read as NegEx and ConText do; ``+mined``: with phrases from train beside the name. Open lists
  get what the dictionary of the same line below says.
* ``dictionary``, for tasks of open lists only: the items of train that stand in the note; ``+precise``:
  without those that are wrong more than half of the times in train; ``+context``: under the same
  scopes.
* ``tfidf``: logistic regression on TF-IDF of words and pairs of words; ``embedding``: on the vectors of
  an embedder (``supervised``). Open lists get what ``dictionary+precise`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Example, Gold
from preceptor.evals.baselines import rules, supervised, trivial
from preceptor.evals.baselines.targets import is_open
from preceptor.evals.task import Task

Name = Literal[
    "majority",
    "always-positive",
    "commonest",
    "keyword",
    "context",
    "keyword+mined",
    "context+mined",
    "dictionary",
    "dictionary+context",
    "dictionary+precise",
    "dictionary+precise+context",
    "tfidf",
    "embedding",
]
Kind = Literal["trivial", "rule", "supervised"]

TRIVIAL: tuple[Name, ...] = ("majority", "always-positive", "commonest")
KEYWORDS: tuple[Name, ...] = ("keyword", "context", "keyword+mined", "context+mined")
DICTIONARIES: tuple[Name, ...] = (
    "dictionary",
    "dictionary+context",
    "dictionary+precise",
    "dictionary+precise+context",
)
_ALWAYS: dict[str, Callable[[Sequence[FieldSpec], Sequence[Example]], Gold]] = {
    "majority": trivial.majority,
    "always-positive": trivial.positive,
    "commonest": trivial.commonest,
}
SUPERVISED: tuple[Name, ...] = ("tfidf", "embedding")
EMBEDDING: Name = "embedding"

NAMES: tuple[Name, ...] = (*TRIVIAL, *KEYWORDS, *DICTIONARIES, "tfidf")
"""All that need no embedder. Each answers any task; ``names_for`` leaves out what says nothing new."""


def kind_of(name: Name) -> Kind:
    """Return whether a baseline reads no note, follows rules, or is trained."""
    if name in TRIVIAL:
        return "trivial"
    return "supervised" if name in SUPERVISED else "rule"


def names_for(task: Task, embedder: bool = False) -> tuple[Name, ...]:
    """Return the baselines of a task, from the simplest on.

    Args:
        task: The task.
        embedder: Whether there is one for ``embedding``.
    """
    lists = any(not isinstance(f, LabelField) for f in task.fields)
    closed = any(not is_open(f) for f in task.fields)
    left_out = set() if lists else {"commonest"}
    left_out |= set() if any(isinstance(f, LabelField) for f in task.fields) else {"always-positive"}
    left_out |= {*DICTIONARIES} if closed else {*KEYWORDS, *SUPERVISED}
    left_out |= set() if embedder else {EMBEDDING}
    return tuple(name for name in (*NAMES, EMBEDDING) if name not in left_out)


def trivial_names(task: Task) -> tuple[Name, ...]:
    """Return the baselines of a task that say the same of every note."""
    return tuple(name for name in names_for(task) if name in TRIVIAL)


def predict(
    name: Name,
    task: Task,
    train: Sequence[Example],
    examples: Sequence[Example],
    embed: supervised.Embed | None = None,
) -> dict[str, Gold]:
    """Return a baseline's answer to every note, by id.

    Args:
        name: Which baseline.
        task: The task.
        train: Labelled notes: all that a baseline may learn from.
        examples: The notes to answer; their gold is not looked at.
        embed: Texts to vectors, for ``embedding``.

    Raises:
        InputError: If ``embedding`` is asked without an embedder.
    """
    if name in TRIVIAL:
        said = _ALWAYS[name](task.fields, train)
        return {e.id: dict(said) for e in examples}
    if name in SUPERVISED:
        if name == EMBEDDING and embed is None:
            raise InputError(
                "the baseline 'embedding' needs an embedder", "set one: embedder=st:FOLDER"
            )
        return supervised.predict(task, train, examples, embed if name == EMBEDDING else None)
    scopes = name.startswith("context") or name.endswith("+context")
    return rules.predict(
        task, train, examples, scopes=scopes, mined="+mined" in name or "+precise" in name
    )
