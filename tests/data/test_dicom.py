"""Discovery of CT slices in any layout, their naming, and pairing by z."""

import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lookalike import edit_file, write_lookalike_tree

from ldct.data.dicom import naming
from ldct.data.dicom.pairing import pair_slices, select_series
from ldct.data.dicom.pairs.gaps import find_gaps
from ldct.data.dicom.reading import NOT_A_SLICE, NOT_DICOM, UNREADABLE, survey_folder

SERIES = {"thickness_mm": 1.0, "kernel": "B30"}


@pytest.fixture
def tree(tmp_path):
    return write_lookalike_tree(tmp_path / "tree", size=32, patients=["L067", "L506"])


def paths_by_series(survey):
    found = {}
    for header in survey.headers:
        found.setdefault((header.patient, header.dose), set()).add(header.path)
    return found


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_tcia_series_are_named_by_metadata_csv_alone(tmp_path, separator):
    tree = write_lookalike_tree(tmp_path / "t", "TCIA", ["L241"], 3, 32)
    rows = ["Subject ID,Manufacturer,Series Description,Number of Images,File Location"]
    for dose, paths in tree.files["L241"].items():
        place = f"LDCT-and-Projection-data/someone/study/{dose[0]}"
        (tmp_path / "t" / place).mkdir(parents=True)
        for path in paths:
            edit_file(path, SeriesDescription=None, PatientID="x", PatientName="x")
            shutil.move(path, tmp_path / "t" / place)
        description = "Low Dose Images" if dose == "quarter" else "Full dose images"
        rows.append(f"L241,SIEMENS,{description},3,./{place}".replace("/", separator))
    (tmp_path / "t" / "metadata.csv").write_text("\n".join(rows))
    found = paths_by_series(survey_folder(tmp_path / "t"))
    assert {key: len(paths) for key, paths in found.items()} == {
        ("L241", "full"): 3,
        ("L241", "quarter"): 3,
    }


def test_other_files_are_counted_by_reason_and_not_opened_as_slices(tree):
    (tree.root / "readme.txt").write_text("hello")
    (tree.root / "empty").touch()
    with zipfile.ZipFile(tree.root / "x.zip", "w") as archive:
        archive.writestr("a", "b")
    raw = tree.root / "L067" / "full_DICOM-CT-PD"
    raw.mkdir()
    shutil.copy(tree.files["L067"]["full"][0], raw / "0001.dcm")
    edit_file(tree.files["L067"]["full"][1], Modality="MR")
    edit_file(tree.files["L067"]["full"][2], PixelSpacing=None)
    survey = survey_folder(tree.root)
    assert set(survey.skipped[NOT_DICOM]) == {"readme.txt", "empty", "x.zip"}
    assert survey.suffixes == {".txt": 1, "(none)": 1, ".zip": 1}
    assert len(survey.skipped[NOT_A_SLICE]) == 1
    assert len(survey.skipped[UNREADABLE]) == 1
    assert survey.projections == 1
    assert len(survey.headers) == 2 * 2 * 6 - 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L506_FD_1_1.CT.0002.0087.2015.12.22.IMA", ("L506", "full", 1, False)),
        ("L286_QD_3_SHARP_1.CT.0004.0001.2015.IMA", ("L286", "quarter", 3, True)),
        ("XL506_FD_1", (None, None, None, None)),
        ("Anonymous", (None, None, None, None)),
        ("", (None, None, None, None)),
    ],
)
def test_code_in_names(text, expected):
    assert naming.from_code(text) == naming.Names(*expected)


def test_most_trusted_source_wins_and_contradictions_are_told():
    names, conflicts = naming.merge(
        {
            "PatientName": naming.Names(dose="quarter"),
            "file name": naming.Names(patient="L067", dose="full"),
            "folder": naming.Names(patient="L067"),
        }
    )
    assert (names.patient, names.dose) == ("L067", "quarter")
    assert conflicts == (
        "quarter dose by PatientName, but full dose by file name: rename the files",
    )


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (
            {"PatientName": "L067_QD_1"},
            "full dose by file name, folder, but quarter dose by PatientName",
        ),
        (
            {"SliceThickness": "3"},
            "1 mm by PatientName, file name, folder, but 3 mm by SliceThickness",
        ),
        (
            {"ConvolutionKernel": "D45f"},
            "soft kernel by PatientName, file name, folder, but sharp kernel by "
            "ConvolutionKernel D45f",
        ),
    ],
)
def test_header_that_contradicts_the_name_is_a_conflict(tree, tags, expected):
    path = tree.files["L067"]["full"][0]
    edit_file(path, **tags)
    conflicts = [header.conflicts for header in survey_folder(tree.root).headers]
    remedy = ": make them agree, or remove the files"
    assert [found[0] for found in conflicts if found] == [expected + remedy]


