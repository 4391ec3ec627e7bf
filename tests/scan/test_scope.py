"""`ldct denoise`: what the weights have seen, scores beside a full dose, and what it refuses."""

import numpy as np
import pydicom
import pytest
from own_scans import write_method, write_scan

from ldct import load_protocol, slice_scores


def test_warnings_come_where_a_series_lies_outside(tmp_path, denoise, capsys):
    write_scan(tmp_path / "in/seen", "P1")
    write_scan(tmp_path / "in/other", "P22", ConvolutionKernel="D45f", SliceThickness="1")
    assert denoise("mine") == 0
    shown = capsys.readouterr().err
    assert "kernels B30f; thickness 3 to 5 mm; noise 5 to 50 HU" in shown
    (warning,) = [line for line in shown.splitlines() if line.startswith("warning")]
    assert "kernel D45f, seen were B30f; thickness 1 mm, seen were 3 to 5 mm" in warning


def test_bm3d_takes_the_parameters_of_the_set(tmp_path, denoise):
    pytest.importorskip("bm3d")
    paths = write_scan(tmp_path / "in", slices=1)
    assert denoise("bm3d") == 0
    before, after = (
        pydicom.dcmread(path).pixel_array[16:].astype(float)
        for path in (paths[0], tmp_path / "out" / paths[0].relative_to(tmp_path / "in"))
    )
    assert after.std() < 0.6 * before.std()


def test_scores_are_those_of_the_slices_that_were_written(tmp_path, denoise, capsys):
    low = write_scan(tmp_path / "in", "P1")
    full = write_scan(tmp_path / "both/full", "P22")
    write_scan(tmp_path / "both/elsewhere", "P333", PixelSpacing=["0.6", "0.6"])
    given = ["--reference", str(tmp_path / "both"), "--protocol", "abdomen", "full_range"]
    assert denoise("mine", "in", "out", *given) == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("series 1 of 1")
    out = [tmp_path / "out" / path.relative_to(tmp_path / "in") for path in low]
    assert [row.split()[4] for row in rows] == ["abdomen", "full_range"]
    for row in rows:
        told = dict(zip(title.split()[5:], map(float, row.split()[5:]), strict=True))
        protocol = load_protocol(f"config/protocols/{row.split()[4]}.yaml")
        for image, paths in (("input", low), ("denoised", out)):
            wanted = [
                slice_scores(
                    *(pydicom.dcmread(each).pixel_array - 1024.0 for each in pair), protocol
                )
                for pair in zip(paths, full, strict=True)
            ]
            for metric in ("psnr", "ssim"):
                mean = np.mean([scores[metric] for scores in wanted])
                assert told[f"{metric}_{image}"] == pytest.approx(mean, rel=1e-3)


def test_what_cannot_be_done_is_one_line(tmp_path, denoise, capsys):
    write_scan(tmp_path / "in")
    write_scan(tmp_path / "nameless", SOPInstanceUID="")
    write_scan(tmp_path / "far", "P22", ImagePositionPatient=["0", "0", "900"])
    (tmp_path / "empty").mkdir()
    own = write_method(tmp_path / "own", "program", "pass", kind="external")
    for given, why in (
        (("low_dose", "empty"), "found no CT slices"),
        (("low_dose", "gone"), "no such file or folder"),
        (("low_dose", "nameless"), "SOPInstanceUID is missing"),
        (("low_dose", "in", "out.nii"), "expected a new folder"),
        (("low_dose", "in", "out.dcm"), "a new folder, without .dcm"),
        (("red_cnn", "in", "out", "--weights", "reference"), "train it in a run"),
        (("program", "in", "out", "--path", str(own)), "of kind external"),
        (("propsed",), "did you mean 'proposed'?"),
        (("mine", "in", "out", "--weights", str(tmp_path / "gone")), "gone"),
        (("low_dose", "in", "out", "--reference", str(tmp_path / "far")), "far: no slice"),
    ):
        assert denoise(*given) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ") and why in error
        assert not (tmp_path / "out").exists()
