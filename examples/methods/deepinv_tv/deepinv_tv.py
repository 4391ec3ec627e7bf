"""A denoiser of deepinv: python deepinv_tv.py INPUT.npy OUTPUT.npy WEIGHT_HU."""

import sys

import numpy as np
import torch
from deepinv.models import TVDenoiser

source, target, weight = sys.argv[1:]
slices = torch.from_numpy(np.load(source).astype(np.float32))
# A new one for each slice: it goes on from its last answer.
images = [TVDenoiser(n_it_max=200)(image[None, None], float(weight)) for image in slices]
np.save(target, torch.cat(images)[:, 0].numpy())
