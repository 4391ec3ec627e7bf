"""Texture of whole images: same squares for all, blur and patterns told apart, tables, figures."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from ldct.errors import InputError
from ldct.evaluation.regions import soft_tissue_squares, spread_out
from ldct.evaluation.texture import (
    FEWEST_SQUARES,
    MEASURES,
    choose_squares,
    halves_distance,
    measure_texture,
)
from ldct.evaluation.texture_files import COLUMNS, write_references, write_texture
from ldct.evaluation.texture_summary import summarise_texture
from ldct.reporting.texture_figures import draw_curves, draw_spectra
from ldct.reporting.texture_table import write_texture_tables

SLICES, SIZE, PIXEL_MM = 5, 160, (0.7, 0.7)
PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-"


def ndct(seed: int = 0) -> np.ndarray:
    """Bodies of soft tissue in air, with correlated noise; the last slice is air alone."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal((SLICES, SIZE, SIZE)), (0, 0.8, 0.8))
    image = np.full(noise.shape, -1000.0)
    image[:-1, 16:-16, 16:-16] = 60
    image[:-1, 70:90, 16:-16] += 40  # an edge of anatomy
    return np.rint(image + 12 * noise / noise.std()).astype(np.int16)


def checkerboard(amplitude_hu: float) -> np.ndarray:
    return amplitude_hu * (-1.0) ** np.indices((SIZE, SIZE)).sum(axis=0)


def measured(image, seed=0):
    squares = choose_squares({"P1": ndct(seed)})
    return measure_texture(image, ndct(seed), squares, 32, PIXEL_MM)


@pytest.fixture
def test_set(tmp_path):
    folder = tmp_path / "test/P1"
    folder.mkdir(parents=True)
    full = ndct()
    extra = ndimage.gaussian_filter(np.random.default_rng(9).standard_normal(full.shape), (0, 1, 1))
    np.save(folder / "full.npy", full)
    np.save(folder / "quarter.npy", (full + 20 * extra / extra.std()).astype(np.int16))
    volume = {
        "patient": "P1",
        "slice_index": [0, 8, 16, 24, 32],
        "z_mm": [0.0, 8.0, 16.0, 24.0, 32.0],
        "pixel_mm": list(PIXEL_MM),
    }
    (folder / "volume.json").write_text(json.dumps(volume))
    return folder


def test_squares_are_soft_tissue_and_overlap_by_half_at_most():
    image = ndct()
    squares = choose_squares({"P1": image})
    assert set(squares["side"]) == {32}
    assert set(squares["row"]) == set(range(SLICES - 1))
    assert (squares[["top", "left"]] % 8 == 0).all(axis=None)
    for _, own in squares.groupby("row"):
        corners = own[["top", "left"]].to_numpy()
        gaps = np.abs(corners[:, None] - corners[None]).max(axis=2)
        assert gaps[~np.eye(len(own), dtype=bool)].min() >= 16
    for square in squares.itertuples():
        patch = image[square.row, square.top : square.top + 32, square.left : square.left + 32]
        assert patch.min() > -100


def test_flat_squares_are_the_flatter_half_and_avoid_edges():
    squares = choose_squares({"P1": ndct()})
    flat, rest = squares[squares["flat"]], squares[~squares["flat"]]
    assert len(flat) and len(rest)
    assert flat["spread_hu"].max() <= rest["spread_hu"].min()
    all_spreads = soft_tissue_squares(ndct(), 32, 8)[:, 3]
    assert flat["spread_hu"].max() <= np.quantile(all_spreads, 0.5)


def test_spreading_out_keeps_the_flattest():
    squares = np.array([[0, 0, 0, 5.0], [0, 8, 0, 1.0], [0, 40, 0, 3.0], [1, 8, 0, 9.0]])
    np.testing.assert_array_equal(spread_out(squares, 32), squares[1:])


def test_small_images_get_smaller_squares_and_none_where_there_is_no_tissue():
    image = np.full((3, 64, 64), -1000.0)
    image[:, 12:52, 12:52] = 50
    assert set(choose_squares({"P1": image})["side"]) == {16}
    empty = choose_squares({"P1": np.full((3, 64, 64), -1000.0)})
    assert empty.empty
    frame, arrays = measure_texture(image, image, empty, 16, PIXEL_MM)
    assert frame[MEASURES].isna().all(axis=None)
    assert (frame["reason"] != "").all()
    assert np.isnan(arrays["power"]).all()


def test_ndct_is_its_own_texture():
    frame, arrays = measured(ndct())
    inside = frame[frame["n_squares"] >= FEWEST_SQUARES]
    assert len(inside) == SLICES - 1
    assert (inside["texture_distance"] == 0).all()
    assert (inside["noise_ratio"] == 1).all()
    assert inside["noise_std_hu"].to_numpy() == pytest.approx(12, rel=0.25)
    assert inside["difference_noise_std_hu"].isna().all()
    assert (arrays["difference_power"] == 0).all()
    air = frame.iloc[-1]
    assert np.isnan(air["noise_std_hu"]) and "squares" in air["reason"]


