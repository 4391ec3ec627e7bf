"""Classical methods: loading, tuning on training slices by rule, prediction files."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_up_volumes import write_doses

from ldct.common.errors import InputError
from ldct.denoising.classical import (
    denoise_classical,
    load_denoiser,
    training_crops,
    tune_classical,
)

SHIFT = """
import numpy as np

def tune(pairs, settings):
    shift = float(np.mean([np.mean(full - quarter) for quarter, full in pairs]))
    return {"shift_hu": shift, "spacings": settings["pixel_mm"], "gain": settings["gain"]}

def denoise(slice_hu, parameters):
    return parameters["gain"] * slice_hu + parameters["shift_hu"] + parameters["pixel_mm"][0]
"""


def write_method(folder: Path, code: str) -> Path:
    folder.mkdir()
    (folder / "denoise.py").write_text(code)
    return folder


def numbered_volume(folder: Path, slices: int, first: int, pixel_mm=0.5) -> Path:
    """Every pixel of a slice holds the slice's number; quarter is 7 HU above full."""
    full = np.arange(first, first + slices)[:, None, None] * np.ones((1, 24, 30))
    return write_doses(folder, full, full + 7, pixel_mm=[pixel_mm, pixel_mm])


def test_method_is_tuned_and_applied(tmp_path):
    method = write_method(tmp_path / "shift", SHIFT)
    training = numbered_volume(tmp_path / "L001", 5, 0, pixel_mm=0.6)
    test = numbered_volume(tmp_path / "L002", 4, 100, pixel_mm=0.25)
    parameters, output = tmp_path / "parameters.json", tmp_path / "out" / "L002.npy"
    settings = {"tuning_slices": 2, "tuning_crop": 16, "gain": 2}
    tune_classical(method, settings, [training], parameters)
    assert json.loads(parameters.read_text()) == {
        "shift_hu": -7.0,
        "spacings": [[0.6, 0.6], [0.6, 0.6]],
        "gain": 2,
    }
    denoise_classical(method, parameters, test, output, workers=1)
    prediction = np.load(output)
    assert prediction.dtype == np.float32
    np.testing.assert_array_equal(
        prediction, 2.0 * np.load(test / "quarter.npy").astype(np.float32) - 7 + 0.25
    )
    assert (tmp_path / "parameters.json.provenance.json").is_file()
    assert (tmp_path / "out" / "L002.npy.provenance.json").is_file()
    assert sorted(p.name for p in output.parent.iterdir()) == [
        "L002.npy",
        "L002.npy.provenance.json",
    ]


def test_method_without_tune_gets_its_settings(tmp_path):
    method = write_method(tmp_path / "plain", "def denoise(slice_hu, parameters):\n    ...\n")
    tune_classical(method, {"sigma": 3}, [], tmp_path / "parameters.json")
    assert json.loads((tmp_path / "parameters.json").read_text()) == {"sigma": 3}


def test_prediction_does_not_depend_on_workers(tmp_path):
    code = (
        "import numpy as np\nfrom scipy.ndimage import gaussian_filter\n"
        "def denoise(slice_hu, parameters):\n"
        "    return np.fft.ifft2(np.fft.fft2(gaussian_filter(slice_hu, 1.3))).real\n"
    )
    method = write_method(tmp_path / "smooth", code)
    noise = np.random.default_rng(0).normal(40, 30, (5, 33, 47))
    test = write_doses(tmp_path / "L002", noise, noise)
    (tmp_path / "parameters.json").write_text("{}")
    for workers in (1, 3):
        output = tmp_path / f"{workers}.npy"
        denoise_classical(method, tmp_path / "parameters.json", test, output, workers)
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "3.npy").read_bytes()


def test_training_slices_are_spread_over_all_volumes(tmp_path):
    folders = [
        numbered_volume(tmp_path / "L001", 4, 0, pixel_mm=0.5),
        numbered_volume(tmp_path / "L002", 8, 4, pixel_mm=0.7),
    ]
    pairs, pixel_mm = training_crops(folders, slices=3, crop=16)
    assert [int(full[0, 0]) for _, full in pairs] == [2, 6, 10]
    assert pixel_mm == [[0.5, 0.5], [0.7, 0.7], [0.7, 0.7]]
    assert all(q.shape == f.shape == (16, 16) and q.dtype == np.float32 for q, f in pairs)


@pytest.mark.parametrize(
    ("centre", "corner"), [((20, 22), (12, 14)), ((2, 38), (0, 24)), ((39, 1), (24, 0))]
)
def test_crop_is_centred_on_the_body_and_stays_inside(tmp_path, centre, corner):
    full = np.full((1, 40, 40), -1000.0)
    full[0, centre[0], centre[1]] = 40
    quarter = np.arange(1600.0).reshape(1, 40, 40)
    folder = write_doses(tmp_path / "L001", full, quarter)
    ((crop, _),), _ = training_crops([folder], slices=1, crop=16)
    np.testing.assert_array_equal(
        crop, quarter[0, corner[0] : corner[0] + 16, corner[1] : corner[1] + 16]
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def denoise(s, p):\n    return s[:-1]\n", "shape"),
        ("def denoise(s, p):\n    return s * float('nan')\n", "NaN"),
    ],
)
def test_bad_output_is_an_error_and_leaves_no_file(tmp_path, code, message):
    method = write_method(tmp_path / "bad", code)
    test = numbered_volume(tmp_path / "L002", 2, 0)
    (tmp_path / "parameters.json").write_text("{}")
    with pytest.raises(InputError, match=f"slice 0.*{message}"):
        denoise_classical(method, tmp_path / "parameters.json", test, tmp_path / "L002.npy", 1)
    assert not list(tmp_path.glob("*L002*npy*"))


def test_missing_file_function_or_training_volume_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.denoise\.py: not found"):
        load_denoiser(tmp_path / "none")
    method = write_method(tmp_path / "empty", "x = 1\n")
    with pytest.raises(InputError, match=r"function denoise is missing"):
        load_denoiser(method)
    with pytest.raises(InputError, match="no training volume"):
        training_crops([], 1, 16)
