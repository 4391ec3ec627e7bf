"""Names that the rules share: paths, wildcards, and small functions of the resolved settings."""

import re

from ldct.code_behind import code_behind
from ldct.evaluation.run_files import table_files
from ldct.files import read_yaml

DATASET = SETTINGS["dataset"]
DATA = f"data/{DATASET['name']}"
RUN = f"results/{SETTINGS['run']}"
LOGS = f"logs/{SETTINGS['run']}"
TRAIN_PATIENTS = SETTINGS["train_patients"]
TEST_PATIENTS = SETTINGS["test_patients"]
METHODS = list(SETTINGS["cards"])
CONTROLS = SETTINGS["controls"]
# What is predicted, scored and measured; tables of methods show METHODS alone.
MEASURED = METHODS + CONTROLS
IS_DEMO = DATASET["name"] == "demo"
ENVIRONMENT = "../../environment.yml"
FIGURE_NOTE = f"{DATASET['title']}; {SETTINGS['budget_text']}"
CREDIT = DATASET.get("credit", f"{DATASET['title']}.")
# What the run is for: files of rules add the results that `snakemake` without a target makes.
RESULTS = []


def methods_of_kind(*kinds):
    """Names of the run's methods of the given kinds; a name that matches nothing if there are none."""
    names = [name for name, card in SETTINGS["cards"].items() if card["kind"] in kinds]
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    method="|".join(map(re.escape, MEASURED)),
    model="|".join(map(re.escape, SETTINGS["models"])) or "(?!)",
    # "discs": crops with inserted discs, a patient to all methods (lesion_bench.smk).
    patient="|".join([*map(re.escape, DATASET["patients"]), "discs"]),
    seed=r"\d+|fixed",


def volume_files(folder):
    """Files of one patient's volume, or of those of its slices that are scored."""
    return [f"{folder}/{name}" for name in ("full.npy", "quarter.npy", "volume.json")]


TEST_FOLDERS = [f"{RUN}/test/{patient}" for patient in TEST_PATIENTS]
TEST_FILES = [file for folder in TEST_FOLDERS for file in volume_files(folder)]
TEST_VOLUMES = [f"{DATA}/volumes/{patient}" for patient in TEST_PATIENTS]
TRAIN_FOLDERS = [f"{DATA}/volumes/{patient}" for patient in TRAIN_PATIENTS]
TRAIN_FILES = [file for folder in TRAIN_FOLDERS for file in volume_files(folder)]


def as_json(content):
    """One line of JSON, for parameters of rules and arguments of commands."""
    return json.dumps(content, sort_keys=True)


def chosen(*keys):
    """Those of the run's settings that a table is made with."""
    return {key: SETTINGS[key] for key in keys if key in SETTINGS}


def in_report(file, caption, category, **how):
    """A file that `snakemake --report` shows, with its caption."""
    return report(file, caption=f"../report/{caption}.rst", category=category, **how)


def table(name, category, caption="", formats=("csv", "md")):
    """Output files of one table, by format."""
    page = in_report(f"{RUN}/tables/{name}.html", caption or name, category)
    return {key: f"{RUN}/tables/{name}.{key}" for key in formats} | {"html": page}


def figure(name, category, caption=""):
    """Output files of one figure, by format."""
    image = in_report(f"{RUN}/figures/{name}.png", caption or name, category)
    return {"png": image, "pdf": f"{RUN}/figures/{name}.pdf"}


def lesion_source():
    """Where lesions come from, as arguments: the user's list, the demo's reader marks, or nothing."""
    if SETTINGS["lesions_csv"]:
        return ["--neutral-csv", SETTINGS["lesions_csv"]]
    return ["--archives", SETTINGS["demo"]["archives"]] if IS_DEMO else []


def half_of_cores():
    """Threads of the few wide jobs: two of them side by side fill the machine."""
    return max(1, (workflow.resource_settings.cores or 1) // 2)


def tables_of(table, methods):
    """Files of one kind of per-slice table (scores, image_quality, ...), those of all seeds."""
    return [
        str(file)
        for method in methods
        for file in table_files(Path(RUN), SETTINGS, table, method)
    ]


def made_by_rules(files):
    """Those of `files` that some rule makes; to be asked when all rules are known."""
    return [
        file for file in files if any(rule.is_producer(file) for rule in workflow.rules)
    ]


def interval_options():
    """Confidence and resamples of all intervals of the run."""
    given = SETTINGS.get("statistics", {})
    return {key: given[key] for key in ("confidence", "resamples") if key in given}


def predictions_of(methods, patients, every_seed=True):
    """Prediction files of methods, of their first seed or of every one."""
    return [
        f"{RUN}/predictions/{method}/{seed}/{patient}.npy"
        for patient in patients
        for method in methods
        for seed in SETTINGS["method_seeds"][method][: None if every_seed else 1]
    ]


def bench_places():
    """Folders of the lesion bench: both references, then every method and control with every seed."""
    return ["ndct/fixed", "ldct/fixed"] + [
        f"{method}/{seed}"
        for method in MEASURED
        for seed in SETTINGS["method_seeds"][method]
    ]


def stage_title(model):
    """What readers call a trained stage: its method's title, and the level within a cascade."""
    cards = SETTINGS["cards"]
    method, _, level = model.rpartition("_level")
    if model in cards or method not in cards:
        return cards.get(model, {}).get("title", model)
    return f"{cards[method]['title']}, level {level}"


def titles(methods):
    """Method to title, in order, for the commands that draw."""
    cards = {**SETTINGS["cards"], **SETTINGS["control_cards"]}
    return [[method, cards[method]["title"]] for method in methods]
