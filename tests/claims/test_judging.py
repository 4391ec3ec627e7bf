"""Judging needs no PyTorch: tables, claims, figures and page anew from a finished run, without it.

What each verb is called with stands in the records of the run; a Python that refuses to import what
workflow/envs/judging.yml lacks carries them all out again.
"""

import json
import re
import subprocess
import sys

import yaml
from repository_files import REPOSITORY
from rule_files import rules
from workflow_runs import job_environment

from ldct.common.files import sha256_of_file

MODULES = {
    "pytorch": "torch",
    "snakemake-minimal": "snakemake",
    "pynrrd": "nrrd",
    "python-gdcm": "gdcm",
}
CALL = re.compile(r"python -m ldct --log \{log\} ([\w-]+)")
# A finder that comes first: also for processes that the verbs start.
SITE = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)

sys.meta_path.insert(0, Refusing())
"""
PROGRAM = """
import json, sys
from ldct.cli import main

if __name__ == "__main__":
    failed = [call[2] for call in json.loads(sys.argv[1]) if main(call) != 0]
    sys.exit(f"failed: {failed}" if failed else 0)
"""


def names_of(file: str) -> set[str]:
    """Modules that an environment file's packages are imported by."""
    content = yaml.safe_load((REPOSITORY / file).read_text(encoding="utf-8"))
    lines = [line for line in content["dependencies"] if isinstance(line, str)]
    lines += [
        line for each in content["dependencies"] if isinstance(each, dict) for line in each["pip"]
    ]
    packages = {re.split("[=<>]", line)[0] for line in lines} - {"python", "pip"}
    return {MODULES.get(name, name) for name in packages}


def judging_verbs() -> dict[str, str]:
    """Verbs of the rules whose environment is that of judging, to the rules' names."""
    texts = {name: text for name, text in rules().items() if re.search(r"^ *JUDGING$", text, re.M)}
    return {CALL.search(text)[1]: name for name, text in texts.items()}


def test_tables_claims_and_page_are_made_without_pytorch(copy_of_run, tmp_path):
    calls, made = {}, {}
    found = (copy_of_run / "results").rglob("*.provenance.json")
    records = {record: json.loads(record.read_text(encoding="utf-8")) for record in found}
    # As they were made: one reads what another has written.
    for record, told in sorted(records.items(), key=lambda each: each[1]["finished"]):
        words = told["command"][1:]
        if len(words) > 2 and words[2] in judging_verbs():
            calls[words[2]] = words
            made[record.with_name(told["output"])] = told["content"]["sha256"]
    assert {"table1", "claims", "metrics-table", "front-page", "pack-slices"} <= set(calls)
    assert len(calls) > 11 and len(made) > 30
    refused = names_of("environment.yml") - names_of("workflow/envs/judging.yml")
    assert {"torch", "pydicom", "numba", "snakemake"} <= refused
    (tmp_path / "sitecustomize.py").write_text(SITE.format(names=sorted(refused)))
    (tmp_path / "again.py").write_text(PROGRAM)
    for path in made:
        path.unlink()
    done = subprocess.run(
        [sys.executable, str(tmp_path / "again.py"), json.dumps([*calls.values()])],
        cwd=copy_of_run,
        env=job_environment() | {"PYTHONPATH": f"{tmp_path}:{copy_of_run}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path for path in made if not path.is_file()] == []
    texts = {path: sha256 for path, sha256 in made.items() if path.suffix in (".csv", ".tex")}
    assert len(texts) > 8
    assert {path: sha256_of_file(path) for path in texts} == texts
