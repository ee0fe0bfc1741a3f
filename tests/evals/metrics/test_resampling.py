"""Intervals and tests of corpus-level metrics, patient by patient."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.records import Scored
from preceptor.evals import stats
from preceptor.evals.metrics import choice, resampling, statistic

Ints = NDArray[np.int64]

FIELDS: tuple[FieldSpec, ...] = tuple(
    LabelField(name=name, values=("yes", "no")) for name in ("pain", "cough", "fever")
)
MACRO = choice.make("macro_f1", FIELDS, {f.name: ("yes",) for f in FIELDS})


def notes(gold: Ints, said: Ints, per_patient: int = 2) -> list[Scored]:
    """Return scores; both of shape (notes, fields), 1 for yes."""
    found = []
    for i, (right, answer) in enumerate(zip(gold, said, strict=True)):
        marks = {f.name: float(g == s) for f, g, s in zip(FIELDS, right, answer, strict=True)}
        places: dict[str, tuple[int, ...]] = {
            f.name: (int(1 - g), int(1 - s)) for f, g, s in zip(FIELDS, right, answer, strict=True)
        }
        found.append(
            Scored(
                example_id=f"n{i}",
                group=f"p{i // per_patient}",
                fields=marks,
                score=sum(marks.values()) / len(marks),
                valid=True,
                outcomes=places,
            )
        )
    return found


def world(seed: int, count: int, rare: float = 0.2) -> tuple[Ints, Ints, Ints]:
    """Return gold and two students' answers, of which neither is better."""
    rng = np.random.default_rng(seed)
    gold = (rng.random((count, 3)) < rare).astype(np.int64)
    said = [np.where(rng.random((count, 3)) < 0.8, gold, 1 - gold) for _ in range(2)]
    return gold, said[0], said[1]


def test_the_test_is_exact_for_few_patients_and_equals_counting_all_swaps_by_hand() -> None:
    gold, before, after = world(1, 16)
    both = resampling.pair(MACRO, notes(gold, before), notes(gold, after))
    reached = 0
    for swap in product((False, True), repeat=8):
        mine, theirs = before.copy(), after.copy()
        for patient, yes in enumerate(swap):
            if yes:
                rows = slice(2 * patient, 2 * patient + 2)
                mine[rows], theirs[rows] = after[rows], before[rows]
        gain = resampling.pair(MACRO, notes(gold, mine), notes(gold, theirs)).gain
        reached += gain >= both.gain - 1e-9
    assert both.gain_p() == pytest.approx(reached / 2**8)


def test_many_patients_are_drawn_and_the_draw_is_the_same_every_time() -> None:
    gold, before, after = world(2, 120)
    both = resampling.pair(MACRO, notes(gold, before), notes(gold, after))
    assert both.gain_p(7) == both.gain_p(7)
    assert both.gain_p(7) == pytest.approx(both.gain_p(8), abs=0.02)


def test_for_a_mean_over_notes_it_is_the_sign_flip_test() -> None:
    gold, before, after = world(3, 100)
    accuracy = choice.make("accuracy", FIELDS, {})
    both = resampling.pair(accuracy, notes(gold, before), notes(gold, after))
    groups, change = stats.paired(notes(gold, before), notes(gold, after))
    sums, _ = stats.group_sums(groups, change)
    assert both.gain_p(5) == pytest.approx(float(stats.sign_flip(sums, 5)[0]), abs=0.02)
    assert both.skewed_p() == pytest.approx(stats.skewed_t(sums))


def test_a_real_gain_is_found_and_its_opposite_is_a_loss() -> None:
    rng = np.random.default_rng(4)
    gold = (rng.random((120, 3)) < 0.2).astype(int)
    bad = np.where(rng.random((120, 3)) < 0.4, gold, 0)
    good = np.where(rng.random((120, 3)) < 0.8, gold, 0)
    both = resampling.pair(MACRO, notes(gold, bad), notes(gold, good))
    assert both.gain > 0.2
    assert both.gain_p() < 0.001
    assert both.skewed_p() < 0.001
    assert both.loss_p() > 0.99
    back = resampling.pair(MACRO, notes(gold, good), notes(gold, bad))
    assert (back.field_loss_p() < 0.01).all()


def test_pseudo_values_average_to_the_gain() -> None:
    gold, before, after = world(5, 80)
    both = resampling.pair(MACRO, notes(gold, before), notes(gold, after))
    assert both.influences().mean() == pytest.approx(both.gain, abs=1e-4)
    assert resampling.standard_error(both) is not None


