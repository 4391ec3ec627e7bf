"""Protocol solver: finds the protocol images were scored under, and says what it cannot know."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from ldct.errors import InputError
from ldct.evaluation.calibration import UNKNOWN, _limit, _p_value, solve
from ldct.evaluation.calibration_grid import (
    Cut,
    SsimVariant,
    load_grid,
    published_row,
)
from ldct.evaluation.calibration_scores import (
    prediction_ranges,
    squared_errors,
    ssim_of_cuts,
    take_places,
)
from ldct.evaluation.calibration_tiles import TileCount
from ldct.evaluation.metrics import slice_scores
from ldct.evaluation.protocol import Protocol, SsimWindow, load_protocol
from ldct.evaluation.scores import summarise
from ldct.files import read_json
from ldct.reporting.calibration_report import SIMULATED, calibration_page, write_calibration

CONFIG = Path(__file__).parents[1] / "config"
GRID = load_grid(CONFIG / "calibration/default.yaml")
SMALL = replace(
    GRID,
    centres=(0.0, 50.0, 100.0),
    widths=(300.0, 400.0, 500.0, 800.0),
    refinements=0,
    exact=3,
    used_by={
        (-160.0, 240.0): "a",
        (-150.0, 250.0): "b",
        (-200.0, 300.0): "c",
        (-300.0, 300.0): "d",
        (-1024.0, 3071.0): "e",
    },
)
UNIFORM, GAUSSIAN = SsimWindow("uniform", 7), SsimWindow("gaussian", 1.5)


def body(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """LDCT and NDCT (int16 HU) of soft tissue with fat, bone and air around it."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(*(np.indices((size, size)) - size / 2)) / (size / 2)
    tissue = 50 + 60 * gaussian_filter(rng.normal(size=(size, size)), 3) * 10
    image = np.where(radius < 0.8, tissue, np.where(radius < 0.9, -100, -1000))
    image = np.where(np.abs(radius - 0.3) < 0.05, 700, image)
    noise = [gaussian_filter(rng.normal(size=(size, size)), 0.7) for _ in range(2)]
    full = image + 15 * noise[0] / noise[0].std()
    quarter = full + (15 + 20 * seed) * noise[1] / noise[1].std()
    return tuple(np.round(hu).clip(-1024, 3071).astype(np.int16) for hu in (quarter, full))


PAIRS = [body(48, seed) for seed in (1, 2, 3)]


def measured(protocol: Protocol, pairs=PAIRS) -> dict[str, float]:
    """What the scoring code gives for the low dose, averaged as the protocol says."""
    rows = [
        {
            "method": "low_dose",
            "seed": 0,
            "patient": "L1",
            "slice_index": number,
            "protocol": protocol.name,
            **slice_scores(ldct.astype(np.float32), ndct, protocol),
        }
        for number, (ldct, ndct) in enumerate(pairs)
    ]
    return summarise(pd.DataFrame(rows), protocol).iloc[0]


def row_of(protocol: Protocol, *measures: str, digits: int = 4):
    found = measured(protocol)
    return published_row({name: f"{found[name]:.{digits}f}" for name in measures}, "test", "test")


def protocol(window, clip=True, ssim=UNIFORM, averaging="mean_of_slices", psnr=1.0, own=None):
    return Protocol("hidden", window, clip, psnr, ssim, averaging, own)


def setting_of(found, wanted: Protocol) -> pd.Series:
    """The row of the table of settings that is a protocol."""
    for _, setting in found.settings[found.settings["lower"] == wanted.window[0]].iterrows():
        own = found.variants[setting["ssim"]]
        if (setting["upper"], setting["clip"], setting["averaging"]) == (
            wanted.window[1],
            wanted.clip,
            wanted.averaging,
        ) and (setting["psnr_range"], own.window, own.data_range) == (
            wanted.psnr_range,
            wanted.ssim,
            wanted.ssim_range,
        ):
            return setting
    raise AssertionError("not among the settings")


