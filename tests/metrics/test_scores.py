"""Score files hold one right row per slice and protocol."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up_scores import ABDOMEN, WIDE
from made_up_volumes import write_doses

from ldct.common.errors import InputError
from ldct.common.files import read_json, write_json
from ldct.common.provenance import record_path
from ldct.metrics.pixelwise import slice_scores
from ldct.metrics.scores import regular_slices, score_predictions
from ldct.metrics.verbs import read_rows
from ldct.runs.tables import read_values

SLICE_INDEX = [3, 7, 11]
Z_MM = [-12.5, -8.5, -4.5]


@pytest.fixture
def case(tmp_path):
    """A test-set folder of three slices and a prediction for it."""
    rng = np.random.default_rng(0)
    ndct = rng.normal(40, 60, (3, 40, 48)).astype(np.int16)
    prediction = (ndct + rng.normal(0, 20, ndct.shape)).astype(np.float32)
    folder = tmp_path / "test" / "L109"
    write_doses(folder, ndct, ndct + 5, slice_index=SLICE_INDEX, z_mm=Z_MM)
    np.save(tmp_path / "L109.npy", prediction)
    return folder, tmp_path / "L109.npy", ndct, prediction


def score(case, output, protocols=(ABDOMEN, WIDE), **options):
    score_predictions(*case[:2], protocols, output, "drl", 7, **options)
    return pd.read_parquet(output)


def test_one_row_per_slice_and_protocol_with_the_metrics_of_that_slice(case, tmp_path):
    _, _, ndct, prediction = case
    scores = score(case, tmp_path / "scores.parquet", workers=3)
    assert list(scores.columns) == [
        "method", "seed", "patient", "slice_index", "z_mm", "protocol", "regular", "psnr", "ssim",
        "rmse_hu",
    ]  # fmt: skip
    assert list(scores["slice_index"]) == [3, 3, 7, 7, 11, 11]
    assert list(scores["protocol"]) == ["abdomen", "wide"] * 3
    for row in scores.itertuples():
        number = SLICE_INDEX.index(row.slice_index)
        protocol = {"abdomen": ABDOMEN, "wide": WIDE}[row.protocol]
        expected = slice_scores(prediction[number], ndct[number], protocol)
        assert (row.method, row.seed, row.patient, row.z_mm) == ("drl", 7, "L109", Z_MM[number])
        assert {key: getattr(row, key) for key in expected} == expected


def test_slices_beside_the_grid_are_scored_but_feed_no_mean(case, tmp_path):
    info = json.loads((case[0] / "volume.json").read_text())
    (case[0] / "volume.json").write_text(json.dumps(info | {"regular": [True, False, True]}))
    path = tmp_path / "scores/drl/0/L109.parquet"
    path.parent.mkdir(parents=True)
    scores = score(case, path)
    assert list(scores["regular"]) == [True, True, False, False, True, True]
    settings = {"method_seeds": {"drl": ["0"]}, "test_patients": ["L109"]}
    kept = read_values(tmp_path, settings, "scores", "psnr", "drl", "abdomen")
    assert list(kept["slice_index"]) == [3, 11]
    assert list(read_rows([path], "wide")["slice_index"]) == [3, 11]
    assert len(regular_slices(scores.drop(columns="regular"))) == 6


def not_finite(value):
    def change(prediction):
        prediction[1, 5, 5] = value
        return prediction

    return change


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (not_finite(np.nan), ["slice 1", "slice_index 7", "z -8.5 mm", "1 NaN or infinite"]),
        (not_finite(np.inf), ["slice 1", "slice_index 7", "NaN or infinite"]),
        (lambda p: p[:2], ["(2, 40, 48)", "(3, 40, 48)", "predict this test set again"]),
        (lambda p: p.astype(np.float64), ["float64", "float32"]),
        (lambda p: p.astype(object), ["not a readable .npy array"]),
    ],
)
def test_a_bad_prediction_is_refused_and_no_score_file_is_left(case, tmp_path, change, parts):
    path = case[1]
    np.save(path, change(case[3]), allow_pickle=True)
    with pytest.raises(InputError) as caught:
        score(case, tmp_path / "scores.parquet")
    for part in [str(path), *parts]:
        assert part in str(caught.value)
    assert not list(tmp_path.glob("*scores*"))


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (None, r"volume\.json: not found"),
        ({"slice_index": [1], "z_mm": [0.0]}, r"the 1 slices that volume\.json lists"),
        ({"slice_index": [1, 2, 3]}, r"volume\.json: found no z_mm"),
    ],
)
def test_a_test_set_that_is_not_as_described_is_refused(case, tmp_path, volume, message):
    path = case[0] / "volume.json"
    path.unlink()
    if volume:
        write_json(path, {"patient": "L109", **volume})
    with pytest.raises(InputError, match=message):
        score(case, tmp_path / "scores.parquet")


def test_an_undefined_score_is_nan_with_its_reason(case, tmp_path):
    prediction = case[3].copy()
    prediction[0] = 40
    np.save(case[1], prediction)
    own_range = replace(ABDOMEN, name="own_range", data_range="prediction")
    score(case, tmp_path / "s.parquet", [ABDOMEN, own_range])
    scores = pd.read_parquet(tmp_path / "s.parquet")
    undefined = scores[scores["ssim"].isna()]
    assert list(undefined["protocol"]) == ["own_range"]
    assert scores[["psnr", "rmse_hu"]].notna().all(axis=None)
    record = read_json(record_path(tmp_path / "s.parquet"))
    names = {path.rsplit("/", 1)[-1] for path in record["inputs"]}
    assert names == {"full.npy", "quarter.npy", "volume.json", "L109.npy"}
    assert record["settings"]["protocols"][0]["window"] == [-160.0, 240.0]
    [reason] = record["settings"]["undefined"]
    assert f"slice_index {undefined['slice_index'].item()}" in reason
    assert "constant" in reason