def test_the_standard_error_is_the_spread_of_gains_where_few_patients_have_what_is_to_be_found() -> (
    None
):
    rng = np.random.default_rng(9)
    fields = tuple(LabelField(name=f"f{i}", values=("yes", "no")) for i in range(8))
    macro = choice.make("macro_f1", fields, {f.name: ("yes",) for f in fields})
    gains, errors, influences = [], [], []
    for _ in range(250):
        gold = rng.random((50, 8)) < 0.1
        sides = []
        for _ in range(2):
            said = np.where(gold, rng.random((50, 8)) < 0.7, rng.random((50, 8)) < 0.033)
            sides.append(np.stack([gold, said, gold & said], -1).reshape(50, -1).astype(np.float64))
        both = resampling.Pair(macro, sides[0], sides[1])
        gains.append(both.gain)
        errors.append(resampling.standard_error(both) or 0.0)
        influences.append(both.influences().std(ddof=1) / np.sqrt(50))
    spread = float(np.std(gains))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.1)
    assert np.sqrt(np.mean(np.square(influences))) < 0.9 * spread  # what it was before


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    held = 0
    for seed in range(60):
        gold, said, _ = world(seed, 100)
        found = resampling.interval(MACRO, notes(gold, said))
        assert found.low <= found.value <= found.high
        held += found.low <= 0.615 <= found.high  # 2·.8·.2 / (.2 + .8·.2 + .2·.8) = 8/13
    assert held >= 51


def test_a_metric_that_is_not_defined_has_the_whole_range_and_no_power() -> None:
    none = np.zeros((40, 3), int)
    some = none.copy()
    some[:5] = 1
    found = resampling.interval(MACRO, notes(none, some))
    assert (found.value, found.low, found.high) == (0.0, 0.0, 1.0)
    both = resampling.pair(MACRO, notes(none, none), notes(none, some))
    assert np.isnan(both.gain)
    assert both.gain_p() == 1.0
    assert resampling.difference(MACRO, notes(none, none), notes(none, some)).low == -1.0
    assert resampling.field_intervals(MACRO, notes(none, some)) == {}


def test_all_right_or_all_wrong_gets_wilsons_interval_over_patients() -> None:
    rng = np.random.default_rng(6)
    gold = (rng.random((60, 3)) < 0.3).astype(int)
    assert resampling.interval(MACRO, notes(gold, gold)) == stats.wilson(30, 30)
    assert resampling.interval(MACRO, notes(gold, np.zeros_like(gold))) == stats.wilson(0, 30)


def test_notes_of_one_patient_are_no_evidence_of_their_own() -> None:
    gold, before, after = world(7, 120)
    alone = resampling.difference(MACRO, notes(gold, before, 1), notes(gold, after, 1))
    same = np.repeat(np.arange(12), 10)
    copies = gold[same * 10], before[same * 10], after[same * 10]
    shared = resampling.difference(
        MACRO, notes(copies[0], copies[1], 10), notes(copies[0], copies[2], 10)
    )
    assert shared.high - shared.low > 2 * (alone.high - alone.low)


def test_different_notes_cannot_be_compared() -> None:
    gold, before, after = world(8, 20)
    with pytest.raises(InputError):
        resampling.pair(MACRO, notes(gold, before), notes(gold[:10], after[:10]))


def test_recall_counts_only_what_was_to_be_found() -> None:
    recall = statistic.Recall(FIELDS, {f.name: ("yes",) for f in FIELDS})
    gold = np.array([[1, 0, 0], [1, 1, 0]])
    said = np.array([[1, 1, 1], [0, 1, 0]])
    totals = resampling.by_patient(recall, notes(gold, said)).sum(0)
    assert float(recall.value(totals)) == pytest.approx(2 / 3)


def test_a_rare_field_does_not_drop_out_of_the_interval_together_with_its_only_case() -> None:
    """Pain is found always, fever never; fever has one case: without it macro F1 would be 1."""
    gold, said = np.zeros((60, 3), np.int64), np.zeros((60, 3), np.int64)
    gold[:20, 0] = said[:20, 0] = 1
    gold[59, 2], said[50:55, 2] = 1, 1
    value = resampling.interval(MACRO, notes(gold, said, 1))
    assert value.value == pytest.approx(0.5)
    assert value.low < 0.51
    assert value.high == pytest.approx(1.0)  # what it is where fever is not asked about
    better = said.copy()
    better[59, 2] = 1  # the one case: +14 points, and no resampling without it says so
    gain = resampling.difference(MACRO, notes(gold, said, 1), notes(gold, better, 1))
    assert gain.value > 0.1
    assert gain.low == 0.0


def test_intervals_of_macro_f1_hold_the_truth_where_fields_are_rare() -> None:
    shares, recall, invented = np.array([0.4, 0.05, 0.02]), np.array([0.8, 0.4, 0.3]), 0.05
    rng = np.random.default_rng(5)

    def drawn(count: int) -> tuple[Ints, Ints]:
        gold = rng.random((count, 3)) < shares
        said = np.where(gold, rng.random((count, 3)) < recall, rng.random((count, 3)) < invented)
        return gold.astype(np.int64), said.astype(np.int64)

    hits, said, there = shares * recall, shares * recall + (1 - shares) * invented, shares
    truth = float((2 * hits / (said + there)).mean())
    found = [resampling.interval(MACRO, notes(*drawn(60), 1)) for _ in range(120)]
    assert sum(one.low <= truth <= one.high for one in found) >= 0.9 * len(found)
