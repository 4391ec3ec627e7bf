"""Given predictions in the real workflow: a row of Table I, made anew when a file changes."""

import numpy as np
import pandas as pd
import pytest
from workflow_runs import (
    LIGHT,
    PATIENT,
    copy_checkout,
    edit_yaml,
    pending,
    snakemake,
    write_inputs,
    write_yaml,
)

pytestmark = pytest.mark.end_to_end
CARD = {
    "title": "My U-Net",
    "kind": "predictions",
    "predictions": "images",
    "slice_order": "ascending",
    "in_paper": False,
    "source": "a test",
    "departures": [],
}
TABLE = "results/tiny/tables/table1"
JOB = f"denoise/given/fixed/{PATIENT}"


def test_given_predictions_are_a_row_and_a_changed_file_makes_it_anew(tmp_path):
    folder = copy_checkout(tmp_path / "checkout")
    tree = write_inputs(folder)
    file = folder / f"mine/given/images/{PATIENT}.npy"
    file.parent.mkdir(parents=True)
    doses = tree.hu[PATIENT]
    np.save(file, (doses["quarter"].astype(np.float32) + doses["full"]) / 2)  # half the noise
    write_yaml(folder / "mine/given/method.yaml", CARD)
    methods = {"methods": ["low_dose", "given"], "method_paths": ["mine"]}
    edit_yaml(folder / "small.yaml", **methods, further_protocols=[], **LIGHT)
    outcome = snakemake(folder, f"{TABLE}.csv", "--cores", "2")
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    rows = pd.read_csv(folder / f"{TABLE}.csv").set_index("method")
    assert rows.loc["given", "psnr"] > rows.loc["low_dose", "psnr"] + 1
    assert "; given predictions: My U-Net." in (folder / f"{TABLE}.md").read_text()
    assert JOB not in pending(folder)
    np.save(file, doses["full"])
    assert JOB in pending(folder)
    file.unlink()
    told = snakemake(folder, "-n", "-q").stdout
    assert f"given is left out: mine/given/images: found nothing of patient {PATIENT}" in told
