"""Lesions from LIDC reader XML, and their slices."""

import json

import numpy as np
import pandas as pd
import pytest
from made_up_volumes import write_doses

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.data.lesions import LESION_COLUMNS, lesion_slices, nearest_slice, read_lesions
from ldct.data.lidc import lesions_from_lidc_xml

GEOMETRY = {
    "patient": "L067",
    "slice_index": [0, 1, 2, 3],
    "z_mm": [-10.0, -7.5, -5.0, -2.5],
    "instance": [4, 3, 2, 1],
    "origin_mm": [-100.0, -50.0],
    "pixel_mm": [0.8, 0.5],
    "thickness_mm": 2.5,
    "shape": (200, 300),
}


def nodule(outlines, malignancy=None):
    """XML of one reader's nodule; outlines: z -> list of (column, row)."""
    rois = "".join(
        f"<roi><imageZposition>{z} </imageZposition><inclusion>{inclusion}</inclusion>"
        + "".join(f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in points)
        + "</roi>"
        for (z, inclusion), points in outlines.items()
    )
    rating = (
        f"<characteristics><malignancy>{malignancy}</malignancy></characteristics>"
        if malignancy
        else ""
    )
    return f"<unblindedReadNodule>{rating}{rois}</unblindedReadNodule>"


def message(*sessions):
    body = "".join(f"<readingSession>{session}</readingSession>" for session in sessions)
    return f'<LidcReadMessage xmlns="http://www.nih.gov">{body}</LidcReadMessage>'


def square(x, y, size):
    """Corners of an outline; the nodule is the pixels inside it."""
    return [(x, y), (x + size, y), (x + size, y + size), (x, y + size)]


def read_xml(xml):
    return lesions_from_lidc_xml(xml, {**GEOMETRY, "pixel_mm": [0.5, 0.5]}, "test")


def test_marks_of_several_readers_become_one_lesion_with_a_row_per_slice():
    first = nodule({(-5.0, "TRUE"): square(40, 60, 10), (-2.5, "TRUE"): square(40, 60, 8)}, 5)
    second = nodule({(-5.0, "TRUE"): square(42, 60, 12), (-2.5, "TRUE"): square(40, 60, 8)}, 4)
    lesions = read_xml(message(first, second))
    assert list(lesions.columns) == list(LESION_COLUMNS)
    assert lesions["lesion"].tolist() == [1, 1]
    assert lesions["z_mm"].tolist() == [-5.0, -2.5]
    # centres 45 and 48 pixels: mean 46.5 * 0.5 mm - 100 mm; rows 65 and 66
    assert lesions["x_mm"][0] == pytest.approx(-76.75)
    assert lesions["y_mm"][0] == pytest.approx(-17.25)
    # longest extent: the outline's diagonal less one pixel, mean of both readers
    expected = np.mean([10 * np.sqrt(2) - 1, 12 * np.sqrt(2) - 1]) * 0.5
    assert lesions["diameter_mm"][0] == pytest.approx(expected, abs=0.01)
    assert lesions["label"][0] == "lung nodule, 2 of 2 readers, mean malignancy 4.50 of 5"


def test_slices_outlined_by_fewer_than_half_of_the_readers_are_left_out():
    wide = nodule({(-5.0, "TRUE"): square(40, 60, 10), (-2.5, "TRUE"): square(40, 60, 8)})
    narrow = nodule({(-5.0, "TRUE"): square(40, 60, 10)})
    assert read_xml(message(wide, narrow, narrow))["z_mm"].tolist() == [-5.0]
    assert read_xml(message(wide, narrow))["z_mm"].tolist() == [-5.0, -2.5]


def test_points_are_nodules_below_three_millimetres():
    one, other = nodule({(-5.0, "TRUE"): [(40, 60)]}), nodule({(-5.0, "TRUE"): [(42, 60)]})
    far = nodule({(-5.0, "TRUE"): [(80, 60)]})
    lesions = read_xml(message(one, other + far, ""))
    assert len(lesions) == 2
    assert set(lesions["diameter_mm"]) == {3.0}
    assert lesions["label"].tolist() == [
        "lung nodule, 2 of 3 readers, below 3 mm",
        "lung nodule, 1 of 3 readers, below 3 mm",
    ]


def test_exclusions_and_non_nodules_are_no_lesions():
    hole = nodule({(-5.0, "FALSE"): square(40, 60, 4)})
    non = "<nonNodule><imageZposition>-5</imageZposition></nonNodule>"
    assert read_xml(message(hole, non)).empty


