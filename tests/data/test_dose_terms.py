"""The terms of the dose model: off they change nothing, on they are what their settings say."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset
from repository_files import REPOSITORY
from test_dose import GEOMETRY, PHOTONS, PIXEL_MM, SETTINGS, SIZE, scan

from ldct.common.errors import InputError
from ldct.data.dose.kernels import KERNELS
from ldct.data.dose.modulation import Exposure, exposure_of, of_scan, photon_loss, physical_photons
from ldct.data.dose.noise_level import difference_noise
from ldct.data.dose.settings import DoseSettings, dose_settings
from ldct.data.dose.simulate import (
    calibrate_photons,
    line_integrals,
    simulate_quarter_dose,
)
from ldct.data.noise import soft_tissue, soft_tissue_noise

ALL_ON = {
    "kernel": "B30f",
    "beam": "parallel",
    "angular_modulation": 0.5,
    "tube_current": "header_or_attenuation",
    "bowtie": 0.5,
    "fit": "difference",
    "difference_hu": 25.0,
}
# A row through the middle of `scan()` at quarter dose, written before there were terms.
BEFORE_TERMS = [-1013, 61, 5, 21, 54, 30, 8, 61, 61, 40]


def test_terms_that_are_off_leave_the_simulation_as_it_was():
    quarter = simulate_quarter_dose(scan(), PIXEL_MM, PHOTONS, SETTINGS, seed=5)
    # Rounding may differ by one between processors.
    np.testing.assert_allclose(quarter[1, 48, 8:88:8], BEFORE_TERMS, atol=1)


def test_each_term_is_what_physics_says_of_water(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    module = importlib.import_module("dose_model")
    found = list(module.closed_forms(draws=2))
    assert {term for term, *_ in found} == {
        "kernel", "tube current", "angular", "beam, bowtie", "photons per mAs"
    }  # fmt: skip
    for term, what, expected, drawn in found:
        # The closed form of streaks is that of the centre alone.
        within = 0.12 if term == "angular" else 0.06
        assert drawn == pytest.approx(expected, rel=within), (term, what)


def test_parallel_rays_read_the_fan_along_the_same_lines():
    y, x = np.mgrid[:SIZE, :SIZE]
    hu = np.where(np.hypot(y - 60, x - 35) < 18, 0.0, -1000.0)
    parallel = replace(SETTINGS, geometry=replace(GEOMETRY, parallel=True))
    integrals = line_integrals(hu, PIXEL_MM, parallel)
    aside = (np.arange(GEOMETRY.cells) - (GEOMETRY.cells - 1) / 2) * GEOMETRY.spacing_mm
    for view in (0, 70, 201, 433):
        angle = 2 * np.pi * view / GEOMETRY.views
        centre = ((35 - 47.5) * np.sin(angle) - (60 - 47.5) * np.cos(angle)) * PIXEL_MM
        chord = 2 * np.sqrt(np.maximum((18 * PIXEL_MM) ** 2 - (aside - centre) ** 2, 0))
        assert np.abs(integrals[view] - 0.0192 * chord).mean() < 0.01


@pytest.mark.parametrize("ratio", [None, 2.5])
def test_difference_is_fitted_with_all_terms_on(ratio):
    """To a std in HU, or to what a ratio makes of the scan's noise."""
    changed = {"difference_hu": None, "noise_ratio": ratio} if ratio else {}
    settings = replace(dose_settings(ALL_ON | changed), geometry=replace(GEOMETRY, parallel=True))
    volume = np.maximum(scan(6), -1024).astype(np.float32)
    exposure = Exposure(current_ma=(100, 150, 220, 300, 220, 150))
    photons = calibrate_photons(volume, PIXEL_MM, settings, exposure)
    quarter = simulate_quarter_dose(volume, PIXEL_MM, photons, settings, 2, exposure=exposure)
    tissue, difference = soft_tissue(volume), quarter - volume
    first, fourth = (difference[i][tissue[i]].std() for i in (0, 3))
    assert first / fourth == pytest.approx(np.sqrt(3), rel=0.05)
    if not ratio:
        assert difference_noise(difference, tissue) == pytest.approx(25.0, rel=0.03)
        return
    levels = [soft_tissue_noise(images, tissue) for images in (difference, volume)]
    assert levels[0] / levels[1] == pytest.approx(np.sqrt(ratio**2 - 1), rel=0.03)


def test_larger_slices_get_more_current_and_patients_of_300_mm_as_much_as_ever():
    settings = DoseSettings(tube_current="attenuation")
    for body_mm in (200, 300, 380):
        integrals = np.full((4, 7), 0.0192 * body_mm)
        loss = photon_loss(integrals, settings)
        assert loss == pytest.approx(-0.5 * 0.0192 * (body_mm - 300), abs=1e-5)


@pytest.mark.parametrize("fit", [{}, {"fit": "difference"}])
def test_scans_without_noise_or_tissue_are_named(fit):
    smooth = np.maximum(scan(noise_hu=0.0), -1024)
    with pytest.raises(InputError, match="no noise in soft tissue"):
        calibrate_photons(smooth, PIXEL_MM, replace(SETTINGS, **fit))
    wanted = replace(SETTINGS, fit="difference", difference_hu=20.0)
    assert calibrate_photons(smooth, PIXEL_MM, wanted) > 0
    with pytest.raises(InputError, match="no soft tissue"):
        calibrate_photons(np.full_like(smooth, -1000), PIXEL_MM, wanted)


