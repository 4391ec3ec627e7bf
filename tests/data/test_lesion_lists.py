"""Lesion lists as people hold them: separators, encodings, headers, units, places."""

import numpy as np
import pandas as pd
import pytest
from test_lesions import GEOMETRY

from ldct.common.errors import InputError
from ldct.data.geometry import slice_position, to_mm, to_pixels
from ldct.data.lesions import (
    convert_neutral_csv,
    doubtful_lesions,
    lesion_slices,
    read_lesions,
    write_lesions,
)

HEADER = "patient_id,lesion_id,x,y,z,unit,slice_ref,diameter_mm,label"
ROW = "L067,1,-40.5,20,-5,mm,z_mm,12.5,cyst"
LUNA = "seriesuid,coordX,coordY,coordZ,diameter_mm"


def convert(tmp_path, content, **origins):
    path = tmp_path / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return convert_neutral_csv(path, {"L067": GEOMETRY}, origins)


def refused(tmp_path, content):
    with pytest.raises(InputError) as error:
        convert(tmp_path, content)
    text = str(error.value).removeprefix(f"{tmp_path}/")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("reference", "z"), [("z_mm", "-5.2"), ("instance", "2"), ("index_asc", "2")]
)
@pytest.mark.parametrize(("unit", "x", "y"), [("mm", "-90", "-42"), ("px", "20", "10")])
def test_neutral_rows_become_contract_rows(tmp_path, reference, z, unit, x, y):
    line = f"L067,A,{x},{y},{z},{unit},{reference},10.5,metastasis"
    assert convert(tmp_path, f"{HEADER}\n{line}").to_dict("records") == [
        {
            "patient": "L067",
            "lesion": "A",
            "z_mm": -5.0,
            "x_mm": -90.0,
            "y_mm": -42.0,
            "diameter_mm": 10.5,
            "label": "metastasis",
            "source": "list.csv",
        }
    ]


PLAIN = f"{HEADER}\n{ROW}"
WRITTEN = {
    "semicolons": PLAIN.replace(",", ";"),
    "decimal commas": PLAIN.replace(",", ";").replace(".", ","),
    "tabs": PLAIN.replace(",", "\t"),
    "tabs, decimal commas": PLAIN.replace(",", "\t").replace(".", ","),
    "bars": PLAIN.replace(",", "|"),
    "typeset minus": PLAIN.replace("-40.5", "\u221240.5"),
    "sep= and a tab": "sep=\t\r\n" + PLAIN.replace(",", "\t"),
    "sep= of Excel": "sep=;\r\n" + PLAIN.replace(",", ";"),
    "quoted": "\n".join(",".join(f'"{one}"' for one in line.split(",")) for line in (HEADER, ROW)),
    "byte-order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "UTF-16": PLAIN.replace(",", "\t").encode("utf-16"),
    "Windows' encoding": PLAIN.replace("cyst", "L\u00e4sion").encode("cp1252"),
    "Windows' line ends": PLAIN.replace("\n", "\r\n") + "\r\n",
    "old line ends": PLAIN.replace("\n", "\r"),
    "comma behind rows": PLAIN + ",",
    "comma behind all": PLAIN.replace("\n", ",\n") + ",",
    "empty rows": f"\n{HEADER}\n\n,,,,,,,,\n{ROW}\n \n",
    "other order": "y,x,label,diameter_mm,slice_ref,unit,z,lesion_id,patient_id\n"
    "20,-40.5,cyst,12.5,z_mm,mm,-5,1,L067",
    "further column": f"reader,{HEADER}\nsomebody,{ROW}",
    "capitals and blanks": PLAIN.replace(HEADER, HEADER.upper().replace(",", " , ")),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_list_is_read_however_it_was_written(tmp_path, kind):
    found = convert(tmp_path, WRITTEN[kind]).iloc[0]
    label = "L\u00e4sion" if kind == "Windows' encoding" else "cyst"
    assert found.tolist() == ["L067", "1", -5.0, -40.5, 20.0, 12.5, label, "list.csv"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f"{HEADER},x\n{ROW},7", "list.csv: column x: found 2 of this name, expected one"),
        (f"{HEADER},X\n{ROW},7", "list.csv: column x: found 2 of this name, expected one"),
        (PLAIN.replace("diameter_mm", "diameter"), "is missing (is 'diameter' meant?); found"),
        (PLAIN.replace("lesion_id,", ""), "list.csv: column lesion_id is missing; found"),
        (PLAIN.replace("-40.5", "-40,5"), "line 2: found 10 values, expected 9 as in the header"),
        (PLAIN.replace("-40.5", '"-40,5"'), "line 2, column x: found '-40,5', expected a number"),
        (f"{HEADER}\n\n\nL067,1,1", "list.csv, line 4, column unit: found '', expected one of"),
        ("# mine\n" + PLAIN, "label is missing; found # mine; expected patient_id, lesion_id"),
        (
            f"{PLAIN}\n{ROW.replace('-5,', '-5.4,')}",
            "line 3, column lesion_id: found '1', expected",
        ),
        ("", "list.csv: found no header, expected patient_id"),
        (b"PK\x03\x04\x00\x00", "list.csv: found a workbook or another file that is no text"),
        (PLAIN.replace("L067", '"L067'), "list.csv, line 2: not a CSV table"),
        (f"{LUNA}\n1.2.840,1,1,-5,4", "line 2, column seriesuid: found '1.2.840', expected"),
        (f"{LUNA.replace('Z', '_z')}\nL067,1,1,-5,4", "column coordZ is missing (is 'coord_z'"),
    ],
)
def test_what_is_no_list_ends_in_one_line(tmp_path, content, line):
    assert line in refused(tmp_path, content)


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
    text = refused(tmp_path, f"{HEADER}\n{good}\n{line}")
    assert text.startswith(f"list.csv, line 3, column {column}: found")


