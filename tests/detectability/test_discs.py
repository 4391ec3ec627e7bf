"""Discs inserted before dose simulation, and the folder that methods denoise."""

import numpy as np
import pandas as pd
import pytest
from made_up_volumes import volume_info, write_doses

from ldct.common.files import read_json
from ldct.data.dose.fan_beam import FanBeamGeometry
from ldct.data.dose.projector import filtered_backproject, forward_project
from ldct.data.dose.settings import DoseSettings
from ldct.data.lesions import LESION_COLUMNS
from ldct.data.volumes import load_volume
from ldct.detectability.disc_set import write_disc_set
from ldct.detectability.discs import Site, choose_sites, crop_window, disc_chords, simulate_crops

SIZE, PIXEL_MM, SLICES = 192, 1.5, 7
SETTINGS = {"contrast_hu": -20, "diameters_mm": [6, 9], "locations": 6, "crop": 32}
NO_LESIONS = pd.DataFrame(columns=list(LESION_COLUMNS))
LUNG = np.full((SLICES, SIZE, SIZE), -850, np.int16)


PLACE = {"z_mm": [3.0 * index for index in range(SLICES)], "thickness_mm": 3.0}
PLACE |= {"pixel_mm": [PIXEL_MM, PIXEL_MM]}
INFO = volume_info(SLICES, **PLACE)


def radius_px(row=(SIZE - 1) / 2, column=(SIZE - 1) / 2):
    rows, columns = np.ogrid[:SIZE, :SIZE]
    return np.hypot(rows - row, columns - column)


