"""Several trainings: their spread is in intervals of discs and lesions, which say how many."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ldct.errors import InputError
from ldct.evaluation import observers
from ldct.evaluation.disc_detection import mean_over_seeds, paired_interval
from ldct.evaluation.lesion_bench import COLUMNS as LESION_COLUMNS
from ldct.evaluation.lesion_measures import MEASURES
from ldct.reporting.detectability_figure import draw_detectability
from ldct.reporting.detectability_table import (
    detectability_notes,
    detectability_summary,
    seeds_of,
    write_detectability_table,
)
from ldct.reporting.lesion_bench_table import lesion_summary, write_lesion_table

SITES = 40
TITLES = {"ldct": "LDCT", "learned": "Learned", "classical": "Classical"}


def rows(d_prime, at_sites, method="learned", observer="cho", contrasts=(-10.0,), seeds=None):
    """Rows of seeds with these d'; `at_sites` is what single sites add to it, mean 0."""
    seeds = range(len(d_prime)) if seeds is None else seeds
    return pd.DataFrame(
        [
            {
                "method": method,
                "seed": seed,
                "patient": "P1",
                "contrast_hu": contrast,
                "diameter_mm": 8.0,
                "observer": observer,
                "d_prime": value,
                "n_signals": len(at_sites),
                "leave_one_out": value - at_sites / (len(at_sites) - 1),
            }
            for seed, value in zip(seeds, d_prime, strict=True)
            for contrast in contrasts
        ]
    )


@pytest.fixture
def at_sites():
    values = np.random.default_rng(0).normal(0, 0.4, SITES)
    return values - values.mean()


def test_seeds_that_differ_widen_the_interval_of_a_change(at_sites):
    """The same mean of three seeds, once alike, once far apart."""
    low = rows([2.0], 0 * at_sites, "ldct")
    one, alike, apart = (
        paired_interval(rows(np.add(2, changes), at_sites), low)
        for changes in ([0.3], [0.3, 0.3, 0.3], [-0.7, 0.3, 1.3])
    )
    of_sites = at_sites.std(ddof=1) / np.sqrt(SITES)
    for found in (one, alike):
        assert found.std_error == pytest.approx(of_sites)
        assert found.df == pytest.approx(SITES - 1)
    assert apart.estimate == pytest.approx(alike.estimate) == pytest.approx(0.3)
    assert apart.std_error == pytest.approx(np.hypot(of_sites, 1 / np.sqrt(3)))
    assert apart.df == pytest.approx(2, abs=0.1)
    reach = stats.t.ppf(0.975, apart.df) * apart.std_error
    assert (apart.lower, apart.upper) == pytest.approx((0.3 - reach, 0.3 + reach))
    assert [found.n_seeds for found in (one, alike, apart)] == [1, 3, 3]


def test_interval_of_three_seeds_covers_the_mean_of_all_seeds():
    """Trainings that show the disc more or less strongly, seen by an observer at the same sites."""
    rng = np.random.default_rng(1)
    truth, low_truth = 1.5, 1.2
    covered, without_seeds = [], []
    for _ in range(250):
        absent = rng.normal(size=(SITES, 1))
        strength = [low_truth, *rng.normal(truth, 0.25, 3)]
        found = [
            observers.detectability(
                absent, absent + each + rng.normal(0, 0.2, (SITES, 1)), fixed_template=True
            )
            for each in strength
        ]
        own, low = (
            pd.concat(
                [
                    rows([each.d_prime], 0 * absent[:, 0], seeds=[seed]).assign(
                        leave_one_out=[each.leave_one_out]
                    )
                    for seed, each in enumerate(part)
                ]
            )
            for part in (found[1:], found[:1])
        )
        change = paired_interval(own, low)
        # The noise of the images with the disc is a little larger than that without.
        expected = (truth - low_truth) / np.sqrt((1 + 1.04) / 2)
        covered.append(change.lower <= expected <= change.upper)
        sites_alone = np.mean([each.leave_one_out for each in found[1:]], axis=0)
        _, lower, upper = observers.jackknife_interval(
            change.estimate, sites_alone - found[0].leave_one_out
        )
        without_seeds.append(lower <= expected <= upper)
    assert 0.92 <= np.mean(covered) <= 0.99
    assert np.mean(without_seeds) < 0.8


