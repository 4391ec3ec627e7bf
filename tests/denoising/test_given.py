"""Given predictions: three formats end in the same HU; each fault is one true line."""

import json
import shutil

import nibabel
import numpy as np
import pytest
from lookalike import edit_file, lookalike_description, write_lookalike_tree
from scipy.ndimage import gaussian_filter

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.configuration.given import check_given, given_files, stamp_of
from ldct.data.dicom.inventory import index_dataset
from ldct.data.volumes import read_index, select_slices, write_volume
from ldct.denoising.given import take_predictions
from ldct.table1.completeness import equal_to_references

PATIENT, ROWS = "L903", [0, 2, 4]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A look-alike patient: its tree, its volume and a test set of three of six slices."""
    folder = tmp_path_factory.mktemp("source")
    tree = write_lookalike_tree(folder / "dicom", patients=[PATIENT], lesions=True)
    index_dataset(tree.root, lookalike_description(tree), folder / "i.parquet", folder / "i.md")
    write_volume(read_index(folder / "i.parquet"), tree.root, PATIENT, "look", folder / "volume")
    select_slices(folder / "volume", ROWS, folder / "test")
    return folder, tree


@pytest.fixture
def smooth(source):
    """What a denoiser of LDCT may give: int16 HU of all slices, so that DICOM holds it too."""
    quarter = np.load(source[0] / "volume/quarter.npy").astype(float)
    return np.rint(gaussian_filter(quarter, (0, 1, 1))).astype(np.int16)


def take(source, place, order="ascending"):
    folder, _ = source
    output = place.parent / "out.npy"
    take_predictions(place, PATIENT, order, folder / "volume", folder / "test", output)
    return np.load(output)


def write_npy(place, images):
    place.mkdir(exist_ok=True)
    np.save(place / f"{PATIENT}.npy", images)
    return place


def affine_of(tree, z_mm):
    """NIfTI's, x and y reversed, of a volume whose slices go down."""
    step = np.diag([-tree.pixel_mm[1], -tree.pixel_mm[0], -(z_mm[1] - z_mm[0]), 1.0])
    step[:3, 3] = [-tree.origin_mm[0], -tree.origin_mm[1], z_mm[-1]]
    return step


def write_nifti(source, place, images):
    """Slices from the top down, columns first."""
    tree = source[1]
    image = nibabel.Nifti1Image(images[::-1].transpose(2, 1, 0), affine_of(tree, tree.z_mm))
    place.mkdir(exist_ok=True)
    nibabel.save(image, place / f"{PATIENT}.nii.gz")
    return place


def write_dicom(source, place, images):
    """The LDCT files with other pixels, named so that the order of names is not that of z."""
    folder = place / PATIENT
    folder.mkdir(parents=True)
    for number, file in enumerate(source[1].files[PATIENT]["quarter"]):
        shutil.copy(file, folder / f"{9 - number}.dcm")
        edit_file(folder / f"{9 - number}.dcm", PixelData=(images[number] + 1024).tobytes())
    return place


@pytest.mark.parametrize("form", ["npy", "descending npy", "test npy", "NIfTI", "DICOM"])
def test_every_format_gives_the_slices_of_the_test_set(source, smooth, tmp_path, form):
    place = tmp_path / "given"
    if form == "NIfTI":
        write_nifti(source, place, smooth)
    elif form == "DICOM":
        write_dicom(source, place, smooth)
    else:
        kept = smooth[ROWS] if form == "test npy" else smooth
        write_npy(place, kept[::-1] if form == "descending npy" else kept)
    found = take(source, place, "descending" if form.startswith("desc") else "ascending")
    np.testing.assert_array_equal(found, smooth[ROWS].astype(np.float32))
    record = json.loads((tmp_path / "out.npy.provenance.json").read_text())["settings"]
    assert record["form"] == form.split()[-1] and record["equals"] == ""
    assert all(len(digest) == 64 for digest in record["given"].values())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda hu: np.clip((hu + 160) / 400, 0, 1),
            r"from 0 to 1, .*0 and 1 are about -1\d\d and",
        ),
        (lambda hu: np.clip((hu + 160) / 400, 0, 1) * 255, r"found values from 0 to 255"),
        (lambda hu: hu + 1024, r"x HU \+1.0\de\+03"),
        (lambda hu: hu[:-1], r"found 5 slices, expected 6 \(all of the patient\) or 3"),
        (lambda hu: hu[:, :-8], "found slices of 120 x 128 pixels, expected 128 x 128"),
        (lambda hu: hu[:, ::-1], "found images mirrored top to bottom"),
        (lambda hu: hu.transpose(0, 2, 1), "found images with rows and columns exchanged"),
        (lambda hu: hu[0], r"found float64 of shape \(128, 128\), expected numbers of shape"),
        (lambda hu: np.where(hu > 100, np.nan, hu), "holds NaN or infinite values"),
        (lambda hu: np.random.default_rng(0).normal(0, 20, hu.shape), "a correlation of"),
    ],
)
def test_each_fault_is_one_true_line(source, smooth, tmp_path, spoil, message):
    place = write_npy(tmp_path / "given", spoil(smooth.astype(float)))
    with pytest.raises(InputError, match=message) as caught:
        take(source, place)
    assert "\n" not in str(caught.value) and f"{PATIENT}.npy" in str(caught.value)
    assert not (tmp_path / "out.npy").exists()


