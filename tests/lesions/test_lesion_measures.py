"""Contrast, edge, noise and crop scores of annotated lesions, against what was put there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_volumes import volume_info, write_doses
from scipy.ndimage import gaussian_filter

from ldct.common.errors import InputError
from ldct.data.lesions import LESION_COLUMNS, write_lesions
from ldct.lesions.bench import COLUMNS, write_lesion_bench
from ldct.lesions.measures import FURTHER, MEASURES, lesion_view, measure_lesion
from ldct.lesions.table import lesion_notes, lesion_summary
from ldct.metrics.pixelwise import slice_scores
from ldct.metrics.protocol import Protocol, SsimWindow

SIZE = 160
TO_WIDTH = 2 * 1.281552  # 10 to 90 % of a normal distribution


PROTOCOL = Protocol("test", (-160.0, 240.0), True, 1.0, SsimWindow("uniform", 7), "mean_of_slices")


PLACE = {"origin_mm": [-10.0, 5.0], "thickness_mm": 2.0}
INFO = volume_info(1, **PLACE, pixel_mm=(0.8, 0.8))


def lesion_at(row, column, diameter_mm, pixel_mm=(0.8, 0.8), z_mm=0.0):
    return {
        "patient": "P1",
        "lesion": "1",
        "z_mm": z_mm,
        "x_mm": -10.0 + column * pixel_mm[1],
        "y_mm": 5.0 + row * pixel_mm[0],
        "diameter_mm": diameter_mm,
        "label": "made",
        "source": "test",
    }


def image_with_disc(
    contrast_hu=-60.0,
    diameter_mm=20.0,
    background_hu=80.0,
    sigma_mm=0.8,
    noise_hu=0.0,
    pixel_mm=(0.8, 0.8),
    seed=0,
):
    """A disc about pixel (80, 76), painted four times finer and averaged, then blurred."""
    fine = (np.arange(4 * SIZE) + 0.5) / 4 - 0.5
    distance = np.hypot((fine[:, None] - 80) * pixel_mm[0], (fine - 76) * pixel_mm[1])
    disc = (distance <= diameter_mm / 2).reshape(SIZE, 4, SIZE, 4).mean(axis=(1, 3))
    blurred = gaussian_filter(disc, np.asarray(sigma_mm) / np.asarray(pixel_mm))
    noise = np.random.default_rng(seed).normal(0, noise_hu, (SIZE, SIZE))
    return background_hu + contrast_hu * blurred + noise


def measured(image, ndct, diameter_mm=20.0, pixel_mm=(0.8, 0.8)):
    lesion = lesion_at(80, 76, diameter_mm, pixel_mm)
    view = lesion_view(ndct, lesion, INFO | {"pixel_mm": pixel_mm})
    return measure_lesion(view, image, PROTOCOL)


def test_contrast_and_cnr_are_what_was_put_there():
    ndct = image_with_disc(noise_hu=6.0)
    found = measured(ndct, ndct)
    assert found["contrast_hu"] == pytest.approx(-60, abs=2)
    assert found["contrast_retention"] == 1
    assert found["cnr"] == pytest.approx(60 / 6, rel=0.1)
    assert found["note"] == ""


@pytest.mark.parametrize("factor", [0.25, 1.2])
def test_retention_is_the_share_of_contrast_that_is_left(factor):
    ndct = image_with_disc(noise_hu=4.0)
    faded = 80 + factor * (ndct - 80)
    found = measured(faded, ndct)
    assert found["contrast_retention"] == pytest.approx(factor, rel=1e-6)
    # Contrast and noise fade together.
    assert found["cnr"] == pytest.approx(measured(ndct, ndct)["cnr"], rel=1e-6)


@pytest.mark.parametrize("pixel_mm", [(0.8, 0.8), (0.6, 0.9)], ids=["square", "oblong"])
@pytest.mark.parametrize("extra_mm", [0.0, 1.6])
def test_edge_width_is_that_of_the_blur(extra_mm, pixel_mm):
    ndct = image_with_disc(diameter_mm=24.0, pixel_mm=pixel_mm, noise_hu=1.0)
    image = gaussian_filter(ndct, extra_mm / np.asarray(pixel_mm)) if extra_mm else ndct
    found = measured(image, ndct, 24.0, pixel_mm)
    assert found["edge_width_mm"] == pytest.approx(TO_WIDTH * np.hypot(0.8, extra_mm), rel=0.1)


def test_structures_nearby_do_not_change_edge_or_background():
    ndct = image_with_disc(60.0, 20.0, noise_hu=2.0)
    plain = measured(ndct, ndct)
    crowded = ndct.copy()
    crowded[:, 96:] = 230  # bone 16 pixels (13 mm) right of the centre
    crowded[92:95, :] = -600  # air below
    found = measured(crowded, crowded)
    assert found["contrast_hu"] == pytest.approx(plain["contrast_hu"], abs=1.5)
    assert found["edge_width_mm"] == pytest.approx(plain["edge_width_mm"], rel=0.15)


def test_noise_is_that_which_was_added():
    ndct = image_with_disc(noise_hu=8.0)
    white = np.random.default_rng(3).normal(0, 15, ndct.shape)
    assert measured(ndct + white, ndct)["noise_std_hu"] == pytest.approx(15, rel=0.05)
    assert np.isnan(measured(ndct, ndct)["noise_std_hu"])


def test_crop_scores_are_those_of_the_protocol():
    ndct = image_with_disc(noise_hu=8.0)
    image = ndct + np.random.default_rng(4).normal(0, 12, ndct.shape)
    view = lesion_view(ndct, lesion_at(80, 76, 20.0), INFO)
    top, bottom, left, right = view.roi
    crop = np.s_[top:bottom, left:right]
    expected = slice_scores(image[crop], ndct[crop], PROTOCOL)
    found = measured(image, ndct)
    assert found["crop_psnr"] == pytest.approx(expected["psnr"], rel=1e-9)
    assert found["crop_ssim"] == pytest.approx(expected["ssim"], rel=1e-9)


def test_lung_lesion_is_measured_against_lung():
    """Contrast, edge and noise of HU as they are, whatever window the crop's scores see."""
    ndct = image_with_disc(880.0, 20.0, background_hu=-850.0, noise_hu=10.0)
    image = ndct + np.random.default_rng(3).normal(0, 15, ndct.shape)
    found = measured(image, ndct)
    assert found["contrast_hu"] == pytest.approx(880, rel=0.01)
    assert found["contrast_retention"] == pytest.approx(1, rel=0.01)
    assert found["noise_std_hu"] == pytest.approx(15, rel=0.05)
    assert found["edge_width_mm"] == pytest.approx(TO_WIDTH * 0.8, rel=0.1)
    assert found["note"] == ""


