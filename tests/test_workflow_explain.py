"""Every cell of a finished run's tables, walked back: value, formula and all that is behind it."""

from collections.abc import Iterator
from math import isclose
from pathlib import Path

import pandas as pd
import pytest

from ldct.cli import main
from ldct.evaluation.formulas import FORMULAS, formula_of
from ldct.evaluation.run_files import TABLES
from ldct.evaluation.run_tables import values_of
from ldct.explain import explain
from ldct.files import read_json
from ldct.reporting.cost_formats import METHOD_COLUMNS, cost_tables

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("finished_run")]
RESULTS = "results/tiny"
Cell = tuple[str, str, float, float]  # method, metric, value, lower bound


@pytest.fixture(autouse=True)
def in_the_run(finished_run, monkeypatch):
    monkeypatch.chdir(finished_run)


def rows_of(name: str) -> list[dict]:
    return pd.read_csv(f"{RESULTS}/tables/{name}.csv").to_dict("records")


def table1_cells(name: str) -> Iterator[Cell]:
    for row in rows_of(name):
        if row["status"] == "scored":
            for metric in ("psnr", "ssim"):
                yield row["method"], metric, row[metric], row[f"{metric}_lower"]


def metrics_cells() -> Iterator[Cell]:
    for row in rows_of("metrics"):
        yield row["method"], row["metric"], row["estimate"], row["lower"]


def texture_cells() -> Iterator[Cell]:
    for row in rows_of("texture"):
        for name in FORMULAS["texture"]:
            if name in row:
                yield row["method"], f"texture.{name}", row[name], row[f"{name}_lower"]


def lesion_cells() -> Iterator[Cell]:
    for row in rows_of("lesions"):
        yield row["method"], f"lesion_bench.{row['measure']}", row["mean"], row["lower"]


def same(found: float | None, expected: float) -> bool:
    if found is None or pd.isna(found):
        return pd.isna(expected)
    return found == expected or isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12)


def compare(cells: Iterator[Cell], monkeypatch, protocol: str | None = None) -> int:
    """Number of cells, all of which are explained with their value."""
    # Values alone: what is behind them is the same file by file, and another test's.
    monkeypatch.setattr("ldct.explain.trace", lambda *_: [])
    count = 0
    for method, metric, value, lower in cells:
        found = explain("tiny", method, metric, protocol)["value"]
        assert same(found["estimate"], value), (method, metric, found, value)
        if found["estimate"] is not None:
            assert same(found["lower"], lower), (method, metric, found, lower)
        count += 1
    return count


def test_every_value_column_of_every_table_has_a_title_and_a_formula():
    for table, pattern in TABLES.items():
        path = Path(RESULTS, pattern.format(method="proposed", seed=0, patient="L903"))
        columns = values_of(pd.read_parquet(path), table)
        assert columns
        for column in columns:
            formula = formula_of(column, table)
            assert formula.title and formula.text, (table, column)
            assert formula.text != "not described", (table, column)
    for entry in read_json(f"{RESULTS}/tables/cost.json")["methods"].values():
        numbers = [
            key for key, value in entry.items() if value is None or isinstance(value, int | float)
        ]
        assert set(numbers) <= set(FORMULAS["cost"])


@pytest.mark.parametrize("protocol", ["", "tcia_ldct_benchmark", "drl_author"])
def test_cells_of_table_1_are_explained(monkeypatch, protocol):
    cells = table1_cells(f"{protocol}/table1" if protocol else "table1")
    assert compare(cells, monkeypatch, protocol or None) > 10


@pytest.mark.parametrize("cells", [metrics_cells, texture_cells, lesion_cells])
def test_cells_of_tables_are_explained(monkeypatch, cells):
    assert compare(cells(), monkeypatch) > 50


def test_cells_of_discs_are_explained(monkeypatch):
    monkeypatch.setattr("ldct.explain.trace", lambda *_: [])
    keys = ("contrast_hu", "diameter_mm")
    for row in rows_of("detectability"):
        for column, lower in (("d_prime", "lower"), ("change", "change_lower")):
            conditions = explain("tiny", row["method"], column)["value"]["conditions"]
            (found,) = [each for each in conditions if all(each[key] == row[key] for key in keys)]
            assert same(found["value"], row[column]) and same(found["lower"], row[lower])


def test_cells_of_the_cost_are_explained(monkeypatch):
    monkeypatch.setattr("ldct.explain.trace", lambda *_: [])
    content = read_json(f"{RESULTS}/tables/cost.json")
    names = {entry["title"]: name for name, entry in content["methods"].items()}
    shown = {head: (key, show) for key, (head, show) in METHOD_COLUMNS.items()}
    table = cost_tables(content)[0]
    for title, *cells in table.rows:
        for head, text in zip(table.heads[1:], cells, strict=True):
            key, show = shown[head]
            value = explain("tiny", names[title], key)["value"]["estimate"]
            assert text == ("–" if value is None else show(value))


@pytest.mark.parametrize(
    ("metric", "protocol"),
    [
        ("psnr", True),
        ("vif", True),
        ("lesion_bench.noise_std_hu", True),
        ("texture.noise_std_hu", False),
        ("d_prime", False),
        ("inference_seconds_per_slice", False),
    ],
)
def test_all_that_is_behind_a_cell_is_printed(capsys, metric, protocol):
    assert main(["explain", "tiny", "proposed", metric]) == 0
    text = capsys.readouterr().out
    file = "discs" if metric == "d_prime" else "L903"
    for part in (
        f"  prediction      {RESULTS}/predictions/proposed/0/{file}.npy",
        f"  weights         {RESULTS}/models/lsgan/0/weights.safetensors",
        "card methods/proposed/method.yaml: as configured",
        f"{RESULTS}/config.yaml: sha256 ",
        "resolved from config/config.yaml, small.yaml",
        "value made by ldct ",
        "data/lookalike/index.parquet",
        "none changed, none missing",
        f"snakemake --cores all {RESULTS}/",
    ):
        assert part in text, part
    assert ("the protocol's file: as recorded" in text) == protocol
    made = [line for line in text.splitlines() if line.strip().startswith("made 2")]
    assert made and all(" UTC on " in line and ", code " in line for line in made)