def test_headers_are_compared_with_the_volume(source, smooth, tmp_path):
    place = write_dicom(source, tmp_path / "given", smooth)
    (place / PATIENT / "5.dcm").unlink()
    with pytest.raises(InputError, match=r"found 5 slices, .*expected one at .*1 of 3 test"):
        take(source, place)
    nifti = write_nifti(source, tmp_path / "nifti", smooth)
    image = nibabel.load(nifti / f"{PATIENT}.nii.gz")
    wrong = nibabel.Nifti1Image(np.asarray(image.dataobj), np.eye(4))
    nibabel.save(wrong, nifti / f"{PATIENT}.nii.gz")
    with pytest.raises(InputError, match=r"found pixels of 1 x 1 mm, expected .* as in the LDCT"):
        take(source, nifti)


@pytest.mark.parametrize(("dose", "name"), [("quarter", "ldct"), ("full", "ndct")])
def test_what_equals_a_reference_is_told(source, tmp_path, capsys, dose, name):
    place = write_npy(tmp_path / "given", np.load(source[0] / f"volume/{dose}.npy"))
    take(source, place)
    assert f"equals {name.upper()}" in capsys.readouterr().err
    record = json.loads((tmp_path / "out.npy.provenance.json").read_text())
    assert record["settings"]["equals"] == name
    run = tmp_path / "run/predictions/mine/fixed"
    run.mkdir(parents=True)
    shutil.copy(tmp_path / "out.npy.provenance.json", run / f"{PATIENT}.npy.provenance.json")
    cards = {"mine": {"kind": "predictions", "title": "Mine"}}
    found = equal_to_references({"cards": cards}, tmp_path / "run")
    assert found == [f"Mine, {PATIENT}: equals {name.upper()}."]


def test_files_of_a_patient_are_found_and_a_change_is_seen(tmp_path):
    card = {"kind": "predictions", "predictions": "given"}
    with pytest.raises(InputError, match="no such folder"):
        check_given(tmp_path, card, [PATIENT])
    place = write_npy(tmp_path / "given", np.zeros((2, 8, 8)))
    with pytest.raises(InputError, match=r"method.yaml: key 'slice_order': missing, but L903.npy"):
        check_given(tmp_path, card, [PATIENT])
    with pytest.raises(InputError, match=r"found nothing of patient L1, expected L1.npy"):
        check_given(tmp_path, card | {"slice_order": "ascending"}, [PATIENT, "L1"])
    before = stamp_of(given_files(place, PATIENT))
    write_npy(place, np.ones((2, 8, 8)))
    assert stamp_of(given_files(place, PATIENT)) != before


def test_check_method_compares_with_volumes_of_a_run(source, smooth, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    card = "title: T\nkind: predictions\npredictions: images\nslice_order: ascending\n"
    write_npy(tmp_path / "images", smooth)
    (tmp_path / "mine/given").mkdir(parents=True)
    (tmp_path / "images").rename(tmp_path / "mine/given/images")
    text = f"{card}source: S\nin_paper: false\ndepartures: []\n"
    (tmp_path / "mine/given/method.yaml").write_text(text)
    check = ["check-method", "given", "--path", str(tmp_path / "mine")]
    assert main(check) == 0
    assert f"{PATIENT}: not compared" in capsys.readouterr().out
    shutil.copytree(source[0] / "volume", tmp_path / f"data/look/volumes/{PATIENT}")
    assert main(check) == 0
    assert f"{PATIENT}: HU, slice for slice as in data/look" in capsys.readouterr().out
