# %% [markdown]
# # 4. Read the claims
#
# The suite tests forty sentences of the paper, each by an interval and a margin that was fixed before.
# Here: how many hold, by how much, what one verdict rests on, and what would settle the open ones.
#
# `RUN` names a finished run.

# %%
import json
import os
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import ldct

if not Path("results").is_dir():  # Jupyter starts in notebooks/
    os.chdir("..")
RUN = os.getenv("LDCT_RUN", "results/reference/demo-quick")  # or results/<your run>
run, settings = ldct.open_run(RUN)
ledger = json.loads((run / "claims.json").read_text())
claims = pd.DataFrame(ledger["claims"]).set_index("id")
print(ledger["source"], ledger["context"]["dataset"], ledger["context"]["budget"], sep="\n")

# %% [markdown]
# ## How many hold
#
# The first four verdicts are answers. The others say why there is none: a short training cannot
# contradict a sentence about a long one.

# %%
COLOURS = {
    "supported": "#009E73",
    "contradicted": "#D55E00",
    "practically equal": "#56B4E9",
    "undecided": "#E69F00",
    "not judged at this budget": "#BBBBBB",
    "not testable": "#999999",
    "depends on the reading": "#CC79A7",
    "not measured": "#DDDDDD",
}
counts = pd.crosstab(claims["heading"], claims["verdict"]).reindex(
    columns=list(COLOURS), fill_value=0
)
counts = counts.loc[claims["heading"].unique(), counts.any()]
figure, axis = plt.subplots(figsize=(9, 0.5 * len(counts) + 1.2), layout="constrained")
counts.index = [fill(heading, 40) for heading in counts.index]
counts.plot.barh(stacked=True, ax=axis, color=[COLOURS[name] for name in counts], width=0.7)
axis.invert_yaxis()
axis.set(xlabel="sentences", ylabel="")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))

# %% [markdown]
# ## By how much
#
# Metrics have different units; the margin, the smallest difference that counts, is the common
# measure. Right of the grey band the sentence holds, left of it the opposite does, and within it
# the two methods are practically equal. A bar is an interval over patients, from three patients on.


# %%
def in_margins(comparison: dict) -> dict:
    """A difference and its interval over patients, in margins, positive on the claimed side."""
    sign = 1 if comparison["better"] == "higher" else -1
    tests = [test for test in comparison["tests"] if test["unit"] == "patients"]
    bounds = (tests[0]["lower"], tests[0]["upper"]) if tests else (np.nan, np.nan)
    values = [comparison["estimate"], *bounds]
    value, *ends = (sign * (each - comparison["bound"]) / comparison["margin"] for each in values)
    return {"value": value, "lower": min(ends), "upper": max(ends)}


weakest = {}
for name, claim in claims.iterrows():
    parts = [
        in_margins(each)
        for each in claim["comparisons"]
        if each["margin"] and each["form"] == "difference"
    ]
    parts.sort(key=lambda part: part["value"])
    if parts:  # what speaks most against the claim; of "second best" the second of these
        weakest[name] = parts[min(claim["rank"], len(parts)) - 1]
effects = pd.DataFrame(weakest).T.join(claims[["statement", "verdict"]])
figure, axis = plt.subplots(figsize=(9, 0.24 * len(effects) + 1), layout="constrained")
axis.axvspan(-1, 1, color="#EEEEEE")
axis.axvline(0, color="black", linewidth=0.8)
for height, effect in enumerate(effects.itertuples()):
    axis.hlines(height, effect.lower, effect.upper, color=COLOURS[effect.verdict], linewidth=2)
    axis.plot(effect.value, height, "o", color=COLOURS[effect.verdict], markeredgecolor="black")
axis.set_yticks(range(len(effects)), effects["statement"], fontsize=8)
axis.invert_yaxis()
axis.set_xscale("symlog", linthresh=2)
axis.set(xlabel="against the sentence  ←  difference in margins  →  for the sentence")

# %% [markdown]
# ## One sentence, unfolded
#
# What the paper says, how it is read, and every number behind the verdict.

# %%
NAME = "best_ssim" if "best_ssim" in claims.index else claims.index[0]
claim = claims.loc[NAME]
print(f"“{claim['quotation']}” {claim['place']}", f"Read as: {claim['reading']}", sep="\n")
print(f"{claim['verdict']}: {claim['reason']}; rests on {claim['scope']}")
pd.DataFrame(claim["comparisons"])[
    ["metric", "method", "reference", "estimate", "margin", "outcome"]
]

# %% [markdown]
# ## What would settle the open ones
#
# Three or more test patients give an interval; the paper's number of steps lets a network be judged.
# `config/paper.yaml` with `config/crossval.yaml` has both.

# %%
unanswered = claims[~claims["verdict"].isin(list(COLOURS)[:3])]
unanswered.groupby(["verdict", "reason"]).size().rename("sentences").reset_index()

# %% [markdown]
# ## What has to hold

# %%
assert set(claims["verdict"]) <= set(COLOURS)
assert claims["verdict"].value_counts().to_dict() == {
    k: n for k, n in ledger["counts"].items() if n
}
assert all(check["state"] != "failed" for check in ledger["checks"])  # else the run is broken
tables = run / "tables" if (run / "tables").is_dir() else run
differences = pd.read_csv(tables / "differences.csv", comment="#")
differences = differences[differences["protocol"] == settings["protocol_names"][0]]
known = differences.set_index(["metric", "method", "reference"])["estimate"]
both = [
    (-each["estimate"], known[each["metric"], each["reference"], each["method"]])
    for comparisons in claims["comparisons"]
    for each in comparisons
    if (each["metric"], each["reference"], each["method"]) in known.index
]
assert len(both) > 0 and np.allclose(*zip(*both, strict=True))
