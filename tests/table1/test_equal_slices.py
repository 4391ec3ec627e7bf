"""Slices that are equal in both doses count for no method, in no table of a run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up_scores import ABDOMEN, WIDE
from made_up_volumes import write_doses
from repository_files import REPOSITORY

from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.controls.table import write_controls
from ldct.metrics.image_quality import measure_predictions
from ldct.metrics.scores import METRICS, notes_of_slices, score_predictions
from ldct.metrics.table import summarise_metrics, write_metrics
from ldct.statistics.uncertainty import paired_difference
from ldct.table1.statistics import summarise
from ldct.table1.tables import write_score_tables

CARDS = {
    "low_dose": {"title": "Low Dose"},
    "bm3d": {"title": "BM3D"},
    "proposed": {"title": "Proposed"},
}
TITLES = {name: card["title"] for name, card in CARDS.items()}
PATIENTS = ("P1", "P2", "P3", "P4")
SETTINGS = {
    "run": "tiny",
    "dataset": {"title": "synthetic", "simulated": True},
    "budget_text": "2 steps",
    "seeds": [0],
    "test": "all",
    "methods": list(CARDS),
    "cards": CARDS,
    "broken": {},
}


def air(generator, shape):
    """Both doses of air: outside the window, and different."""
    return (generator.normal(-900, spread, shape).round() for spread in (10, 20))


# Kind: which slices of P1 become what; what the note says of them.
KINDS = {
    "whole slice": (lambda full, _: (full[[1]] * 0 - 1024,) * 2, [1], "P1 slice 1"),
    "equal tissue": (lambda full, _: (full[[0]],) * 2, [0], "P1 slice 0"),
    "inside the window only": (lambda full, rng: air(rng, full[:3].shape), [0, 1, 3], None),
    "all of a patient": (lambda full, _: (full, full), [0, 1, 2, 3], "P1 all 4 slices"),
}


def score_run(tmp_path, change=None, rows=(), perfect=()):
    """Scores and image quality of three methods on four patients of four slices."""
    generator = np.random.default_rng(0)
    scores, quality = [], []
    for patient in PATIENTS:
        full = generator.normal(40, 60, (4, 48, 48)).round()
        quarter = full + generator.normal(0, 30, full.shape).round()
        if change and patient == "P1":
            full[list(rows)], quarter[list(rows)] = change(full, generator)
        folder = write_doses(tmp_path / patient, full, quarter)
        for method, left in (("low_dose", 1), ("bm3d", 0.6), ("proposed", 0.4)):
            image = (full + left * (quarter - full)).astype(np.float32)
            image += generator.normal(0, left < 1, full.shape).astype(np.float32)
            image[list(perfect)] = full[list(perfect)] if method == "bm3d" else image[list(perfect)]
            np.save(tmp_path / "image.npy", image)
            where = folder, tmp_path / "image.npy"
            score_predictions(*where, [ABDOMEN, WIDE], tmp_path / "own", method, 0)
            scores.append(pd.read_parquet(tmp_path / "own"))
            measure_predictions(*where, ABDOMEN, tmp_path / "own", method, 0)
            quality.append(pd.read_parquet(tmp_path / "own"))
    return pd.concat(scores, ignore_index=True), pd.concat(quality, ignore_index=True)


def write_all(tmp_path, scores, quality):
    """Table I under both protocols, the metrics and the controls, as text by name."""
    published = read_yaml(REPOSITORY / "config/published.yaml")
    margins = {"psnr": 0.1, "ssim": 0.01}
    protocols = [ABDOMEN, WIDE]
    write_score_tables(scores, protocols, published, margins, SETTINGS, 10, tmp_path / "t")
    own = scores[scores["protocol"] == ABDOMEN.name]
    context = {"note": "", "credit": "", "protocol": "", "slices": notes_of_slices(own, TITLES)}
    write_metrics(summarise_metrics(own, quality, {}), TITLES, context, tmp_path / "t/metrics", [])
    tables = {"scores": own, "image_quality": quality}
    write_controls(tables, TITLES, context, tmp_path / "t/controls", [])
    names = ("table1", "metrics", "controls", "wide/table1")
    return {name: (tmp_path / f"t/{name}.md").read_text() for name in names}


@pytest.mark.parametrize("kind", KINDS)
def test_equal_slices_are_left_out_of_every_table_and_named(tmp_path, kind):
    change, rows, place = KINDS[kind]
    scores, quality = score_run(tmp_path, change, rows)
    own = scores[scores["protocol"] == ABDOMEN.name]
    equal = (own["patient"] == "P1") & own["slice_index"].isin(rows)
    assert own[equal][METRICS].isna().all(axis=None) and own[~equal][METRICS].notna().all(axis=None)
    texts = write_all(tmp_path, scores, quality)
    note = f"within the window: {place or 'P1 slices 0 to 1, 3'}."
    for name in ("table1", "metrics", "controls"):
        assert note in texts[name] and "∞" not in texts[name]
    assert (note in texts["wide/table1"]) == (place is not None)

    table = pd.read_csv(tmp_path / "t/table1.csv", index_col="method").loc[list(CARDS)]
    count, patients = 16 - len(rows), 3 if len(rows) == 4 else 4
    assert set(table["n_slices"]) == {count} and set(table["n_patients"]) == {patients}
    assert table["psnr_mark"].dropna().to_dict() == {"proposed": "best"}
    metrics = pd.read_csv(tmp_path / "t/metrics.csv").pivot(index="method", columns="metric")
    controls = pd.read_csv(tmp_path / "t/controls.csv").pivot(index="method", columns="metric")
    differences = pd.read_csv(tmp_path / "t/differences.csv").set_index(["protocol", "metric"])
    assert set(differences.loc[ABDOMEN.name, "n_slices"]) == {count}
    assert differences.loc[ABDOMEN.name, "p_value"].between(0, 0.05).all()
    for metric in METRICS:
        for found in (metrics["estimate"], controls["value"]):
            assert found[metric].loc[list(CARDS)].tolist() == pytest.approx(table[metric].tolist())
        of_claim = paired_difference(own, metric, "low_dose", "proposed").interval.estimate
        both = table.loc[["low_dose", "proposed"], metric]
        assert of_claim == pytest.approx(both["low_dose"] - both["proposed"])
    whole = metrics["n_slices"][[*METRICS, "gmsd", "vif"]]
    assert (whole == count).all(axis=None)


def test_a_method_that_equals_ndct_is_named_and_not_marked(tmp_path):
    scores, quality = score_run(tmp_path, perfect=[2])
    texts = write_all(tmp_path, scores, quality)
    for name in ("table1", "metrics", "wide/table1"):
        assert "BM3D equals NDCT within the window in P1 slice 2; P2 slice 2; P3 " in texts[name]
        assert "Left out" not in texts[name] and "∞" in texts[name]
    table = pd.read_csv(tmp_path / "t/table1.csv", index_col="method")
    assert table["psnr_mark"].dropna().to_dict() == {"proposed": "best"}
    assert set(table.loc[list(CARDS), "n_slices"]) == {16}


def test_a_run_without_any_slice_that_differs_is_one_line(tmp_path):
    scores, quality = score_run(tmp_path, *KINDS["all of a patient"][:2])
    first = scores["patient"] == "P1"
    line = f"scores under protocol {ABDOMEN.name}: both doses are equal within its window in every"
    for make in (
        lambda: summarise(scores[first], ABDOMEN),
        lambda: summarise_metrics(scores[first], quality, {}),
    ):
        with pytest.raises(InputError, match=line):
            make()


def test_pooled_means_leave_equal_slices_out_too(tmp_path):
    scores, _ = score_run(tmp_path, *KINDS["whole slice"][:2])
    found = summarise(scores, replace(ABDOMEN, averaging="pooled"))
    assert np.isfinite(found["psnr"]).all() and set(found["n_slices"]) == {15}
