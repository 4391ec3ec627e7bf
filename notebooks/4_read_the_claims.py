# %% [markdown]
# # 4. Read the claims
#
# The suite tests forty sentences of the paper, each by an interval and by a margin fixed before.
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
ledger = json.loads((run / "claims.json").read_text(encoding="utf-8"))
pd.set_option("display.max_colwidth", None)
claims = pd.DataFrame(ledger["claims"]).set_index("id")
print(ledger["source"], ledger["context"]["dataset"], ledger["context"]["budget"], sep="\n")

# %% [markdown]
# ## How many hold
# Three verdicts are answers. The others say why there is none: a short training, say, cannot
# contradict a sentence about a long one.

# %%
answers = {"supported": "#009E73", "contradicted": "#D55E00", "practically equal": "#56B4E9"}
no_answer = {"undecided": "#E69F00", "depends on the reading": "#CC79A7", "not testable": "#777777"}
no_answer |= {"not judged at this budget": "#AAAAAA", "not measured": "#DDDDDD"}
colours = answers | no_answer
counts = pd.crosstab(claims["heading"], claims["verdict"])
counts = counts.reindex(index=claims["heading"].unique(), columns=[*colours]).dropna(axis="columns")
counts.index = [fill(heading, 44) for heading in counts.index]
axis = counts.plot.barh(stacked=True, color=colours, width=0.7, figsize=(10, 3.2))
axis.invert_yaxis()
axis.set(xlabel="sentences", ylabel="")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# ## By how much
# Metrics have different units; what they share is the margin, the smallest difference that counts.
# Right of the grey band a sentence holds, left of it the opposite does, and within it both methods
# are practically equal. Of several numbers the one that speaks most against the sentence is shown.
# A line is the interval over patients; it takes three of them.

# %%
numbers = [{**claim, **each} for claim in ledger["claims"] for each in claim["comparisons"]]
numbers = pd.DataFrame(numbers)
numbers = numbers[(numbers["form"] == "difference") & numbers["margin"].notna()]
over_patients = [
    next((test for test in tests if test["unit"] == "patients"), {}) for tests in numbers["tests"]
]
ends = pd.DataFrame(over_patients, columns=["lower", "upper"], index=numbers.index)
ends["value"] = numbers["estimate"]
sign = numbers["better"].map({"higher": 1, "lower": -1})
in_margins = ends.sub(numbers["bound"], axis="index").mul(sign / numbers["margin"], axis="index")
numbers = numbers.join(in_margins)
place = numbers.groupby("id")["value"].rank(method="first")
shown = numbers[place == numbers["rank"]]  # rank 2: of "second best" the second
figure, axis = plt.subplots(figsize=(10, 0.24 * len(shown) + 1), layout="constrained")
axis.axvspan(-1, 1, color="#EEEEEE")
for height, each in enumerate(shown.itertuples()):
    colour = colours[each.verdict]
    axis.hlines(height, each.lower, each.upper, color=colour, linewidth=2)
    axis.plot(each.value, height, "o", color=colour, markeredgecolor="black")
axis.set_yticks(range(len(shown)), shown["statement"])
axis.invert_yaxis()
axis.set_xscale("symlog", linthresh=2)
axis.set_xticks([-10, -1, 0, 1, 10], ["−10", "−1", "0", "1", "10"])
axis.set(xlabel="against the sentence  ←  difference, in margins  →  for the sentence")
plt.show()

# %% [markdown]
# ## One sentence, unfolded
# What the paper says, how it is read, and every number behind the verdict.

# %%
claim = claims.iloc[0]
print(f"“{claim['quotation']}” {claim['place']}\nRead as: {claim['reading']}")
print(f"{claim['verdict']}: {claim['reason']}. Rests on {claim['scope']}.")
parts = ["metric", "method", "reference", "estimate", "margin", "outcome"]
pd.DataFrame(claim["comparisons"], columns=parts).round(4)

# %% [markdown]
# ## What would settle the open ones
# Three test patients give an interval, and the paper's number of steps lets a network be judged:
# `config/paper.yaml` with `config/crossval.yaml` has both.

# %%
open_ones = claims[claims["verdict"].isin([*no_answer])].fillna({"reason": ""})
open_ones.groupby(["verdict", "reason"]).size().rename("sentences").reset_index()

# %%
# What has to hold.
assert claims["verdict"].isin([*colours]).all()
assert claims["verdict"].value_counts().to_dict() == {
    k: n for k, n in ledger["counts"].items() if n
}
assert all(check["state"] != "failed" for check in ledger["checks"])  # else the run is broken
tables = run / "tables" if (run / "tables").is_dir() else run
differences = pd.read_csv(tables / "differences.csv", comment="#")
differences = differences[differences["protocol"] == settings["protocol_names"][0]]
keys = ["metric", "method", "reference"]
swapped = differences.rename(columns={"method": "reference", "reference": "method"})
both = numbers.merge(swapped, on=keys, suffixes=("", "_table"))
assert len(both) > 0 and np.allclose(both["estimate"], -both["estimate_table"])