def test_methods_with_the_same_seeds_are_paired_by_seed(at_sites):
    """What a seed does to both methods alike is no doubt about their difference."""
    of_seeds = np.array([-1.0, 0.2, 0.8])
    cascade, first_level = rows(2.5 + of_seeds, at_sites), rows(2 + of_seeds, 0 * at_sites)
    found = paired_interval(cascade, first_level.sample(frac=1, random_state=0))
    assert found.estimate == pytest.approx(0.5)
    assert found.std_error == pytest.approx(at_sites.std(ddof=1) / np.sqrt(SITES))


def test_discs_of_one_seed_are_averaged_before_seeds_are_compared(at_sites):
    """Four discs of a training are no four trainings."""
    several = rows([1.7, 2.0, 2.6], at_sites, contrasts=(-10.0, -20.0, -30.0, -40.0))
    one = rows([1.7, 2.0, 2.6], at_sites)
    assert mean_over_seeds(several) == mean_over_seeds(one)


def test_seeds_that_do_not_pair_are_refused(at_sites):
    ours, theirs = rows([2.0, 2.1], at_sites), rows([2.0, 2.1], at_sites, seeds=[3, 4])
    with pytest.raises(
        InputError, match=r"learned minus learned: found seeds \[0, 1\] and \[3, 4\]"
    ):
        paired_interval(ours, theirs)


def test_disc_that_a_seed_has_no_value_of_is_left_out(at_sites):
    frame = rows([2.0, 2.2], at_sites, contrasts=(-10.0, -20.0))
    frame.loc[0, "d_prime"] = np.nan
    frame.at[0, "leave_one_out"] = np.full(SITES, np.nan)
    expected = mean_over_seeds(frame[frame["contrast_hu"] == -20])
    assert mean_over_seeds(frame) == expected
    assert np.isnan(mean_over_seeds(frame[frame["contrast_hu"] == -10]).estimate)
    paired = paired_interval(frame.iloc[:1], frame.iloc[:1])
    assert np.isnan([paired.estimate, paired.lower, paired.upper]).all()


def measured(at_sites):
    """Low dose, a method of three seeds, one without: by both observers; NPW is deceived."""
    return pd.concat(
        [
            rows(d_prime, at_sites * wide, method, observer, (-10.0, -20.0))
            for method, values in (
                ("ldct", [2.0]),
                ("learned", [1.3, 2.3, 3.3]),
                ("classical", [2.3]),
            )
            for observer, wide, d_prime in (
                ("cho", 1.0, values),
                ("npw", 2.0, [value - 3 for value in values]),
            )
        ],
        ignore_index=True,
    )