def phantom(noise_hu=8.0, seed=0):
    """A body of 60 HU in air; its right half is streaked, its upper quarter is fat."""
    image = np.where(radius_px() < 88, 60.0, -1000.0)
    rows, columns = np.ogrid[:SIZE, :SIZE]
    image[(image > 0) & (columns > 96)] += 60
    image[(image > 0) & (columns > 96) & (columns // 12 % 2 == 0)] -= 90
    image[(image > 0) & (rows < 50)] = -100
    noise = np.random.default_rng(seed).normal(0, noise_hu, (SLICES, SIZE, SIZE))
    return np.rint(image + noise).astype(np.int16)


def write_volume(folder, full, quarter=None, **changes):
    if quarter is None:
        quarter = np.rint(full + np.random.default_rng(1).normal(0, 14, full.shape))
    return write_doses(folder, full, quarter, **PLACE | changes)


@pytest.fixture(scope="module")
def disc_set(tmp_path_factory):
    """Folder of a disc set in the phantom."""
    place = tmp_path_factory.mktemp("discs")
    volume = write_volume(place / "P1", phantom())
    write_disc_set([volume], NO_LESIONS, SETTINGS, 0.25, place / "discs")
    return place / "discs"


def discs_of(volumes, place):
    """discs.json of a disc set in one of the volumes, with a single small disc."""
    settings = SETTINGS | {"diameters_mm": [6], "locations": 1}
    write_disc_set(volumes, NO_LESIONS, settings, 0.25, place / "discs")
    return read_json(place / "discs/discs.json")


def test_chords_are_those_of_the_projected_disc():
    geometry = FanBeamGeometry(views=96)
    pixel, size, (x, y), diameter = 0.4, 300, (21.0, -13.0), 30.0
    fine = 4 * size
    axis = ((np.arange(fine) + 0.5) / 4 - size / 2) * pixel
    inside = np.hypot(axis[:, None] - y, axis - x) <= diameter / 2
    disc = inside.reshape(size, 4, size, 4).mean(axis=(1, 3)).astype(np.float32)
    projected = forward_project(disc, pixel, geometry)
    chords = disc_chords([(x, y)], diameter, geometry)
    assert chords.max() == pytest.approx(diameter, rel=0.01)
    np.testing.assert_allclose(chords.sum(axis=1), projected.sum(axis=1), rtol=0.005)
    assert np.abs(chords - projected).mean() < 0.01 * projected[projected > 0].mean()


def test_reconstructed_disc_has_its_place_height_and_area():
    geometry, (x, y) = FanBeamGeometry(), (30.0, -24.0)
    image = filtered_backproject(disc_chords([(x, y)], 12.0, geometry), 1.0, (201, 201), geometry)
    rows, columns = np.ogrid[:201, :201]
    distance = np.hypot(rows - 100 - y, columns - 100 - x)
    assert image[distance < 3].mean() == pytest.approx(1, abs=0.02)
    assert image[distance < 15].sum() == pytest.approx(np.pi * 6**2, rel=0.03)
    assert np.abs(image[distance > 15]).max() < 0.02


def test_sites_are_flat_soft_tissue_apart_from_each_other():
    sites = choose_sites(phantom(), INFO, 8, 32, 9.0)
    assert len(sites) == 8
    slices = sorted({site.slice_index for site in sites})
    assert len(slices) > 1 and np.diff(slices).min() >= 2  # 5 mm apart at a spacing of 3 mm
    for site in sites:
        assert site.column < 96
        assert site.row > 50
        assert site.mean_hu == pytest.approx(60, abs=5)
        assert site.structure_hu < 10
        window = crop_window(site, 32)
        assert phantom()[(site.slice_index, *window)].shape == (32, 32)
    for first in sites:
        for second in sites:
            if first is not second and first.slice_index == second.slice_index:
                gap = max(abs(first.row - second.row), abs(first.column - second.column))
                assert gap >= 32


def test_lesion_slices_and_small_images_have_no_sites():
    found = choose_sites(phantom(), INFO, 6, 32, 9.0, left_out=[0, 2, 4])
    assert {site.slice_index for site in found} <= {1, 3, 5, 6}


def test_sites_do_not_see_the_noise_of_their_own_slice():
    volume = phantom()
    volume[3] += np.random.default_rng(5).normal(0, 60, volume[3].shape).astype(np.int16)
    others = [0, 1, 2, 4, 5, 6]
    found = [choose_sites(each, INFO, 6, 32, 9.0, others) for each in (phantom(), volume)]
    assert found[0] == found[1] and len(found[0]) > 1
    assert choose_sites(phantom(), INFO, 6, 256, 9.0) == []
    assert choose_sites(LUNG, INFO, 6, 32, 9.0) == []


def test_disc_adds_to_both_doses_and_noise_is_shared():
    sites = [Site(0, 96, 50, 60.0, 1.0), Site(2, 130, 70, 60.0, 1.0)]
    dose = DoseSettings(geometry=FanBeamGeometry(views=576), view_step=2)
    arguments = phantom(noise_hu=0), PIXEL_MM, sites, (-40, [6, 9]), 32, 2e5, dose
    full, quarter = (part.astype(float) for part in simulate_crops(*arguments))
    assert full.shape == quarter.shape == (2, 3, 32, 32)
    shown = full[:, 1:] - full[:, :1]
    np.testing.assert_allclose(shown[:, :, 15:18, 15:18].mean(axis=(2, 3)), -40, rtol=0.12)
    areas = shown.sum(axis=(2, 3)) / -40 * PIXEL_MM**2
    np.testing.assert_allclose(areas, [[np.pi * 3**2, np.pi * 4.5**2]] * 2, rtol=0.15)
    assert (quarter[:, 0] - full[:, 0]).std() > 4
    # The disc changes its own noise a little: darker means more photons.
    np.testing.assert_allclose(quarter[:, 1:] - quarter[:, :1], shown, atol=3)
    np.testing.assert_array_equal(simulate_crops(*arguments, workers=2)[1], quarter)
    noises = (quarter[:, 0] - full[:, 0]).reshape(2, -1)
    assert abs(np.corrcoef(noises)[0, 1]) < 0.15


def test_disc_set_is_a_test_folder_that_names_every_crop(disc_set):
    volume = load_volume(disc_set)
    discs = read_json(disc_set / "discs.json")
    assert discs["problem"] is None
    assert (discs["contrast_hu"], discs["diameters_mm"]) == (-20, [6, 9])
    assert len(discs["crops"]) == len(volume.full) == 6 * (1 + 2)
    assert volume.info["patient"] == "discs"
    assert volume.info["slice_index"] == list(range(18))
    assert volume.info["z_mm"] == sorted(volume.info["z_mm"])
    for site in range(6):
        own = [crop["diameter_mm"] for crop in discs["crops"] if crop["site"] == site]
        assert sorted(own, key=str) == [6, 9, None]


def test_crops_without_disc_are_the_scan_itself(disc_set):
    discs = read_json(disc_set / "discs.json")
    volume = load_volume(disc_set)
    scan = phantom()
    for index, crop in enumerate(discs["crops"]):
        if crop["diameter_mm"] is None:
            site = Site(crop["slice_index"], crop["row"], crop["column"], 0, 0)
            expected = scan[(site.slice_index, *crop_window(site, 32))]
            np.testing.assert_array_equal(volume.full[index], expected)


def test_simulated_noise_is_as_large_as_the_patients_own(disc_set):
    volume = load_volume(disc_set)
    discs = read_json(disc_set / "discs.json")
    # White noise of 8 and of 14 HU in the phantom's volumes.
    assert discs["dose"]["noise_ratio"] == pytest.approx(np.hypot(8, 14) / 8, rel=0.05)
    added = (volume.quarter.astype(float) - volume.full).std()
    assert added == pytest.approx(14, rel=0.3)  # the patient's noise is even, the scanner's is not


@pytest.mark.parametrize(
    ("full", "changes", "problem"),
    [
        (LUNG, {}, "no flat soft tissue"),
        (phantom()[:, :24, :24], {}, "no flat soft tissue"),
        (phantom(), {"pixel_mm": [1.5, 1.6]}, "expected square ones"),
        (phantom(), {"pixel_mm": [4.0, 4.0]}, "field of view"),
    ],
    ids=["lung", "small", "oblong pixels", "too wide"],
)
def test_where_no_disc_fits_one_crop_and_the_reason_are_left(full, changes, problem, tmp_path):
    folder = write_volume(tmp_path / "P1", full, **changes)
    discs = discs_of([folder], tmp_path)
    assert problem in discs["problem"]
    assert discs["crops"] == discs["diameters_mm"] == []
    assert load_volume(tmp_path / "discs").full.shape[0] == 1


def test_equal_doses_are_a_reason(tmp_path):
    folder = write_volume(tmp_path / "P1", phantom(), quarter=phantom())
    assert "times the noise" in discs_of([folder], tmp_path)["problem"]


def test_patient_with_most_places_is_taken(tmp_path):
    folders = [
        write_volume(tmp_path / "P0", LUNG),
        write_volume(tmp_path / "P1", phantom()),
    ]
    assert discs_of(folders, tmp_path)["patient"] == "P1"


def test_the_slice_half_a_stack_away_shows_no_disc_of_the_same_kind(disc_set):
    """The control of shuffled slices must lose every disc."""
    kinds = [crop["diameter_mm"] for crop in read_json(disc_set / "discs.json")["crops"]]
    half = len(kinds) // 2
    rolled = kinds[half:] + kinds[:half]
    assert np.mean([first == second for first, second in zip(kinds, rolled, strict=True)]) < 0.5
