"""Table I and the differences of a finished run, under every protocol."""

import pandas as pd
import pytest
import yaml
from workflow_runs import METHODS

pytestmark = pytest.mark.end_to_end
METRICS = ("psnr", "ssim", "rmse_hu")


@pytest.fixture
def tables(finished_run):
    return finished_run / "results/tiny/tables"


@pytest.fixture
def protocols(finished_run):
    settings = yaml.safe_load((finished_run / "results/tiny/config.yaml").read_text())
    return settings["protocol_names"]


def test_every_protocol_has_its_table_with_records_and_its_differences(tables, protocols):
    differences = pd.read_csv(tables / "differences.csv")
    assert len(differences) == len(protocols) * len(METRICS) * (len(METHODS) - 1)
    assert set(differences["protocol"]) == set(protocols) and len(protocols) > 1
    assert set(differences["reference"]) == {"proposed"}
    assert differences[["lower", "p_value"]].isna().all(axis=None)  # one patient
    outputs = [tables / "differences.csv"]
    for name in protocols:
        folder = tables if name == protocols[0] else tables / name
        outputs += [folder / f"table1.{suffix}" for suffix in ("csv", "md", "tex", "html")]
        table = pd.read_csv(folder / "table1.csv").set_index("method")
        assert set(table.loc[METHODS, "protocol"]) == {name}
        own = differences[(differences["protocol"] == name) & (differences["metric"] == "psnr")]
        for row in own.itertuples():
            gain = table.loc[row.method, "psnr"] - table.loc["proposed", "psnr"]
            assert row.estimate == pytest.approx(gain, nan_ok=True)
    for output in outputs:
        assert output.with_name(output.name + ".provenance.json").is_file(), output
