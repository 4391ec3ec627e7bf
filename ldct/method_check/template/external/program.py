"""A program of any kind: python program.py INPUT.npy OUTPUT.npy.

INPUT holds int16 HU [slice, row, column]; OUTPUT must hold float32 HU of the same shape.
"""

import sys

import numpy as np
from scipy.ndimage import median_filter

source, target = sys.argv[1:]
np.save(target, median_filter(np.load(source), (1, 3, 3)).astype(np.float32))
