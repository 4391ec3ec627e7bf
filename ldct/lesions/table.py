"""Lesion bench as one table: means over the lesion slices."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ldct.common.scaling import OUTSIDE_WINDOW
from ldct.lesions.columns import LESION_BENCH
from ldct.lesions.measures import MEASURES
from ldct.rendering.numbers import counted, with_bounds, write_tables
from ldct.rendering.page import PlainTable
from ldct.statistics.uncertainty import mean_interval


def title_of(measure: str) -> str:
    """Title of a measure with its unit."""
    formula = LESION_BENCH[measure]
    return f"{formula.title} ({formula.unit})" if formula.unit else formula.title


def write_lesion_table(
    values: pd.DataFrame,
    titles: Mapping[str, str],
    notes: Sequence[str],
    stem: Path,
    inputs: Sequence[Path],
) -> None:
    """Write `<stem>.{csv,md,html}`.

    values : `lesion_summary`. titles : method to title, in the order of the rows.
    """
    tables = [lesion_table(values, titles)]
    write_tables(stem, "Annotated lesions", tables, values, notes, inputs)


def lesion_table(values: pd.DataFrame, titles: Mapping[str, str]) -> PlainTable:
    """The table for people; arguments as for `write_lesion_table`."""
    cells = values.set_index(["method", "measure"])
    most = values.groupby("measure")[["n_slices", "n_lesions"]].max()
    rows = [["n slices / n lesions", *("{} / {}".format(*most.loc[each]) for each in MEASURES)]]
    for method, title in titles.items():
        row = [title]
        for measure in MEASURES:
            found = cells.loc[(method, measure)]
            bounds = found["mean"], found["lower"], found["upper"]
            missing = f" ({found['n_failed']:.0f} without)" if found["n_failed"] else ""
            row.append(with_bounds(*bounds, LESION_BENCH[measure].digits) + missing)
        rows.append(row)
    return PlainTable("Mean over lesion slices", ["Method", *map(title_of, MEASURES)], rows)


def lesion_summary(
    frame: pd.DataFrame, titles: Mapping[str, str], confidence: float = 0.95
) -> pd.DataFrame:
    """Mean of every measure over lesion slices and seeds, with its interval over patients.

    frame : rows of the lesion bench. One row per method and measure: method, measure, mean, lower,
    upper, n_slices, n_lesions, n_patients, n_seeds, and n_failed, the lesion slices in which other
    images have the measure and this one has not.
    """
    rows = []
    for measure in MEASURES:
        known = frame[frame["method"].isin(titles) & frame[measure].notna()]
        for method in titles:
            own = known[known["method"] == method]
            slices = _slices(own)
            row = {"method": method, "measure": measure, "n_slices": len(slices)}
            row["n_lesions"] = len({key[:2] for key in slices})
            # NDCT has no noise against itself: nothing failed.
            row["n_failed"] = 0 if method == "ndct" else len(_slices(known) - slices)
            if len(own):
                found = mean_interval(
                    own, measure, confidence=confidence, limits=LESION_BENCH[measure].limits
                )
                row |= {"mean": found.estimate, "lower": found.lower, "upper": found.upper}
                row |= {"n_patients": found.n_patients, "n_seeds": found.n_seeds}
            rows.append(row)
    columns = ["method", "measure", "mean", "lower", "upper"]
    counts = ["n_slices", "n_lesions", "n_patients", "n_seeds", "n_failed"]
    return pd.DataFrame(rows, columns=columns + counts)


def _slices(rows: pd.DataFrame) -> set[tuple[str, str, int]]:
    """Patient, lesion and slice of the rows."""
    return set(zip(rows["patient"], rows["lesion"], rows["slice_index"], strict=True))


def lesion_notes(
    frame: pd.DataFrame,
    values: pd.DataFrame,
    note: str,
    confidence: float = 0.95,
) -> list[str]:
    """What must be known beside the table and the figure: what was measured, and what could not be.

    frame : rows of the lesion bench. values : their `lesion_summary`. note : data, dose, budget.
    """
    measured = frame.drop_duplicates(["patient", "slice_index", "lesion"])
    if measured.empty:
        return [f"{note}. No annotated lesion lies in the test slices."]
    patients = counted(measured["patient"].nunique(), "patient")
    lesions = counted(measured.groupby(["patient", "lesion"]).ngroups, "lesion")
    several = values["lower"].notna().any()
    interval = f"brackets: {100 * confidence:g} % over patients" if several else "no intervals"
    line = f"{counted(len(measured), 'lesion slice')} of {lesions} of {patients}; {interval}."
    equal = measured[measured["note"].str.startswith("equal in both doses")]
    places = [
        f"{row.patient} lesion {row.lesion} slice {row.slice_index}" for row in equal.itertuples()
    ]
    left_out = f"Left out, both doses being equal about them: {', '.join(places)}."
    return [f"{note}.", f"{line} {OUTSIDE_WINDOW}", *([left_out] if places else [])]
