"""Table of annotated lesions, from measured values."""

import json
import re

import numpy as np
import pandas as pd

from ldct.cli import main
from ldct.lesions.bench import COLUMNS

TITLES = [["ndct", "NDCT"], ["ldct", "LDCT"], ["keen", "Keen & sharp"], ["dull", "Dull"]]
NOTE = "simulated dose on a phantom; 2 steps"


def lesion_frame(method, shift=0.0, **changes):
    values = {
        **dict.fromkeys(COLUMNS, np.nan),
        "method": method,
        "seed": 0,
        "patient": "P1",
        "lesion": "1",
        "label": "made",
        "diameter_mm": 12.0,
        "contrast_retention": 0.9,
        "contrast_hu": -30.0,
        "crop_psnr": 30.0,
        "crop_ssim": 0.9,
        "note": "lesion too small for an edge (2.0 pixels deep)",
    }
    rows = [
        values | {"slice_index": i, "z_mm": 2.0 * i, "cnr": 3.0 + shift + 0.1 * i} | changes
        for i in range(6)
    ]
    return pd.DataFrame(rows)[COLUMNS]


def draw(frames, tmp_path):
    (tmp_path / "bench").mkdir()
    for name, frame in frames.items():
        frame.to_parquet(tmp_path / "bench" / f"{name}.parquet")
    arguments = ["draw-lesion-bench", "--measured", *sorted((tmp_path / "bench").iterdir())]
    arguments += ["--titles", json.dumps(TITLES), "--note", NOTE]
    arguments += ["--statistics", '{"confidence": 0.9}']
    arguments += ["--tables", tmp_path / "tables/l"]
    assert main(list(map(str, arguments))) == 0
    return (tmp_path / "tables/l.md").read_text()


def test_report_gives_means_data_and_scope(tmp_path):
    text = draw(
        {name: lesion_frame(name, place) for place, (name, _) in enumerate(TITLES)}, tmp_path
    )
    assert re.search(r"\| LDCT \| 30\.00.* \| 0\.900.* \| 4\.25", text)
    assert "6 lesion slices of 1 lesion of 1 patient; no intervals." in text
    assert NOTE in text
    assert "their image is the low dose plus the error that they make at the bound" in text
    record = json.loads((tmp_path / "tables/l.md.provenance.json").read_text())
    assert any(path.endswith("bench/keen.parquet") for path in record["inputs"])


def test_intervals_are_over_three_patients_and_more(tmp_path):
    frames = {
        name: pd.concat([lesion_frame(name, i, patient=f"P{i}") for i in range(3)])
        for name, _ in TITLES
    }
    text = draw(frames, tmp_path)
    assert "of 3 patients; brackets: 90 % over patients." in text
    values = pd.read_csv(tmp_path / "tables/l.csv").set_index(["method", "measure"])
    found = values.loc[("ldct", "cnr")]
    assert found["mean"] == 4.25
    assert found["upper"] - found["mean"] > 1  # t of two degrees of freedom: 2.9 / sqrt(3)


def test_every_column_says_of_how_many_slices_and_lesions_it_is(tmp_path):
    """CNR of one lesion alone, edges that one method lost in two slices."""
    frames = {}
    for name, _ in TITLES:
        other = lesion_frame(name, lesion="2", contrast_retention=np.nan, cnr=np.nan).iloc[:4]
        frames[name] = pd.concat([lesion_frame(name, edge_width_mm=1.5), other], ignore_index=True)
    frames["dull"].loc[:1, "edge_width_mm"] = np.nan
    text = draw(frames, tmp_path)
    assert "| n slices / n lesions | 10 / 2 | 10 / 2 | 6 / 1 | 6 / 1 | 6 / 1 | 0 / 0 |" in text
    assert text.count(" without)") == 1
    assert re.search(r"\| Dull \|.*\| 1\.50 \(2 without\) \|", text)
    values = pd.read_csv(tmp_path / "tables/l.csv").set_index(["method", "measure"])
    assert values.loc[("dull", "edge_width_mm"), ["n_slices", "n_failed"]].tolist() == [4, 2]
    assert values.loc[("ndct", "crop_psnr"), "n_lesions"] == 2


def test_test_set_without_lesions_has_a_report_that_says_so(tmp_path):
    text = draw({name: lesion_frame(name).iloc[:0] for name, _ in TITLES}, tmp_path)
    assert "No annotated lesion lies in the test slices." in text
