"""Verbs about the machine and the installed suite."""

import argparse
from pathlib import Path

from ldct.common.arguments import add_overlays
from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    doctor = verbs.add_parser("doctor", help="say what this machine lacks for a run")
    add_overlays(doctor)
    doctor.set_defaults(run=run_doctor)

    snakefile = verbs.add_parser("snakefile", help="print the path of the workflow, for snakemake")
    snakefile.set_defaults(run=lambda _: print(REPOSITORY / "Snakefile"))


def run_doctor(options: argparse.Namespace) -> None:
    """Print a line for each thing that a run needs; InputError where one must be mended."""
    from ldct.configuration.resolve import resolve_run
    from ldct.doctor import machine, run
    from ldct.plan.verbs import merged_configuration

    findings = [*machine.packages(), machine.gpu(), machine.conda()]
    try:
        settings = resolve_run(merged_configuration(options.configfile, options.config), REPOSITORY)
    except InputError as error:
        findings += [machine.Finding("fix", str(error)), *machine.disk(Path(), run.OTHER_MB)]
    else:
        findings += [*machine.disk(Path(), run.needed_mb(settings)), run.data(settings)]
        findings += [*run.weights(settings), *run.methods(settings), *run.budget(settings)]
        findings += run.earlier(settings)
    for finding in findings:
        print(f"{finding.state:4}  {finding.text}")
    to_fix = sum(finding.state == "fix" for finding in findings)
    if to_fix:
        raise InputError(f"doctor: {to_fix} to fix")
