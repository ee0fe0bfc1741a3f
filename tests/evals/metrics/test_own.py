"""A person's own metric: whatever it returns, changes or remembers, scores mean what they say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from preceptor.core.errors import TaskError
from preceptor.core.records import Example, Gold
from preceptor.evals.metrics import own

HERE = "tests.evals.metrics.test_own"
TRAIN = [
    Example(id=f"n{i}", group=f"p{i}", text="note", gold={"pain": v, "drugs": ["b", "a"]})
    for i, v in enumerate(["yes", "no", "yes", "no"])
]
GOLD = TRAIN[0].gold or {}


def _right(gold: Gold, answer: Gold) -> bool:
    return gold.get("pain") == answer.get("pain")


def as_bool(gold: Gold, answer: Gold) -> object:
    return _right(gold, answer)


def as_int(gold: Gold, answer: Gold) -> object:
    return int(_right(gold, answer))


def as_numpy(gold: Gold, answer: Gold) -> object:
    return np.float32(_right(gold, answer))


def as_numpy_int(gold: Gold, answer: Gold) -> object:
    return np.int64(_right(gold, answer)), None


def as_numpy_bool(gold: Gold, answer: Gold) -> object:
    return np.bool_(_right(gold, answer))


def as_fraction(gold: Gold, answer: Gold) -> object:
    return Fraction(int(_right(gold, answer)))


def star(*both: Gold) -> object:
    return float(_right(*both))


@pytest.mark.parametrize(
    "name",
    ["as_bool", "as_int", "as_numpy", "as_numpy_int", "as_numpy_bool", "as_fraction", "star"],
)
def test_any_kind_of_number_from_0_to_1_is_a_score(name: str) -> None:
    score = own.load(f"{HERE}:{name}", TRAIN)
    assert score(GOLD, GOLD) == (1.0, "")
    assert type(score(GOLD, {})[0]) is float


def triple(gold: Gold, answer: Gold) -> object:
    return 1.0, "good", "more"


def nested(gold: Gold, answer: Gold) -> object:
    return (1.0, "good"), "more"


def array(gold: Gold, answer: Gold) -> object:
    return np.ones(1)


def nothing(gold: Gold, answer: Gold) -> object:
    return None


def loss(gold: Gold, answer: Gold) -> object:
    return 1.0 - _right(gold, answer)


_CALLS: list[int] = []


def counting(gold: Gold, answer: Gold) -> object:
    _CALLS.append(1)
    return 1 / len(_CALLS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("triple", "returned tuple"),
        ("nested", "returned tuple"),
        ("array", "returned ndarray"),
        ("nothing", "returned NoneType"),
        ("loss", "gives gold itself less than an empty answer"),
        ("counting", "now one score, now another"),
    ],
)
def test_what_would_make_better_mean_nothing_is_refused(name: str, said: str) -> None:
    with pytest.raises(TaskError) as caught:
        own.load(f"{HERE}:{name}", TRAIN)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def changing(gold: Gold, answer: Gold) -> object:
    drugs = gold["drugs"]
    assert isinstance(drugs, list)
    drugs.clear()
    right = float(_right(gold, answer))
    answer.clear()
    return right


def test_a_metric_that_changes_what_it_is_given_changes_no_gold() -> None:
    score = own.load(f"{HERE}:changing", TRAIN)
    said: Gold = {"pain": "yes", "drugs": ["c"]}
    assert score(GOLD, said) == (1.0, "")
    assert (GOLD["drugs"], said) == (["b", "a"], {"pain": "yes", "drugs": ["c"]})


def talking(gold: Gold, answer: Gold) -> object:
    return float(_right(gold, answer)), "one\x00\x1b[2J\ntwo \ud800 " + 5_000 * "x"


def test_feedback_is_one_line_of_text() -> None:
    words = own.load(f"{HERE}:talking", TRAIN)(GOLD, GOLD)[1]
    assert words.startswith("one [2J two ? xxx")
    assert words.isprintable()
    assert len(words) == own.MOST_WORDS


def test_a_built_in_function_is_told_as_what_it_returns() -> None:
    with pytest.raises(TaskError, match=r"failed: |returned "):
        own.load("builtins:max", TRAIN)
