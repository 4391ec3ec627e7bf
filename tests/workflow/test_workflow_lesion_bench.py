"""Lesion bench and detectability in a finished run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workflow_runs import METHODS, PATIENT

from ldct.detectability.detection import COLUMNS as DISC_COLUMNS
from ldct.detectability.observers import FEWEST_PLACES
from ldct.lesions.bench import COLUMNS as LESION_COLUMNS

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def results(finished_run: Path) -> Path:
    return finished_run / "results/tiny"


def test_every_method_and_control_has_a_row_for_each_lesion_slice(results):
    controls = {path.name for path in (results / "predictions").glob("control_*")}
    paths = list((results / "lesion_bench").glob(f"*/*/{PATIENT}.parquet"))
    assert {path.parts[-3] for path in paths} == {*METHODS, *controls, "ndct", "ldct"}
    for path in paths:
        frame = pd.read_parquet(path)
        assert list(frame.columns) == LESION_COLUMNS
        # The look-alike's lesion lies in its three middle slices, which are in the test set.
        assert len(frame) == 3
        assert np.isfinite(frame["contrast_hu"]).all()
        assert np.isfinite(frame["crop_psnr"]).all() or path.parts[-3] == "ndct"


def test_lesion_of_the_lookalike_has_its_contrast(results):
    frame = pd.read_parquet(results / f"lesion_bench/ndct/fixed/{PATIENT}.parquet")
    # -10 HU in tissue of 40 HU.
    assert frame["contrast_hu"].mean() == pytest.approx(-50, abs=12)
    assert (frame["contrast_retention"] == 1).all()
    shift = pd.read_parquet(results / f"lesion_bench/control_shift_20/fixed/{PATIENT}.parquet")
    low = pd.read_parquet(results / f"lesion_bench/ldct/fixed/{PATIENT}.parquet")
    np.testing.assert_allclose(shift["contrast_hu"], low["contrast_hu"], atol=1)


def test_discs_are_a_test_set_that_every_method_denoised(results):
    discs = json.loads((results / "test/discs/discs.json").read_text())
    assert discs["problem"] is None
    assert discs["patient"] == PATIENT
    for table in ("scores", "lesion_bench"):
        assert not list((results / table).rglob("discs.parquet"))
    shape = np.load(results / "test/discs/full.npy", mmap_mode="r").shape
    assert shape[0] == len(discs["crops"]) == 2 * len(discs["sites"])
    predicted = list((results / "predictions").rglob("discs.npy"))
    assert {path.parts[-3] for path in predicted} >= set(METHODS)
    for path in predicted:
        assert np.load(path, mmap_mode="r").shape == shape


def test_few_places_have_rows_without_values_and_no_failure(results):
    """A look-alike of 128 pixels has room for few crops: too few for the observer."""
    frames = [pd.read_parquet(path) for path in (results / "detectability").rglob("*.parquet")]
    assert len(frames) >= len(METHODS) + 2
    for frame in frames:
        assert list(frame.columns) == DISC_COLUMNS
        assert frame.loc[frame["n_signals"] < FEWEST_PLACES, "d_prime"].isna().all()
        known = frame[frame["d_prime"].notna()]
        assert (known["lower"] <= known["d_prime"]).all()


@pytest.mark.parametrize("table", ["lesions", "detectability"])
def test_tables_say_that_the_dose_is_simulated(results, table):
    assert len(pd.read_csv(results / f"tables/{table}.csv"))
    for suffix in (".md", ".html"):
        text = (results / "tables" / (table + suffix)).read_text(encoding="utf-8")
        assert "simulated" in text


def test_figure_of_discs_is_drawn_with_its_record(results):
    for suffix in (".png", ".pdf"):
        figure = results / f"figures/detectability{suffix}"
        assert figure.stat().st_size > 1000
        assert figure.with_name(f"{figure.name}.provenance.json").is_file()
