"""A supervised baseline without a language model: one logistic regression per question.

Owns the training: features that all questions share, and how hard it is regularised. Everything is
decided on train alone. C is one number for all label fields, and another one for all values of closed
lists: the pooled score of cross-validation over patients decides (accuracy of labels, F1 of values),
since the few notes of one field cannot. Class weights are balanced where that scores better, at that
C. A question with one answer in train gets that answer.

TF-IDF is Salton and Buckley's (1988, Inf Process Manag 24:513), the implementation scikit-learn's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from preceptor.core.composing import normal
from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Example, Gold
from preceptor.evals.baselines import trivial
from preceptor.evals.baselines.dictionary import Dictionary
from preceptor.evals.baselines.targets import Target, is_open, targets
from preceptor.evals.metrics.choice import DOMINANT
from preceptor.evals.task import Task

Embed = Callable[[Sequence[str]], ArrayLike]
"""Texts -> one vector of numbers each, shape (texts, dimensions)."""

Weight = Literal["balanced"]

STRENGTHS = (0.3, 1.0, 3.0, 10.0)
"""The values of C that are tried; the smallest of equally good ones is taken."""

USUAL = 1.0
"""C where there are too few patients to try."""

TUNED = 12
"""At most so many questions of a kind, evenly taken, say which C is best."""

FEW_NOTES = 300
"""Up to so many notes there are five folds, beyond that three."""

RARE = 5
"""A value with fewer notes in train is never given."""

MOST_TERMS = 50_000
"""The most frequent terms are kept."""


class Matrix(Protocol):
    """Features, one row per note; sparse or dense."""

    shape: tuple[int, ...]

    def __getitem__(self, rows: NDArray[np.int64], /) -> Matrix:
        """Return some rows."""
        ...


@dataclass(frozen=True)
class _Question:
    """A target with its train notes: their places, gold answers and patients."""

    target: Target
    rows: NDArray[np.int64]
    gold: NDArray[np.str_]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class _Strength:
    """How hard classifiers are regularised, and how their classes weigh."""

    c: float = USUAL
    weight: Weight | None = None


def predict(
    task: Task, train: Sequence[Example], examples: Sequence[Example], embed: Embed | None = None
) -> dict[str, Gold]:
    """Return what logistic regressions answer to each note, by id; open lists by a precise dictionary.

    Args:
        task: The task.
        train: Labelled notes.
        examples: The notes to answer.
        embed: What gives a text's features; TF-IDF of its words and pairs of words if None.
    """
    usual = trivial.majority(task.fields, train)
    said: dict[str, Gold] = {e.id: dict(usual) for e in examples}
    texts, wanted = [[_plain(e.text) for e in part] for part in (train, examples)]
    found = (_embedded(embed, texts, wanted) if embed else _tfidf(texts, wanted)) if train else None
    for is_label in (True, False):
        asked = [t for t in targets(task.fields) if isinstance(t.field, LabelField) is is_label]
        questions = [q for q in (_question(t, train) for t in asked) if len(set(q.gold)) > 1]
        if found is None or not questions or not examples:
            continue
        strength = _strength(questions, found[0])
        for question in questions:
            answers = _answer(found[0], question, strength, found[1])
            _enter(question.target, [said[e.id] for e in examples], answers.tolist())
    for field in task.fields:
        known = Dictionary.learn(field, train, precise=True) if is_open(field) else None
        for example in examples:
            held = said[example.id][field.name]
            if known is not None:
                said[example.id][field.name] = known.find(example.text)
            elif isinstance(field, ListField) and isinstance(held, list):
                said[example.id][field.name] = held[: field.max_items]
    return said


def _plain(text: str) -> str:
    return normal("NFC", text)


def _tfidf(train: list[str], texts: list[str]) -> tuple[Matrix, Matrix] | None:
    """Return the features of both, None if no term is left."""
    from sklearn.feature_extraction.text import (
        TfidfVectorizer,
    )

    vectoriser = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"\w+",
        min_df=1 if len(train) <= FEW_NOTES else 2,
        max_features=MOST_TERMS,
    )
    try:
        found = vectoriser.fit_transform(train)
    except ValueError:  # no term in any note, or none in two
        return None
    found.sort_indices()  # once, and not in every fit
    asked = vectoriser.transform(texts) if texts else found
    return cast("Matrix", found), cast("Matrix", asked)


def _embedded(embed: Embed, train: list[str], texts: list[str]) -> tuple[Matrix, Matrix]:
    vectors = np.asarray(embed([*train, *texts]), np.float64)
    scale = np.linalg.norm(vectors, axis=1, keepdims=True)
    even = vectors / np.where(scale > 0, scale, 1.0)
    return cast("Matrix", even[: len(train)]), cast("Matrix", even[len(train) :])


def _question(target: Target, train: Sequence[Example]) -> _Question:
    rows = [i for i, example in enumerate(train) if target.known(example)]
    gold = [target.gold(train[i]) for i in rows]
    if not isinstance(target.field, LabelField) and sum(map(bool, gold)) < RARE:
        gold = [""] * len(gold)
    groups = tuple(train[i].group for i in rows)
    return _Question(target, np.array(rows, np.int64), np.array(gold, np.str_), groups)


def _strength(questions: Sequence[_Question], known: Matrix) -> _Strength:
    """Return what scores best in cross-validation over patients: first C, then the weights."""
    step = -(-len(questions) // TUNED)
    tried = [q for q in questions[::step] if len(set(q.groups)) > 1]
    if not tried:
        return _Strength()
    best = max((_Strength(c) for c in STRENGTHS), key=lambda s: (_score(tried, known, s), -s.c))
    even = _Strength(best.c, "balanced")
    return even if _score(tried, known, even) > _score(tried, known, best) else best


def _score(questions: Sequence[_Question], known: Matrix, strength: _Strength) -> float:
    """Return the score of questions on folds that were left out, all notes and questions pooled."""
    from sklearn.model_selection import GroupKFold

    hits = both = 0
    for question in questions:
        folds = min(5 if len(question.rows) <= FEW_NOTES else 3, len(set(question.groups)))
        said = np.empty_like(question.gold)
        for inside, outside in GroupKFold(folds).split(question.rows, groups=question.groups):
            part = _Question(question.target, question.rows[inside], question.gold[inside], ())
            said[outside] = _answer(known, part, strength, known[question.rows[outside]])
        usual = _usual(question)
        if usual is None:
            hits, both = hits + int((said == question.gold).sum()), both + len(said)
        else:
            hits += 2 * int(((said == question.gold) & (said != usual)).sum())
            both += int((said != usual).sum() + (question.gold != usual).sum())
    return hits / both if both else 0.0


def _usual(question: _Question) -> str | None:
    """Return the answer that finds nothing, which F1 leaves out; None where accuracy tells enough."""
    if not isinstance(question.target.field, LabelField):
        return ""
    values, counts = np.unique(question.gold, return_counts=True)
    return str(values[counts.argmax()]) if counts.max() > DOMINANT * counts.sum() else None


def _answer(known: Matrix, question: _Question, strength: _Strength, asked: Matrix) -> NDArray[np.str_]:
    """Return the answers to one question, one per row of ``asked``."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    if len(set(question.gold)) < 2:
        return np.full(asked.shape[0], question.gold[0])
    part = known[question.rows]
    one = LogisticRegression(
        C=strength.c,
        class_weight=strength.weight,
        solver="liblinear",
        dual=part.shape[1] > part.shape[0],
        tol=0.01,
        random_state=0,
    )
    model = OneVsRestClassifier(one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(part, question.gold)
    return np.asarray(model.predict(asked), np.str_)


def _enter(target: Target, records: Sequence[Gold], answers: Sequence[str]) -> None:
    for record, answer in zip(records, answers, strict=True):
        if isinstance(target.field, LabelField):
            record[target.field.name] = str(answer)
            continue
        said = record[target.field.name]
        held = set(map(str, said)) if isinstance(said, list) else set[str]()
        held = held | {target.value} if answer else held - {target.value}
        record[target.field.name] = [v for v in target.field.values if v in held]