KNOWN = {
    "abdomen": protocol((-160.0, 240.0)),
    "gaussian": protocol((-160.0, 240.0), ssim=GAUSSIAN),
    "ssim_range_2": protocol((-200.0, 300.0), own=2.0),
    "both_ranges_2": protocol((-150.0, 250.0), ssim=GAUSSIAN, psnr=2.0),
    "pooled": protocol((-300.0, 300.0), averaging="pooled"),
    "prediction_range": protocol(
        (-1024.0, 3071.0), clip=False, averaging="pooled", own="prediction"
    ),
    "not_clipped": protocol((-160.0, 240.0), clip=False),
    "scanned": protocol((-350.0, 450.0), ssim=GAUSSIAN),
}


@pytest.mark.parametrize("hidden", KNOWN.values(), ids=KNOWN)
def test_data_made_with_a_known_protocol_has_no_misfit_under_it(hidden):
    found = solve(PAIRS, row_of(hidden, "psnr", "ssim", digits=9), SMALL, same_slices=True)
    own = setting_of(found, hidden)
    assert own["misfit"] == pytest.approx(0, abs=5e-3)
    assert not own["told_apart"]
    assert found.best["misfit"] == pytest.approx(0, abs=5e-3)
    assert found.best["verdict"] == "fits"


@pytest.mark.parametrize("hidden", KNOWN.values(), ids=KNOWN)
def test_a_hidden_protocol_is_recovered_from_four_decimals_of_psnr_and_ssim(hidden):
    """Up to settings with the same numbers: the best one scores as the hidden one, everywhere."""
    found = solve(PAIRS, row_of(hidden, "psnr", "ssim"), SMALL, same_slices=True)
    best = found.best_protocol("best")
    expected, got = measured(hidden), measured(best)
    assert got["psnr"] == pytest.approx(expected["psnr"], abs=1e-3)
    assert got["ssim"] == pytest.approx(expected["ssim"], abs=1e-4)
    # The equal ones by construction: not clipped, only range times width is known.
    if hidden.clip:
        assert best.window == hidden.window
        assert (best.clip, best.psnr_range, best.ssim) == (True, hidden.psnr_range, hidden.ssim)
        assert best.averaging == hidden.averaging


def test_a_window_between_those_of_the_scan_is_found_by_refinement():
    hidden = protocol((-135.0, 245.0))
    grid = replace(SMALL, refinements=12, used_by={})
    found = solve(PAIRS, row_of(hidden, "psnr", "ssim"), grid, same_slices=True)
    close = found.settings[~found.settings["told_apart"]]
    assert setting_of(found, hidden)["misfit"] < 0.1
    assert (close["lower"] == -135.0).any()
    coarse = solve(PAIRS, found.row, replace(grid, refinements=0), same_slices=True)
    assert found.best["misfit"] < coarse.best["misfit"]


def test_an_impossible_row_is_reported_as_ruled_out():
    row = published_row({"psnr": "55.0", "ssim": "0.30"}, "test", "test")
    found = solve(PAIRS, row, SMALL, same_slices=True)
    assert (found.settings["verdict"] == "ruled out").all()
    context = {"title": "data", "patients": ["L1"], "simulated": False}
    page = calibration_page(found, None, context, "calibrated")
    assert "No setting of the grid gives this row" in page
    assert SIMULATED not in page


@pytest.mark.parametrize("measures", [("psnr",), ("ssim",), ("rmse_hu",), ("ssim", "rmse_hu")])
def test_a_row_with_some_of_the_measures_is_enough(measures):
    hidden = KNOWN["abdomen"]
    found = solve(PAIRS, row_of(hidden, *measures), SMALL, same_slices=True)
    assert setting_of(found, hidden)["misfit"] < 0.1
    # What the measures do not depend on is not varied, so that no setting stands twice.
    if measures == ("ssim",):
        assert found.settings["averaging"].nunique() == 1
        assert found.settings["psnr_range"].nunique() == 1
    if "ssim" not in measures:
        assert found.settings["ssim"].nunique() == 1
    calibration_page(found, None, {"title": "", "patients": [], "simulated": False}, "x")


