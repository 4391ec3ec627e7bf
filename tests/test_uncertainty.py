"""Intervals cover what they say, differences are paired, corrections and ranks keep their rule."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from ldct.errors import InputError
from ldct.evaluation.resampling import block_length, degrees_of_freedom, slice_weights
from ldct.evaluation.uncertainty import (
    MEAN,
    POOLED_PSNR,
    POOLED_RMSE,
    Interval,
    PairedDifference,
    holm,
    mean_interval,
    paired_difference,
    pairwise_differences,
    rank_intervals,
    ranks_from_pairs,
)


def rows(values, method="drl", value="psnr"):
    """Score rows of an array [seed, patient, slice]."""
    values = np.asarray(values, float)
    seed, patient, index = np.indices(values.shape)
    return pd.DataFrame(
        {
            "method": method,
            "seed": seed.ravel(),
            "patient": [f"L{number}" for number in patient.ravel()],
            "slice_index": index.ravel(),
            "z_mm": index.ravel() * 1.0,
            value: values.ravel(),
        }
    )


def correlated(rng, shape, correlation):
    """Noise of standard deviation 1 that is correlated from slice to slice (last axis)."""
    noise = rng.standard_normal(shape)
    noise[..., 0] /= np.sqrt(1 - correlation**2)
    return lfilter([1], [1, -correlation], noise, axis=-1) * np.sqrt(1 - correlation**2)


def coverage(simulate, truth, repetitions, **options):
    """How often the interval, and the naive one of independent slices, hold the truth."""
    rng = np.random.default_rng(2021)
    held = naive_held = 0
    for _ in range(repetitions):
        values = simulate(rng)
        interval = mean_interval(rows(values), "psnr", resamples=400, **options)
        slices = values.mean(axis=0).ravel()
        half = 1.96 * slices.std(ddof=1) / np.sqrt(len(slices))
        held += interval.lower <= truth <= interval.upper
        naive_held += abs(slices.mean() - truth) <= half
    return held / repetitions, naive_held / repetitions


@pytest.mark.parametrize(
    ("patients", "seeds", "patient_std", "seed_std"),
    [(10, 1, 1.0, 0.0), (10, 3, 0.5, 0.3), (5, 3, 0.5, 0.5), (3, 1, 2.0, 0.0)],
)
def test_patient_intervals_cover_the_mean_of_the_population(patients, seeds, patient_std, seed_std):
    def simulate(rng):
        return (
            30
            + patient_std * rng.standard_normal((1, patients, 1))
            + seed_std * rng.standard_normal((seeds, 1, 1))
            + correlated(rng, (1, patients, 40), 0.8)
        )

    held, naive = coverage(simulate, 30, 200)
    assert held >= 0.92
    assert naive < 0.6


@pytest.mark.parametrize(
    ("slices", "correlation", "at_least"),
    [(26, 0.0, 0.92), (26, 0.5, 0.86), (400, 0.9, 0.88), (5, 0.5, 0.84), (5, 0.8, 0.6)],
)
def test_slice_intervals_cover_the_mean_of_one_patient(slices, correlation, at_least):
    """Nominal 95 %; a short correlated series cannot be held fully (docs/statistics.md)."""
    held, naive = coverage(lambda rng: 30 + correlated(rng, (1, 1, slices), correlation), 30, 300)
    assert held >= at_least
    if correlation >= 0.5:
        assert naive < held - 0.1


def test_seeds_of_one_patient_are_covered_as_replicates():
    def simulate(rng):
        seeds = 0.5 * rng.standard_normal((4, 1, 1))
        return 30 + seeds + 0.1 * correlated(rng, (1, 1, 60), 0.5)

    held, _ = coverage(simulate, 30, 200)
    assert held >= 0.92


def test_false_alarms_of_the_paired_test_are_as_rare_as_stated():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(300):
        shared = correlated(rng, (1, 6, 30), 0.9)
        pair = [
            rows(shared + 0.1 * correlated(rng, (1, 6, 30), 0.7), name) for name in ("drl", "bm3d")
        ]
        alarms += (
            paired_difference(pd.concat(pair), "psnr", "drl", "bm3d", resamples=300).p_value < 0.05
        )
    assert alarms / 300 <= 0.08


def test_what_the_interval_generalises_to_is_said():
    rng = np.random.default_rng(0)
    one, two, three = (
        mean_interval(rows(rng.normal(30, 1, (1, patients, 20))), "psnr") for patients in (1, 2, 3)
    )
    assert (one.unit, two.unit, three.unit) == ("slices", "slices", "patients")
    assert "slices of one patient: says nothing of other patients" in one.note
    assert "holds less often than stated" in one.scope
    assert "holds less often than stated" not in three.scope
    assert "slices of two patients" in two.note and "one training seed" in two.note
    assert three.scope == "patients (n = 3)"
    assert (three.n_patients, three.n_slices, three.n_seeds) == (3, 60, 1)
    assert three.estimate - three.lower == pytest.approx(three.upper - three.estimate)


def test_the_result_depends_on_the_seed_alone():
    frame = rows(np.random.default_rng(0).normal(30, 1, (2, 3, 20)))
    shuffled = frame.sample(frac=1, random_state=3)
    assert mean_interval(frame, "psnr", seed=4) == mean_interval(shuffled, "psnr", seed=4)
    assert mean_interval(frame, "psnr", seed=4) != mean_interval(frame, "psnr", seed=5)


@given(
    shift=st.floats(-50, 50),
    scale=st.floats(0.1, 10),
    confidence=st.sampled_from([0.8, 0.9]),
)
@settings(max_examples=20, deadline=None)
def test_intervals_move_and_stretch_with_the_values(shift, scale, confidence):
    values = np.random.default_rng(1).normal(0, 1, (2, 1, 15))
    plain = mean_interval(rows(values), "psnr", resamples=200)
    moved = mean_interval(rows(shift + scale * values), "psnr", resamples=200)
    assert moved.lower == pytest.approx(shift + scale * plain.lower, abs=1e-6)
    assert moved.upper == pytest.approx(shift + scale * plain.upper, abs=1e-6)
    narrow = mean_interval(rows(values), "psnr", resamples=200, confidence=confidence)
    assert plain.lower < narrow.lower < narrow.upper < plain.upper


def test_bootstrap_of_single_slices_has_the_variance_of_the_textbook():
    """One unit less is drawn than there is: the variance is s^2 / n, not (n - 1) s^2 / n^2."""
    values = np.random.default_rng(0).normal(30, 2, 12)
    weights = slice_weights((12,), 1, 40000, 0)
    replicates = weights @ values / weights.sum(axis=1)
    assert replicates.var() == pytest.approx(values.var(ddof=1) / 12, rel=0.03)


def test_bootstrap_of_patients_has_the_variance_of_the_textbook():
    means = np.random.default_rng(0).normal(30, 2, (1, 6, 1))
    interval = mean_interval(rows(np.broadcast_to(means, (1, 6, 10))), "psnr", resamples=40000)
    assert interval.std_error == pytest.approx(means.std(ddof=1) / np.sqrt(6), rel=0.02)
    assert interval.df == 5


def test_neighbouring_slices_are_drawn_together():
    weights = slice_weights((30,), 5, 200, 0)
    assert weights.min() == 0
    correlation = np.corrcoef(weights[:, 10:20].T)
    assert np.diag(correlation, 1).mean() > 0.5
    assert np.diag(correlation, 6).mean() < 0


def test_block_length_follows_the_correlation():
    """The optimum of blocks is (3 n G^2 / 2 g^2)^(1/3); autoregressive: G / g = 2 r / (1 - r^2)."""
    rng = np.random.default_rng(0)
    optimum = (1.5 * (2 * 0.95 / (1 - 0.95**2)) ** 2 * 4000) ** (1 / 3)
    found = [block_length([correlated(rng, 4000, 0.95)]) for _ in range(9)]
    assert np.median(found) in (128, 192) and 128 < optimum < 192
    assert block_length([correlated(rng, 400, 0.95)]) > block_length([correlated(rng, 400, 0.0)])
    assert block_length([rng.normal(size=26)]) == 6
    assert block_length([np.ones(26)]) == 6
    assert [block_length([rng.normal(size=n)]) for n in (2, 3, 4, 5)] == [1, 1, 2, 2]
    assert block_length([np.array([1.0, np.nan])]) == 1


def test_degrees_of_freedom_of_single_slices_and_of_long_blocks():
    assert degrees_of_freedom([20], 1) == 19
    assert degrees_of_freedom([3000], 30) == pytest.approx(1.5 * 3000 / 30, rel=0.02)
    assert degrees_of_freedom([2], 2) == 1


def test_seeds_widen_the_interval_and_count_as_replicates():
    rng = np.random.default_rng(0)
    slices = rng.normal(30, 0.1, (1, 4, 20))
    same = mean_interval(rows(np.repeat(slices, 3, axis=0)), "psnr")
    spread = mean_interval(rows(slices + np.array([-1, 0, 1]).reshape(3, 1, 1)), "psnr")
    assert spread.estimate == pytest.approx(same.estimate)
    assert spread.std_error == pytest.approx(np.hypot(same.std_error, 1 / np.sqrt(3)), rel=0.05)
    assert spread.df == pytest.approx(2, abs=0.3)
    assert (same.n_seeds, same.n_slices) == (3, 80)


@pytest.mark.parametrize("averaging", [POOLED_PSNR, POOLED_RMSE])
def test_pooled_averages_are_computed_in_every_resample(averaging):
    """One slice far worse than the others: its squared error, not its decibels, is averaged."""
    psnr = np.full((1, 1, 24), 40.0)
    psnr[0, 0, 12] = 20.0
    rmse = 400 * 10 ** (-psnr / 20)
    values = psnr if averaging is POOLED_PSNR else rmse
    interval = mean_interval(rows(values), "psnr", averaging=averaging)
    error = np.mean(10 ** (-psnr / 10))
    expected = -10 * np.log10(error) if averaging is POOLED_PSNR else 400 * np.sqrt(error)
    assert interval.estimate == pytest.approx(expected)
    assert interval.lower < interval.estimate < interval.upper


def test_a_difference_is_taken_slice_by_slice():
    """Slices differ by several decibels, methods by a tenth: only pairing can see it."""
    rng = np.random.default_rng(0)
    slices = correlated(rng, (1, 1, 40), 0.9) * 3 + 30
    frame = pd.concat(
        [rows(slices, "bm3d"), rows(slices + 0.1 + rng.normal(0, 0.05, slices.shape), "drl")]
    )
    found = paired_difference(frame, "psnr", "drl", "bm3d")
    assert found.interval.estimate == pytest.approx(0.1, abs=0.03)
    assert found.p_value < 0.001 and found.interval.lower > 0
    alone = mean_interval(frame[frame["method"] == "drl"], "psnr")
    assert alone.upper - alone.lower > 10 * (found.interval.upper - found.interval.lower)


@given(st.integers(0, 10**6), st.floats(-0.5, 0.5))
@settings(max_examples=25, deadline=None)
def test_a_difference_turns_round_and_its_p_value_belongs_to_its_interval(seed, shift):
    rng = np.random.default_rng(seed)
    frame = pd.concat(
        [rows(rng.normal(0, 1, (1, 1, 12)), "a"), rows(rng.normal(shift, 1, (1, 1, 12)), "b")]
    )
    forth = paired_difference(frame, "psnr", "a", "b", resamples=200)
    back = paired_difference(frame, "psnr", "b", "a", resamples=200)
    assert forth.interval.estimate == pytest.approx(-back.interval.estimate)
    assert forth.interval.lower == pytest.approx(-back.interval.upper)
    assert forth.p_value == pytest.approx(back.p_value)
    outside = not forth.interval.lower <= 0 <= forth.interval.upper
    assert (forth.p_value < 0.05) == outside


def test_seeds_pair_with_each_other_and_with_methods_that_have_none():
    rng = np.random.default_rng(0)
    slices = rng.normal(30, 1, (1, 3, 12))
    seeds = np.array([0, 2, 4]).reshape(3, 1, 1)
    frame = pd.concat(
        [
            rows(slices + seeds, "level1"),
            rows(slices + seeds + 0.5, "cascade"),
            rows(slices, "bm3d"),
        ]
    )
    paired = paired_difference(frame, "psnr", "cascade", "level1")
    assert paired.interval.estimate == pytest.approx(0.5)
    assert paired.interval.std_error < 1e-9  # the same seeds, the same slices
    against_fixed = paired_difference(frame, "psnr", "cascade", "bm3d").interval
    assert against_fixed.estimate == pytest.approx(2.5)
    assert against_fixed.n_seeds == 3 and against_fixed.upper - against_fixed.lower > 4
    other = frame[(frame["method"] != "level1") | (frame["seed"] > 0)]
    with pytest.raises(InputError, match=r"cascade minus level1: found seeds .*0, 1, 2.*1, 2"):
        paired_difference(other, "psnr", "cascade", "level1")


def test_infinite_values_have_no_interval_and_identical_images_no_difference():
    perfect = rows(np.full((1, 1, 9), np.inf), "oracle")
    found = mean_interval(perfect, "psnr")
    assert (found.estimate, found.lower, found.upper) == (np.inf, np.inf, np.inf)
    one = np.full((1, 1, 9), 30.0)
    one[0, 0, 3] = np.inf
    found = mean_interval(rows(one), "psnr")
    assert found.estimate == np.inf and np.isnan(found.lower) and np.isnan(found.upper)
    pooled = mean_interval(rows(one), "psnr", averaging=POOLED_PSNR)
    assert pooled.estimate == pytest.approx(30 + 10 * np.log10(9 / 8))
    pair = pd.concat([perfect, rows(one, "drl")])
    difference = paired_difference(pair, "psnr", "oracle", "drl")
    assert difference.interval.estimate == np.inf and np.isnan(difference.p_value)
    same = paired_difference(pd.concat([perfect, rows(one * np.inf, "b")]), "psnr", "oracle", "b")
    assert (same.interval.estimate, same.p_value) == (0, 1)


def test_a_constant_shift_is_resolved_and_no_shift_is_not():
    slices = np.random.default_rng(0).normal(30, 1, (1, 1, 10))
    frame = pd.concat([rows(slices, "a"), rows(slices + 20, "b"), rows(slices, "c")])
    assert paired_difference(frame, "psnr", "b", "a").p_value < 1e-12
    assert paired_difference(frame, "psnr", "c", "a").p_value == 1


def test_missing_values_are_left_out_on_both_sides():
    first = np.array([[[1.0, 2.0, np.nan, 4.0]]])
    second = np.array([[[0.0, np.nan, 9.0, 1.0]]])
    frame = pd.concat([rows(first, "a"), rows(second, "b")])
    alone = mean_interval(frame[frame["method"] == "a"], "psnr")
    assert alone.estimate == pytest.approx(7 / 3) and alone.n_slices == 3
    both = paired_difference(frame, "psnr", "a", "b").interval
    assert both.estimate == pytest.approx((1 + 3) / 2) and both.n_slices == 2
    nothing = mean_interval(rows(np.full((2, 1, 4), np.nan)), "psnr")
    assert np.isnan([nothing.estimate, nothing.lower, nothing.upper]).all()
    assert nothing.n_slices == 0


def test_one_slice_has_a_mean_and_no_interval():
    found = mean_interval(rows([[[31.0]]]), "psnr")
    assert found.estimate == 31 and np.isnan(found.lower) and np.isnan(found.upper)
    frame = pd.concat([rows([[[31.0]]], "a"), rows([[[30.0]]], "b")])
    assert np.isnan(paired_difference(frame, "psnr", "a", "b").p_value)
    assert list(rank_intervals(frame, "psnr")["upper"]) == [2, 2]


@pytest.mark.parametrize("sizes", [(1, 1), (1, 2), (5, 1)])
def test_a_patient_with_one_slice_is_not_taken_as_certain(sizes):
    values = np.random.default_rng(0).normal(30, 1, (1, 2, max(sizes)))
    frame = rows(values)
    keep = frame["slice_index"] < frame["patient"].map({"L0": sizes[0], "L1": sizes[1]})
    found = mean_interval(frame[keep], "psnr")
    assert np.isfinite(found.estimate) and found.n_slices == sum(sizes)
    assert np.isnan([found.lower, found.upper, found.std_error]).all()
    both = pd.concat([frame[keep], rows(values + 5, "other")[keep]])
    assert np.isnan(paired_difference(both, "psnr", "other", "drl").p_value)
    assert list(rank_intervals(both, "psnr")["upper"]) == [2, 2]
    lesions = pd.concat([frame[:1].assign(lesion=1), frame[:1].assign(lesion=2)])
    assert np.isnan(mean_interval(lesions, "psnr").lower)  # one slice, whatever its rows


def test_several_lesions_in_a_slice_are_rows_of_their_own():
    frame = pd.concat([rows([[[1.0, 2.0]]]), rows([[[3.0, 6.0]]])])
    frame["lesion"] = [1, 1, 2, 2]
    found = mean_interval(frame, "psnr")
    assert found.estimate == 3 and found.n_slices == 2


def test_frames_that_mean_nothing_are_refused():
    frame = rows(np.full((1, 1, 3), 30.0))
    with pytest.raises(InputError, match="psnr: a row of patient, slice_index stands twice"):
        mean_interval(pd.concat([frame, frame]), "psnr")
    with pytest.raises(InputError, match="found 2 methods, expected one"):
        mean_interval(pd.concat([frame, rows([[[1.0]]], "b")]), "psnr")
    with pytest.raises(InputError, match="found rows of protocols abdomen, wide"):
        mean_interval(frame.assign(protocol=["abdomen", "wide", "wide"]), "psnr")
    with pytest.raises(InputError, match="ssim: column ssim not found"):
        mean_interval(frame, "ssim")
    with pytest.raises(InputError, match="no rows of method bm3d; found drl"):
        paired_difference(frame, "psnr", "drl", "bm3d")


def test_holm_on_a_written_out_example():
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1; never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []
    with_nan = holm([np.nan, 0.02])
    assert np.isnan(with_nan[0]) and with_nan[1] == pytest.approx(0.04)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 0.2))
def test_holm_rejects_what_the_step_down_rule_rejects(p_values, level):
    """The rule itself: from the smallest p on, reject while p < level / (tests left)."""
    rejected = set()
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - step) >= level:
            break
        rejected.add(int(index))
    corrected = holm(p_values)
    assert {i for i, p in enumerate(corrected) if p < level} == rejected
    assert all(c >= p for c, p in zip(corrected, p_values, strict=True))


def brute_force_ranks(pairs, names):
    """Lowest and highest place in all orders that contradict no resolved difference."""
    p_values = holm([pair.p_value for pair in pairs])
    above = [
        (p.method, p.reference) if p.interval.estimate > 0 else (p.reference, p.method)
        for p, corrected in zip(pairs, p_values, strict=True)
        if corrected < 0.05
    ]
    places = {name: [] for name in names}
    for order in permutations(names):
        if all(order.index(first) < order.index(second) for first, second in above):
            for place, name in enumerate(order, 1):
                places[name].append(place)
    return {name: (min(found), max(found)) for name, found in places.items()}


@pytest.mark.parametrize("seed", range(6))
def test_rank_intervals_are_the_places_that_no_resolved_difference_forbids(seed):
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c", "d", "e"]
    slices = rng.normal(30, 2, (1, 4, 15))
    frame = pd.concat(
        [rows(slices + rng.normal(0, 1) + rng.normal(0, 0.3, (1, 4, 1)), name) for name in names]
    )
    ranks = rank_intervals(frame, "psnr", resamples=300)
    pairs = pairwise_differences(frame, "psnr", resamples=300)
    expected = brute_force_ranks(pairs, names)
    for name, row in ranks.iterrows():
        low, high = expected[name]
        # Resolved pairs need not be transitive: orders can forbid more, never less.
        assert row["lower"] <= low <= row["rank"] <= high <= row["upper"]
    reverse = rank_intervals(frame, "psnr", resamples=300, higher_is_better=False)
    assert (reverse.loc[names, "lower"] == 6 - ranks.loc[names, "upper"]).all()


def pair(method, reference, estimate, p_value):
    interval = Interval(estimate, estimate - 1, estimate + 1, 0.95, "patients", 5, 50, 1)
    return PairedDifference(method, reference, interval, p_value)


def test_rank_intervals_of_a_written_out_example():
    estimates = pd.Series({"low": 25.0, "mid": 29.0, "top": 30.0})
    pairs = [
        pair("low", "mid", -4, 1e-5),
        pair("low", "top", -5, 1e-5),
        pair("mid", "top", -1, 0.3),
    ]
    ranks = ranks_from_pairs(estimates, pairs)
    assert ranks[["rank", "lower", "upper"]].T.to_dict("list") == {
        "top": [1, 1, 2],
        "mid": [2, 1, 2],
        "low": [3, 3, 3],
    }


def test_p_values_are_those_of_students_t():
    values = np.random.default_rng(3).normal(0.3, 1, (1, 8, 1))
    frame = pd.concat([rows(values, "a"), rows(np.zeros_like(values), "b")])
    found = paired_difference(frame, "psnr", "a", "b", resamples=40000)
    expected = stats.ttest_1samp(values.ravel(), 0)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.05)
    low, high = expected.confidence_interval(0.95)
    assert found.interval.lower == pytest.approx(low, abs=0.02)
    assert found.interval.upper == pytest.approx(high, abs=0.02)
    assert replace(found.interval, std_error=0).std_error == 0
    assert MEAN.backward(MEAN.forward(3)) == 3
