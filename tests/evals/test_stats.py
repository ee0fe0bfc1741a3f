from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from preceptor.core.errors import InputError
from preceptor.core.records import Interval, Scored
from preceptor.evals import stats


def scored(values: list[float], groups: list[str] | None = None) -> list[Scored]:
    names = groups or [f"p{i}" for i in range(len(values))]
    return [
        Scored(example_id=f"n{i}", group=g, fields={"f": v}, score=v, valid=True)
        for i, (v, g) in enumerate(zip(values, names, strict=True))
    ]


def test_wilson_agrees_with_the_published_example() -> None:
    # Newcombe, Stat Med 17 (1998) 857, table I, method 3: 81/263 and 0/20
    first, second = stats.wilson(81, 263), stats.wilson(0, 20)
    assert (round(first.low, 4), round(first.high, 4)) == (0.2553, 0.3662)
    assert (round(second.low, 4), round(second.high, 4)) == (0.0, 0.1611)
    assert stats.wilson(0, 0) == Interval(value=0.0, low=0.0, high=1.0)


def test_holm_agrees_with_hand_calculation() -> None:
    given = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert stats.holm(given) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(stats.holm(given)) == list(given)


def test_sign_flip_is_exact_for_few_patients() -> None:
    sums = np.array([1.0, 0.5, -0.25, 2.0, 0.0])
    total = sums.sum()
    reached = [
        sum(s * v for s, v in zip(signs, sums, strict=True)) >= total - 1e-9
        for signs in product((1, -1), repeat=5)
    ]
    assert stats.sign_flip(sums)[0] == pytest.approx(np.mean(reached))
    assert stats.sign_flip(np.zeros(20))[0] == 1.0
    assert stats.sign_flip(np.ones(10))[0] == pytest.approx(2**-10)


def test_random_flips_come_near_the_exact_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.random.default_rng(3).normal(0.25, 1, (12, 2))
    exact = stats.sign_flip(sums)
    monkeypatch.setattr(stats, "EXACT_GROUPS", 2)
    drawn = stats.sign_flip(sums, seed=5)
    assert drawn == pytest.approx(exact, abs=0.02)
    assert (drawn == stats.sign_flip(sums, seed=5)).all()
    assert (drawn != stats.sign_flip(sums, seed=6)).any()
    assert stats.sign_flip(np.full(40, 1.0))[0] == pytest.approx(1 / 10_001)


def test_sign_flip_rejects_a_true_null_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    low = np.array([stats.sign_flip(rng.normal(0, 1, 20), seed)[0] <= 0.05 for seed in range(600)])
    assert 0.025 <= low.mean() <= 0.08


def test_interval_covers_as_often_as_it_says_and_narrower_ones_would_not() -> None:
    rng = np.random.default_rng(7)
    covered = naive = 0
    groups = [f"p{i // 4}" for i in range(120)]
    for seed in range(150):
        patient = np.repeat(rng.normal(0, 0.1, 30), 4)
        values = 0.6 + patient + rng.normal(0, 0.05, 120)
        found = stats.cluster_interval(groups, values, seed=seed)
        covered += found.low <= 0.6 <= found.high
        alone = stats.cluster_interval([str(i) for i in range(120)], values, seed=seed)
        naive += alone.low <= 0.6 <= alone.high
    assert covered / 150 > 0.88
    assert naive / 150 < 0.80


def test_interval_of_all_right_is_not_a_point() -> None:
    found = stats.interval(scored([1.0] * 20))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.8389, abs=1e-3)


def test_one_patient_tells_nothing_about_the_spread() -> None:
    found = stats.interval(scored([0.2, 0.4], ["p", "p"]))
    assert (found.low, found.high) == (0.0, 1.0)
    assert found.value == pytest.approx(0.3)
    assert stats.interval([]) == Interval(value=0.0, low=0.0, high=1.0)


def test_paired_difference_is_narrower_than_unpaired_and_needs_the_same_notes() -> None:
    rng = np.random.default_rng(1)
    base = rng.uniform(0.2, 0.8, 60)
    before, after = scored(list(base)), scored(list(base + 0.1))
    found = stats.paired_difference(before, after)
    assert found.value == pytest.approx(0.1)
    assert found.high - found.low < 1e-6
    with pytest.raises(InputError):
        stats.paired_difference(before, after[::-1])
    with pytest.raises(InputError):
        stats.paired_difference(before, after[:-1])


def test_standard_error_sees_the_patients() -> None:
    values = [0.0, 0.0, 1.0, 1.0] * 10
    pairs = [f"p{i // 2}" for i in range(40)]
    alone = stats.standard_error([str(i) for i in range(40)], values)
    together = stats.standard_error(pairs, values)
    assert alone is not None
    assert together is not None
    assert together / alone == pytest.approx(2**0.5, rel=0.05)
    assert stats.standard_error(["p", "p"], [0.0, 1.0]) is None
    assert stats.detectable_gain(0.02) == pytest.approx(2.486 * 0.02, rel=1e-3)


def test_skewed_t_agrees_with_t_when_there_is_no_skew() -> None:
    # mirrored around its mean, so without skew: t = 0.5 / (s / sqrt(20)), tail by scipy.stats.t.sf
    half = np.array([0.1, 0.4, 0.7, 1.0, 1.3, 1.6, 1.9, 2.2, 2.5, 2.8])
    sums = np.concatenate([half, -half]) + 0.5
    assert stats.skewed_t(sums) == pytest.approx(0.10590, abs=5e-4)
    assert stats.skewed_t(-sums) == pytest.approx(1 - 0.10590, abs=5e-4)
    assert stats.skewed_t(np.ones(5)) == 0.0
    assert stats.skewed_t(np.zeros(5)) == 1.0


def test_rare_great_harm_is_promoted_by_sign_flips_and_less_by_skewed_t() -> None:
    rng = np.random.default_rng(2)
    flips = skewed = 0
    for seed in range(300):
        sums = np.where(rng.random(40) < 0.15, -0.85, 0.15) + rng.normal(0, 0.05, 40)
        flips += stats.sign_flip(sums, seed)[0] <= 0.0125
        skewed += stats.skewed_t(sums) <= 0.0125
    assert flips > 3 * 0.0125 * 300
    assert skewed < flips / 2


def test_skewed_t_agrees_with_halls_formula() -> None:
    # h = sqrt(n) (u + g u²/3 + g² u³/27 + g/6n), tail by scipy.stats.t.sf; plain t gives 0.01021
    sums = np.array([0.3] * 18 + [-0.9] * 2 + [0.1] * 5)
    assert stats.skewed_t(sums) == pytest.approx(0.07696, abs=5e-4)


def test_skewed_t_is_monotone_in_the_gain() -> None:
    sums = np.array([0.1] * 45 + [-1.0] * 5)
    p_values = [stats.skewed_t(sums + shift) for shift in np.linspace(-0.3, 3, 60)]
    assert p_values == sorted(p_values, reverse=True)