def test_other_slices_than_the_rows_widen_the_scales():
    row = row_of(KNOWN["abdomen"], "psnr", "ssim")
    same, other = (solve(PAIRS, row, SMALL, same_slices=flag) for flag in (True, False))
    assert other.best["psnr_scale"] > 10 * same.best["psnr_scale"]
    assert other.settings["told_apart"].sum() < same.settings["told_apart"].sum()
    again = solve(PAIRS, row, SMALL, same_slices=False)
    pd.testing.assert_frame_equal(other.settings, again.settings)


def body_with_noise(level: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    quarter, full = body(32, seed)
    quarter = full + np.round(level * (quarter.astype(float) - full)).astype(np.int16)
    return quarter, full


def test_the_spread_is_that_of_blocks_of_neighbouring_slices():
    levels = 1 + 0.5 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    pairs = [body_with_noise(level, seed + 1) for seed, level in enumerate(levels / 10)]
    row = row_of(KNOWN["abdomen"], "psnr", "ssim")
    ordered = solve(pairs, row, SMALL)
    shuffled = solve([pairs[i] for i in np.random.default_rng(0).permutation(24)], row, SMALL)
    assert ordered.best["psnr_scale"] > 1.3 * shuffled.best["psnr_scale"]
    assert ordered.df < 10


def test_misfit_is_the_mahalanobis_distance_of_the_bootstrap():
    """Worse slices are worse in both measures: a row that contradicts this is further off."""
    pairs = [body_with_noise(0.05 + 0.01 * (seed % 7), seed + 1) for seed in range(24)]
    hidden = KNOWN["abdomen"]
    own = measured(hidden, pairs)

    def misfit(psnr, ssim):
        row = published_row(
            {"psnr": f"{own['psnr'] + psnr:.4f}", "ssim": f"{own['ssim'] + ssim:.4f}"}, "", ""
        )
        found = solve(pairs, row, SMALL)
        return setting_of(found, hidden)

    together, against = misfit(0.5, 0.01), misfit(0.5, -0.01)
    assert together["psnr_scale"] == pytest.approx(against["psnr_scale"])
    assert against["misfit"] > 1.5 * together["misfit"]
    for setting in (together, against):
        residuals = setting[["psnr_residual", "ssim_residual"]].astype(float)
        assert setting["misfit"] == pytest.approx(np.linalg.norm(residuals))


def test_patients_are_drawn_where_there_are_three():
    pairs = [
        body_with_noise(level / 10, seed + 1)
        for seed, level in enumerate([1] * 6 + [2] * 6 + [3] * 6)
    ]
    row = row_of(KNOWN["abdomen"], "psnr", "ssim")
    one = solve(pairs, row, SMALL)
    three = solve(pairs, row, SMALL, patients=["a"] * 6 + ["b"] * 6 + ["c"] * 6)
    assert three.df == 2
    assert three.best["psnr_scale"] != one.best["psnr_scale"]


@pytest.mark.parametrize("patients", [["a"], ["a", "b"], ["a", "a"]])
def test_too_few_slices_rule_nothing_out(patients):
    """One slice has no spread; two do not show the covariance of two measures."""
    found = solve(
        PAIRS[: len(patients)], row_of(KNOWN["abdomen"], "psnr", "ssim"), SMALL, patients=patients
    )
    assert not found.spread_known
    assert (found.settings["verdict"] == UNKNOWN).all()
    assert found.settings["p_value"].isna().all()
    page = calibration_page(found, None, {"title": "", "patients": ["a"], "simulated": False}, "x")
    assert "Spread unknown: nothing is ruled out" in page
    assert "that fit as well" not in page and "**ruled out**" not in page
    assert ("1 slice of" in page) == (len(patients) == 1)


def test_p_values_are_hotellings_and_become_chi_squared():
    # Anderson: T^2 = p n / (n - p + 1) F(p, n - p + 1); 95 % point for p = 2, n = 10 is 9.459.
    assert _limit(0.05, 2, 10) == pytest.approx(9.459, abs=2e-3)
    assert _limit(0.05, 2, 1e7) == pytest.approx(_limit(0.05, 2, np.inf), rel=1e-4)
    assert _p_value(_limit(0.05, 2, 5.5), 2, 5.5) == pytest.approx(0.05)
    assert _limit(0.05, 1, 8) == pytest.approx(2.306**2, rel=1e-3)  # Student's t


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        (("psnr",), ["SSIM"]),
        (("rmse_hu",), ["PSNR range", "SSIM"]),
        (("ssim",), ["PSNR range", "averaging"]),
        (("psnr", "ssim"), []),
    ],
)
def test_what_the_row_does_not_determine_is_said(measures, expected, tmp_path):
    found = solve(PAIRS, row_of(KNOWN["abdomen"], *measures), SMALL, same_slices=True)
    clipped = replace(found, settings=found.settings[found.settings["clip"].astype(bool)])
    assert clipped.not_determined == expected
    context = {"title": "data", "patients": ["L1"], "simulated": False}
    paths = write_calibration(clipped, None, context, tmp_path, "p")
    for path in (paths[1], paths[3]):
        said = f"Not determined by this row, the grid's first: {', '.join(expected)}."
        assert (said in path.read_text()) == bool(expected)
    assert load_protocol(paths[3]).name == "p"
    assert read_json(paths[2])["not_determined"] == expected


