"""Protocol solver: finds the protocol images were scored under, and says what it cannot know."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from ldct.cli import main
from ldct.errors import InputError
from ldct.evaluation.calibration import UNKNOWN, _limit, _p_value, solve
from ldct.evaluation.calibration_grid import (
    Cut,
    SsimVariant,
    load_grid,
    load_published,
    published_row,
)
from ldct.evaluation.calibration_scores import (
    load_pairs,
    prediction_ranges,
    squared_errors,
    ssim_of_cuts,
    take_places,
)
from ldct.evaluation.calibration_tiles import TileCount, count_tiles
from ldct.evaluation.metrics import slice_scores
from ldct.evaluation.protocol import Protocol, SsimWindow, load_protocol
from ldct.evaluation.scores import summarise
from ldct.files import read_json, write_json
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


# Files.


def write_folder(path: Path, pairs=PAIRS, patient="L506") -> Path:
    path.mkdir()
    np.save(path / "quarter.npy", np.array([ldct for ldct, _ in pairs]))
    np.save(path / "full.npy", np.array([ndct for _, ndct in pairs]))
    indices = list(range(len(pairs)))
    write_json(
        path / "volume.json",
        {"patient": patient, "slice_index": indices, "z_mm": [float(i) for i in indices]},
    )
    return path


@pytest.fixture
def grid_file(tmp_path) -> Path:
    content = yaml.safe_load((CONFIG / "calibration/default.yaml").read_text())
    content["scan"] = {"centre": {"from": 0, "to": 100, "step": 50}, "width": [300, 400, 800]}
    content |= {"refinements": 1, "positions": 3000, "windows": content["windows"][:3]}
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def calibrate(folder: Path, *arguments: str) -> int:
    return main(["calibrate", "--test-folders", str(folder), *arguments])


def test_verb_writes_table_page_map_and_a_protocol_file_that_loads(tmp_path, grid_file, capsys):
    folder = write_folder(tmp_path / "L506")
    hidden = KNOWN["abdomen"]
    own = measured(hidden)
    output = tmp_path / "out"
    status = calibrate(
        folder,
        *("--psnr", f"{own['psnr']:.4f}", "--ssim", f"{own['ssim']:.4f}", "--same-slices"),
        *("--no-simulated", "--grid", str(grid_file), "--output", str(output)),
    )
    assert status == 0
    assert "[-160, 240]" in capsys.readouterr().out
    winner = load_protocol(output / "calibrated.yaml")
    assert (winner.window, winner.clip, winner.ssim) == ((-160.0, 240.0), True, UNIFORM)
    table = pd.read_csv(output / "calibration.csv")
    assert table["misfit"].dropna().is_monotonic_increasing
    page = (output / "calibration.md").read_text()
    assert "window [-160, 240] HU" in page
    assert "simulated" not in page.lower()
    summary = read_json(output / "calibration.json")
    assert summary["best"]["verdict"] == "fits"
    assert summary["same_slices"] is True
    with Image.open(output / "calibration_heatmap.png") as image:
        assert image.width > 1000
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    for name in ("calibration.csv", "calibrated.yaml", "calibration_heatmap.pdf"):
        assert (output / f"{name}.provenance.json").is_file()


def test_simulated_dose_is_said_in_every_file_and_in_the_winners_name(tmp_path, grid_file):
    folder = write_folder(tmp_path / "L506")
    training = write_folder(tmp_path / "L067", patient="L067")
    output = tmp_path / "out"
    status = calibrate(
        folder,
        *("--published", str(CONFIG / "published.yaml"), "--simulated", "--grid", str(grid_file)),
        *("--tile-folders", str(training), "--tile-size", "16", "--tile-stride", "16"),
        *("--output", str(output)),
    )
    assert status == 0
    assert not (output / "calibrated.yaml").exists()
    winner = output / "calibrated_simulated_dose.yaml"
    assert load_protocol(winner).name == "calibrated_simulated_dose"
    assert winner.read_text().startswith(f"# {SIMULATED.upper()}")
    page = (output / "calibration.md").read_text()
    assert SIMULATED in page
    assert "25.4247" in page
    assert "281,660: they are not its volumes" in page
    assert read_json(output / "calibration.json")["simulated"] is True
    record = read_json(output / "calibration.md.provenance.json")
    assert record["settings"]["tiles"] == {"published": 281660, "size": 16, "stride": 16}
    for name in ("full.npy", "quarter.npy", "volume.json"):
        assert {str(folder / name), str(training / name)} <= set(record["inputs"])


def test_all_slices_of_the_paper_bring_no_spread_of_slices(tmp_path, grid_file):
    folder = write_folder(tmp_path / "L506")
    row = {"psnr": 25.4, "ssim": 0.82, "counts": {"test_slices": len(PAIRS)}}
    published = tmp_path / "row.json"
    write_json(published, row)
    common = ("--published", str(published), "--grid", str(grid_file), "--output")
    assert calibrate(folder, *common, str(tmp_path / "a"), "--no-simulated") == 0
    assert read_json(tmp_path / "a/calibration.json")["same_slices"] is True
    assert calibrate(folder, *common, str(tmp_path / "b"), "--simulated") == 0
    assert read_json(tmp_path / "b/calibration.json")["same_slices"] is False


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["no psnr, ssim or rmse_hu"]),
        (["--psnr", "high"], ["psnr", "'high'", "a number"]),
        (["--ssim", "82.11"], ["ssim", "82.11", "-1 to 1"]),
        (["--psnr", "25", "--published", "{published}"], ["one or the other"]),
        (["--published", "none.yaml"], ["none.yaml", "not found"]),
        (["--published", "{published}", "--row", "gan"], ["no row 'gan'", "low_dose"]),
        (["--psnr", "25", "--simulated", "--tiles", "281660"], ["--tile-folders"]),
        (["--psnr", "25", "--simulated", "--tile-folders", "{folder}"], ["--tiles"]),
        (["--psnr", "25"], ["{folder}", "--simulated or --no-simulated"]),
        (["--psnr", "25", "--grid", "none.yaml"], ["none.yaml", "not found"]),
        (["--psnr", "25", "--grid", "{published}"], ["published.yaml", "unknown key"]),
        (["--psnr", "25", "--test-folders", "nowhere"], ["nowhere", "not found"]),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path, capsys, arguments, parts):
    folder = write_folder(tmp_path / "L506")
    places = {"published": CONFIG / "published.yaml", "folder": folder}
    filled = [argument.format(**places) for argument in arguments]
    assert calibrate(folder, "--output", str(tmp_path / "out"), *filled) == 1
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: ")
    assert "\n" not in message
    for part in parts:
        assert part.format(**places) in message
    assert not (tmp_path / "out").exists()


def write_discs(path: Path) -> Path:
    """A folder as that of the run's inserted discs."""
    write_folder(path, patient="discs")
    write_json(path / "discs.json", {"crops": []})
    return path


