"""Every measured value has a title and a formula, each table its own."""

import pytest

from ldct.lesions import measures as lesion_measures
from ldct.metrics.tissues import TISSUES
from ldct.runs.formulas import FORMULAS, formula_of
from ldct.runs.tables import BOUNDS_OF_DISCS
from ldct.texture import measure as texture

COLUMNS = {
    "texture": ["n_squares", *texture.MEASURES],
    "lesion_bench": [*lesion_measures.MEASURES, *lesion_measures.FURTHER[:1]],
    "detectability": list(BOUNDS_OF_DISCS),
}


@pytest.mark.parametrize("table", COLUMNS)
def test_every_value_column_of_a_table_is_described_and_nothing_else(table):
    assert set(FORMULAS[table]) == set(COLUMNS[table])


def test_no_entry_is_empty_and_titles_within_a_table_differ():
    for entries in FORMULAS.values():
        for column, entry in entries.items():
            assert entry.title and "_" not in entry.title, column
            assert entry.text, column
        printed = [(entry.title, entry.unit) for entry in entries.values()]
        assert len(set(printed)) == len(printed)


def test_a_name_of_two_tables_means_what_the_table_measures():
    assert formula_of("noise_std_hu") == formula_of("noise_std_hu", "texture")
    assert "spectrum" in formula_of("noise_std_hu").text
    assert "output - NDCT" in formula_of("noise_std_hu", "lesion_bench").text


def test_only_names_of_tissues_are_tissues():
    lower, upper = TISSUES["lung"]
    found = formula_of("lung_bias_hu", "image_quality")
    assert (found.title, found.unit, found.better) == ("bias in lung", "HU", "zero")
    assert f"{lower:g} to {upper:g} HU" in found.text
    for name in ("liver_std_hu", "air_bias_hu"):
        assert formula_of(name, "texture").text == "not described"