def test_blur_moves_power_to_low_frequencies():
    blurred = ndimage.gaussian_filter(ndct().astype(float), (0, 1, 1))
    sharp, soft = measured(ndct())[0].iloc[:-1], measured(blurred)[0].iloc[:-1]
    assert (soft["noise_ratio"] < 0.9).all()
    assert (soft["mean_frequency"] < sharp["mean_frequency"]).all()
    assert (soft["texture_distance"] > 0.02).all()
    assert (soft["difference_noise_std_hu"] > 1).all()


def test_amplitude_alone_is_no_distance():
    mean = ndct().astype(float).mean(axis=(1, 2), keepdims=True)
    frame, _ = measured(mean + 2 * (ndct() - mean))
    assert frame["texture_distance"].iloc[:-1].to_numpy() == pytest.approx(0, abs=1e-9)
    assert frame["noise_ratio"].iloc[:-1].to_numpy() == pytest.approx(2)


def test_a_checkerboard_of_one_hu_is_found_and_ndct_shows_none():
    image, clean = ndct(1) + checkerboard(1.0), ndct()
    squares = choose_squares({"P1": clean})
    planted, _ = measure_texture(image, clean, squares, 32, PIXEL_MM)
    none, arrays = measure_texture(clean, clean, squares, 32, PIXEL_MM)
    for score in ("periodic_peak", "periodic_peak_pooling"):
        assert planted[score].mean() > 5
        assert none[score].mean() < 0.5
    # All squares include the phantom's step edge, a line in the spectrum (docs/texture.md, Limits).
    assert planted["periodic_peak_all"].mean() > 5 + none["periodic_peak_all"].mean()
    assert arrays["excess"].shape == (SLICES - 1, 32, 32)


def test_halves_of_one_texture_are_near():
    squares = choose_squares({"P1": ndct()})
    halves = halves_distance(ndct(), squares, 32, PIXEL_MM)
    blurred, _ = measured(ndimage.gaussian_filter(ndct().astype(float), (0, 2, 2)))
    assert len(halves) == SLICES - 1
    assert halves.mean() < 0.5 * blurred["texture_distance"].mean()


def write_all(test_set, tmp_path):
    """References, the LDCT image as a method, NDCT with a checkerboard, and a control."""
    output = tmp_path / "texture"
    write_references([test_set], (-160, 240), output)
    images = {
        "low_dose": np.load(test_set / "quarter.npy").astype(np.float32),
        "patterned": (ndct() + checkerboard(3.0)).astype(np.float32),
        "oracle": ndct().astype(np.float32),
    }
    for name, image in images.items():
        path = tmp_path / "predictions" / name / "fixed/P1.npy"
        path.parent.mkdir(parents=True)
        np.save(path, image)
        target = output / name / "fixed/P1.parquet"
        write_texture(path, test_set, output / "squares.parquet", target, name, 0)
    rows = [
        ("ndct", "NDCT", "reference"),
        ("ldct", "LDCT", "reference"),
        ("low_dose", "Low Dose", "identity"),
        ("patterned", "Patterned | odd_name", "network"),
        ("oracle", "Oracle", "control"),
    ]
    return output, rows


def test_files_and_tables_agree_and_name_the_pattern(test_set, tmp_path):
    output, rows = write_all(test_set, tmp_path)
    frame = pd.read_parquet(output / "patterned/fixed/P1.parquet")
    assert list(frame.columns) == COLUMNS
    assert list(frame["slice_index"]) == [0, 8, 16, 24, 32]
    assert set(frame["seed"]) == {0}
    facts = json.loads((output / "squares.json").read_text())
    assert facts["side_px"] == 32 and 0 <= facts["ldct_share_outside_window"] < 0.01

    files = sorted(output.glob("*/fixed/*.parquet"))
    summary = summarise_texture(files, rows)
    note = "simulated dose on a box"
    paths = write_texture_tables(summary, facts, note, "Credit: nobody.", tmp_path / "tables")
    content = json.loads((tmp_path / "tables/texture.json").read_text())
    methods = {row["method"]: row for row in content["methods"]}
    assert methods["patterned"]["periodic_peak_exceeds_null"] == "yes"
    assert methods["patterned"]["pattern"] == "yes"
    assert methods["ndct"]["pattern"] != "yes"
    assert methods["patterned"]["strongest_rms_hu"] == pytest.approx(3, rel=0.1)
    assert methods["ndct"]["periodic_peak_exceeds_null"] != "yes"
    assert methods["patterned"]["noise_std_hu"] == pytest.approx(frame["noise_std_hu"].mean())
    table = pd.read_csv(tmp_path / "tables/texture.csv").set_index("method")
    assert table.loc["patterned", "periodic_peak"] > content["null_levels"]["periodic_peak"]
    for name, parts in content["null_level_parts"].items():
        assert content["null_levels"][name] == max(parts["ndct_quantile"], parts["floor"])
        assert content["null_levels"][name] == parts[parts["applied"]]
    for path in paths[1:3]:
        text = path.read_text()
        for word in ("NDCT", "Oracle", "Null level", note, "one patient", "Credit: nobody."):
            assert word in text, (path, word)
        for head in ("Peak frequency (1/mm)", "Mean frequency of output − NDCT (1/mm)"):
            assert head in text, (path, head)
        own = content["null_level_parts"]["periodic_peak"]
        assert f"flatter half {own['ndct_quantile']:.2f}, {own['floor']:.2f} (the floor)" in text
    tables = paths[1].read_text().split("**Periodic peaks.**")
    for part in tables:
        widths = {line.replace(r"\|", "").count("|") for line in part.splitlines()}
        assert len(widths - {0}) == 1


