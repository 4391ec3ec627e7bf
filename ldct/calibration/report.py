"""The settings nearest to a published Low Dose row: a page, a table and a protocol file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ldct.calibration.solve import SCALES, Grid
from ldct.common.files import write_text
from ldct.common.provenance import recorded
from ldct.metrics.protocol import protocol_text
from ldct.rendering.numbers import number, write_tables
from ldct.rendering.page import PlainTable

SIMULATED = "Simulated dose: this says nothing about the paper's protocol."
SHOWN = 10
NEAR = 10  # times the scales: 1 dB and 0.01
HEADS = [
    *("Rank", "Window, HU", "Clipped", "PSNR range", "SSIM", "SSIM range", "Averaging"),
    *("PSNR, dB", "off by", "SSIM", "off by", "Distance", "Window used by"),
]


def write_calibration(
    settings: pd.DataFrame,
    grid: Grid,
    words: Mapping[str, str],
    simulated: bool,
    protocol: Path,
    inputs: Sequence[Path],
) -> None:
    """Write calibration.{csv,md,html} and, beside them, the nearest setting as a protocol file.

    settings : as `by_distance` gives them. words : `row`, the published values and where they
        are printed; `data`, what was scored. protocol : path of the protocol file; its stem is the
        protocol's name. inputs : files for the provenance records.
    """
    table = PlainTable(
        f"The {min(SHOWN, len(settings))} nearest of {len(settings)} settings",
        HEADS,
        [_cells(setting) for _, setting in settings.head(SHOWN).iterrows()],
        words=[len(HEADS) - 1],
    )
    notes = [
        SIMULATED if simulated else "",
        f"Raw low dose of {words['data']}. Distance: PSNR off / {SCALES['psnr']:g} dB + SSIM off / "
        f"{SCALES['ssim']:g}. Ranges in window widths. Settings of one rank have equal numbers.",
        ruled_out(settings),
    ]
    title = f"Which protocol gives {words['row']}?"
    write_tables(protocol.with_name("calibration"), title, [table], settings, notes, inputs)
    best = settings.iloc[0]
    comment = [
        *([SIMULATED] if simulated else []),
        f"Written by `python -m ldct calibrate` for {words['row']}.",
        f"Nearest of {len(settings)} settings on {words['data']}:",
        f"PSNR {best['psnr']:.4f} dB, SSIM {best['ssim']:.4f}, distance {best['distance']:.2f}; "
        f"{(settings['rank'] == 1).sum() - 1} others have equal numbers.",
    ]
    winner = replace(grid.protocols[best.name], name=protocol.stem)
    with recorded([protocol], inputs, words):
        write_text(protocol, protocol_text(winner, comment))


def ruled_out(settings: pd.DataFrame) -> str:
    """One paragraph: how many settings (by distance) come near, and which choices never do."""
    off = settings[[f"{name}_off" for name in SCALES]].abs()
    near = off.le([NEAR * scale for scale in SCALES.values()]).all(axis=1)
    choices = {
        "window": settings.apply(_window, axis=1),
        "clipping": settings["clip"].map({True: "yes", False: "no"}),
        "PSNR range": settings["psnr_range"].map("{:g}".format),
        "SSIM": settings["ssim_window"] + " over " + settings["ssim_range"],
        "averaging": settings["averaging"].str.replace("_", " "),
    }
    never = {name: values[~values.isin(values[near])] for name, values in choices.items()}
    # Where nothing comes near, every choice would be listed: the windows say enough.
    if not near.any():
        never = {"window": never["window"]}
    parts = [
        f"{name} {values[place]} ({psnr:.1f} dB, {ssim:.3f})"
        for name, values in never.items()
        for place, psnr, ssim in off.loc[values.drop_duplicates().index].itertuples()
    ]
    return (
        f"Of {len(settings)} settings {near.sum()} come within {NEAR * SCALES['psnr']:g} dB and "
        f"{NEAR * SCALES['ssim']:g} of the row. Ruled out, with how far the nearest setting "
        f"stays off: {', '.join(parts) or 'nothing'}."
    )


def _window(setting: pd.Series) -> str:
    return f"[{setting['lower']:g}, {setting['upper']:g}]"


def _cells(setting: pd.Series) -> list[str]:
    return [
        str(setting["rank"]),
        _window(setting),
        "yes" if setting["clip"] else "no",
        f"{setting['psnr_range']:g}",
        *setting[["ssim_window", "ssim_range", "averaging"]],
        *(number(setting[name], 4) for name in ("psnr", "psnr_off", "ssim", "ssim_off")),
        number(setting["distance"], 2),
        setting["used_by"],
    ]
