"""Guards of the acceptance test where the metric itself says nothing of a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Answer, Evaluation, Example, Gold
from preceptor.evals.metrics.choice import choose
from preceptor.evals.scorers import score_answer
from preceptor.graphs.gates import GateConfig, GateState, Verdict, judge

PAIN = LabelField(name="pain", values=("yes", "no"))
FEVER = LabelField(name="fever", values=("yes", "no"))
DRUGS = ListField(name="drugs", of="drugs")
STAGE = LabelField(name="stage", values=("low", "middle", "high"), ordered=True)
CONFIG = GateConfig()


def notes(gold: Sequence[Gold]) -> list[Example]:
    return [Example(id=f"n{i}", group=f"p{i}", text="x", gold=g) for i, g in enumerate(gold)]


def evaluation(
    recipe: str, examples: Sequence[Example], said: Sequence[Gold], fields: Sequence[FieldSpec]
) -> Evaluation:
    both = zip(examples, said, strict=True)
    scored = [score_answer(e, Answer(example_id=e.id, record=s), fields) for e, s in both]
    return Evaluation(recipe=recipe, split="dev", scored=tuple(scored))


def verdict(
    metric: str,
    fields: tuple[FieldSpec, ...],
    gold: Sequence[Gold],
    said: Mapping[str, Sequence[Gold]],
) -> Verdict:
    examples = notes(gold)
    before, after = (evaluation(name, examples, said[name], fields) for name in ("before", "after"))
    by = choose(fields, examples, metric)
    return judge(before, after, GateState.start(CONFIG), CONFIG, by)[0]


def test_inventing_what_gold_never_has_is_no_free_gain() -> None:
    """Under macro F1 a field without anything to find has no value: it must be guarded all the same."""
    gold: list[Gold] = [{"pain": "yes" if i % 2 else "no", "fever": "no"} for i in range(60)]
    found = verdict(
        "macro_f1",
        (PAIN, FEVER),
        gold,
        {
            "before": [{"pain": "yes" if i % 4 == 1 else "no", "fever": "no"} for i in range(60)],
            "after": [{"pain": g["pain"], "fever": "yes"} for g in gold],
        },
    )
    assert found.gain.value > 0.2
    assert found.outcome == "reject"
    assert "fever -100.0" in found.reason


@pytest.mark.parametrize("metric", ["kappa", "list_f1"])
def test_a_field_of_a_kind_that_the_metric_leaves_out_is_guarded(metric: str) -> None:
    stages = ("low", "middle", "high")
    gold: list[Gold] = [{"stage": stages[i % 3], "drugs": ["a", f"b{i % 5}"]} for i in range(60)]
    poor: list[Gold] = [{"stage": "low", "drugs": ["z"]} for _ in gold]
    good, ruined = ("stage", "drugs") if metric == "kappa" else ("drugs", "stage")
    found = verdict(
        metric,
        (STAGE, DRUGS),
        gold,
        {
            "before": [{good: p[good], ruined: g[ruined]} for g, p in zip(gold, poor, strict=True)],
            "after": [{good: g[good], ruined: p[ruined]} for g, p in zip(gold, poor, strict=True)],
        },
    )
    assert found.gain.value > 0.5
    assert found.outcome == "reject"
    assert ruined in found.reason


def test_a_run_that_began_before_counts_were_kept_is_still_judged_by_accuracy() -> None:
    gold: list[Gold] = [{"pain": "yes" if i % 2 else "no"} for i in range(60)]
    examples = notes(gold)
    wrong: list[Gold] = [{"pain": "no"} for _ in gold]
    before = evaluation("before", examples, wrong, (PAIN,))
    old = before.model_copy(
        update={"scored": tuple(s.model_copy(update={"outcomes": {}}) for s in before.scored)}
    )
    after = evaluation("after", examples, gold, (PAIN,))
    by = choose((PAIN,), examples, "accuracy")
    found = judge(old, after, GateState.start(CONFIG), CONFIG, by)[0]
    assert (found.outcome, found.recall) == ("accept", None)
