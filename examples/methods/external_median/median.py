"""A stand-alone program: python median.py INPUT.npy OUTPUT.npy SIDE."""

import sys

import numpy as np
from scipy.ndimage import median_filter

source, target, side = sys.argv[1:]
slices = np.load(source)
side = int(side)
np.save(target, median_filter(slices, (1, side, side)).astype(np.float32))
