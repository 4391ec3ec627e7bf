"""Data sets of full-dose series: any maker, any code, the quarter dose simulated."""

import json

import numpy as np
import pandas as pd
import pytest
from lookalike import edit_file, lookalike_description, write_lookalike_tree

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.data.dicom.inventory import index_dataset
from ldct.data.dose.simulate import DoseSettings, calibrate_photons, simulate_quarter_dose
from ldct.data.volumes import load_volume, read_index, write_volume

SIMULATE = {"dose_fraction": 0.25, "noise_ratio": 2.0, "seed": 7}
CODES = ["R01-001", "113_HM10395", "1.3.6.1.4.1.9328.50.1.0117", "KiTS-00072"]


def full_dose_tree(place, patients=("R01-001",), size=64, vendor="SIEMENS", **tags):
    """One folder a patient with numbered files; no name or header says a dose."""
    tree = write_lookalike_tree(
        place / "made", patients=patients, slices=3, size=size, vendor=vendor
    )
    for patient in patients:
        folder = place / "dicom" / patient
        folder.mkdir(parents=True)
        for number, path in enumerate(tree.files[patient]["full"]):
            edit_file(path, **{"PatientName": "Somebody", "PatientID": patient} | tags)
            path.rename(folder / f"{number:04d}.dcm")
    description = lookalike_description(tree, root=str(place / "dicom"), simulate=SIMULATE)
    return tree, description | {"series": {"thickness_mm": None, "kernel": None}}


def indexed(place, description):
    index_dataset(place / "dicom", description, place / "index.parquet", place / "inventory.md")
    return read_index(place / "index.parquet")


def simulated(place, description, patient="R01-001"):
    """The patient's volume."""
    index, how = indexed(place, description), description["simulate"]
    write_volume(index, place / "dicom", patient, "open", place / patient, how, workers=2)
    return load_volume(place / patient)


def test_every_patient_is_read_and_simulated_as_its_description_says(tmp_path):
    tree, description = full_dose_tree(tmp_path, CODES)
    index = indexed(tmp_path, description)
    assert not [column for column in index if column.startswith("quarter")]
    assert "| R01-001 | train | 3 | 3 | simulated | 3 |" in (tmp_path / "inventory.md").read_text()
    for patient in CODES:
        arguments = ["volume", "--index", str(tmp_path / "index.parquet"), "--patient", patient]
        arguments += ["--dataset", json.dumps(description), "--output", str(tmp_path / patient)]
        assert main(arguments) == 0
        volume = load_volume(tmp_path / patient)
        np.testing.assert_array_equal(volume.full, tree.hu[patient]["full"])
        settings = DoseSettings(0.25, 2.0)
        pixel_mm = volume.info["pixel_mm"][0]
        photons = calibrate_photons(volume.full, pixel_mm, settings)
        expected = simulate_quarter_dose(volume.full, pixel_mm, photons, settings, seed=7)
        np.testing.assert_array_equal(volume.quarter, expected)
        record = json.loads((tmp_path / patient / "volume.json.provenance.json").read_text())
        assert volume.info["simulate"] == SIMULATE | {"photons": photons}
        assert record["settings"].items() >= volume.info["simulate"].items()


@pytest.mark.parametrize(
    ("vendor", "tags"),
    [
        ("GE", {"ConvolutionKernel": "STANDARD"}),
        ("SIEMENS", {"ConvolutionKernel": None, "RescaleIntercept": "-1000"}),
        ("TOSHIBA", {"ConvolutionKernel": "FC08", "PatientName": None}),
        ("Philips", {"ConvolutionKernel": ["B", "4"], "Manufacturer": None}),
    ],
)
def test_scans_of_any_maker_are_read(tmp_path, vendor, tags):
    tree, description = full_dose_tree(tmp_path, vendor=vendor, **tags)
    volume = simulated(tmp_path, description)
    above = 24 if "RescaleIntercept" in tags else 0
    np.testing.assert_array_equal(volume.full, tree.hu["R01-001"]["full"] + above)
    assert volume.full.min() == -1024 + above
    noise = volume.quarter.astype(float) - volume.full
    assert 5 < noise[:, 24:40, 24:40].std() < 100