def test_scores_above_ndct_alone_are_marked_as_that(test_set, tmp_path):
    """Above what NDCT shows, and below what the background fit may miss."""
    output, rows = write_all(test_set, tmp_path)
    files = sorted(output.glob("*/fixed/*.parquet"))
    null = summarise_texture(files, rows).null_levels["periodic_peak"]
    assert null.applied == "floor"
    path = output / "oracle/fixed/P1.parquet"
    frame = pd.read_parquet(path)
    middle = (null.ndct_quantile + null.floor) / 2
    frame["periodic_peak"] = middle + 0.001 * np.arange(len(frame))
    frame.to_parquet(path)
    summary = summarise_texture(files, rows)
    found = next(method for method in summary.methods if method.method == "oracle")
    assert found.exceeds["periodic_peak"] == "no"
    assert found.exceeds_ndct["periodic_peak"] == "yes"
    facts = json.loads((output / "squares.json").read_text())
    paths = write_texture_tables(summary, facts, "box", "", tmp_path / "tables")
    mean = f"{middle + 0.002:.2f}"
    assert f"| Oracle | {mean} (above NDCT) [" in paths[1].read_text()
    row = pd.read_csv(paths[0]).set_index("method").loc["oracle"]
    assert row["periodic_peak_exceeds_null"] == "no"
    assert row["periodic_peak_exceeds_ndct"] == "yes"


def test_a_pattern_is_what_both_sets_of_squares_show(test_set, tmp_path):
    output, rows = write_all(test_set, tmp_path)
    summary = summarise_texture(sorted(output.glob("*/fixed/*.parquet")), rows)
    found = next(method for method in summary.methods if method.method == "patterned")
    assert found.pattern == "yes"
    for verdict in ("no", "undecided"):
        mixed = replace(found, exceeds=found.exceeds | {"periodic_peak_all": verdict})
        assert mixed.pattern == "undecided"
        assert mixed.pattern_ndct == found.pattern_ndct == "yes"


def test_figures_are_drawn(test_set, tmp_path):
    output, rows = write_all(test_set, tmp_path)
    summary = summarise_texture(sorted(output.glob("*/fixed/*.parquet")), rows)
    written = draw_curves(summary, "box", tmp_path / "a") + draw_spectra(
        summary, "box", tmp_path / "b"
    )
    for path in written:
        assert path.read_bytes().startswith(PNG if path.suffix == ".png" else PDF)


def test_nothing_to_measure_is_said_not_raised(test_set, tmp_path):
    air = np.full((SLICES, SIZE, SIZE), -1000, dtype=np.int16)
    for name in ("full.npy", "quarter.npy"):
        np.save(test_set / name, air)
    output = tmp_path / "texture"
    write_references([test_set], (-160, 240), output)
    rows = [("ndct", "NDCT", "reference"), ("ldct", "LDCT", "reference")]
    summary = summarise_texture(sorted(output.glob("*/fixed/*.parquet")), rows)
    facts = json.loads((output / "squares.json").read_text())
    paths = write_texture_tables(summary, facts, "air", "", tmp_path / "tables")
    assert "Nothing was measured" in paths[1].read_text()
    draw_curves(summary, "air", tmp_path / "a")
    draw_spectra(summary, "air", tmp_path / "b")


def test_prediction_of_another_shape_is_refused(test_set, tmp_path):
    output = tmp_path / "texture"
    write_references([test_set], (-160, 240), output)
    np.save(tmp_path / "short.npy", ndct()[:2].astype(np.float32))
    with pytest.raises(InputError, match=r"short\.npy: found shape \(2, 160, 160\)"):
        write_texture(
            tmp_path / "short.npy",
            test_set,
            output / "squares.parquet",
            tmp_path / "x.parquet",
            "short",
            0,
        )
