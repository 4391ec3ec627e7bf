"""Lesions from LIDC reader XML and from the neutral CSV."""

import numpy as np
import pandas as pd
import pytest

from ldct.common.errors import InputError
from ldct.data.demo.lidc import lesions_from_lidc_xml
from ldct.data.lesions import (
    LESION_COLUMNS,
    convert_neutral_csv,
    lesion_slices,
    nearest_slice,
    read_lesions,
    write_lesions,
)

GEOMETRY = {
    "patient": "L067",
    "slice_index": [0, 1, 2, 3],
    "z_mm": [-10.0, -7.5, -5.0, -2.5],
    "instance": [4, 3, 2, 1],
    "origin_mm": [-100.0, -50.0],
    "pixel_mm": [0.8, 0.5],
    "thickness_mm": 2.5,
}
NEUTRAL_HEADER = "patient_id,lesion_id,x,y,z,unit,slice_ref,diameter_mm,label"


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
    return lesions_from_lidc_xml(
        xml, patient="L903", origin_mm=(-100.0, -50.0), pixel_mm=(0.5, 0.5), source="test"
    )


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


@pytest.mark.parametrize(
    "xml", ["not xml", message("<unblindedReadNodule><roi><edgeMap/></roi></unblindedReadNodule>")]
)
def test_other_text_is_refused(xml):
    with pytest.raises(InputError, match="test: not a LIDC reader XML"):
        read_xml(xml)


def convert(tmp_path, *lines, header=NEUTRAL_HEADER):
    path = tmp_path / "lesions_neutral.csv"
    path.write_text("\n".join([header, *lines]))
    return convert_neutral_csv(path, {"L067": GEOMETRY})


@pytest.mark.parametrize(
    ("reference", "z"), [("z_mm", "-5.2"), ("instance", "2"), ("index_asc", "2")]
)
@pytest.mark.parametrize(("unit", "x", "y"), [("mm", "-90", "-42"), ("px", "20", "10")])
def test_neutral_rows_become_contract_rows(tmp_path, reference, z, unit, x, y):
    lesions = convert(tmp_path, f"L067,A,{x},{y},{z},{unit},{reference},12.5,metastasis")
    assert lesions.to_dict("records") == [
        {
            "patient": "L067",
            "lesion": "A",
            "z_mm": -5.0,
            "x_mm": -90.0,
            "y_mm": -42.0,
            "diameter_mm": 12.5,
            "label": "metastasis",
            "source": "lesions_neutral.csv",
        }
    ]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("L999,1,0,0,-5,mm,z_mm,5,x", "patient_id"),
        ("L067,1,zero,0,-5,mm,z_mm,5,x", "x"),
        ("L067,1,0,,-5,mm,z_mm,5,x", "y"),
        ("L067,1,0,0,-5,cm,z_mm,5,x", "unit"),
        ("L067,1,0,0,-5,mm,slice,5,x", "slice_ref"),
        ("L067,1,0,0,-50,mm,z_mm,5,x", "z"),
        ("L067,1,0,0,9,mm,instance,5,x", "z"),
        ("L067,1,0,0,1.5,mm,index_asc,5,x", "z"),
        ("L067,1,0,0,-5,mm,z_mm,0,x", "diameter_mm"),
        ("L067,1,0,0,-5,mm,z_mm,inf,x", "diameter_mm"),
    ],
)
def test_bad_values_are_named_by_line_and_column(tmp_path, line, column):
    good = "L067,1,0,0,-5,mm,z_mm,5,x"
    with pytest.raises(InputError, match=rf"neutral\.csv, line 3, column {column}: found"):
        convert(tmp_path, good, line)


def test_table_survives_writing_and_reading(tmp_path):
    for lines in ([], ["L067,1,0.25,0,-5,mm,z_mm,5,cyst"]):
        lesions = convert(tmp_path, *lines)
        write_lesions(lesions, tmp_path / "lesions.csv")
        found = read_lesions(tmp_path / "lesions.csv")
        pd.testing.assert_frame_equal(found, lesions, check_dtype=bool(lines))
        assert lesion_slices(found, GEOMETRY) == [2] * len(lines)


def test_bad_tables_are_named_by_file_line_and_column(tmp_path):
    with pytest.raises(InputError, match="column diameter_mm is missing"):
        convert(tmp_path, header=NEUTRAL_HEADER.replace(",diameter_mm", ""))
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
