"""`ldct denoise` on NIfTI: the same voxels in the same places, whatever the order of the axes."""

import gzip

import numpy as np
import pytest
from own_scans import WINDOW, write_method

nib = pytest.importorskip("nibabel")

# Axes of the array: to the right, front and head; the radiologist's; sagittal slices first.
AXES = ["RAS", "LPS", "PSR"]
# Adds 100 HU to the right half of the patient's front: the first rows and columns of a slice.
MARK = """
def denoise(slice_hu, parameters):
    marked = slice_hu.copy()
    marked[: len(marked) // 2, : marked.shape[1] // 2] += 100
    return marked
"""


def write_volume(path, axes="RAS", dtype=np.int16, slope=1.0, intercept=0.0):
    """Noise around water, 20 x 16 x 3 voxels of 0.5 x 0.5 x 2 mm before they are turned."""
    hu = np.random.default_rng(1).normal(50, 200, (20, 16, 3))
    hu[:, :2] = -1000
    stored = np.rint((hu - intercept) / slope).astype(dtype)
    plain = nib.Nifti1Image(stored, np.diag([0.5, 0.5, 2.0, 1.0]))
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(plain.affine), nib.orientations.axcodes2ornt(axes)
    )
    image = plain.as_reoriented(turn)
    image.header.set_slope_inter(slope, intercept)
    image.header["descrip"] = b"Zz9Secret"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Zz9Secret"))
    image.to_filename(path)
    return nib.load(path)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize(
    "stored", [{}, {"dtype": np.uint16, "slope": 0.5, "intercept": -1024.0}, {"dtype": np.float32}]
)
def test_what_no_method_changed_has_the_bits_of_the_source(tmp_path, denoise, axes, stored):
    source = write_volume(tmp_path / "in.nii.gz", axes, **stored)
    assert denoise("low_dose", "in.nii.gz", "new/out.nii.gz") == 0
    made = nib.load(tmp_path / "new/out.nii.gz")
    np.testing.assert_array_equal(made.dataobj.get_unscaled(), source.dataobj.get_unscaled())
    np.testing.assert_array_equal(made.affine, source.affine)
    np.testing.assert_array_equal(made.get_fdata(), source.get_fdata())
    assert made.get_data_dtype() == source.get_data_dtype()
    assert b"Zz9Secret" not in gzip.decompress((tmp_path / "new/out.nii.gz").read_bytes())


@pytest.mark.parametrize("axes", AXES)
def test_methods_see_slices_as_dicom_has_them(tmp_path, denoise, axes):
    own = write_method(tmp_path / "own", "mark", MARK, kind="classical")
    source = write_volume(tmp_path / "in.nii.gz", axes)
    assert denoise("mark", "in.nii.gz", "out.nii.gz", "--path", str(own)) == 0
    change = nib.load(tmp_path / "out.nii.gz").get_fdata() - source.get_fdata()
    voxels = np.argwhere(change == 100)
    x, y, _ = nib.affines.apply_affine(source.affine, voxels).T
    assert len(voxels) == change.size // 4
    assert x.min() > 0.5 * 9  # to the patient's right, in NIfTI's world with x to the left negative
    assert y.min() > 0.5 * 7


def test_the_network_s_window_holds_as_in_dicom(tmp_path, denoise):
    source = write_volume(tmp_path / "in.nii").get_fdata()
    assert denoise("mine", "in.nii", "out.nii") == 0
    made = nib.load(tmp_path / "out.nii").get_fdata()
    outside = (source < WINDOW[0]) | (source > WINDOW[1])
    np.testing.assert_array_equal(made[outside], source[outside])
    assert np.mean(made[~outside] != source[~outside]) > 0.5


@pytest.mark.parametrize(
    ("source", "output", "why"),
    [
        ("in.nii", "out", "expected a file name that ends in .nii.gz"),
        ("four.nii", "out.nii", "with three axes"),
        ("no.nii", "out.nii", "not a readable NIfTI file"),
        ("gone.nii", "out.nii", "no such file"),
        ("in.nii", "in.nii", "is there already"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, denoise, capsys, source, output, why):
    write_volume(tmp_path / "in.nii")
    nib.Nifti1Image(np.zeros((4, 4, 2, 2), np.int16), np.eye(4)).to_filename(tmp_path / "four.nii")
    (tmp_path / "no.nii").write_bytes(b"no volume")
    before = (tmp_path / "in.nii").read_bytes()
    assert denoise("low_dose", source, output) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and why in error
    assert (tmp_path / "in.nii").read_bytes() == before and not (tmp_path / "out.nii").exists()