@pytest.mark.parametrize("wish", ["header", "header_or_constant", "constant"])
def test_tube_current_of_each_slice_is_taken_from_its_header(tmp_path, wish):
    _, description = full_dose_tree(tmp_path)
    for path in (tmp_path / "dicom").rglob("*.dcm"):
        edit_file(path, XRayTubeCurrent=800 if path.stem == "0001" else 200)
    description["simulate"] = SIMULATE | {"tube_current": wish}
    volume = simulated(tmp_path, description)
    noise = (volume.quarter.astype(float) - volume.full)[:, 24:40, 24:40].std(axis=(1, 2))
    ratio = noise[[0, 2]].mean() / noise[1]
    assert ratio == pytest.approx(1.0 if wish == "constant" else 2.0, rel=0.2)


def test_quarter_dose_that_lies_there_too_is_left_out(tmp_path):
    tree = write_lookalike_tree(tmp_path / "dicom", patients=["L067"], size=64)
    index = indexed(tmp_path, lookalike_description(tree, simulate=SIMULATE))
    assert len(index) == 6 and "quarter_path" not in index
    assert "L067: 1 mm B30f quarter dose (6 slices)" in (tmp_path / "inventory.md").read_text()


@pytest.mark.parametrize(
    ("rows", "columns", "pixel_mm"), [(40, 64, 5.9), (64, 45, 5.9), (64, 64, 11.0), (50, 64, 11.0)]
)
def test_slices_that_are_not_square_or_wider_than_the_scanner_are_simulated(
    tmp_path, rows, columns, pixel_mm
):
    tree, description = full_dose_tree(tmp_path, PixelSpacing=[pixel_mm, pixel_mm])
    for path in (tmp_path / "dicom").rglob("*.dcm"):
        top, left = (64 - rows) // 2, (64 - columns) // 2
        cut = tree.hu["R01-001"]["full"][int(path.stem)][top:, left:][:rows, :columns]
        pixels = (cut + 1024).astype("<u2").tobytes()
        edit_file(path, Rows=rows, Columns=columns, PixelData=pixels)
    volume = simulated(tmp_path, description)
    assert volume.full.shape == volume.quarter.shape == (3, rows, columns)
    noise = volume.quarter.astype(float) - volume.full
    middle = noise[:, rows // 2 - 6 : rows // 2 + 6, columns // 2 - 6 : columns // 2 + 6]
    assert 5 < middle.std() < 100 and abs(middle.mean()) < 5


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"PixelSpacing": [2.0, 3.0]}, "pixels of 2 x 3 mm; expected square ones"),
        ({"PixelData": bytes(64 * 64 * 2)}, "no soft tissue in slices of shape"),
        ({"PixelData": np.full(64 * 64, 1064, "<u2").tobytes()}, "no noise in soft tissue"),
    ],
)
def test_scan_that_cannot_be_simulated_is_told_in_one_line(tmp_path, tags, message):
    _, description = full_dose_tree(tmp_path, **tags)
    with pytest.raises(InputError, match=f"quarter dose of R01-001 can .*{message}") as caught:
        simulated(tmp_path, description)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "R01-001").exists()


def test_series_that_are_mixed_are_a_problem_as_ever(tmp_path):
    _, description = full_dose_tree(tmp_path)
    edit_file(tmp_path / "dicom/R01-001/0002.dcm", SliceThickness="5")
    with pytest.raises(InputError, match="several thicknesses or kernels are selected"):
        indexed(tmp_path, description)


def test_index_of_pairs_names_both_files(tmp_path):
    tree = write_lookalike_tree(tmp_path / "dicom", patients=["L067"], size=64)
    index = indexed(tmp_path, lookalike_description(tree))
    assert isinstance(index, pd.DataFrame) and index["quarter_path"].str.contains("QD").all()
