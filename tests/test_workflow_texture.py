"""The texture lab in a whole run: images too small for a square of soft tissue, and it says so."""

import json

import numpy as np
import pandas as pd
import pytest

from ldct.evaluation.texture import MEASURES
from ldct.evaluation.texture_files import COLUMNS

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("finished_run")]


def test_every_measured_method_has_a_row_per_slice_and_its_spectra(finished_run):
    folder = finished_run / "results/tiny"
    predictions = sorted((folder / "predictions").glob("*/*/L903.npy"))
    slices = json.loads((folder / "test/L903/volume.json").read_text())["slice_index"]
    assert len(predictions) > 7
    for prediction in predictions:
        method, seed = prediction.parent.parent.name, prediction.parent.name
        path = folder / "texture" / method / seed / "L903.parquet"
        frame = pd.read_parquet(path)
        assert list(frame.columns) == COLUMNS
        assert list(frame["slice_index"]) == slices
        assert set(frame["method"]) == {method}
        # Pixels of 3 mm: no square of 16 pixels is soft tissue alone.
        assert frame[MEASURES].isna().all(axis=None)
        assert frame["reason"].str.contains("squares of soft tissue").all()
        spectra = np.load(path.with_suffix(".npz"))
        assert {"power", "radial", "frequency", "excess", "difference_power"} <= set(spectra.files)


def test_table_and_figures_say_that_nothing_was_measured(finished_run):
    folder = finished_run / "results/tiny"
    for suffix in ("md", "html"):
        text = (folder / f"tables/texture.{suffix}").read_text(encoding="utf-8")
        for word in ("NDCT", "LSGAN", "Proposed", "Nothing was measured", "2 steps"):
            assert word in text, (suffix, word)
    content = json.loads((folder / "tables/texture.json").read_text())
    assert set(content["null_levels"].values()) == {None}
    assert {row["pattern"] for row in content["methods"]} == {"not measured"}
    assert {row["periodic_peak_exceeds_null"] for row in content["methods"]} == {"not measured"}
    table = pd.read_csv(folder / "tables/texture.csv")
    assert {"ndct", "ldct", "low_dose", "proposed"} <= set(table["method"])
    for name in ("texture_nps", "texture_spectra"):
        assert (folder / f"figures/{name}.png").stat().st_size > 1000
        assert (folder / f"figures/{name}.pdf").stat().st_size > 1000


def test_references_are_no_rows_of_table1(finished_run):
    table = pd.read_csv(finished_run / "results/tiny/tables/table1.csv", comment="#")
    assert not {"ndct", "ldct"} & set(table["method"])