@pytest.fixture
def two_thicknesses(tmp_path):
    root = tmp_path / "tree"
    write_lookalike_tree(root, "B", ["L067"], 5, 32)
    write_lookalike_tree(root, "B", ["L067"], 2, 32, thickness_mm=3.0, spacing_mm=2.0)
    write_lookalike_tree(root, "C", ["L067"], 5, 32)
    return survey_folder(root).headers


@pytest.mark.parametrize(
    ("thickness", "kernel", "count"), [(1.0, "B30", 10), (3.0, "B30f", 4), (1.0, "d45", 10)]
)
def test_description_selects_the_series(two_thicknesses, thickness, kernel, count):
    series = {"thickness_mm": thickness, "kernel": kernel}
    chosen, problems = select_series("L067", two_thicknesses, series)
    assert problems == ()
    assert len(chosen) == count
    assert {header.thickness_mm for header in chosen} == {thickness}


def test_mixture_of_series_names_a_file_of_each(two_thicknesses):
    series = {"thickness_mm": 1.0, "kernel": None}
    _, problems = select_series("L067", two_thicknesses, series)
    assert len(problems) == 1
    assert "L067_FD_1_1.CT" in problems[0]
    assert "L067_FD_1_SHARP_1.CT" in problems[0]


def test_series_that_is_not_there_lists_what_is(two_thicknesses):
    _, problems = select_series("L067", two_thicknesses, {"thickness_mm": 5, "kernel": None})
    assert "3 mm B30f full dose (2 slices)" in problems[0]


def pair(tree, patient="L067"):
    headers = survey_folder(tree.root).headers
    chosen, problems = select_series(patient, headers, SERIES)
    assert problems == ()
    return pair_slices(patient, chosen, {header.path: header.path for header in chosen})


def test_slices_are_paired_by_z_whatever_their_names_and_numbers(tree):
    rng = np.random.default_rng(0)
    for dose, paths in tree.files["L067"].items():
        for path, number in zip(paths, rng.permutation(100)[: len(paths)], strict=True):
            edit_file(path, InstanceNumber=int(number))
            path.rename(path.with_name(f"{dose}-{number}"))
    found = pair(tree)
    assert [full.z_mm for full, _ in found.pairs] == list(tree.z_mm)
    for full, quarter in found.pairs:
        assert (full.dose, quarter.dose) == ("full", "quarter")
        assert full.z_mm == quarter.z_mm
        assert full.path != quarter.path


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"PixelSpacing": ["0.7", "0.7"]}, "pixel spacing"),
        ({"Rows": 16}, "16 x 32 pixels instead of 32 x 32"),
        ({"ImagePositionPatient": ["0", "0", "-300"]}, "corner at"),
        ({"ImageOrientationPatient": ["-1", "0", "0", "0", "-1", "0"]}, "must lie alike"),
    ],
)
def test_pair_that_does_not_match_is_a_problem_naming_the_file(tree, tags, expected):
    path = tree.files["L067"]["quarter"][0]
    edit_file(path, **tags)
    problems = pair(tree).problems
    assert len(problems) == 1
    assert path.name in problems[0]
    assert expected in problems[0]


@given(
    st.integers(5, 40).flatmap(
        lambda count: st.tuples(
            st.just(count), st.sets(st.integers(1, count - 2), max_size=count // 5)
        )
    ),
    st.sampled_from([0.5, 0.8, 1.25, 2.0, 2.5]),
)
def test_missing_positions_are_the_removed_ones(counts, spacing):
    count, removed = counts
    z = [round(-123.4 + spacing * index, 2) for index in range(count)]
    kept = [value for index, value in enumerate(z) if index not in removed]
    slices = [SimpleNamespace(z_mm=value, instance=0, thickness_mm=spacing) for value in kept]
    missing, note = find_gaps(slices)
    assert list(missing) == pytest.approx([z[i] for i in sorted(removed)], abs=0.02)
    assert note == ""