def test_errors_of_unclipped_images_do_not_determine_the_window():
    found = solve(PAIRS, row_of(KNOWN["not_clipped"], "rmse_hu"), SMALL, same_slices=True)
    unclipped = replace(found, settings=found.settings[~found.settings["clip"].astype(bool)])
    assert unclipped.not_determined[0] == "window"
    with_psnr = replace(unclipped, row=row_of(KNOWN["not_clipped"], "psnr"))
    assert with_psnr.not_determined == ["lower bound of the window", "SSIM"]


def test_searching_at_few_places_agrees_with_the_scoring_code():
    pairs = [body(160, seed) for seed in (1, 2)]
    hidden = KNOWN["abdomen"]
    found = solve(pairs, row_of(hidden, "psnr", "ssim"), replace(SMALL, positions=6000))
    exact = found.settings[found.settings["exact"].astype(bool)]
    assert 0 < len(exact) < len(found.settings)
    for _, setting in exact.iterrows():
        scored = measured(replace(hidden, **protocol_changes(found, setting)), pairs)
        assert setting["psnr_found"] == pytest.approx(scored["psnr"], abs=1e-6)
        assert setting["ssim_found"] == pytest.approx(scored["ssim"], abs=1e-6)
    searched = found.settings[~found.settings["exact"].astype(bool)]
    for _, setting in searched.iloc[:: len(searched) // 15].iterrows():
        scored = measured(replace(hidden, **protocol_changes(found, setting)), pairs)
        assert setting["psnr_found"] == pytest.approx(scored["psnr"], abs=1e-4)
        assert setting["ssim_found"] == pytest.approx(scored["ssim"], abs=0.01)


def protocol_changes(found, setting) -> dict:
    variant = found.variants[setting["ssim"]]
    return {
        "window": (setting["lower"], setting["upper"]),
        "clip": bool(setting["clip"]),
        "data_range": setting["psnr_range"],
        "ssim": variant.window,
        "averaging": setting["averaging"],
        "ssim_data_range": variant.data_range,
    }


@settings(max_examples=30, deadline=None)
@example(lower=0, width=2614, clip=True, window=UNIFORM, data_range="prediction")
@given(
    st.integers(-1100, 300),
    st.integers(20, 4000),
    st.booleans(),
    st.sampled_from([UNIFORM, GAUSSIAN]),
    st.sampled_from([1.0, 2.0, "prediction"]),
)
def test_fast_scores_equal_the_scoring_code(lower, width, clip, window, data_range):
    cut = Cut(float(lower), float(lower + width), clip)
    own = Protocol("p", (cut.lower, cut.upper), clip, 1.0, window, "mean_of_slices", data_range)
    scored = [slice_scores(ldct.astype(np.float32), ndct, own) for ldct, ndct in PAIRS]
    [squares] = squared_errors(PAIRS, [cut])
    expected = [row["rmse_hu"] for row in scored]
    np.testing.assert_allclose(np.sqrt(squares), expected, rtol=1e-5, atol=1e-6)
    places = take_places(PAIRS, window, 10**6)
    ranges = prediction_ranges(PAIRS, [cut])
    [[ssim]] = ssim_of_cuts(places, [cut], [SsimVariant(window, data_range)], ranges)
    np.testing.assert_allclose(ssim, [row["ssim"] for row in scored], atol=2e-5)


def test_places_are_even_and_the_same_number_in_every_slice():
    pairs = [body(128, seed) for seed in (1, 2)]
    places = take_places(pairs, UNIFORM, 2000)
    assert np.bincount(places.slices).tolist() == [1000, 1000]
    with pytest.raises(InputError, match="6x6 pixels are smaller than the 7x7"):
        take_places([(np.zeros((6, 6)), np.zeros((6, 6)))], UNIFORM, 10)


def test_a_constant_low_dose_image_is_no_candidate_and_no_crash():
    flat = [(np.full((32, 32), 40, np.int16), PAIRS[0][1][:32, :32])]
    row = published_row({"psnr": "20", "ssim": "0.5"}, "test", "test")
    found = solve(flat, row, SMALL, same_slices=True)
    assert not found.best["ssim"].endswith("prediction")
    undefined = found.settings[found.settings["ssim"].str.endswith("prediction")]
    assert (undefined["verdict"] == "ruled out").all()
    assert undefined["told_apart"].all()


def test_equal_images_are_refused():
    equal = [(PAIRS[0][1], PAIRS[0][1])]
    with pytest.raises(InputError, match="no setting has a finite misfit"):
        solve(equal, published_row({"psnr": "20"}, "test", "test"), SMALL)


# Tiles.


def test_the_lower_bound_that_keeps_the_published_tiles():
    tiles = TileCount(3, np.array([50.0, 40.0, -200.0, -200.0, -900.0]), 64, 64)
    assert tiles.kept(-300) == 4
    assert tiles.kept(-200) == 2
    # Three cannot be reached, since two tiles have the same maximum; the nearest are 2 and 4.
    lower, upper = tiles.bounds()
    assert abs(tiles.kept(lower) - 3) == 1
    assert tiles.kept(np.nextafter(upper, -np.inf)) == tiles.kept(lower)
    exact = replace(tiles, published=2)
    assert exact.bounds() == (-200.0, 40.0)
    assert replace(tiles, published=6).bounds() is None


@given(st.lists(st.integers(-1024, 200), min_size=1, max_size=30), st.integers(0, 30))
def test_tile_bounds_are_the_nearest_that_any_bound_gives(maxima, published):
    tiles = TileCount(published, np.sort(np.array(maxima, float))[::-1], 8, 8)
    found = tiles.bounds()
    if published > len(maxima):
        assert found is None
        return
    possible = [tiles.kept(bound) for bound in [-2000, *maxima]]
    nearest = min(abs(count - published) for count in possible)
    assert abs(tiles.kept(found[0]) - published) == nearest
