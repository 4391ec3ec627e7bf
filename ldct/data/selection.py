"""Which slices of a test patient a run scores."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ldct.data.lesions import lesion_slices


def slices_to_score(
    volume_info: Mapping[str, Any], lesions: pd.DataFrame, every: int
) -> tuple[list[int], list[int]]:
    """Rows of a volume that are scored: every `every`-th one, and every one with a lesion.

    volume_info : content of `volume.json`. lesions : rows of `lesions.csv`.
    Returns (rows by the first rule, rows by the second); they may overlap.
    """
    regular = list(range(0, len(volume_info["z_mm"]), every))
    return regular, lesion_slices(lesions, volume_info)
