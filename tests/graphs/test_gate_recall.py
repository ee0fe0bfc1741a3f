"""No gain by saying less: a candidate that surely loses recall is rejected, whatever it gains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Evaluation, Scored
from preceptor.evals.metrics import choice, statistic
from preceptor.graphs.gates import GateConfig, GateState, judge

FIELDS: tuple[FieldSpec, ...] = tuple(
    LabelField(name=name, values=("yes", "no")) for name in ("pain", "cough", "fever")
)
LABELS: dict[str, tuple[str, ...]] = {field.name: ("yes",) for field in FIELDS}
METRIC = choice.Metric(
    "macro_f1",
    "",
    choice.make("macro_f1", FIELDS, LABELS),
    statistic.Recall(FIELDS, LABELS),
    tuple(LABELS.items()),
)
GOLD = np.random.default_rng(1).random((100, 3)) < 0.3


def evaluation(said: NDArray[np.bool_], recipe: str) -> Evaluation:
    """Return the scores of answers, two notes of a patient; True is yes."""
    scored = []
    for i, (gold, answer) in enumerate(zip(GOLD, said, strict=True)):
        places = {
            f.name: (int(not g), int(not s)) for f, g, s in zip(FIELDS, gold, answer, strict=True)
        }
        marks = {name: float(g == s) for name, (g, s) in places.items()}
        scored.append(
            Scored(
                example_id=f"n{i}",
                group=f"p{i // 2}",
                fields=marks,
                score=sum(marks.values()) / len(marks),
                valid=True,
                outcomes={name: (g, s) for name, (g, s) in places.items()},
            )
        )
    return Evaluation(recipe=recipe, split="dev", scored=tuple(scored))


EVERYTHING = evaluation(np.ones_like(GOLD), "finds everything, and more")
HALF = GOLD & (np.random.default_rng(2).random(GOLD.shape) < 0.6)
PRECISE = evaluation(HALF, "finds six of ten, and nothing else")


def test_f1_that_is_gained_by_losing_recall_is_rejected() -> None:
    config = GateConfig()
    verdict, _ = judge(EVERYTHING, PRECISE, GateState.start(config), config, METRIC)
    assert verdict.gain.low > 0
    assert verdict.outcome == "reject"
    assert "finds less of what is there: recall -" in verdict.reason
    assert verdict.recall is not None
    assert verdict.recall.failed


def test_where_precision_is_preferred_it_is_accepted() -> None:
    config = GateConfig(recall_alpha=0.0)
    verdict, _ = judge(EVERYTHING, PRECISE, GateState.start(config), config, METRIC)
    assert verdict.outcome == "accept"
    assert verdict.recall is None


def test_a_gain_that_keeps_recall_is_accepted() -> None:
    config = GateConfig()
    noisy = GOLD | (np.random.default_rng(3).random(GOLD.shape) < 0.2)
    better = evaluation(noisy, "finds everything, and little more")
    verdict, _ = judge(EVERYTHING, better, GateState.start(config), config, METRIC)
    assert verdict.outcome == "accept"
    assert verdict.recall is not None
    assert not verdict.recall.failed