def test_table_has_intervals_over_seeds_and_says_how_many(at_sites, tmp_path):
    frame = measured(at_sites)
    values = detectability_summary(frame, TITLES, 0.9)
    table = values.set_index(["method", "observer", "contrast_hu"])
    learned, classical = (table.loc[(name, "cho", -10.0)] for name in ("learned", "classical"))
    assert learned["change"] == pytest.approx(classical["change"])
    assert classical["change_lower"] == pytest.approx(0.3)  # the same noise at every site
    assert learned["change_upper"] - learned["change_lower"] > 3
    reach = stats.t.ppf(0.95, SITES - 1) * at_sites.std(ddof=1) / np.sqrt(SITES)
    assert classical["upper"] - classical["d_prime"] == pytest.approx(reach)
    seeds = table["n_seeds"].groupby("method").first()
    assert seeds.to_dict() == {"classical": 1, "ldct": 1, "learned": 3}
    assert set(table["confidence"]) == {0.9}
    npw = table.loc[("ldct", "npw", -10.0)]
    assert npw["d_prime"] == pytest.approx(-1)
    assert npw["lower"] < npw["d_prime"] < npw["upper"] < 0
    assert (table.xs("cho", level="observer")["lower"] >= 0).all()
    discs = {"problem": None, "sites": [{"slice_index": 3}] * SITES, "patient": "P1"}
    discs |= {"dose": {"noise_ratio": 2.0}}
    notes = detectability_notes(discs, "Phantom", 0.9, seeds_of(frame, TITLES))
    assert "Means over 3 training seeds, whose spread is in the intervals" in notes[-1]
    one = frame[frame["seed"] == 0]
    notes_of_one = detectability_notes(discs, "Phantom", 0.9, seeds_of(one, TITLES))
    assert "One training seed: nothing is said of other trainings." in notes_of_one[-1]
    write_detectability_table(frame, TITLES, notes, tmp_path / "d", [], 0.9)
    text = (tmp_path / "d.md").read_text()
    assert "| LDCT | −1.00 " in text
    assert "3 training seeds" in text
    assert draw_detectability(frame, TITLES, notes, tmp_path / "d", 0.9)[0].is_file()


def test_figure_shows_negative_values(at_sites, tmp_path, monkeypatch):
    from ldct.reporting import detectability_figure

    seen = {}

    def look(figure, stem):
        seen.update({axes.get_title(): axes.get_xlim() for axes in figure.axes})
        return [stem]

    monkeypatch.setattr(detectability_figure.fs, "save_figure", look)
    draw_detectability(measured(at_sites), TITLES, [], tmp_path / "d")
    lows = {title: limits[0] for title, limits in seen.items()}
    assert {title[:3]: low < -1 for title, low in lows.items()} == {"CHO": False, "NPW": True}
    assert all(low == 0 for title, low in lows.items() if title.startswith("CHO"))


def test_table_without_the_low_dose_says_what_is_missing(at_sites):
    frame = measured(at_sites)
    with pytest.raises(
        InputError, match="found rows of classical, learned, expected those of ldct"
    ):
        detectability_summary(frame[frame["method"] != "ldct"], TITLES)


def lesions(of_seeds):
    """CNR of one lesion in twelve slices, in the images of each seed."""
    places = np.random.default_rng(2).normal(3, 0.1, 12)
    rows = [
        {
            **dict.fromkeys(LESION_COLUMNS, ""),
            **dict.fromkeys(MEASURES, np.nan),
            "method": "learned",
            "seed": seed,
            "patient": "P1",
            "lesion": "1",
            "slice_index": index,
            "cnr": value + shift,
        }
        for seed, shift in enumerate(of_seeds)
        for index, value in enumerate(places)
    ]
    return pd.DataFrame(rows, columns=LESION_COLUMNS)


def test_measures_of_lesions_take_seeds_for_replicates(tmp_path):
    titles = {"learned": "Learned"}
    one, apart = (
        lesion_summary(lesions(shifts), titles).set_index("measure").loc["cnr"]
        for shifts in ([0.0], [-1.0, 0.0, 1.0])
    )
    assert apart["mean"] == pytest.approx(one["mean"])
    assert (one["n_seeds"], apart["n_seeds"]) == (1, 3)
    # Two degrees of freedom: 4.3 standard errors of a mean of three.
    assert apart["upper"] - apart["mean"] == pytest.approx(4.3 / np.sqrt(3), rel=0.1)
    assert one["upper"] - one["mean"] < 0.3
    for shifts, words in (([0.0], "of one training seed"), ([-1.0, 0.0, 1.0], "and 3 training")):
        write_lesion_table(lesions(shifts), titles, ["Data."], tmp_path / "l", [])
        assert f"neighbouring lesion slices {words}" in (tmp_path / "l.md").read_text()