OTHER_ROOT = '<IdriReadMessage xmlns="http://www.nih.gov"><CXRreadingSession/></IdriReadMessage>'
NO_NAMESPACE = "<LidcReadMessage><readingSession/></LidcReadMessage>"


@pytest.mark.parametrize(
    "xml",
    [
        *("not xml", "", b"\xff\xfe", OTHER_ROOT, NO_NAMESPACE),
        message("<unblindedReadNodule><roi><edgeMap/></roi></unblindedReadNodule>"),
        message(nodule({("", "TRUE"): square(40, 60, 4)})),
        message(nodule({("nan", "TRUE"): square(40, 60, 4)})),
        message(nodule({(-5.0, "TRUE"): []})),
        '<?xml version="1.0" encoding="no-such"?>' + NO_NAMESPACE,
    ],
)
def test_other_text_is_refused(xml):
    with pytest.raises(InputError, match=r"test: not a LIDC reader XML \(.+\)$") as caught:
        read_xml(xml)
    assert "to_mm" not in str(caught.value)


@pytest.mark.parametrize(
    ("z", "corner", "found"),
    [(-125.0, 40, "imageZposition -125"), (-5.0, 400, "x"), (-5.0, -3, "x"), (-5.0, 295, "x")],
)
def test_marks_of_another_scan_are_refused(z, corner, found):
    found = found if z != -5.0 else f"{-100 + 0.5 * (corner + 5):g}, "
    with pytest.raises(InputError, match=f"test: lesion 1: found {found}.+that of another scan"):
        read_xml(message(nodule({(z, "TRUE"): square(corner, 60, 10)})))


def test_outlines_follow_the_orientation():
    turned = {**GEOMETRY, "orientation": [-1, 0, 0, 0, -1, 0], "origin_mm": [49.5, 109.2]}
    xml = message(nodule({(-5.0, "TRUE"): square(40, 60, 10)}))
    straight, prone = (lesions_from_lidc_xml(xml, each, "test") for each in (GEOMETRY, turned))
    assert prone["x_mm"][0] == pytest.approx(49.5 - 0.5 * 45)
    assert prone["y_mm"][0] == pytest.approx(109.2 - 0.8 * 65)
    assert prone["diameter_mm"].equals(straight["diameter_mm"])


def test_bad_tables_are_named_by_file_line_and_column(tmp_path):
    path = tmp_path / "lesions.csv"
    with pytest.raises(InputError, match=r"lesions\.csv: no such lesion file"):
        read_lesions(path)
    path.write_text(",".join(LESION_COLUMNS) + "\nL067,1,-5,zero,0,5,x,y\n")
    with pytest.raises(InputError, match="line 2, column x_mm"):
        read_lesions(path)


def test_lesion_slices_are_rows_of_the_own_patient_within_half_a_slice():
    lesions = pd.DataFrame(
        [("L067", -5.0), ("L067", -6.2), ("L067", -5.1), ("L067", 9.0), ("L506", -10.0)],
        columns=["patient", "z_mm"],
    )
    assert lesion_slices(lesions, GEOMETRY) == [2]
    lesions["z_mm"] = [-10.0, -2.5, -7.4, -1.3, -5.0]
    assert lesion_slices(lesions, GEOMETRY) == [0, 1, 3]


def test_slice_of_a_single_slice_volume_reaches_half_its_thickness():
    info = {"z_mm": [0.0], "thickness_mm": 3.0}
    assert nearest_slice(info, 1.4) == 0
    assert nearest_slice(info, 1.6) is None


def test_own_patients_bring_their_reader_xml(tmp_path, capsys):
    ndct = np.full((4, 200, 300), 40, np.int16)
    folder = write_doses(tmp_path / "L067", ndct, ndct, **GEOMETRY)
    (tmp_path / "marks.xml").write_text(message(nodule({(-5.0, "TRUE"): square(40, 60, 10)})))
    patients = json.dumps({"L067": {"lidc_xml": str(tmp_path / "marks.xml")}})
    options = ["--volumes", str(folder), "--patients", patients]
    assert main(["lesions", *options, "--output", str(tmp_path / "lesions.csv")]) == 0
    found = read_lesions(tmp_path / "lesions.csv")
    assert found[["patient", "z_mm", "x_mm", "source"]].values.tolist() == [
        ["L067", -5.0, -77.5, "marks.xml"]
    ]