@pytest.mark.parametrize(
    ("line", "column", "question"),
    [
        ("L067,1,-40.5,20,-5,px,z_mm,12.5,mm as px", "x", "is the unit mm?"),
        ("L067,1,40,-20,-5,px,z_mm,12.5,mm as px", "y", "is the unit mm?"),
        ("L067,1,512,12,-5,px,z_mm,5,wider image", "x", "is the unit mm?"),
        ("L067,1,250,20,-5,mm,z_mm,12.5,px as mm", "x", "is the unit mm, or px?"),
        ("L067,1,20,150,-5,mm,index_asc,12.5,px as mm", "z", "a slice of the volume"),
        ("L067,1,-40.5,20,80,mm,z_mm,5,another scan", "z", "half a slice of one of L067"),
        ("L067,1,20,150,2,mm,index_asc,12.5,px as mm", "y", "is the unit mm, or px?"),
        ("L067,1,0,20,-5,mm,z_mm,151,wider than the image", "diameter_mm", "is the unit mm?"),
        ("L067,1,-98,20,-5,mm,z_mm,12.5,partly outside", "x", "so that a lesion of 12.5 mm lies"),
        ("L067,1,150,196,-5,px,z_mm,12.5,partly outside", "y", "-0.5"),
    ],
)
def test_lesions_off_the_image_are_refused(tmp_path, line, column, question):
    text = refused(tmp_path, f"{HEADER}\n{line}")
    assert text.startswith(f"list.csv, line 2, column {column}: found ")
    assert "expected " in text
    assert question == "-0.5" or question in text


def test_luna_centres_become_lesions_on_their_middle_slices(tmp_path):
    rows = ["L067,-40.5,20,-4.2,12.5", "1.3.6,0,0,-9,4", "1.2.840,900,0,0,4"]
    found = convert(tmp_path, "\n".join([LUNA, *rows]), L067="1.3.6")
    assert found["lesion"].tolist() == ["1", "2"]
    assert found["z_mm"].tolist() == [-5.0, -10.0]
    assert found[["x_mm", "y_mm", "diameter_mm"]].to_numpy().tolist() == [
        [-40.5, 20.0, 12.5],
        [0.0, 0.0, 4.0],
    ]


@pytest.mark.parametrize("bad", ["900,0,-5,4", "0,900,-5,4", "0,0,-50,4", "0,0,-5,400", "0,0,-5,"])
def test_luna_centres_are_checked_too(tmp_path, bad):
    assert refused(tmp_path, f"{LUNA}\nL067,{bad}").startswith("list.csv, line 2, column ")


def test_table_survives_writing_and_reading(tmp_path):
    for lines in ([], ["L067,1,0.25,0,-5,mm,z_mm,5,cyst"]):
        lesions = convert(tmp_path, "\n".join([HEADER, *lines]))
        write_lesions(lesions, tmp_path / "lesions.csv")
        found = read_lesions(tmp_path / "lesions.csv")
        pd.testing.assert_frame_equal(found, lesions, check_dtype=bool(lines))
        assert lesion_slices(found, GEOMETRY) == [2] * len(lines)


def test_doubtful_lesions_are_told(tmp_path):
    ndct = np.full((4, 200, 300), -1000, np.int16)
    ndct[:, 50:, 50:] = 40
    lines = ["L067,a,100,100,-5,px,z_mm,12.5,x", "L067,b,20,20,-5,px,z_mm,10,mm as px"]
    found = convert(tmp_path, "\n".join([HEADER, *lines]))
    (line,) = doubtful_lesions(found, GEOMETRY, ndct)
    assert line.startswith("list.csv: lesion b of L067 at -90, -34, -5 mm: found air (-1000 HU)")


@pytest.mark.parametrize(("diameter", "told"), [("0.9", 1), ("1.25", 1), ("2.9", 1), ("3", 0)])
def test_diameters_in_centimetres_are_told(tmp_path, diameter, told):
    found = convert(tmp_path, PLAIN.replace("12.5", diameter))
    lines = doubtful_lesions(found, GEOMETRY, np.zeros((4, 200, 300), np.int16))
    assert len(lines) == told
    assert all(f"a diameter of {diameter} mm" in line and "or cm?" in line for line in lines)


TILT = np.deg2rad(20)


@pytest.mark.parametrize(
    "orientation",
    [
        [1, 0, 0, 0, 1, 0],
        [-1, 0, 0, 0, -1, 0],
        [0, 1, 0, -1, 0, 0],
        [1, 0, 0, 0, np.cos(TILT), np.sin(TILT)],
    ],
)
def test_pixels_and_patient_coordinates_are_inverse_in_every_orientation(orientation):
    corners = [[-100.0, -50.0 - slice_ / 4] for slice_ in range(4)]
    info = GEOMETRY | {"orientation": orientation, "corner_mm": corners}
    for z_mm in info["z_mm"]:
        x, y = to_mm(info, 40, 60, z_mm)
        assert to_pixels(info, x, y, z_mm) == pytest.approx((40, 60))
    rows, columns = np.reshape(orientation, (2, 3))
    for (x, y), z_mm in zip(corners, info["z_mm"], strict=True):
        point = np.array([x, y, z_mm]) + 40 * 0.5 * rows + 60 * 0.8 * columns
        assert slice_position(info, *point) == pytest.approx(z_mm)
