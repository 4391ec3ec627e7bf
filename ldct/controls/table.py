"""Table of the controls: what a blur, a shift or a wrong slice does to each metric."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldct.common.errors import InputError
from ldct.metrics.scores import notes_of_slices, scored
from ldct.rendering.numbers import number, signed, write_tables
from ldct.rendering.page import PlainTable
from ldct.runs.formulas import formula_of

# Metrics of each table; those that a run has not measured are left out.
METRICS = {
    "scores": ["psnr", "ssim", "rmse_hu"],
    "image_quality": [
        *("vif", "gmsd", "lpips"),
        *("soft_tissue_bias_hu", "soft_tissue_slope", "soft_tissue_std_hu"),
    ],
    "texture": ["noise_std_hu", "mean_frequency", "texture_distance", "lattice_ratio"],
    "lesion_bench": ["cnr", "contrast_retention", "crop_psnr", "crop_ssim"],
    "detectability": ["d_prime"],
}
ORACLE, SHUFFLED = "control_oracle", "control_shuffled"
# What a metric of NDCT against itself must be, in every slice.
PERFECT = {"psnr": np.inf, "ssim": 1.0, "rmse_hu": 0.0}
TOLERANCE = 1e-6


def check_scores(scores: pd.DataFrame, low_dose: str) -> None:
    """Raise InputError where the code of PSNR, SSIM or RMSE cannot be right.

    scores : rows of the controls and of the method `low_dose` under one protocol. NDCT itself must
    be perfect in every slice; on average, slices in a wrong place must score below the low dose.
    Values that the protocol leaves undefined (NaN) say nothing.
    """
    oracle = scores[scores["method"] == ORACLE]
    for metric, expected in PERFECT.items():
        wrong = oracle[(oracle[metric] - expected).abs() > TOLERANCE]
        if len(wrong):
            row = wrong.iloc[0]
            raise InputError(
                f"{metric} of {ORACLE}, {row['patient']}, slice {row['slice_index']}: found "
                f"{row[metric]:g}, expected {expected:g} for NDCT against itself; the code of this "
                "metric, or of this control, is wrong"
            )
    means = scored(scores).groupby("method")[["psnr", "ssim"]].mean()
    for metric in means if SHUFFLED in means.index else ():
        found, limit = means.loc[SHUFFLED, metric], means.loc[low_dose, metric]
        if found >= limit:
            raise InputError(
                f"{metric} of {SHUFFLED}: found {found:g}, expected less than {limit:g} of "
                f"{low_dose}, since its slices are in the wrong place; the code of this metric, or "
                "of this control, is wrong"
            )


def mean_values(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean of each metric over the rows of each prediction: columns metric, table, method, value.

    tables : per-slice rows by the name of the table.
    """
    found = []
    for table, rows in tables.items():
        present = [name for name in METRICS[table] if name in rows and rows[name].notna().any()]
        for metric in present:
            means = rows.groupby("method")[metric].mean().rename("value").reset_index()
            found.append(means.assign(metric=metric, table=table))
    return pd.concat(found, ignore_index=True)[["metric", "table", "method", "value"]]


def write_controls(
    tables: Mapping[str, pd.DataFrame],
    titles: Mapping[str, str],
    context: Mapping[str, str],
    stem: Path,
    inputs: Sequence[Path],
) -> None:
    """Write `<stem>.csv` (bare means), `.md` and `.html` with their records.

    tables : as for `mean_values`. titles : prediction to title, the low dose first. context :
    `note` (data and budget), `protocol` and `credit` in words.
    Raises InputError as `check_scores` does, before anything is written.
    """
    low_dose, *controls = titles
    check_scores(tables["scores"], low_dose)
    values = mean_values(tables)
    wide = values.pivot(index=["metric", "table"], columns="method", values="value")
    absolute = [name for name in (ORACLE, SHUFFLED) if name in controls]
    changed = [name for name in controls if name not in absolute]
    rows = []
    for metric, table in values[["metric", "table"]].drop_duplicates().itertuples(index=False):
        means, formula = wide.loc[(metric, table)], formula_of(metric, table)
        cells = [number(means.get(name), formula.digits) for name in (low_dose, *absolute)]
        cells += [
            signed(means.get(name, np.nan) - means[low_dose], formula.digits) for name in changed
        ]
        rows.append([formula.head, *cells])
    heads = [titles[name] for name in (low_dose, *absolute)]
    heads += [f"Δ {titles[name]}" for name in changed]
    notes = [
        "Means over slices. Δ: control minus "
        f"{titles[low_dose]}; a method must gain more than the blur before its gain says anything.",
        *notes_of_slices(tables["scores"]),
        f"Whole image: {context['protocol']}. Data: {context['note']}.",
        context["credit"],
    ]
    table = PlainTable("What each control does to each metric", ["Metric", *heads], rows)
    write_tables(stem, "Controls", [table], values, notes, inputs)