def test_what_cannot_be_measured_says_why():
    small = image_with_disc(-80.0, 4.0, sigma_mm=0.5, noise_hu=1.0)
    found = measured(small, small, 4.0)
    assert found["contrast_hu"] < -50
    assert np.isnan(found["edge_width_mm"])
    assert "too small for an edge" in found["note"]
    invisible = image_with_disc(0.0, noise_hu=10.0)
    found = measured(invisible + 5, invisible)
    assert np.isnan([found[name] for name in ("cnr", "contrast_retention", "edge_width_mm")]).all()
    assert "no contrast in NDCT" in found["note"]


def test_edges_are_measured_where_ndct_has_one():
    """A mean over slices of which each method has its own would compare different edges."""
    blurred = image_with_disc(sigma_mm=6.0, noise_hu=0.5)
    assert np.isnan(measured(blurred, blurred)["edge_width_mm"])
    found = measured(image_with_disc(noise_hu=0.5), blurred)
    assert np.isnan(found["edge_width_mm"])
    assert "no edge could be fitted in NDCT" in found["note"]
    assert np.isfinite(found["cnr"])
    noise = np.random.default_rng(1).normal(80, 0.5, blurred.shape)
    removed = measured(noise, image_with_disc(noise_hu=0.5))
    assert removed["note"] == "no edge could be fitted"


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda ndct: (ndct, np.clip(ndct, -160, 240)), "background clipped at -160 HU"),
        (lambda ndct: (ndct, np.clip(ndct, -1024, -900)), "background clipped at -900 HU"),
        (lambda ndct: (np.clip(ndct, -800, 0),) * 2, "background clipped at -800 HU in NDCT"),
        (lambda ndct: (np.clip(ndct, -1024, -20), ndct), "lesion clipped at -20 HU in NDCT"),
        (lambda ndct: (ndct, np.clip(ndct, -1024, 50)), ""),  # less than half of it
    ],
)
def test_contrast_and_edge_against_a_clipped_background_are_missing(change, note):
    """Lung: its level and noise are lost in a clip, and what is left would be the window's."""
    ndct = image_with_disc(880.0, 20.0, background_hu=-850.0, noise_hu=10.0)
    ndct, image = change(ndct)
    found = measured(image + 0.0, ndct)
    assert found["note"] == note and found["crop_psnr"] > 0
    names = ("contrast_hu", "contrast_retention", "cnr", "edge_width_mm")
    assert np.isnan([found[name] for name in names]).all() == bool(note)


@pytest.mark.parametrize("place", [(2, 2), (80, 159), (300, 300)], ids=["corner", "rim", "outside"])
def test_lesion_near_or_beyond_the_rim_of_the_image_does_not_fail(place):
    ndct = image_with_disc(noise_hu=5.0)
    view = lesion_view(ndct, lesion_at(*place, 10.0), INFO)
    found = measure_lesion(view, ndct, PROTOCOL)
    assert set(found) == {*MEASURES, *FURTHER}


