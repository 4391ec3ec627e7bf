# %% [markdown]
# # 3. Add a method
#
# An idea becomes a row of Table I: write two functions, look at what they take away, let the suite
# judge them, put them into a run. The idea here is the adaptive Wiener filter of scipy: it averages
# where the image is flat, and leaves edges alone.
#
# `RUN` names a finished run. The stored results hold no images: there, tiles of a real scan take
# their place.

# %%
import inspect
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from scipy.signal import wiener

import ldct
from ldct import tune_factor

if not Path("results").is_dir():  # Jupyter starts in notebooks/
    os.chdir("..")
RUN = os.getenv("LDCT_RUN", "results/reference/demo-quick")  # or results/<your run>
run, settings = ldct.open_run(RUN)

# %% [markdown]
# ## The method
#
# `denoise` maps a slice in HU to the same shape. `tune` gets pairs of LDCT and NDCT, crops of
# training patients, and returns the parameters; `tune_factor` tries a grid and refines its best.


# %%
def denoise(slice_hu, parameters):
    padded = np.pad(slice_hu, 1, mode="reflect")  # scipy takes what lies outside for 0 HU
    return wiener(padded, 3, parameters["factor"] ** 2)[1:-1, 1:-1].astype("float32")


def tune(pairs, settings):
    def attempt(slice_hu, _, noise_hu):
        return denoise(slice_hu, {"factor": noise_hu})

    return tune_factor(attempt, pairs, settings["noise_hu"], settings["window"])


# %% [markdown]
# ## Tuned on some images, tried on others


# %%
def pairs_of(place: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """LDCT and NDCT of four slices of a volume, away from its ends."""
    volume = ldct.load_volume(place)
    rows = np.linspace(0, len(volume.full) - 1, 6).astype(int)[1:-1]
    return [(volume.quarter[n].astype("float32"), volume.full[n]) for n in rows]


if (run / "test").is_dir() and settings["train_patients"]:
    volumes = Path("data", settings["dataset"]["name"], "volumes")
    train = pairs_of(volumes / settings["train_patients"][0])
    test = pairs_of(run / "test" / settings["test_patients"][-1])
else:
    tiles = np.load("tests/training/tiles_of_lung1.npz")
    pairs = list(zip(tiles["ldct"].astype("float32"), tiles["ndct"], strict=True))
    train, test = pairs[:30], pairs[30:]
given = {"window": settings["scaling"]["window"], "noise_hu": [5, 10, 15, 20, 30, 50]}
tuned = tune(train, given)
blurred = ldct.tune_blur(train, given | {"sigmas_px": [0.4, 0.6, 0.8, 1.0, 1.3]})
rivals = {
    "Low Dose": lambda slice_hu: slice_hu,
    "Gaussian blur": lambda slice_hu: ldct.blur(slice_hu, blurred["sigma_px"]),
    "Wiener": lambda slice_hu: denoise(slice_hu, tuned),
}
protocol = ldct.load_protocol(settings["protocol_file"])
means = {}
for title, rival in rivals.items():
    scores = [ldct.slice_scores(rival(quarter), full, protocol) for quarter, full in test]
    means[title] = pd.DataFrame(scores).mean()
means = pd.DataFrame(means).T
means.round(3)

# %% [markdown]
# ## What it takes away
#
# A mean hides what was lost. What the filter takes away should be noise alone; an edge in the lower
# row is anatomy that no reader will see.

# %%
quarter, full = test[len(test) // 2]
shown = {title: rival(quarter) for title, rival in rivals.items()} | {"NDCT": full}
figure, axes = plt.subplots(2, 4, figsize=(9, 4.8), layout="constrained")
for column, (title, image) in enumerate(shown.items()):
    axes[0, column].imshow(image, "gray", vmin=given["window"][0], vmax=given["window"][1])
    axes[0, column].set_title(title)
    axes[1, column].imshow(quarter - image, "gray", vmin=-60, vmax=60)
axes[1, 1].set_title("LDCT − image, −60 to 60 HU")
for axis in axes.flat:
    axis.set_axis_off()

# %% [markdown]
# ## A folder of its own, judged in seconds
#
# A method is a folder, anywhere, with a card and here `denoise.py`. `check_method` tries it on odd
# sizes and constant slices. Without the padding above it says: "a slice of 40 HU everywhere comes
# back with 17.8 to 40.0 HU".

# %%
folder = Path(tempfile.mkdtemp(), "my_wiener")
folder.mkdir()
head = "import numpy as np\nfrom scipy.signal import wiener\n\nfrom ldct import tune_factor\n\n\n"
(folder / "denoise.py").write_text(head + inspect.getsource(denoise) + inspect.getsource(tune))
card = {
    "title": "Wiener",
    "kind": "classical",
    "in_paper": False,
    "source": "scipy",
    "departures": [],
}
card["settings"] = given | {"tuning_slices": 4, "tuning_crop": 192}
(folder / "method.yaml").write_text(yaml.safe_dump(card))
verdict = ldct.check_method("my_wiener", {"my_wiener": folder}, {}, folder.with_name("work"))
print(verdict)

# %% [markdown]
# ## Into a run
#
# Copy the folder to `~/denoisers`, write these lines into `my_run.yaml`, and start
# `./run.sh --configfile my_run.yaml`: under the name of a finished run, the new row alone is made.

# %%
mine = {"run": settings["run"], "methods": [*settings["methods"], "my_wiener"]}
print(yaml.safe_dump(mine | {"method_paths": ["~/denoisers"]}, sort_keys=False))

# %% What has to hold
assert verdict.problems == []
assert 5 < tuned["factor"] < 50  # not at an end of the grid
assert means.loc["Wiener", "psnr"] > means.loc["Low Dose", "psnr"]
assert abs(np.mean(denoise(quarter, tuned) - quarter)) < 1  # HU are kept
