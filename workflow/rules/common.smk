"""Names that the rules share: paths, wildcards, and small functions of the resolved settings."""

import re
import shutil
import subprocess

from ldct.evaluation.completeness import finished_scores
from ldct.stages import network_files, perceptual_network

DATASET = SETTINGS["dataset"]
DATA = f"data/{DATASET['name']}"
RUN = f"results/{SETTINGS['run']}"
TRAIN_PATIENTS = SETTINGS["train_patients"]
TEST_PATIENTS = SETTINGS["test_patients"]
METHODS = list(SETTINGS["cards"])
LEARNED = list(SETTINGS["chains"])
IS_DEMO = DATASET["name"] == "demo"
ENVIRONMENT = "../../environment.yml"
VOLUME_FILES = ["full.npy", "quarter.npy", "volume.json"]


def methods_of_kind(*kinds):
    """Names of the run's methods of the given kinds; a name that matches nothing if there are none."""
    names = [name for name, card in SETTINGS["cards"].items() if card["kind"] in kinds]
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    method="|".join(map(re.escape, METHODS)),
    model="|".join(map(re.escape, SETTINGS["models"])) or "(?!)",
    patient="|".join(map(re.escape, DATASET["patients"])),
    seed=r"\d+|fixed",


def code(*patterns):
    """Python files of the suite that make an output: snakemake does not see imports by itself."""
    found = [path for pattern in patterns for path in sorted(REPOSITORY.glob(pattern))]
    return [str(path) for path in found if path.is_file()]


def gpus():
    """GPUs one job asks for: 1 where networks may run on one, else 0."""
    if SETTINGS["device"] == "cpu":
        return 0
    return 1 if SETTINGS["device"] == "cuda" or shutil.which("nvidia-smi") else 0


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


def stage_of(wildcards):
    return as_json(SETTINGS["models"][wildcards.model])


def upstream_of(model):
    return SETTINGS["models"][model]["upstream"]


def levels(models):
    """What is needed to apply trained models one after the other."""
    keys = ("model", "network", "target", "inputs")
    return as_json(
        [{key: SETTINGS["models"][name][key] for key in keys} for name in models]
    )


def weights_of(models, seed):
    return [f"{RUN}/models/{model}/{seed}/weights.safetensors" for model in models]


def perceptual_weights(model):
    """Weights behind a model's perceptual loss: the published ones, or the user's own."""
    network = perceptual_network(SETTINGS["models"], model)
    if network is None:
        return []
    own = (SETTINGS.get("perceptual_weights") or {}).get(network)
    return f"{RUN if own else 'data'}/weights/{network}.safetensors"


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


def first_seed(method):
    return SETTINGS["method_seeds"][method][0]


def predictions_of(methods, patients):
    return [
        f"{RUN}/predictions/{method}/{first_seed(method)}/{patient}.npy"
        for patient in patients
        for method in methods
    ]


def level_title(model):
    """What figures call one level of a cascade: its method's title, or its network."""
    network = SETTINGS["models"][model]["network"]["name"].upper()
    return SETTINGS["cards"].get(model, {}).get("title", network)


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
    )
}


def table_of_finished_methods():
    """After failed jobs: Table I of the methods that have scores, the others with the reason."""
    scores, failed = finished_scores(SETTINGS, Path(RUN), Path("logs", SETTINGS["run"]))
    if not scores or not os.path.isfile(f"{DATA}/tiles.npy"):
        return
    folder = Path(RUN, "tables")
    command = [sys.executable, "-m", "ldct"]
    command += ["--log", f"logs/{SETTINGS['run']}/table1.log", "table1"]
    command += ["--scores", *scores, "--tiles", f"{DATA}/tiles.npy"]
    command += ["--protocol", SETTINGS["protocol_file"]]
    command += ["--published", REPOSITORY / "config/published.yaml"]
    command += ["--settings", as_json({**TABLE_SETTINGS, "failed": failed})]
    subprocess.run([*command, "--output", folder], check=True)
    for path in folder.glob("table1.*"):
        # Older than every input, so that the next run makes the table anew.
        os.utime(path, (0, 0))
    print(f"{folder}: Table I without {', '.join(failed)}", file=sys.stderr)
