"""From predictions to one row of measures per slice."""

import sys

import numpy as np
import pandas as pd
import pytest
from made_up_scores import ABDOMEN
from made_up_volumes import write_doses
from repository_files import REPOSITORY

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.metrics.columns import IMAGE_QUALITY
from ldct.metrics.full_reference import gmsd, vif
from ldct.metrics.image_quality import measure_predictions
from ldct.metrics.tissues import tissue_fidelity


@pytest.fixture
def files(tmp_path):
    """A test folder of three slices, and a prediction of them."""
    rng = np.random.default_rng(0)
    full = rng.normal(50, 30, (3, 64, 60)).astype(np.int16)
    full[0, :, :20] = -90
    prediction = (full + rng.normal(0, 10, full.shape)).astype(np.float32)
    place = {"patient": "L1", "slice_index": [4, 8, 12], "z_mm": [1.0, 2.0, 3.0]}
    write_doses(tmp_path / "test", full, full + 5, **place)
    np.save(tmp_path / "prediction.npy", prediction)
    return tmp_path, full, prediction


def measure(folder, name="out.parquet", **options) -> pd.DataFrame:
    output = folder / name
    measure_predictions(
        folder / "test", folder / "prediction.npy", ABDOMEN, output, "mine", 3, **options
    )
    return pd.read_parquet(output)


def test_rows_are_the_measures_of_each_slice(files):
    folder, full, prediction = files
    frame = measure(folder)
    keys = ["method", "seed", "patient", "slice_index", "z_mm", "protocol", "regular"]
    assert list(frame.columns) == [*keys, *IMAGE_QUALITY]
    assert frame["slice_index"].tolist() == [4, 8, 12]
    assert set(frame["method"]) == {"mine"} and set(frame["seed"]) == {3}
    for row, (ours, theirs) in enumerate(zip(prediction, full, strict=True)):
        unit = [np.clip((image.astype(float) + 160) / 400, 0, 1) for image in (ours, theirs)]
        assert frame["vif"][row] == vif(*unit)
        assert frame["gmsd"][row] == gmsd(*unit)
        for name, value in tissue_fidelity(ours, theirs).items():
            assert frame[name][row] == pytest.approx(value, nan_ok=True)
    assert frame["lpips"].isna().all()
    assert (folder / "out.parquet.provenance.json").is_file()


def test_wrong_predictions_are_named(files):
    folder, _, prediction = files
    np.save(folder / "prediction.npy", prediction[:2])
    with pytest.raises(InputError, match=r"prediction\.npy: found shape \(2, 64, 60\)"):
        measure(folder)
    prediction[1, 0, 0] = np.nan
    np.save(folder / "prediction.npy", prediction)
    with pytest.raises(InputError, match=r"slice 1 \(slice_index 8, .* found 1 NaN"):
        measure(folder)


def test_missing_torchmetrics_is_one_line_with_the_remedy(files, monkeypatch, capsys):
    folder, _, _ = files
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    arguments = ["measure-image-quality", "--test-folder", folder / "test", "--method", "mine"]
    arguments += [
        "--prediction",
        folder / "prediction.npy",
        "--protocol",
        REPOSITORY / "config/protocols/abdomen.yaml",
        "--seed",
        "0",
    ]
    assert main([*map(str, arguments), "--output", str(folder / "out.parquet")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: metric VIF")
    assert "pip install 'torchmetrics==" in error
    assert error.count("\n") == 1
    assert not (folder / "out.parquet").exists()
