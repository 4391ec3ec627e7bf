"""Rows of score files with given values, and the protocols that they belong to."""

from dataclasses import replace

import numpy as np
import pandas as pd
from repository_files import REPOSITORY

from ldct.metrics.protocol import load_protocol

ABDOMEN = load_protocol(REPOSITORY / "config/protocols/abdomen.yaml")
WIDE = replace(ABDOMEN, name="wide", window=(-1024.0, 3071.0))
POOLED = replace(ABDOMEN, name="pooled", averaging="pooled")


def score_rows(psnr, method="drl", protocol=ABDOMEN, ssim=None) -> pd.DataFrame:
    """Score rows of an array of PSNR [seed, patient, slice], with the RMSE that belongs to it.

    ssim : of the same shape, or a hundredth of the PSNR.
    """
    psnr = np.asarray(psnr, float)
    seed, patient, index = (axis.ravel() for axis in np.indices(psnr.shape))
    return pd.DataFrame(
        {
            "method": method,
            "seed": seed,
            "patient": [f"L{number}" for number in patient],
            "slice_index": index,
            "z_mm": 1.0 * index,
            "protocol": protocol.name,
            "psnr": psnr.ravel(),
            "ssim": (psnr / 100 if ssim is None else ssim).ravel(),
            "rmse_hu": protocol.scaling.width * 10 ** (-psnr.ravel() / 20),
        }
    )
