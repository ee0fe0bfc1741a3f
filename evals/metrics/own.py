"""A person's own metric: a function of (gold, answer), found by name and tried before money is spent.

Owns its loading and what it may return; leaves where it is asked to ``evals.scorers``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence

from preceptor.core import plugins
from preceptor.core.errors import InputError, TaskError, boundary
from preceptor.core.records import Example, Gold
from preceptor.evals.scorers import OwnMetric


def load(spec: str, train: Sequence[Example]) -> OwnMetric:
    """Return a person's own metric, tried on train: gold answers and empty ones.

    ``metric(gold, answer)`` gets two dicts by field name (``answer`` lacks what could not be read) and
    returns a score in [0, 1], or (score, feedback in words).

    Raises:
        TaskError: If it cannot be loaded, raises, or returns anything else.
    """
    try:
        found = plugins.load_object(spec)
    except InputError as error:
        raise TaskError(f"metric {spec!r} cannot be loaded: {error.message}", error.hint) from error
    if not callable(found):
        raise TaskError(f"metric {spec!r} is no function", "name a function of (gold, answer)")
    function: Callable[[Gold, Gold], object] = found

    def score(gold: Gold, answer: Gold) -> tuple[float, str]:
        with boundary(TaskError, f"metric {spec!r} failed", "it must bear missing fields", quiet=True):
            said = function(dict(gold), dict(answer))
        mark, feedback = said if isinstance(said, tuple) and len(said) == 2 else (said, "")
        if not isinstance(mark, int | float) or not 0 <= mark <= 1:
            shown = "NaN" if isinstance(mark, float) and math.isnan(mark) else type(mark).__name__
            shown = f"{mark}" if isinstance(mark, int | float) and math.isfinite(mark) else shown
            raise TaskError(f"metric {spec!r} returned {shown}", "return a number from 0 to 1")
        return float(mark), str(feedback)

    if len(inspect.signature(function).parameters) < 2:
        raise TaskError(
            f"metric {spec!r} takes too few arguments", "it is called as metric(gold, answer)"
        )
    for example in train:
        if example.gold:
            score(example.gold, example.gold)
            score(example.gold, {})
    return score
