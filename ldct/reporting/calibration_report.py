"""What the protocol solver found, in words, as a table, as JSON and as a protocol file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldct.evaluation.calibration import Calibration
from ldct.evaluation.calibration_tiles import TileCount
from ldct.evaluation.protocol import protocol_text
from ldct.files import write_json, write_text
from ldct.reporting.calibration_sections import (
    NO_SPREAD,
    by_choice,
    count_not_apart,
    counted_slices,
    found_values,
    how_to_read,
    identifiability,
    named_windows,
    not_determined,
    printed_values,
    runners_up,
    tile_text,
)

SIMULATED = "Simulated dose: shows how the solver works, not the paper's protocol."
NO_FIT = "No setting of the grid gives this row: the best one is ruled out as well."


def write_calibration(
    found: Calibration,
    tiles: TileCount | None,
    context: dict[str, Any],
    folder: Path,
    protocol_name: str,
) -> list[Path]:
    """Write calibration.{csv,md,json} and `<protocol_name>.yaml` into a folder.

    context : `title` (the data in words), `patients` (names), `simulated` (bool), `credit` (text).
    Returns the paths.
    """
    table = folder / "calibration.csv"
    write_text(table, found.settings.to_csv(index=False, float_format="%.6g"))
    page = folder / "calibration.md"
    write_text(page, calibration_page(found, tiles, context, protocol_name))
    summary = folder / "calibration.json"
    write_json(summary, calibration_summary(found, tiles, context, protocol_name))
    protocol = folder / f"{protocol_name}.yaml"
    comment = protocol_comment(found, context)
    write_text(protocol, protocol_text(found.best_protocol(protocol_name), comment))
    return [table, page, summary, protocol]


def protocol_comment(found: Calibration, context: dict[str, Any]) -> str:
    """What stands above the winner in its file."""
    best = found.best
    lines = [SIMULATED.upper()] if context["simulated"] else []
    lines += [
        f"Written by `python -m ldct calibrate` for: {printed_values(found)} ({found.row.source}).",
        f"Data: {context['title']}, {counted_slices(found)} of {', '.join(context['patients'])}.",
        f"Gives {found_values(found, best)}: misfit {best['misfit']:.2f} ({best['verdict']}).",
        f"{count_not_apart(found):,} of {len(found.settings):,} settings cannot be told "
        "apart from it.",
        *filter(None, [not_determined(found)]),
    ]
    return "\n".join(lines)


def calibration_page(
    found: Calibration,
    tiles: TileCount | None,
    context: dict[str, Any],
    protocol_name: str,
) -> str:
    """The whole result as Markdown."""
    best = found.best
    parts = ["# Which protocol gives the published Low Dose row?"]
    if context["simulated"]:
        parts.append(f"> **{SIMULATED}** The row below was measured on other images.")
    parts.append(
        f"Published: {printed_values(found)} ({found.row.source}). Scored here: the raw low "
        f"dose of {counted_slices(found)} of {', '.join(context['patients'])} "
        f"({context['title']}), under {len(found.settings):,} settings."
    )
    parts.append("## Best fit")
    parts.append(found.best_protocol(protocol_name).describe() + ".")
    parts.append(
        f"It gives {found_values(found, best)}: misfit {best['misfit']:.2f}, "
        f"**{best['verdict']}**. As a protocol file: `{protocol_name}.yaml`."
    )
    if found.not_determined:
        parts.append(not_determined(found))
    rivals = count_not_apart(found) - 1
    if not found.spread_known:
        parts.append(f"**{NO_SPREAD}**")
    elif rivals and best["verdict"] != "ruled out":
        parts.append(
            f"It is one of {rivals + 1:,} settings that fit as well (below): it is an example of a "
            "protocol that gives this row, not *the* protocol of the row."
        )
    if best["verdict"] == "ruled out":
        parts.append(f"**{NO_FIT}**")
    parts += ["## Runners-up", runners_up(found)]
    parts += ["## What cannot be told apart", identifiability(found)]
    parts += ["## Windows in use", named_windows(found)]
    parts += ["## Every choice by itself", by_choice(found)]
    if tiles is not None:
        parts += ["## Number of training tiles", tile_text(tiles, found)]
    parts += ["## How to read this", how_to_read(found)]
    if context.get("credit"):
        parts.append(context["credit"])
    return "\n\n".join(parts) + "\n"


def calibration_summary(
    found: Calibration, tiles: TileCount | None, context: dict[str, Any], protocol_name: str
) -> dict[str, Any]:
    """The result for other programs: plain data."""
    named = found.best_by(["lower", "upper"])
    named = named[named["used_by"] != ""]
    bounds = tiles.bounds() if tiles is not None else None
    return {
        "data": context["title"],
        "simulated": bool(context["simulated"]),
        "note": SIMULATED if context["simulated"] else "",
        "published": found.row.values,
        "source": found.row.source,
        "n_slices": found.n_slices,
        "patients": list(context["patients"]),
        "same_slices": found.same_slices,
        "spread_known": found.spread_known,
        "misfit_that_fits": found.limit if found.spread_known else None,
        "not_determined": found.not_determined,
        "protocol": protocol_name,
        "describe": found.best_protocol(protocol_name).describe(),
        "best": _plain(found.best),
        "settings": len(found.settings),
        "not_told_apart": count_not_apart(found),
        "named_windows": [_plain(row) for _, row in named.iterrows()],
        "tiles": None
        if tiles is None
        else {
            "published": tiles.published,
            "all": len(tiles.maxima),
            "lower_bound_hu": None if bounds is None else [_finite(bound) for bound in bounds],
        },
    }


def _plain(setting: pd.Series) -> dict[str, Any]:
    """A row of settings for JSON: Python types, None for what is not a number."""
    return {
        name: value if isinstance(value, str) else _plain_number(value)
        for name, value in setting.items()
    }


def _plain_number(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return _finite(float(value))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
