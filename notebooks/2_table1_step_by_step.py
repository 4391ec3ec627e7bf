# %% [markdown]
# # 2. Table I, step by step
#
# One PSNR by hand, what the window does to it, and gains over Low Dose beside those of the paper.
# `RUN` names a finished run. Where it holds no images, as the stored results, a tile of a real scan
# and the scores of crops around lesions take the place of slices.

# %%
import os
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import ldct

if not Path("results").is_dir():  # Jupyter starts in notebooks/
    os.chdir("..")
RUN = os.getenv("LDCT_RUN", "results/reference/demo-quick")  # or results/<your run>
run, settings = ldct.open_run(RUN)
whole_run = (run / "test").is_dir()
protocol = ldct.load_protocol(settings["protocol_file"])
print(settings["dataset"]["title"], settings["budget_text"], protocol.describe(), sep="\n")

# %% [markdown]
# ## One PSNR by hand
# The protocol maps its window to [0, 1]. PSNR is the mean squared error there, on a log scale.

# %%
if whole_run:
    volume = ldct.load_volume(run / "test" / settings["test_patients"][-1])
    full, quarter = volume.full[len(volume.full) // 2], volume.quarter[len(volume.full) // 2]
else:
    tiles = np.load("tests/training/tiles_of_lung1.npz")
    full, quarter = tiles["ndct"][0], tiles["ldct"][0]
error = protocol.to_unit(quarter) - protocol.to_unit(full)
psnr = 20 * np.log10(protocol.psnr_range) - 10 * np.log10(np.mean(error**2))
scores = ldct.slice_scores(quarter, full, protocol)
print(f"by hand {psnr:.4f} dB, by the suite {scores['psnr']:.4f} dB, SSIM {scores['ssim']:.4f}")

# %% [markdown]
# ## The same pixels in other windows
# A wider window divides the same error by a larger range: PSNR rises, and no image has changed. So
# PSNR of two papers compares only where their windows are the same.

# %%
widths = np.linspace(200, 4096, 30)
windows = [replace(protocol, window=(40 - width / 2, 40 + width / 2)) for width in widths]
curve = [ldct.slice_scores(quarter, full, each)["psnr"] for each in windows]
figure, axes = plt.subplots(1, 3, figsize=(9, 3), width_ratios=(1, 1, 1.5), layout="constrained")
for axis, image, title in ((axes[0], full, "NDCT"), (axes[1], quarter, "LDCT")):
    axis.imshow(image, "gray", vmin=protocol.window[0], vmax=protocol.window[1])
    axis.set(title=title, xticks=[], yticks=[])
axes[2].plot(widths, curve, color="black")
axes[2].plot(np.ptp(protocol.window), psnr, "o", color="tab:orange", label="this run's window")
axes[2].set(xlabel="width of the window, HU", ylabel="PSNR of LDCT, dB")
axes[2].legend()
plt.show()

# %% [markdown]
# ## From slices to a gain
# Both are compared on the same slices. Slices of one patient look alike: patients are the units.

# %%
table = pd.read_csv((run / "tables" if whole_run else run) / "table1.csv", comment="#")
table = table[table["status"] == "scored"].set_index("method")
if whole_run:
    where = run, settings, "scores", "psnr"
    slices = pd.concat([ldct.read_values(*where, name, protocol.name) for name in table.index])
else:
    names = {title: name for name, title in table["title"].items()} | {"LDCT": "low_dose"}
    slices = pd.read_csv(run / "lesions.csv").assign(seed=0).replace({"method": names})
by_slice = slices.pivot_table(index=["patient", "slice_index"], columns="method", values="psnr")
others = table.index.drop("low_dose")
gains = [ldct.paired_difference(slices, "psnr", each, "low_dose").interval for each in others]
figure, axis = plt.subplots(figsize=(9, 3.4), layout="constrained")
for height, (name, gain) in enumerate(zip(others, gains, strict=True)):
    of_slices = by_slice[name] - by_slice["low_dose"]
    axis.plot(of_slices, np.full(len(of_slices), height), "|", color="grey")
    axis.plot(gain.estimate, height, "o", color="tab:orange")
    axis.hlines(height, gain.lower, gain.upper, color="tab:orange")
axis.set_yticks(range(len(others)), table.loc[others, "title"])
axis.set(xlabel="gain in PSNR over Low Dose, dB (grey: slices; orange: mean, interval)")
axis.invert_yaxis()
plt.show()
print(gains[0].note)  # it takes three patients

# %% [markdown]
# ## The table
# Our gain stands beside the one that the paper prints for its own data.

# %%
columns = ["psnr", "psnr_gain", "published_psnr_gain", "ssim", "ssim_gain", "published_ssim_gain"]
table.set_index("title")[columns].rename_axis(None).round(3).astype(object).fillna("")

# %%
paper = table[table["published_psnr_gain"].notna()]
figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True, layout="constrained")
for axis, metric in zip(axes, ("psnr", "ssim"), strict=True):
    printed, ours = paper[f"published_{metric}_gain"], paper[f"{metric}_gain"]
    axis.hlines(paper["title"], ours, printed, color="lightgrey", linewidth=3)
    axis.plot(printed, paper["title"], "D", color="black", label="the paper")
    axis.plot(ours, paper["title"], "o", color="tab:orange", label="this run")
    axis.set(xlabel=f"gain in {metric.upper()} over Low Dose")
    axis.locator_params(axis="x", nbins=5)
axes[0].invert_yaxis()
axes[1].legend()
plt.show()

# %%
# What has to hold.
assert np.isclose(psnr, scores["psnr"])
for name in ("psnr", "ssim", "published_psnr", "published_ssim"):
    over = (table[name] - table.loc["low_dose", name])[others]
    assert np.allclose(over, table.loc[others, f"{name}_gain"], equal_nan=True)
assert all(np.isfinite(gain.lower) == (gain.n_patients > 2) for gain in gains)
if whole_run and protocol.averaging == "mean_of_slices":
    assert np.allclose(by_slice.mean()[table.index], table["psnr"])
