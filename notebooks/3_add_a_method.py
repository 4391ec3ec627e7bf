# %% [markdown]
# # 3. Add a method
#
# Write two functions, look at what they take away, let the suite judge them, put them into a run.
# The idea here is scipy's adaptive Wiener filter: it averages flat places and leaves edges alone.
# `RUN` names a finished run; where it holds no images, tiles of a real scan take their place.

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
from ldct import tune_factor  # as the method's own file does

if not Path("results").is_dir():  # Jupyter starts in notebooks/
    os.chdir("..")
RUN = os.getenv("LDCT_RUN", "results/reference/demo-quick")  # or results/<your run>
run, settings = ldct.open_run(RUN)

# %% [markdown]
# ## The method
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
if (run / "test").is_dir() and settings["train_patients"]:
    trained = Path("data", settings["dataset"]["name"], "volumes", settings["train_patients"][0])
    pairs = []
    for volume in map(ldct.load_volume, (trained, run / "test" / settings["test_patients"][-1])):
        rows = (len(volume.full) * np.linspace(0.2, 0.8, 4)).astype(int)
        pairs += [(volume.quarter[n].astype("float32"), volume.full[n]) for n in rows]
else:
    tiles = np.load("tests/training/tiles_of_lung1.npz")
    pairs = [*zip(tiles["ldct"].astype("float32"), tiles["ndct"], strict=True)]
train, test = pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]
given = {"window": settings["scaling"]["window"], "noise_hu": [5, 10, 15, 20, 30, 50]}
tuned = tune(train, given)
sigma = ldct.tune_blur(train, given | {"sigmas_px": [0.4, 0.6, 0.8, 1.0, 1.3]})["sigma_px"]
rivals = {"Low Dose": np.copy, "Gaussian blur": lambda slice_hu: ldct.blur(slice_hu, sigma)}
rivals["Wiener"] = lambda slice_hu: denoise(slice_hu, tuned)
protocol = ldct.load_protocol(settings["protocol_file"])
means = pd.DataFrame()
for title, rival in rivals.items():
    scores = [ldct.slice_scores(rival(quarter), full, protocol) for quarter, full in test]
    means[title] = pd.DataFrame(scores).mean()
means.T.round(3)

# %% [markdown]
# ## What it takes away
# A mean hides what was lost. What the filter takes away should be noise alone; an edge in the lower
# row is anatomy that no reader will see.

# %%
quarter, full = test[len(test) // 2]
shown = {title: rival(quarter) for title, rival in rivals.items()} | {"NDCT": full}
figure, axes = plt.subplots(2, 4, figsize=(9, 4.8), layout="constrained")
for column, (title, image) in enumerate(shown.items()):
    axes[0, column].imshow(image, "gray", vmin=given["window"][0], vmax=given["window"][1])
    axes[1, column].imshow(quarter - image, "gray", vmin=-60, vmax=60)
    for axis, name in zip(axes[:, column], (title, "LDCT − this"), strict=True):
        axis.set(title=name, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## A folder of its own, judged in seconds
# A method is a folder, anywhere, with a card and here `denoise.py`. `check_method` tries it on odd
# sizes and flat slices: without the padding, "a slice of 40 HU comes back with 17.8 to 40.0 HU".

# %%
folder = Path(tempfile.mkdtemp(prefix="my_wiener_"))
imports = "import numpy as np\nfrom scipy.signal import wiener\n\nfrom ldct import tune_factor\n"
code = [imports, inspect.getsource(denoise), inspect.getsource(tune)]
(folder / "denoise.py").write_text("\n\n".join(code), encoding="utf-8")
card = {"title": "Wiener", "kind": "classical", "in_paper": False, "source": "scipy.signal"}
card |= {"departures": [], "settings": given | {"tuning_slices": 4, "tuning_crop": 192}}
(folder / "method.yaml").write_text(yaml.safe_dump(card))
verdict = ldct.check_method("my_wiener", {"my_wiener": folder}, {}, folder / "work")
print(*(verdict.problems or ["no problem found"]), sep="\n")

# %% [markdown]
# ## Into a run
# With `denoise.py` and `method.yaml` in `~/denoisers/my_wiener` and these lines in `my_run.yaml`,
# `./run.sh --configfile my_run.yaml` makes the new row alone of a run that is finished.

# %%
mine = {"methods": [*settings["methods"], "my_wiener"], "method_paths": ["~/denoisers"]}
print(yaml.safe_dump({"run": settings["run"], **mine}, sort_keys=False, default_flow_style=None))

# %%
# What has to hold.
assert verdict.problems == []
assert 5 < tuned["factor"] < 50  # not at an end of the grid
assert means.loc["psnr", "Wiener"] > means.loc["psnr", "Low Dose"]
assert abs(np.mean(denoise(quarter, tuned) - quarter)) < 1  # HU are kept
