"""Names that the rules share: paths, wildcards, and small functions of the resolved settings."""

import re
import subprocess

from ldct.evaluation.completeness import finished_scores
from ldct.evaluation.run_files import files_of_claims, table_files
from ldct.files import read_yaml
from ldct.torch_build import gpus_of_a_job

DATASET = SETTINGS["dataset"]
DATA = f"data/{DATASET['name']}"
RUN = f"results/{SETTINGS['run']}"
TRAIN_PATIENTS = SETTINGS["train_patients"]
TEST_PATIENTS = SETTINGS["test_patients"]
METHODS = list(SETTINGS["cards"])
CONTROLS = SETTINGS["controls"]
# What is predicted, scored and measured; tables of methods show METHODS alone.
MEASURED = METHODS + CONTROLS
LEARNED = list(SETTINGS["chains"])
IS_DEMO = DATASET["name"] == "demo"
ENVIRONMENT = "../../environment.yml"
VOLUME_FILES = ["full.npy", "quarter.npy", "volume.json"]
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


def code(*patterns):
    """Python files of the suite that make an output: snakemake does not see imports by itself."""
    found = [path for pattern in patterns for path in sorted(REPOSITORY.glob(pattern))]
    return [str(path) for path in found if path.is_file()]


def gpus():
    """GPUs one job asks for."""
    return gpus_of_a_job(SETTINGS["device"])


def as_json(content):
    """One line of JSON, for parameters of rules and arguments of commands."""
    return json.dumps(content, sort_keys=True)


def lesion_source():
    """Where lesions come from, as arguments: the user's list, the demo's reader marks, or nothing."""
    if SETTINGS["lesions_csv"]:
        return ["--neutral-csv", SETTINGS["lesions_csv"]]
    return ["--archives", SETTINGS["demo"]["archives"]] if IS_DEMO else []


def all_cores():
    """Threads of jobs that use any number well and come before everything else."""
    # workflow.cores raises where no job will run (--summary, --report without --cores).
    return workflow.resource_settings.cores or 1


def half_of_cores():
    """Threads of the few wide jobs: two of them side by side fill the machine."""
    return max(1, (workflow.resource_settings.cores or 1) // 2)


SCALING = "--window {} {}{}".format(
    *SETTINGS["scaling"]["window"], " --clip" if SETTINGS["scaling"]["clip"] else ""
)


def method_code(method):
    """Python files of a classical method's folder."""
    return [
        str(path) for path in sorted(Path(SETTINGS["folders"][method]).glob("*.py"))
    ]


def include_rules_of_methods():
    """Include `rules.smk` of external methods; one that is broken is left out, with the reason."""
    for method in [*METHODS]:
        if SETTINGS["cards"][method]["kind"] != "external":
            continue
        rules = Path(SETTINGS["folders"][method], "rules.smk")
        depth = len(workflow.included_stack)
        try:
            # What the keyword does, which cannot stand in a try block.
            workflow.include(str(rules.resolve()))
        except Exception as error:
            del workflow.included_stack[depth:]
            problem = f"{rules}: {type(error).__name__}: {error}"
            METHODS.remove(method)
            MEASURED.remove(method)
            del SETTINGS["cards"][method]
            SETTINGS["broken"][method] = " ".join(problem.split())


CLASSICAL_CODE = code("ldct/denoising/classical.py", "ldct/denoising/block_matching.py")


def all_scores():
    return [
        f"{RUN}/scores/{method}/{seed}/{patient}.parquet"
        for method in METHODS
        for seed in SETTINGS["method_seeds"][method]
        for patient in TEST_PATIENTS
    ]


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


def first_seed(method):
    return SETTINGS["method_seeds"][method][0]


def predictions_of(methods, patients):
    return [
        f"{RUN}/predictions/{method}/{first_seed(method)}/{patient}.npy"
        for patient in patients
        for method in methods
    ]


def predictions_of_all_seeds(patients):
    """Predictions of every method and control, with every seed."""
    return [
        f"{RUN}/predictions/{method}/{seed}/{patient}.npy"
        for method in MEASURED
        for seed in SETTINGS["method_seeds"][method]
        for patient in patients
    ]


def bench_places():
    """Folders of the lesion bench: both references, then every method and control with every seed."""
    return ["ndct/fixed", "ldct/fixed"] + [
        f"{method}/{seed}"
        for method in MEASURED
        for seed in SETTINGS["method_seeds"][method]
    ]


def level_title(model):
    """What figures call one level of a cascade: its method's title, or its network."""
    network = SETTINGS["models"][model]["network"]["name"].upper()
    return SETTINGS["cards"].get(model, {}).get("title", network)


def stage_title(model):
    """What readers call a trained stage: its method's title, and the level within a cascade."""
    cards = SETTINGS["cards"]
    method, _, level = model.rpartition("_level")
    if model in cards or method not in cards:
        return cards.get(model, {}).get("title", model)
    return f"{cards[method]['title']}, level {level}"


def titles(methods):
    """Method to title, in order, for the commands that draw."""
    return as_json([[method, SETTINGS["cards"][method]["title"]] for method in methods])


TABLE_SETTINGS = {
    key: SETTINGS[key]
    for key in (
        "run",
        "dataset",
        "budget_text",
        "seeds",
        "test",
        "methods",
        "cards",
        "broken",
        "scaling",
        "statistics",
    )
    if key in SETTINGS
}


def config_arguments():
    """What configured this run on the command line, so that the same call can be made again."""
    given = workflow.config_settings
    return {
        "configfiles": [os.path.relpath(path) for path in given.configfiles],
        "config": dict(given.config),
    }


CLAIM_SETTINGS = {
    key: SETTINGS[key]
    for key in (
        "run",
        "dataset",
        "budget_text",
        "seeds",
        "test_patients",
        "method_seeds",
        "cards",
        "control_cards",
        "broken",
        "protocol_file",
    )
} | {"image_quality": SETTINGS.get("image_quality", {})}


def measured_for_claims():
    """Files that the claims are judged on, as far as this run makes them."""
    claims = read_yaml(REPOSITORY / "config/claims.yaml")
    return made_by_rules(map(str, files_of_claims(claims, Path(RUN), SETTINGS)))


def table_of_finished_methods():
    """After failed jobs: Table I of the methods that have scores, the others with the reason."""
    scores, failed = finished_scores(SETTINGS, Path(RUN), Path("logs", SETTINGS["run"]))
    if not scores or not os.path.isfile(f"{DATA}/tiles.npy"):
        return
    folder = Path(RUN, "tables")
    command = [sys.executable, "-m", "ldct"]
    command += ["--log", f"logs/{SETTINGS['run']}/table1.log", "table1"]
    command += ["--scores", *scores, "--tiles", f"{DATA}/tiles.npy"]
    command += ["--protocols", *SETTINGS["protocol_files"]]
    command += ["--published", REPOSITORY / "config/published.yaml"]
    command += ["--settings", as_json({**TABLE_SETTINGS, "failed": failed})]
    subprocess.run([*command, "--output", folder], check=True)
    for path in [Path(file) for file in SCORE_TABLES if os.path.isfile(file)]:
        # Older than every input, so that the next run makes the table anew.
        os.utime(path, (0, 0))
    print(f"{folder}: Table I without {', '.join(failed)}", file=sys.stderr)