def test_discs_beside_the_patients_are_no_slices(tmp_path, capsys):
    """`test/*` of a run names them too: they would be scored as slices."""
    folder, discs = write_folder(tmp_path / "L506"), write_discs(tmp_path / "discs")
    arguments = ("--test-folders", str(discs), str(folder), "--psnr", "25", "--no-simulated")
    assert main(["calibrate", *arguments, "--output", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert str(discs) in message
    assert "inserted discs" in message
    assert "leave this folder out" in message
    (discs / "discs.json").unlink()
    with pytest.raises(InputError, match="inserted discs"):
        load_pairs([folder, discs])


@pytest.mark.parametrize("second", ["L506", "again"])
def test_a_patient_counts_once(tmp_path, second):
    folder = write_folder(tmp_path / "L506")
    other = folder if second == "L506" else write_folder(tmp_path / second)
    with pytest.raises(InputError, match=r"found patient L506, whom .*L506 holds already"):
        load_pairs([folder, other])
    with pytest.raises(InputError, match="expected each patient once"):
        count_tiles([folder, other], 5, 16, 16)


def write_run(path: Path, simulated: bool) -> Path:
    """A run with one test patient; returns the patient's folder."""
    (path / "test").mkdir(parents=True)
    folder = write_folder(path / "test" / "L506")
    write_json(folder / "volume.json", read_json(folder / "volume.json") | {"dataset": "own"})
    dataset = {"name": "own", "simulated": simulated}
    (path / "config.yaml").write_text(yaml.safe_dump({"dataset": dataset}))
    return folder


@pytest.mark.parametrize(
    ("of_run", "option", "expected"),
    [
        (True, [], True),
        (False, [], False),
        (True, ["--no-simulated"], False),
        (False, ["--simulated"], True),
    ],
)
def test_the_run_says_whether_the_dose_is_simulated(tmp_path, grid_file, of_run, option, expected):
    folder = write_run(tmp_path / "run", of_run)
    output = tmp_path / "out"
    common = ("--psnr", "30", "--grid", str(grid_file), "--output", str(output))
    assert calibrate(folder, *common, *option) == 0
    assert read_json(output / "calibration.json")["simulated"] is expected
    assert (output / "calibrated_simulated_dose.yaml").exists() is expected


@pytest.mark.parametrize("content", ["dataset: other", "dataset: {name: other, simulated: true}"])
def test_a_configuration_of_something_else_says_nothing(tmp_path, capsys, content):
    folder = write_run(tmp_path / "run", simulated=True)
    (tmp_path / "run" / "config.yaml").write_text(content)
    assert calibrate(folder, "--psnr", "30", "--output", str(tmp_path / "out")) == 1
    assert "give --simulated or --no-simulated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"scans": {}}, ["scans", "allowed"]),
        ({"windows": [{"window": [240, -160], "used_by": "x"}]}, ["[240, -160]", "lower bound"]),
        ({"clip": ["yes"]}, ["clip", "true or false"]),
        ({"ssim": [{"kind": "uniform", "size": 8, "data_range": 1}]}, ["ssim.size", "8", "odd"]),
        ({"ssim": [{"kind": "uniform", "size": 7}]}, ["ssim", "missing data_range"]),
        (
            {"scan": {"centre": {"from": 9, "to": 0, "step": 1}, "width": [400]}},
            ["scan.centre", "from 9 to 0"],
        ),
    ],
)
def test_a_mistake_in_the_grid_is_named(tmp_path, changes, parts):
    content = yaml.safe_load((CONFIG / "calibration/default.yaml").read_text()) | changes
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        load_grid(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_the_shipped_grid_holds_the_choices_that_are_known_to_differ():
    cuts = GRID.cuts()
    assert len(cuts) == len(set(cuts))
    assert {(-160.0, 240.0), (-1024.0, 3071.0)} <= set(GRID.used_by)
    described = {variant.describe() for variant in GRID.ssim}
    assert {
        "gaussian 1.5, range 1",
        "uniform 7, range 2",
        "uniform 7, range prediction",
    } <= described
    assert {True, False} == set(GRID.clips)
    assert {"mean_of_slices", "pooled"} == set(GRID.averagings)


def test_the_published_row_is_read_with_its_decimals():
    row, counts = load_published(CONFIG / "published.yaml")
    assert row.values == {"psnr": 25.4247, "ssim": 0.8211}
    assert row.decimals == {"psnr": 4, "ssim": 4}
    assert counts["training_tiles"] == 281660
    assert row.rounding("psnr") == pytest.approx(1e-4 / np.sqrt(12))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("rows: [1]", r"key 'rows': found \[1\], expected a mapping"),
        ("rows: {low_dose: 25.4}", r"row 'low_dose': found 25\.4"),
        ("psnr: 25.4\ncounts: 844", "key 'counts': found 844"),
        ("run: demo", r"no psnr, ssim or rmse_hu"),
        ("psnr: [", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_published_row_is_named(tmp_path, content, message):
    path = tmp_path / "row.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_published(path)
    assert str(path) in str(caught.value)


def test_tiles_are_counted_as_the_training_tiles_are(tmp_path):
    folder = write_folder(tmp_path / "L067")
    tiles = count_tiles([folder], 5, 16, 16)
    images = np.load(folder / "quarter.npy").reshape(3, 3, 16, 3, 16)
    maxima = images.max(axis=(2, 4)).ravel()
    assert tiles.kept(-500) == np.count_nonzero(maxima > -500)
    with pytest.raises(InputError, match="smaller than a tile"):
        count_tiles([folder], 5, 128, 128)
