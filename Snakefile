"""LDCT-Cascade: from DICOM to Table I. `snakemake -n` tells what would be done and why."""

import json
import os
from pathlib import Path

from snakemake.utils import min_version

from ldct.configuration import resolve_run
from ldct.errors import InputError
from snakemake.exceptions import WorkflowError

min_version("9.0")


configfile: Path(workflow.basedir) / "config" / "config.yaml"


REPOSITORY = Path(os.path.relpath(workflow.basedir))
# Rules call `python -m ldct`, from whatever working directory.
os.environ.update(PYTHONPATH=str(workflow.basedir))

try:
    SETTINGS = resolve_run(config, REPOSITORY)
except InputError as error:
    raise WorkflowError(str(error)) from None


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/methods.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        f"{RUN}/config.yaml",
        f"{DATA}/inventory.md",
        expand(f"{RUN}/tables/table1.{{format}}", format=["csv", "md", "tex", "html"]),
        FIGURES,
        f"{RUN}/lesions",
