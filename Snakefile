"""LDCT-Cascade: from DICOM to Table I. `snakemake -n` tells what would be done and why."""

import json
import os
import re
import sys
from pathlib import Path
from shutil import which

from snakemake.utils import min_version

from ldct.configuration.paths import check_source
from ldct.configuration.resolve import resolve_run
from ldct.configuration.seal import plan_of, seal, seal_text
from ldct.configuration.registry import foreign_code
from ldct.runs.version import upgrade_text
from ldct.common.errors import InputError, problem_of
from ldct.common.held_files import check_room, release_stale_lock
from ldct.common.provenance import HOST_SWITCH

min_version("9.0")


configfile: Path(workflow.basedir) / "config" / "config.yaml"


REPOSITORY = Path(os.path.relpath(workflow.basedir))
# Rules call `python -m ldct`: of this interpreter, from whatever working directory.
PYTHONPATH = [str(workflow.basedir), *filter(None, [os.getenv("PYTHONPATH")])]
PROGRAMS = [str(Path(sys.executable).parent), os.getenv("PATH", os.defpath)]
os.environ.update(
    PYTHONPATH=os.pathsep.join(PYTHONPATH), PATH=os.pathsep.join(PROGRAMS)
)

# Then packages are those of its environments, not of this Python.
DEPLOYMENT = workflow.deployment_settings
BY_CONDA = any(method.name == "CONDA" for method in DEPLOYMENT.deployment_method)
if BY_CONDA and not DEPLOYMENT.conda_base_path and which("conda") is None:
    raise SystemExit(
        "error: --use-conda: found no conda on PATH, expected conda 24.7.1 or newer: install it "
        "(Miniforge), or leave --use-conda out: ./run.sh needs none"
    )

if (config.get("provenance") or {}).get("host"):
    os.environ[HOST_SWITCH] = "1"

try:
    if workflow.is_main_process:
        STATE = Path(".snakemake")
        # Held until this process ends: after SIGKILL or a power cut the next call needs no --unlock.
        ALIVE = release_stale_lock(STATE, unlock="--unlock" in sys.argv)
        if not any(re.match("-[a-z]*n|--dry-?run", word) for word in sys.argv):
            check_room(STATE)
    SETTINGS = resolve_run(config, REPOSITORY, jobs_run_here=not BY_CONDA)
    check_source(
        SETTINGS["dataset"],
        Path("data", SETTINGS["dataset"]["folder"], "index.parquet"),
    )
    if SETTINGS["sealed"]:
        SEALED = Path("results", SETTINGS["run"]), plan_of(SETTINGS, REPOSITORY)
        SETTINGS["budget_text"] += seal_text(*SEALED)
    NEWS = upgrade_text(Path("results", SETTINGS["run"]))
except (InputError, OSError) as error:
    raise SystemExit(f"error: {problem_of(error)}") from None


include: "workflow/rules/common.smk"
include: "workflow/rules/stages.smk"
include: "workflow/rules/results.smk"


include_rules_of_methods()
if WEIGHTS and WEIGHTS["changed"]:
    print(
        f"warning: {WEIGHTS['folder']}: changed since these models were trained: "
        f"{', '.join(WEIGHTS['changed'])}",
        file=sys.stderr,
    )
if NEWS and workflow.is_main_process:
    print(NEWS, file=sys.stderr)
if (
    FOREIGN := foreign_code(SETTINGS, REPOSITORY / "methods")
) and workflow.is_main_process:
    print(
        f"code from outside the suite will run: {', '.join(FOREIGN)}", file=sys.stderr
    )
for name, problem in SETTINGS["broken"].items():
    print(f"warning: {name} is left out: {problem}", file=sys.stderr)
if not TEST_PATIENTS:
    print("warning: no test patient: volumes are made, no table", file=sys.stderr)


include: "workflow/rules/configuration.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrained.smk"


if WEIGHTS:

    include: "workflow/rules/weights.smk"

else:

    include: "workflow/rules/training.smk"


include: "workflow/rules/denoising.smk"
include: "workflow/rules/controls.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/table1.smk"
include: "workflow/rules/calibration.smk"
include: "workflow/rules/texture.smk"
include: "workflow/rules/lesions.smk"
include: "workflow/rules/detectability.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/viewer.smk"
include: "workflow/rules/cost.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/front_page.smk"
include: "workflow/rules/notebooks.smk"


# On a cluster these run where snakemake does: they take seconds, or need the internet.
# The keyword would warn of those that this run does without.
LOCAL = "front_page save_configuration controls_table metrics_table table1 texture_report cost"
LOCAL += " judge_claims take_weights take_parameters"
NAMES = [each.name for each in workflow.rules]
workflow.localrules(
    *[name for name in NAMES if name in LOCAL.split()],
    *[name for name in NAMES if name.startswith(("draw_", "fetch_"))],
)


onstart:
    if SETTINGS["sealed"]:
        seal(*SEALED)  # before any score is made
    announce_time_and_place()


report: "workflow/report/workflow.rst"


onerror:
    if workflow.execution_settings.keep_going:
        table_of_finished_methods()


rule all:
    default_target: True
    input:
        f"{RUN}/config.yaml",
        f"{DATA}/inventory.md",
        RESULTS if TEST_PATIENTS else PATIENT_FILES,
