"""Doses that do not belong together: told, or refused in one true line."""

import logging

import numpy as np
import pydicom
import pytest
from lookalike import edit_file, write_lookalike_tree
from odd_trees import (
    copy_pixels,
    edit,
    exchange,
    files,
    first_and_second,
    index,
    pixels,
    refused,
    shift,
)


@pytest.fixture
def tree(tmp_path):
    return write_lookalike_tree(tmp_path / "tree", size=64, patients=["L067", "L506"])


RESCALE = "pairs disagree in RescaleSlope or RescaleIntercept"
LEVEL = "differ by more than 100 HU"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: edit(files(t, "quarter"), RescaleIntercept="0"), f"6 of 6 {RESCALE}"),
        (lambda t: edit(files(t, "full"), RescaleSlope="2"), "slope 2 and intercept -1024"),
        (lambda t: edit(files(t, "quarter")[2:3], RescaleIntercept="-8192"), f"1 of 6 {RESCALE}"),
        (
            lambda t: [pixels(p, lambda s: s + 300) for p in files(t, "quarter")],
            f"6 of 6 pairs {LEVEL}",
        ),
        (lambda t: pixels(files(t, "full")[4], lambda s: s + 200), f"1 of 6 pairs {LEVEL}"),
    ],
)
def test_doses_of_another_rescale_or_level_are_a_problem(tree, change, told):
    change(tree)
    line = refused(tree)
    assert told in line.replace("the means of ", "")
    assert line.count("L067: ") == 1


@pytest.mark.parametrize("count", [1, 3, 6])
def test_equal_pixels_in_both_doses_are_one_problem(tree, count):
    for full, quarter in list(zip(files(tree, "full"), files(tree, "quarter"), strict=True))[
        :count
    ]:
        copy_pixels(full, quarter)
    line = refused(tree)
    assert f"L067: {count} of 6 pairs have equal pixels in both doses" in line
    assert line.count("L067: ") == 1


def test_equal_pixels_of_another_encoding_are_a_problem(tree):
    for full, quarter in zip(files(tree, "full"), files(tree, "quarter"), strict=True):
        copy_pixels(full, quarter)
        dataset = pydicom.dcmread(quarter)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(quarter)
    assert "6 of 6 pairs have equal pixels" in refused(tree)


@pytest.mark.parametrize("value", [0, 24, 1024])
def test_slices_without_a_body_may_be_equal_and_are_told(tree, value):
    for path in (files(tree, "full")[0], files(tree, "quarter")[0]):
        pixels(path, lambda stored: stored * 0 + value)
    found, inventory = index(tree)
    assert len(found) == 12
    assert (
        "1 slices are equal in both doses and show no body (air, padding), z in mm: -300"
        in inventory
    )


@pytest.mark.parametrize("body", ["soft tissue", "lung", "bone", "phantom"])
def test_exchanged_doses_are_a_loud_warning_with_both_figures(tree, caplog, body):
    if body != "soft tissue":
        change = {"lung": -700, "bone": 600, "phantom": 150}[body]
        for path in files(tree):
            rng = np.random.default_rng(len(path.name))
            noise = 12 if "FD" in path.name else 30
            pixels(path, lambda s: s * 0 + 1024 + change + rng.normal(0, noise, s.shape))  # noqa: B023
    exchange(tree)
    with caplog.at_level(logging.WARNING):
        _, inventory = index(tree)
    for text in (inventory, caplog.text):
        assert "THE DOSES MAY BE EXCHANGED OR EQUAL: noise of the quarter dose is" in text
    assert inventory.count("THE DOSES") == 1


def test_right_doses_are_not_warned_of(tree):
    assert "THE DOSES" not in index(tree)[1]


@pytest.mark.parametrize("uid", [False, True])
@pytest.mark.parametrize("offset", [0.4, 0.0, 2.4])
@pytest.mark.parametrize("dose", ["full", None])
def test_two_scans_of_one_place_are_a_problem_that_a_key_solves(tree, uid, offset, dose):
    first_and_second(files(tree, dose), offset, uid)
    line = refused(tree)
    key = 'series_uid: "1.0.0.0"' if uid else "acquisition: 1"
    assert "several scans of the same place" in line
    assert f"set `{key}` for L067" in line
    assert "other pixels" not in line
    entry = {"series_uid": "7111.0.0.0"} if uid else {"acquisition": 1}
    found, _ = index(tree, L067=entry)
    assert (found["patient"] == "L067").sum() == 6
    assert not found["full_path"].str.contains("second").any()
    assert "1.2.840" not in (tree.root.parent / "inventory.md").read_text()


def test_key_that_names_no_scan_says_which_there_are(tree):
    first_and_second(files(tree, "full"))
    line = refused(tree, L067={"acquisition": 7})
    assert "`acquisition` of the description is 7, but the full dose holds acquisition 1 (6" in line


@pytest.mark.parametrize("tag", ["AcquisitionNumber", "SeriesInstanceUID"])
def test_step_and_shoot_passes_and_is_told(tree, tag, caplog):
    for dose in ("full", "quarter"):
        for row, path in enumerate(files(tree, dose)):
            value = 1 + row // 2
            edit_file(path, **{tag: value if tag[0] == "A" else f"1.2.{value}.0.0"})
    found, inventory = index(tree)
    assert len(found) == 12
    what = "acquisitions" if tag[0] == "A" else "series"
    assert f"full dose: 3 {what}:" in inventory
    assert f"quarter dose: 3 {what}:" in inventory


@pytest.mark.parametrize(
    ("offset", "key"), [(0.3, 0.35), (-0.3, 0.35), (0.012, 0.015), (0.02, 0.025), (0.1, 0.15)]
)
def test_doses_that_lie_a_little_apart_name_distance_and_key(tree, offset, key):
    shift(files(tree, "quarter"), 0, 0, offset)
    line = refused(tree)
    assert f"the doses are {abs(offset):g} mm apart" in line
    assert f"set z_tolerance_mm: {key:g} in the description" in line
    found, inventory = index(tree, z_tolerance_mm=key)
    assert len(found) == 12
    assert "missing" not in inventory


def test_doses_that_drift_apart_are_told_and_gaps_are_not_made_up(tree):
    for row, path in enumerate(files(tree, "quarter")):
        shift([path], 0, 0, 0.008 * row)
    _, inventory = index(tree)
    assert "few slices pair: the doses are 0.02 mm apart" in inventory
    assert "set z_tolerance_mm: 0.045" in inventory
    assert "missing in both" not in inventory


@pytest.mark.parametrize("offset", [0.4, 50.0, -200.0])
def test_doses_of_other_places_are_not_sent_to_the_tolerance(tree, offset):
    shift(files(tree, "quarter"), 0, 0, offset)
    line = refused(tree)
    assert "z_tolerance_mm" not in line
    assert "full dose from z = -300 to -296 mm" in line
    assert "are they one scan on one grid?" in line
