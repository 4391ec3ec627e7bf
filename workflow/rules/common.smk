"""Names that the rules share: paths, wildcards, and small functions of the resolved settings."""

import re
from functools import cache

from ldct.common.files import read_json
from ldct.common.provenance import of_no_machine
from ldct.configuration.code_behind import PACKAGE as INSTALLED
from ldct.configuration.code_behind import code_behind
from ldct.data.dicom.listing import digests

# Of a checkout or of a wheel; relative where it lies below the working directory.
PACKAGE = Path(os.path.relpath(INSTALLED))
DATASET = SETTINGS["dataset"]
# Trained models that the run takes in place of trainings, or None.
WEIGHTS = SETTINGS["weights"]
DATA = f"data/{DATASET['folder']}"
RUN = f"results/{SETTINGS['run']}"
LOGS = f"logs/{SETTINGS['run']}"
TRAIN_PATIENTS = SETTINGS["train_patients"]
TEST_PATIENTS = SETTINGS["test_patients"]
METHODS = list(SETTINGS["cards"])
CONTROLS = SETTINGS["controls"]
# What is predicted, scored and measured; tables of methods show METHODS alone.
MEASURED = METHODS + CONTROLS
# Public scans that rules write into SCANS: out of the demo's archives, or fetched by SeriesInstanceUID.
HAS_MANIFEST = "manifest" in DATASET
IS_PUBLIC = DATASET["name"] == "demo" or HAS_MANIFEST
SCANS = DATASET["root"] if HAS_MANIFEST else f"{DATA}/dicom"
ARCHIVED = [
    name for name, own in DATASET["patients"].items() if IS_PUBLIC and "origin" in own
]
FETCHED = [
    name for name in DATASET["patients"] if HAS_MANIFEST and name not in ARCHIVED
]
ENVIRONMENT = "../../environment.yml"
JUDGING = "../envs/judging.yml"  # of rules that need no PyTorch
FIGURE_NOTE = f"{DATASET['title']}; {SETTINGS['budget_text']}"
CREDIT = DATASET.get("credit", f"{DATASET['title']}.")
config.update(
    simulated=DATASET["simulated"], credit=CREDIT
)  # for captions of the report
# What the run is for: files of rules add the results that `snakemake` without a target makes.
RESULTS = []


def methods_of_kind(*kinds):
    """Names of the run's methods of the given kinds; a name that matches nothing if there are none."""
    names = [name for name, card in SETTINGS["cards"].items() if card["kind"] in kinds]
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    method="|".join(map(re.escape, MEASURED)),
    model="|".join(map(re.escape, SETTINGS["models"])) or "(?!)",
    # "discs": crops with inserted discs, a patient to all methods (detectability.smk).
    patient="|".join([*map(re.escape, DATASET["patients"]), "discs"]),
    seed=r"\d+|fixed",
    # A training's folder: its fold, where the run has folds, and its seed.
    fold="|".join(SETTINGS["folds"]) or "(?:)",


def volume_files(folder):
    """Files of one patient's volume, or of those of its slices that are scored."""
    return [f"{folder}/{name}" for name in ("full.npy", "quarter.npy", "volume.json")]


TEST_FOLDERS = [f"{RUN}/test/{patient}" for patient in TEST_PATIENTS]
TEST_FILES = [file for folder in TEST_FOLDERS for file in volume_files(folder)]
TEST_VOLUMES = [f"{DATA}/volumes/{patient}" for patient in TEST_PATIENTS]
# Which tiles are for training depends on the run where it has folds.
TILES = f"{DATA if '' in SETTINGS['folds'] else RUN}/{{fold}}tiles.npy"
ALL_TILES = [] if WEIGHTS else expand(TILES, fold=SETTINGS["folds"])


def train_folders(wildcards):
    """Volumes of the training patients of a fold."""
    patients = SETTINGS["folds"][wildcards.fold]["train"]
    return [f"{DATA}/volumes/{patient}" for patient in patients]


def train_files(wildcards):
    return [
        file for folder in train_folders(wildcards) for file in volume_files(folder)
    ]