def header(**values: object) -> Dataset:
    dataset = Dataset()
    for key, value in values.items():
        setattr(dataset, key, value)
    return dataset


SIEMENS = {"KVP": "120", "ExposureTime": "500", "SliceThickness": "3"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([{"XRayTubeCurrent": "198", "SpiralPitchFactor": 1.2}], ((198,), 82.5)),
        ([{"XRayTubeCurrent": "323", "Exposure": "269"}], ((323,), 269)),  # Siemens: effective
        ([{"XRayTubeCurrent": "80", "Exposure": "4803"}], ((80,), None)),  # GE: something else
        ([{"XRayTubeCurrent": "566", "Exposure": "17"}], ((566,), None)),
        ([{"XRayTubeCurrent": "100"}, {"XRayTubeCurrent": "0"}], (None, None)),
        ([{"XRayTubeCurrent": "100"}, {}], (None, None)),
        ([{"XRayTubeCurrent": ""}], (None, None)),
    ],
)
def test_exposure_is_what_headers_say(headers, expected):
    found = exposure_of([header(**SIEMENS, **one) for one in headers])
    assert (found.current_ma, found.mas) == expected
    assert (found.kilovolts, found.thickness_mm) == (120, 3)
    assert exposure_of([SIEMENS | one for one in headers]) == found  # mappings will do


def test_photons_go_with_mas_voltage_thickness_and_the_scanners_cells():
    settings = DoseSettings(fit="photons_per_mas")
    exposure = Exposure(mas=62.5, kilovolts=120, thickness_mm=3)
    assert physical_photons(settings, exposure) == pytest.approx(150e3)  # 100 mA, 0.5 s, pitch 0.8
    assert physical_photons(settings, replace(exposure, kilovolts=100)) == pytest.approx(
        62.5 * 1400, rel=0.01
    )
    coarse = replace(
        settings, geometry=replace(settings.geometry, views=576, cells=368, cell_mm=2.5716)
    )
    thin = replace(exposure, thickness_mm=1)
    assert physical_photons(coarse, thin) == pytest.approx(150e3 * 4 / 3)
    assert physical_photons(replace(settings, mas=125.0), thin) == pytest.approx(100e3)
    assert calibrate_photons(scan(), PIXEL_MM, settings, exposure) == pytest.approx(150e3)


@pytest.mark.parametrize(
    ("wanted", "current", "model"),
    [
        ("constant", (1, 3), "constant"),
        ("attenuation", (1, 3), "attenuation"),
        ("header", (1, 3), "header"),
        ("header_or_attenuation", (1, 3), "header"),
        ("header_or_attenuation", None, "attenuation"),
        ("header_or_constant", None, "constant"),
    ],
)
def test_current_is_the_headers_or_the_model_stated(wanted, current, model):
    settings, by_slice = of_scan(DoseSettings(tube_current=wanted), Exposure(current), 2)
    assert settings.tube_current == model
    assert by_slice.tolist() == ([0.5, 1.5] if model == "header" else [1, 1])


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_block_of_a_description_becomes_settings(kernel):
    found = dose_settings({"dose_fraction": 0.1, "seed": 3, "kernel": kernel})
    assert found == DoseSettings(dose_fraction=0.1, kernel=kernel)
    assert dose_settings({}) == DoseSettings()
    assert dose_settings(ALL_ON).geometry.parallel


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"kernel": "B31f"}, "key 'kernel': found 'B31f', expected one of body, B30f, D45f"),
        ({"kernal": "B30f"}, r"unknown key 'kernal' \(did you mean 'kernel'\?\)"),
        ({"bowtie": "half"}, "key 'bowtie': found 'half', expected a number from 0"),
        ({"angular_modulation": 2}, "key 'angular_modulation': found 2, expected a number from 0"),
        ({"bowtie": float("nan")}, "key 'bowtie': found nan, expected a finite number"),
        ({"noise_ratio": float("inf")}, "key 'noise_ratio': found inf, expected a finite number"),
        ({"tube_current": True}, "key 'tube_current': found true, expected one of constant"),
        ({"difference_hu": 20}, "key difference_hu: read by 'fit: difference' alone, found"),
        ({"fit": "ratio", "mas": 100}, "key mas: read by 'fit: photons_per_mas' alone, found"),
        ({"beam": "cone"}, "key 'beam': found 'cone', expected one of fan, parallel"),
    ],
)
def test_bad_settings_are_named_in_one_line(block, message):
    with pytest.raises(InputError, match=f"my_data.yaml: {message}") as caught:
        dose_settings(block, "my_data.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("block", "exposure", "message"),
    [
        ({"tube_current": "header"}, Exposure(), "slices without XRayTubeCurrent"),
        ({"tube_current": "header"}, Exposure((1.0,) * 3), "3 values for 4 slices"),
        ({"fit": "photons_per_mas"}, Exposure(), "found no mas, kilovolts, SliceThickness"),
        ({"fit": "photons_per_mas", "mas": 90}, Exposure(kilovolts=120), "no SliceThickness in"),
    ],
)
def test_what_headers_lack_is_named(block, exposure, message):
    with pytest.raises(InputError, match=message):
        calibrate_photons(scan(), PIXEL_MM, dose_settings(block), exposure)
