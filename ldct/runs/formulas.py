"""The columns of all tables, collected: what each is called, its unit, how it is computed."""

from ldct.cost.columns import COST, MICRO
from ldct.detectability.columns import DETECTABILITY
from ldct.lesions.columns import LESION_BENCH
from ldct.metrics.columns import IMAGE_QUALITY, SCORES
from ldct.rendering.columns import Formula
from ldct.texture.columns import TEXTURE

# Table to column to formula. A name without a table means that of the first table that has it.
FORMULAS: dict[str, dict[str, Formula]] = {
    "scores": SCORES,
    "image_quality": IMAGE_QUALITY,
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
    return Formula(column.replace("_", " "), "", 4, "none", "not described")
