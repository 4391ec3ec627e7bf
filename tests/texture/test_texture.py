"""Texture of whole images: same squares for all, blur and patterns told apart, table, figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_volumes import volume_info, write_doses
from scipy import ndimage

from ldct.common.errors import InputError
from ldct.data.volumes import neighbour_mean
from ldct.texture.figures import draw_curves, draw_spectra
from ldct.texture.files import (
    COLUMNS,
    squares_in,
    write_references,
    write_squares,
    write_texture,
)
from ldct.texture.measure import MEASURES, choose_squares, halves_distance, measure_texture
from ldct.texture.regions import soft_tissue_squares, spread_out
from ldct.texture.summary import summarise_texture
from ldct.texture.table import write_texture_tables

SLICES, SIZE, PIXEL_MM = 5, 144, (0.7, 0.7)
PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-"
ROWS = [
    ("ndct", "NDCT", "reference"),
    ("ldct", "LDCT", "reference"),
    ("patterned", "Patterned | odd_name", "network"),
    ("oracle", "Oracle", "control"),
]


def ndct() -> np.ndarray:
    """Bodies of soft tissue in air, with correlated noise; the last two slices are air alone."""
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.standard_normal((SLICES, SIZE, SIZE)), (0, 0.8, 0.8))
    image = np.full(noise.shape, -1000.0)
    image[:-2, 16:-16, 16:-16] = 60
    image[:-2, 62:82, 16:-16] += 40  # an edge of anatomy
    return np.rint(image + 12 * noise / noise.std()).astype(np.int16)


NDCT = ndct()
INFO = volume_info(SLICES, patient="P1")
# The last slice with tissue has air on one side.
BODIES = SLICES - 3
SQUARES = squares_in(INFO, choose_squares([(NDCT, INFO, ())], 20))
CHECKERBOARD = (-1.0) ** np.indices((SIZE, SIZE)).sum(axis=0)


def measured(image: np.ndarray) -> pd.DataFrame:
    """Measures of the slices with tissue."""
    return measure_texture(image, NDCT, SQUARES, 32, PIXEL_MM)[0].iloc[:BODIES]


def references(folders: list[Path], output: Path) -> Path:
    """Squares of folders that hold whole volumes, and the references in them."""
    squares = output / "squares.parquet"
    write_squares(folders, 20, squares)
    write_references(folders, squares, output)
    return squares


@pytest.fixture
def test_set(tmp_path):
    quarter = NDCT + np.random.default_rng(9).normal(0, 20, NDCT.shape)
    return write_doses(tmp_path / "test/P1", NDCT, quarter, pixel_mm=PIXEL_MM)


def test_squares_are_flat_soft_tissue_and_overlap_by_half_at_most():
    assert set(SQUARES["side"]) == {32}
    assert set(SQUARES["row"]) == set(range(BODIES))
    assert (SQUARES[["top", "left"]] % 8 == 0).all(axis=None)
    for _, own in SQUARES.groupby("row"):
        corners = own[["top", "left"]].to_numpy()
        gaps = np.abs(corners[:, None] - corners[None]).max(axis=2)
        assert gaps[~np.eye(len(own), dtype=bool)].min() >= 16
    for square in SQUARES.itertuples():
        patch = NDCT[square.row, square.top : square.top + 32, square.left : square.left + 32]
        assert patch.min() > -100
    beside = [neighbour_mean(NDCT, row, INFO) for row in range(SLICES)]
    spreads = soft_tissue_squares(beside, 32, 8)[:, 3]
    assert SQUARES["spread_hu"].max() <= np.quantile(spreads, 0.5)


def test_squares_do_not_see_the_slice_that_they_are_in():
    changed = NDCT.copy()
    changed[1] += np.random.default_rng(3).normal(0, 40, NDCT[1].shape).astype(np.int16)
    again = choose_squares([(changed, INFO, ())], 20)
    own = [
        frame[frame["slice_index"] == 1]
        for frame in (again, choose_squares([(NDCT, INFO, ())], 20))
    ]
    assert len(own[0]) > 3
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in own))


def test_the_slices_with_most_squares_are_measured():
    image = np.full((30, 64, 64), -1000.0)
    image[:, 4:60, 4:60] = 50
    image[:5, 4:60, 20:60] = -1000  # fewer squares
    found = choose_squares([(image, volume_info(30), ())], 20)
    assert found["slice_index"].nunique() == 20 and found["slice_index"].min() >= 5


@pytest.mark.parametrize(
    ("spacing", "thickness", "beside"),
    [(1.0, 1.0, [3, 5]), (0.8, 1.0, [2, 6]), (2.0, 3.0, [2, 6]), (5.0, 1.0, [3, 5])],
)
def test_neighbours_share_no_noise(spacing, thickness, beside):
    info = {"z_mm": spacing * np.arange(9.0), "thickness_mm": thickness}
    slices = np.arange(9.0)[:, None, None] ** 2 * np.ones((9, 2, 2))
    assert neighbour_mean(slices, 4, info)[0, 0] == np.mean(np.square(beside))
    assert neighbour_mean(slices, 0, info)[0, 0] == (4 - beside[0]) ** 2
    assert neighbour_mean(slices[:1], 0, {"z_mm": [0.0], "thickness_mm": 1.0}) is None


def test_spreading_out_keeps_the_flattest():
    squares = np.array([[0, 0, 0, 5.0], [0, 8, 0, 1.0], [0, 40, 0, 3.0], [1, 8, 0, 9.0]])
    np.testing.assert_array_equal(spread_out(squares, 32), squares[1:])


def test_small_images_get_smaller_squares_and_none_where_there_is_no_tissue():
    image = np.full((3, 64, 160), -1000.0)
    info = volume_info(3)
    empty = squares_in(info, choose_squares([(image, info, ())], 20))
    assert empty.empty
    frame, arrays = measure_texture(image, image, empty, 16, PIXEL_MM)
    assert frame[MEASURES].isna().all(axis=None)
    assert frame["reason"].str.contains("squares of soft tissue").all()
    assert np.isnan(arrays["power"]).all()
    image[:, 10:54, 4:156] = 50
    assert set(choose_squares([(image, info, ())], 20)["side"]) == {16}


def test_ndct_is_its_own_texture():
    frame, arrays = measure_texture(NDCT, NDCT, SQUARES, 32, PIXEL_MM)
    inside, air = frame.iloc[:BODIES], frame.iloc[-1]
    assert (inside["texture_distance"] == 0).all() and (inside["noise_ratio"] == 1).all()
    assert inside["noise_std_hu"].to_numpy() == pytest.approx(12, rel=0.25)
    assert inside["lattice_ratio"].to_numpy() == pytest.approx(1, abs=0.3)
    assert np.isnan(air["noise_std_hu"]) and "squares" in air["reason"] and air["n_squares"] == 0
    assert arrays["power"].shape == (32, 32) and len(arrays["radial"]) == BODIES


def test_blur_moves_power_to_low_frequencies_and_amplitude_alone_is_no_distance():
    soft = measured(ndimage.gaussian_filter(NDCT.astype(float), (0, 1, 1)))
    assert (soft["noise_ratio"] < 0.9).all()
    assert (soft["mean_frequency"] < measured(NDCT)["mean_frequency"]).all()
    assert (soft["texture_distance"] > 0.02).all()
    twice = measured(2.0 * NDCT)
    assert twice["texture_distance"].to_numpy() == pytest.approx(0, abs=1e-9)
    assert twice["noise_ratio"].to_numpy() == pytest.approx(2)


def test_halves_of_one_texture_are_near():
    halves = halves_distance(NDCT, SQUARES, 32, PIXEL_MM)
    blurred = measured(ndimage.gaussian_filter(NDCT.astype(float), (0, 2, 2)))
    assert len(halves) == BODIES
    assert np.mean(halves) < 0.5 * blurred["texture_distance"].mean()


def test_files_table_and_figures_show_the_pattern(test_set, tmp_path):
    output = tmp_path / "texture"
    squares = references([test_set], output)
    for name, image in (("patterned", NDCT + 3 * CHECKERBOARD), ("oracle", NDCT)):
        np.save(tmp_path / f"{name}.npy", image.astype(np.float32))
        target = output / name / "fixed/P1.parquet"
        write_texture(tmp_path / f"{name}.npy", test_set, squares, target, name, 0)
    frame = pd.read_parquet(output / "patterned/fixed/P1.parquet")
    assert list(frame.columns) == COLUMNS
    assert list(frame["slice_index"]) == list(range(SLICES))
    facts = json.loads((output / "squares.json").read_text())
    assert facts["side_px"] == 32 and facts["n_squares"] > 6

    files = sorted(output.glob("*/fixed/*.parquet"))
    summary = summarise_texture(files, ROWS, {})
    credit, folder = "Credit: nobody.", tmp_path / "tables"
    write_texture_tables(summary, facts, "dose of a box", credit, folder, files)
    table = pd.read_csv(folder / "texture.csv").set_index("method")
    assert table.loc["patterned", "lattice_ratio"] > 5 * table.loc["ndct", "lattice_ratio"]
    assert table.loc["patterned", "noise_std_hu"] == pytest.approx(frame["noise_std_hu"].mean())
    for suffix in ("md", "html"):
        text = (folder / f"texture.{suffix}").read_text()
        for word in ("NDCT", "Oracle", "odd", "Controls", "dose of a box", "pooling", credit):
            assert word in text, (suffix, word)
    for path in draw_curves(summary, "a box", tmp_path / "a"):
        assert path.read_bytes().startswith(PNG if path.suffix == ".png" else PDF)
    assert len(draw_spectra(summary, "a box", tmp_path / "b")) == 2


@pytest.mark.parametrize("kind", ["whole slice", "soft tissue only", "all slices"])
def test_slices_equal_in_both_doses_have_no_squares_and_are_named(test_set, tmp_path, kind):
    quarter = np.load(test_set / "quarter.npy")
    rows = slice(None) if kind == "all slices" else slice(1, 2)
    equal = NDCT[rows] > (-500 if kind == "soft tissue only" else -2000)
    quarter[rows] = np.where(equal, NDCT[rows], quarter[rows])
    np.save(test_set / "quarter.npy", quarter)
    references([test_set], tmp_path / "texture")
    facts = json.loads((tmp_path / "texture/squares.json").read_text())
    left_out = list(range(SLICES)) if kind == "all slices" else [1]
    assert facts["equal_slices"] == {"P1": left_out}
    files = sorted(tmp_path.glob("texture/*/fixed/*.parquet"))
    frame = pd.read_parquet(files[0])
    assert frame.loc[frame["slice_index"].isin(left_out), "n_squares"].eq(0).all()
    summary = summarise_texture(files, ROWS[:2], {})
    write_texture_tables(summary, facts, "a box", "", tmp_path / "tables", files)
    named = f"slices {', '.join(map(str, left_out))}" if len(left_out) > 1 else "slice 1"
    note = f"Left out, both doses being equal there: P1 {named}."
    assert note in (tmp_path / "tables/texture.md").read_text()
    drawn = [draw(summary, "a box", tmp_path / "a") for draw in (draw_curves, draw_spectra)]
    assert len(drawn) == 2


def test_nothing_is_drawn_where_nothing_was_measured(tmp_path, monkeypatch):
    air = write_doses(tmp_path / "test/P1", NDCT * 0 - 1000, NDCT * 0 - 990, pixel_mm=PIXEL_MM)
    references([air], tmp_path / "texture")
    files = sorted(tmp_path.glob("texture/*/fixed/*.parquet"))
    kept = []
    monkeypatch.setattr("ldct.rendering.figure_style.save_figure", lambda f, _: kept.append(f))
    summary = summarise_texture(files, ROWS[:2], {})
    for draw in (draw_curves, draw_spectra):
        draw(summary, "a box", tmp_path / "a")
    for figure in kept:
        assert not figure.axes and figure.texts[0].get_text().startswith("Not drawn: no test slice")


def test_prediction_of_another_shape_is_refused(test_set, tmp_path):
    SQUARES.to_parquet(tmp_path / "squares.parquet")
    short, output = tmp_path / "short.npy", tmp_path / "x.parquet"
    np.save(short, NDCT[:2].astype(np.float32))
    with pytest.raises(InputError, match=r"short\.npy: found shape \(2, 144, 144\)"):
        write_texture(short, test_set, tmp_path / "squares.parquet", output, "short", 0)
