"""What each measured value is called, its unit, and how it is computed, in words for people."""

from ldct.evaluation.formula_entries import (
    COST,
    DETECTABILITY,
    ERROR_SHAPE,
    FULL_REFERENCE,
    LESION_BENCH,
    MICRO,
    OF_TISSUES,
    SCORES,
    TEXTURE,
    Formula,
)
from ldct.evaluation.tissues import NEIGHBOURHOOD_PX, TISSUES


def _of_tissue(tissue: str, formula: Formula) -> Formula:
    lower, upper = TISSUES[tissue]
    where = (
        f"{formula.text}; the smoothed NDCT of all {NEIGHBOURHOOD_PX} x {NEIGHBOURHOOD_PX} pixels "
        f"about is {lower:g} to {upper:g} HU; the protocol's window plays no part"
    )
    name = tissue.replace("_", " ")
    return Formula(f"{formula.title} in {name}", formula.unit, formula.digits, where)


# Table to column to formula. A name without a table means that of the first table that has it.
FORMULAS: dict[str, dict[str, Formula]] = {
    "scores": SCORES,
    "image_quality": FULL_REFERENCE
    | ERROR_SHAPE
    | {
        f"{tissue}_{measure}": _of_tissue(tissue, formula)
        for tissue in TISSUES
        for measure, formula in OF_TISSUES.items()
    },
    "texture": TEXTURE,
    "lesion_bench": LESION_BENCH,
    "detectability": DETECTABILITY,
    "cost": COST,
    "micro": MICRO,
}


def formula_of(column: str, table: str | None = None) -> Formula:
    """Formula of a table's column; without `table` that of the first table that has the column.

    A column without an entry keeps its name as title, and the text says that it is not described.
    """
    for name in FORMULAS if table is None else [table]:
        if column in FORMULAS.get(name, {}):
            return FORMULAS[name][column]
    return Formula(column.replace("_", " "), "", 4, "not described")