def write_case(folder: Path, lesions) -> tuple[Path, Path, Path]:
    """Test folder, a prediction and lesions.csv."""
    ndct = np.stack([image_with_disc(noise_hu=5.0, seed=row) for row in range(3)])
    quarter = ndct + np.random.default_rng(9).normal(0, 10, ndct.shape)
    place = PLACE | {"pixel_mm": (0.8, 0.8), "z_mm": [0.0, 2.0, 4.0]}
    test = write_doses(folder / "test/P1", np.rint(ndct), np.rint(quarter), **place)
    prediction = folder / "predictions/some/1/P1.npy"
    prediction.parent.mkdir(parents=True)
    np.save(prediction, quarter.astype(np.float32))
    write_lesions(pd.DataFrame(lesions, columns=LESION_COLUMNS), folder / "lesions.csv")
    return test, prediction, folder / "lesions.csv"


def test_bench_has_a_row_per_method_lesion_and_slice(tmp_path):
    lesions = [lesion_at(80, 76, 20.0, z_mm=z) for z in (0.0, 2.0)]
    test, prediction, table = write_case(tmp_path, lesions)
    write_lesion_bench([test], [prediction], table, PROTOCOL, tmp_path / "bench")
    found = {
        path.parts[-3]: pd.read_parquet(path) for path in tmp_path.glob("bench/*/*/P1.parquet")
    }
    assert set(found) == {"ndct", "ldct", "some"}
    for frame in found.values():
        assert list(frame.columns) == COLUMNS
        assert frame["slice_index"].tolist() == [0, 1]
    assert (tmp_path / "bench/some/1/P1.parquet.provenance.json").is_file()
    assert found["some"]["seed"].tolist() == [1, 1]
    # Rounding to int16 apart.
    np.testing.assert_allclose(found["some"]["cnr"], found["ldct"]["cnr"], rtol=0.01)
    assert (found["ndct"]["contrast_retention"] == 1).all()
    np.save(prediction, np.zeros((2, 4, 4), np.float32))
    with pytest.raises(InputError, match=r"found shape \(2, 4, 4\)"):
        write_lesion_bench([test], [prediction], table, PROTOCOL, tmp_path / "bench")


def test_patient_without_lesion_has_empty_tables_of_the_same_types(tmp_path):
    test, prediction, table = write_case(tmp_path, [])
    write_lesion_bench([test], [prediction], table, PROTOCOL, tmp_path / "bench")
    frame = pd.read_parquet(tmp_path / "bench/some/1/P1.parquet")
    assert (len(frame), list(frame.columns), frame["cnr"].dtype) == (0, COLUMNS, float)


@pytest.mark.parametrize(
    ("shift_hu", "equal", "missing"),
    [
        *((0, "all", MEASURES), (-1024, "all", MEASURES), (0, "all but bone", MEASURES)),
        *((-900, "none", MEASURES[:2]), (2000, "none", MEASURES[:2]), (0, "lesion", MEASURES[2:])),
    ],
)
def test_lesions_in_what_is_equal_in_both_doses_are_left_out_and_named(
    tmp_path, shift_hu, equal, missing
):
    test, prediction, table = write_case(
        tmp_path, [lesion_at(80, 76, 20.0, z_mm=z) for z in (0, 2)]
    )
    full, quarter = (np.load(test / f"{dose}.npy") for dose in ("full", "quarter"))
    full[0] += shift_hu
    quarter[0] += shift_hu
    part = np.index_exp[0, 50:110, 46:106] if equal == "lesion" else np.index_exp[0]
    if equal != "none":
        quarter[part] = full[part]
    if equal == "all but bone":
        full[0, 44, 40], quarter[0, 44, 40] = 900, 800
    np.save(test / "full.npy", full)
    np.save(test / "quarter.npy", quarter)
    write_lesion_bench([test], [prediction], table, PROTOCOL, tmp_path / "bench")
    paths = list(tmp_path.glob("bench/*/*/P1.parquet"))
    frame = pd.concat(map(pd.read_parquet, paths), ignore_index=True)
    own = frame[frame["slice_index"] == 0]
    assert own[missing].isna().all(axis=None)
    others = own.loc[own["method"] == "some", [one for one in MEASURES if one not in missing]]
    assert others.notna().any(axis=None) == (len(missing) < len(MEASURES))
    values = lesion_summary(frame, {"ndct": "NDCT", "some": "Some"})
    psnr = values[values["measure"] == missing[0]]
    assert set(psnr["n_slices"]) == {1} and set(psnr["n_failed"]) == {0}
    note = "Left out, both doses being equal about them: P1 lesion 1 slice 0."
    assert note in lesion_notes(frame, values, "data")
