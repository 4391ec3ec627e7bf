"""Cells of a finished run's tables, walked back: value, formula and all that is behind them."""

import pytest

from ldct.cli import main
from ldct.explain.number import explain_number

pytestmark = pytest.mark.end_to_end
RESULTS = "results/tiny"


@pytest.fixture(autouse=True)
def in_the_run(finished_run, monkeypatch):
    monkeypatch.chdir(finished_run)


@pytest.mark.parametrize("method", ["low_dose", "bm3d", "proposed", "control_shift_20"])
@pytest.mark.parametrize("metric", ["psnr", "vif", "texture.noise_std_hu"])
def test_numbers_lead_back_to_the_volumes(method, metric):
    found = explain_number("tiny", method, metric)
    assert found["problems"] == []
    paths = {file["path"]: file["state"] for file in found["files"]}
    expected = [
        "data/lookalike/index.parquet",
        "data/lookalike/volumes/L903/volume.json",
        f"{RESULTS}/test/L903/quarter.npy",
    ]
    if method == "proposed":
        expected += [f"{RESULTS}/models/lsgan/0/weights.safetensors", "methods/drl/network.py"]
        expected += ["data/lookalike/volumes/L901/full.npy"]
    assert {paths[path] for path in expected} == {"as recorded"}
    assert "dicom" in paths


@pytest.mark.parametrize(
    "metric", ["psnr", "lesion_bench.noise_std_hu", "d_prime", "inference_seconds_per_slice"]
)
def test_all_that_is_behind_a_cell_is_printed(capsys, metric):
    assert main(["explain", "tiny", "proposed", metric]) == 0
    text = capsys.readouterr().out
    file = "discs" if metric == "d_prime" else "L903"
    for part in (
        f"  {RESULTS}/predictions/proposed/0/{file}.npy  sha256 ",
        f"  {RESULTS}/models/lsgan/0/weights.safetensors  sha256 ",
        f"  {RESULTS}/config.yaml  sha256 ",
        "data/lookalike/index.parquet",
        "none changed, none missing",
        f"snakemake --cores all {RESULTS}/",
    ):
        assert part in text, part
    with_protocol = metric in ("psnr", "lesion_bench.noise_std_hu")
    assert ("the protocol's file: as recorded" in text) == with_protocol