def fold_tested_on(patient):
    """The fold whose trainings have not seen a patient."""
    folds = SETTINGS["folds"].items()
    return next((name for name, split in folds if patient in split["test"]), "")


def as_json(content):
    """One line of JSON, for parameters of rules and arguments of commands.

    Braces within texts are escaped: Snakemake would take them for wildcards.
    """
    text = json.dumps(content, sort_keys=True)
    return re.sub(r'\{(?!["}])', r"\\u007b", text)


@cache
def listing():
    """What the DICOM folder holds, in short; where it is not there any more, as it was indexed."""
    record = Path(f"{DATA}/index.parquet.provenance.json")
    if Path(DATASET["root"]).is_dir():
        return digests(DATASET["root"], DATASET["patients"])
    return read_json(record)["settings"].get("listing", {}) if record.is_file() else {}


def files_of(patient):
    """The listing, or a patient's part of it; a word, since `:q` drops an empty text."""
    return "made here" if IS_PUBLIC else listing().get(patient, "unknown")


# Of the description: what is only told of the data, or read by fetch_open alone.
UNREAD = {"credit", "simulated", "manifest", "source", "folder", "left_out"}


def described(*left_out, **changes):
    """The description of the data set but for what is only told of it."""
    told = {key: DATASET[key] for key in DATASET.keys() - UNREAD}
    told |= changes
    return as_json({key: told[key] for key in told if key not in left_out})


def description_of_patient(wildcards):
    """What one patient's volume depends on in the description."""
    entry = DATASET["patients"][wildcards.patient]
    own = {
        key: entry[key]
        for key in entry.keys() - {"split", "slices", "lidc_xml", "apart"}
    }
    return described("title", patients={wildcards.patient: own})


def index_of(wildcards):
    """The index; ancient where it is made anew for other patients' files alone.

    Snakemake does not look at a job's own reasons where an input is made anew, but at the records.
    """
    index = f"{DATA}/index.parquet"
    record = Path(f"{DATA}/volumes/{wildcards.patient}/volume.json.provenance.json")
    if IS_PUBLIC or not record.is_file():
        return index
    made = read_json(record)["settings"]
    same = made.get("files") == files_of(wildcards.patient)
    told = of_no_machine(json.loads(description_of_patient(wildcards)))
    same &= of_no_machine(made.get("description")) == told
    return ancient(index) if same else index


def chosen(*keys):
    """Those of the run's settings that a table is made with."""
    return {key: SETTINGS[key] for key in keys if key in SETTINGS}


def in_report(file, caption, category, **how):
    """A file that `snakemake --report` shows, with its caption."""
    return report(file, caption=f"../report/{caption}.rst", category=category, **how)


def table(name, category, caption="", formats=("csv", "md", "tex")):
    """Output files of one table, by format."""
    page = in_report(f"{RUN}/tables/{name}.html", caption or name, category)
    return {key: f"{RUN}/tables/{name}.{key}" for key in formats} | {"html": page}


def figure(name, category, caption=""):
    """Output files of one figure, by format."""
    image = in_report(f"{RUN}/figures/{name}.png", caption or name, category)
    return {"png": image, "pdf": f"{RUN}/figures/{name}.pdf"}


def all_cores():
    """Threads of jobs that use any number well and come before everything else."""
    # workflow.cores raises where no job will run (--summary, --report without --cores).
    return workflow.resource_settings.cores or 1


def half_of_cores():
    """Threads of the few wide jobs: two of them side by side fill the machine."""
    return max(1, (workflow.resource_settings.cores or 1) // 2)


def per_attempt(amount):
    """Memory of a job, more of it where it is tried again (`--retries`)."""
    return lambda wildcards, attempt: amount * attempt


def interval_options():
    """Confidence of all intervals of the run."""
    given = SETTINGS.get("statistics", {})
    return {key: given[key] for key in ("confidence",) if key in given}


def titles(methods):
    """Method to title, in order, for the commands that draw."""
    cards = {**SETTINGS["cards"], **SETTINGS["control_cards"]}
    return [[method, cards[method]["title"]] for method in methods]
