"""The texture lab in a whole run: images too small for a square of soft tissue, and it says so."""

import json

import numpy as np
import pandas as pd
import pytest
from workflow_runs import CONTROLS, METHODS

from ldct.texture.files import COLUMNS
from ldct.texture.measure import MEASURES

pytestmark = pytest.mark.end_to_end


def test_every_measured_method_has_a_row_per_slice_and_its_spectra(finished_run):
    folder = finished_run / "results/tiny"
    predictions = sorted((folder / "predictions").glob("*/*/L903.npy"))
    slices = json.loads((folder / "test/L903/volume.json").read_text())["slice_index"]
    assert {path.parts[-3] for path in predictions} == {*METHODS, *CONTROLS}
    for prediction in predictions:
        path = folder / "texture" / prediction.relative_to(folder / "predictions")
        frame = pd.read_parquet(path.with_suffix(".parquet"))
        assert list(frame.columns) == COLUMNS
        assert list(frame["slice_index"]) == slices
        # Pixels of 3 mm: no square of 16 pixels is soft tissue alone.
        assert frame[MEASURES].isna().all(axis=None)
        assert frame["reason"].str.contains("squares of soft tissue").all()
        spectra = np.load(path.with_suffix(".npz"))
        assert {"power", "radial", "frequency", "slice_index"} <= set(spectra.files)


def test_table_and_figures_say_that_nothing_was_measured(finished_run):
    folder = finished_run / "results/tiny"
    for suffix in ("md", "html"):
        text = (folder / f"tables/texture.{suffix}").read_text(encoding="utf-8")
        for word in ("NDCT", "DRL", "Proposed", "Nothing was measured", "2 steps"):
            assert word in text, (suffix, word)
    table = pd.read_csv(folder / "tables/texture.csv")
    assert {"ndct", "ldct", "low_dose", "proposed"} <= set(table["method"])
    for name in ("texture_nps", "texture_spectra"):
        for suffix in ("png", "pdf"):
            assert (folder / f"figures/{name}.{suffix}").stat().st_size > 1000
