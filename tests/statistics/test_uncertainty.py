"""Intervals over patients cover what they say, differences are paired, Holm's rule is kept."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_scores import score_rows as rows
from scipy import stats

from ldct.common.errors import InputError
from ldct.statistics.uncertainty import (
    MEAN,
    POOLED_PSNR,
    POOLED_RMSE,
    mean_interval,
    paired_difference,
)


def test_patient_intervals_cover_the_mean_of_the_population():
    """Slices of a patient share its level: an interval over slices would hold far too little."""
    rng = np.random.default_rng(2021)
    held = naive = 0
    for _ in range(60):
        values = 30 + rng.normal(0, 1, (1, 5, 1)) + rng.normal(0, 0.5, (1, 5, 12))
        interval = mean_interval(rows(values), "psnr")
        held += interval.lower <= 30 <= interval.upper
        naive += abs(values.mean() - 30) <= 1.96 * stats.sem(values.ravel())
    assert 0.88 <= held / 60 <= 1
    assert naive / 60 < 0.7


def test_the_interval_is_that_of_a_t_test_over_patients():
    values = np.random.default_rng(0).normal(30, 1, (2, 4, 20))
    found = mean_interval(rows(values), "psnr", confidence=0.9)
    patients = values.mean(axis=(0, 2))
    half = stats.t.ppf(0.95, 3) * patients.std(ddof=1) / 2
    assert (found.estimate, found.lower, found.upper) == pytest.approx(
        (values.mean(), patients.mean() - half, patients.mean() + half)
    )
    assert found.std_error == pytest.approx(patients.std(ddof=1) / 2) and found.df == 3
    assert found.sd == pytest.approx(values.mean(axis=0).std(ddof=1))
    assert (found.n_slices, found.n_patients, found.n_seeds) == (80, 4, 2)
    assert found.note == "4 patients"


@pytest.mark.parametrize("patients", [1, 2])
def test_one_or_two_patients_have_no_interval(patients):
    values = np.random.default_rng(0).normal(30, 1, (1, patients, 9))
    found = mean_interval(rows(values), "psnr")
    assert found.estimate == pytest.approx(values.mean()) and found.sd == pytest.approx(
        values.std(ddof=1)
    )
    assert np.isnan([found.lower, found.upper, found.std_error, found.df]).all()
    assert found.note == f"{'1 patient' if patients == 1 else '2 patients'}: no interval"
    pair = pd.concat([rows(values, "a"), rows(values + 1, "b")])
    difference = paired_difference(pair, "psnr", "b", "a")
    assert difference.interval.estimate == pytest.approx(1) and np.isnan(difference.p_value)


@pytest.mark.parametrize("averaging", [MEAN, POOLED_PSNR, POOLED_RMSE])
def test_pooled_averages_are_taken_within_patients_and_seeds(averaging):
    """One slice far worse than the others: its squared error, not its decibels, is averaged."""
    psnr = np.random.default_rng(0).normal(40, 3, (2, 4, 6))
    psnr[0, 0, 2] = 20.0
    values = 400 * 10 ** (-psnr / 20) if averaging is POOLED_RMSE else psnr

    def mean(axis):
        if averaging is MEAN:
            return values.mean(axis=axis)
        error = (10 ** (-psnr / 10)).mean(axis=axis)
        return -10 * np.log10(error) if averaging is POOLED_PSNR else 400 * np.sqrt(error)

    interval = mean_interval(rows(values), "psnr", averaging=averaging)
    assert interval.estimate == pytest.approx(mean(axis=(1, 2)).mean())
    expected = stats.ttest_1samp(mean(axis=2).mean(axis=0), 0).confidence_interval(0.95)
    assert (interval.lower, interval.upper) == pytest.approx((expected.low, expected.high))
    half = rows(values / 2 if averaging is POOLED_RMSE else values - 6, "half")
    pair = pd.concat([rows(values), half])
    found = paired_difference(pair, "psnr", "drl", "half", averaging=averaging).interval
    if averaging is POOLED_RMSE:
        assert found.estimate == pytest.approx(interval.estimate / 2)
    else:
        assert found.estimate == pytest.approx(6)


@given(st.integers(0, 10**6), st.floats(-0.5, 0.5), st.sampled_from([0.8, 0.95]))
@settings(max_examples=8, deadline=None)
def test_a_difference_turns_round_and_its_p_value_belongs_to_its_interval(seed, shift, confidence):
    rng = np.random.default_rng(seed)
    frame = pd.concat(
        [rows(rng.normal(0, 1, (1, 4, 3)), "a"), rows(rng.normal(shift, 1, (1, 4, 3)), "b")]
    ).sample(frac=1, random_state=3)
    forth = paired_difference(frame, "psnr", "a", "b", confidence=confidence)
    back = paired_difference(frame, "psnr", "b", "a", confidence=confidence)
    assert forth.interval.estimate == pytest.approx(-back.interval.estimate)
    assert forth.interval.lower == pytest.approx(-back.interval.upper)
    assert forth.p_value == pytest.approx(back.p_value)
    outside = not forth.interval.lower <= 0 <= forth.interval.upper
    assert (forth.p_value < 1 - confidence) == outside


def test_a_difference_is_taken_on_the_same_slices():
    """Patients differ by several decibels, methods by a tenth: only pairing can see it."""
    rng = np.random.default_rng(0)
    slices = 30 + rng.normal(0, 3, (1, 5, 1)) + rng.normal(0, 1, (1, 5, 8))
    other = slices + 0.1 + rng.normal(0, 0.01, slices.shape)
    frame = pd.concat([rows(slices, "bm3d"), rows(other, "drl")])
    found = paired_difference(frame, "psnr", "drl", "bm3d")
    expected = stats.ttest_rel(other.mean(axis=(0, 2)), slices.mean(axis=(0, 2)))
    assert found.p_value == pytest.approx(expected.pvalue) and found.p_value < 0.001
    assert found.interval.lower > 0


def test_seeds_pair_with_each_other_and_with_methods_that_have_none():
    slices = np.random.default_rng(0).normal(30, 1, (1, 3, 12))
    seeds = np.array([0, 2, 4]).reshape(3, 1, 1)
    frame = pd.concat(
        [
            rows(slices + seeds, "level1"),
            rows(slices + seeds + 0.5, "cascade"),
            rows(slices, "bm3d"),
        ]
    )
    paired = paired_difference(frame, "psnr", "cascade", "level1")
    assert paired.interval.estimate == pytest.approx(0.5) and paired.interval.n_seeds == 3
    assert paired_difference(frame, "psnr", "cascade", "bm3d").interval.estimate == pytest.approx(
        2.5
    )
    other = frame[(frame["method"] != "level1") | (frame["seed"] > 0)]
    with pytest.raises(InputError, match=r"cascade minus level1: found seeds .*0, 1, 2.*1, 2"):
        paired_difference(other, "psnr", "cascade", "level1")


def test_infinite_values_have_no_interval_and_identical_images_no_difference():
    one = np.full((1, 3, 3), 30.0)
    one[0, 0, 1] = np.inf
    found = mean_interval(rows(one), "psnr")
    assert found.estimate == np.inf and np.isnan([found.lower, found.upper, found.sd]).all()
    pooled = mean_interval(rows(one), "psnr", averaging=POOLED_PSNR)
    assert pooled.estimate == pytest.approx(30 + 10 * np.log10(9 / 8))
    pair = pd.concat([rows(one * np.inf, "oracle"), rows(one, "drl"), rows(one, "same")])
    difference = paired_difference(pair, "psnr", "oracle", "drl")
    assert difference.interval.estimate == np.inf and np.isnan(difference.p_value)
    same = paired_difference(pair, "psnr", "same", "drl")
    assert (same.interval.estimate, same.interval.upper, same.p_value) == (0, 0, 1)


def test_missing_values_are_left_out_on_both_sides():
    frame = pd.concat(
        [rows([[[1.0, 2.0, np.nan, 4.0]]], "a"), rows([[[0.0, np.nan, 9.0, 1.0]]], "b")]
    )
    alone = mean_interval(frame[frame["method"] == "a"], "psnr")
    assert alone.estimate == pytest.approx(7 / 3) and alone.n_slices == 3
    both = paired_difference(frame, "psnr", "a", "b").interval
    assert both.estimate == pytest.approx((1 + 3) / 2) and both.n_slices == 2
    nothing = mean_interval(rows(np.full((2, 1, 4), np.nan)), "psnr")
    assert np.isnan([nothing.estimate, nothing.lower]).all() and nothing.n_slices == 0


def test_several_lesions_in_a_slice_are_rows_of_their_own():
    frame = pd.concat([rows([[[1.0, 2.0]]]), rows([[[3.0, 6.0]]])])
    found = mean_interval(frame.assign(lesion=[1, 1, 2, 2]), "psnr")
    assert found.estimate == 3 and found.n_slices == 2


def test_frames_that_mean_nothing_are_refused():
    frame = rows(np.full((1, 1, 3), 30.0))
    with pytest.raises(InputError, match="psnr: a row of patient, slice_index stands twice"):
        mean_interval(pd.concat([frame, frame]), "psnr")
    with pytest.raises(InputError, match="found 2 methods, expected one"):
        mean_interval(pd.concat([frame, rows([[[1.0]]], "b")]), "psnr")
    with pytest.raises(InputError, match="found rows of protocols abdomen, wide"):
        mean_interval(frame.assign(protocol=["abdomen", "wide", "wide"]), "psnr")
    with pytest.raises(InputError, match="vif: column vif not found"):
        mean_interval(frame, "vif")
    with pytest.raises(InputError, match="no rows of method bm3d; found drl"):
        paired_difference(frame, "psnr", "drl", "bm3d")
