# %% [markdown]
# # 1. Explore the data
#
# A low-dose scan (LDCT) beside the normal-dose scan (NDCT) of the same patient: how the two look,
# which values they hold, how their noise differs. Values are Hounsfield units (HU).
# `RUN` names a finished run. Where it holds no images, a made-up body goes the way of DICOM files.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import ldct

if not Path("results").is_dir():  # Jupyter starts in notebooks/
    os.chdir("..")
RUN = os.getenv("LDCT_RUN", "results/reference/demo-quick")  # or results/<your run>
run, settings = ldct.open_run(RUN)

# %% [markdown]
# ## From DICOM to arrays
# `index_dataset` pairs the slices in a folder of DICOM files, and writes an inventory: what is
# there, what is missing, what is odd. `write_volume` makes two arrays of each patient.


# %%
def made_up_images() -> dict[str, np.ndarray]:
    """HU of a body with fat, soft tissue, two lungs and a spine, in both doses; pixels of 2 mm."""
    y, x = np.meshgrid(*2 * [np.arange(-189, 190, 2)], indexing="ij")
    body = np.full((8, *x.shape), -1000.0)
    parts = [(0, 0, 160, 110, -100), (0, 0, 148, 98, 50), (0, 60, 20, 20, 400)]
    parts += [(side * 72, -25, 48, 48, -850) for side in (-1, 1)]
    for x_mm, y_mm, width, height, hu in parts:
        body[:, np.hypot((x - x_mm) / width, (y - y_mm) / height) < 1] = hu
    noise = np.random.default_rng(0).normal(0, 12, (2, *body.shape))
    return {"full": body + noise[0], "quarter": body + noise[0] + 1.7 * noise[1]}


def made_up_patient(folder: Path) -> tuple[Path, Path]:
    """Write DICOM files of both doses, then read them as any others: volume and inventory."""
    for dose, hu in made_up_images().items():
        scan = ldct.Scan(hu, 3.0 * np.arange(len(hu)), (-189, -189), (2, 2), 3.0, "B30f")
        ldct.write_series(scan, "L001", dose, folder / "dicom/L001")
    asked = {"series": {"thickness_mm": 3, "kernel": "B30"}, "patients": {"L001": {}}}
    index, inventory = folder / "index.parquet", folder / "inventory.md"
    ldct.index_dataset(folder / "dicom", {"title": "a made-up body", **asked}, index, inventory)
    ldct.write_volume(pd.read_parquet(index), folder / "dicom", "L001", "body", folder / "L001")
    return folder / "L001", inventory


if (run / "test").is_dir():
    place = run / "test" / settings["test_patients"][-1]
    inventory = Path("data", settings["dataset"]["name"], "inventory.md")
else:
    place, inventory = made_up_patient(Path(tempfile.mkdtemp()))
print(*(line for line in inventory.read_text().splitlines() if line[:1] == "|"), sep="\n")
volume = ldct.load_volume(place)
images, pixel_mm = {"NDCT": volume.full, "LDCT": volume.quarter}, volume.info["pixel_mm"]
print(f"\n{volume.full.dtype} HU, [slice, row, column] = {volume.full.shape}")

# %% [markdown]
# ## One slice
# The difference is what the lower dose adds: noise, and no anatomy.

# %%
full, quarter = (image[len(image) // 2].astype(float) for image in images.values())
added = quarter - full
panels = [("NDCT", full, -160, 240), ("LDCT", quarter, -160, 240)]
panels += [("LDCT", quarter, -1350, 150), ("LDCT − NDCT", added, -100, 100)]
figure, axes = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
for axis, (name, image, low, high) in zip(axes, panels, strict=True):
    axis.imshow(image, "gray", vmin=low, vmax=high)
    axis.set_title(f"{name}\n{low} to {high} HU")
    axis.set_axis_off()
plt.show()

# %% [markdown]
# ## Which values there are
# Networks see the window of the run; what lies outside it they get as its bound.

# %%
low, high = settings["scaling"]["window"]
figure, axis = plt.subplots(figsize=(9, 3), layout="constrained")
bins, colours = np.arange(-1024, 1000, 8), ["black", "tab:orange"]
values = [image.ravel() for image in images.values()]
axis.hist(values, bins, histtype="step", log=True, color=colours, label=list(images))
axis.axvspan(low, high, color="tab:blue", alpha=0.15, label=f"window [{low}, {high}] HU")
axis.set(xlabel="HU", ylabel="pixels")
axis.legend()
plt.show()
print(f"{np.mean((volume.full < low) | (volume.full > high)):.0%} of the pixels lie outside")

# %% [markdown]
# ## How much noise, and of which kind
# In squares of soft tissue, found by rule: the noise power spectrum over frequency. Its area says
# how much noise there is, its shape how coarse the grain is.

# %%
SIDE, noise_hu = 16, {}
squares = ldct.soft_tissue_squares(volume.full, SIDE, SIDE // 2)[:, :3].astype(int)
figure, axis = plt.subplots(figsize=(9, 3.2), layout="constrained")
for colour, (name, image) in zip(colours, images.items(), strict=True):
    patches = np.stack([image[n, y : y + SIDE, x : x + SIDE] for n, y, x in squares])
    power = ldct.noise_power(patches, pixel_mm).mean(axis=0)
    noise_hu[name] = float(np.sqrt(power.mean() / np.prod(pixel_mm)))
    curve = ldct.radial_profile(power, pixel_mm)
    axis.plot(*curve, "o-", color=colour, label=f"{name}, {noise_hu[name]:.1f} HU")
axis.set(xlabel="frequency, 1/mm", ylabel="noise power, HU² mm²", ylim=(0, None))
axis.legend(title=f"noise in {len(squares)} squares of {SIDE} pixels")
plt.show()

# %%
# What has to hold.
assert volume.full.shape == volume.quarter.shape and volume.full.dtype == np.int16
assert noise_hu["LDCT"] > noise_hu["NDCT"]
assert abs(added.mean()) < 5  # the lower dose shifts no HU
