"""A person's own metric: a function of (gold, answer), found by name and tried before money is spent.

Owns its loading and what it may return; leaves where it is asked to ``evals.scorers``.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Sequence
from numbers import Real

import numpy as np

from preceptor.core import plugins
from preceptor.core.errors import InputError, TaskError, boundary
from preceptor.core.records import Example, Gold
from preceptor.core.spelling import is_text
from preceptor.evals.scorers import OwnMetric

MOST_WORDS = 2_000
"""So many characters of feedback are kept."""


def load(spec: str, train: Sequence[Example]) -> OwnMetric:
    """Return a person's own metric, tried on train: gold answers and empty ones.

    ``metric(gold, answer)`` gets two dicts by field name (``answer`` lacks what could not be read) and
    returns a score in [0, 1], or (score, feedback in words). It gets copies, so it may change them.

    Raises:
        TaskError: If it cannot be loaded, raises, returns anything else, says now this and now that of
            the same note, or gives gold itself less than an empty answer.
    """
    try:
        found = plugins.load_object(spec)
    except InputError as error:
        raise TaskError(f"metric {spec!r} cannot be loaded: {error.message}", error.hint) from error
    if not callable(found):
        raise TaskError(f"metric {spec!r} is no function", "name a function of (gold, answer)")
    function: Callable[[Gold, Gold], object] = found

    def score(gold: Gold, answer: Gold) -> tuple[float, str]:
        given = copy.deepcopy((dict(gold), dict(answer)))
        with boundary(TaskError, f"metric {spec!r} failed", "it must bear missing fields", quiet=True):
            said = function(*given)
        mark, feedback = said if isinstance(said, tuple) and len(said) == 2 else (said, "")
        return _number(spec, mark), _words(feedback)

    _check_arguments(spec, function)
    _try(spec, score, [e.gold for e in train if e.gold])
    return score


def _number(spec: str, mark: object) -> float:
    """Return a score, whatever kind of number it is."""
    known = float(mark) if isinstance(mark, Real | np.bool_) else None
    if known is None or not 0 <= known <= 1:
        shown = type(mark).__name__ if known is None else "NaN" if math.isnan(known) else f"{known:g}"
        raise TaskError(f"metric {spec!r} returned {shown}", "return a number from 0 to 1")
    return known


def _words(feedback: object) -> str:
    """Return feedback on one line, as text that can be kept and shown."""
    said = "" if feedback is None else str(feedback)
    said = said if is_text(said) else said.encode("utf-8", "replace").decode()
    shown = "".join(c if c.isprintable() else " " for c in said)
    return " ".join(shown.split())[:MOST_WORDS]


def _check_arguments(spec: str, function: Callable[[Gold, Gold], object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one that is not written in Python
        return
    try:
        signature.bind({}, {})
    except TypeError as cause:
        raise TaskError(
            f"metric {spec!r} takes other arguments", "it is called as metric(gold, answer)"
        ) from cause


def _try(spec: str, score: OwnMetric, golds: Sequence[Gold]) -> None:
    """Ask for each note twice, in two orders."""
    asked = [pair for gold in golds for pair in ((gold, gold), (gold, Gold()))]
    said = [score(*pair)[0] for pair in asked]
    again = [score(*pair)[0] for pair in reversed(asked)][::-1]
    if said != again:
        raise TaskError(
            f"metric {spec!r} gives the same answer now one score, now another",
            "let it depend on gold and answer alone: no chance, no memory",
        )
    if sum(said[::2]) < sum(said[1::2]):
        raise TaskError(
            f"metric {spec!r} gives gold itself less than an empty answer",
            "return how good an answer is: 1 is right, 0 is wrong",
        )
