"""Rules that a method brings: whether they make its predictions, and have what they name."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError

NAME = re.compile(r"^\s*(?:rule|checkpoint)\s+(\w+)\s*:", re.MULTILINE)


def check_names(own: Path, others: Iterable[Path]) -> None:
    """Raise InputError where a method's rules have a name that rules in other files have.

    Looked for before the rules are included: Snakemake would blame the file that comes second.
    """
    names = set(NAME.findall(own.read_text(encoding="utf-8")))
    for file in others:
        taken = names.intersection(NAME.findall(file.read_text(encoding="utf-8")))
        if taken:
            raise InputError(
                f"{own}: found a rule named '{min(taken)}', a name that {file.name} has already; "
                "expected names of its own: rename the rule"
            )


def check_rules(rules: Sequence[Any], outputs: Iterable[str], where: str | Path) -> None:
    """Raise InputError where a method's rules do not make its predictions or lack a file.

    rules : of Snakemake, those of the method alone. outputs : its predictions, one per patient.
    where : their file, for messages.
    """
    for rule in rules:
        environment = str(rule.conda_env or "")
        file = Path(where).parent / environment
        if environment.endswith((".yml", ".yaml")) and not file.is_file():
            raise InputError(
                f"{where}: rule {rule.name}: key 'conda': found no file {file}, expected the "
                "environment of its program; add the file, or leave the key out"
            )
    for output in outputs:
        if not any(rule.is_producer(output) for rule in rules):
            made = ", ".join(str(file) for rule in rules for file in rule.output) or "nothing"
            # Without what the suite lets a wildcard be: {patient,L109|L143}.
            made = re.sub(r"\{(\w+),[^{}]*\}", r"{\1}", made)
            raise InputError(
                f"{where}: no rule makes {output}, which is where predictions are expected; found "
                f"rules that make {made} (methods/README.md, Way 3)"
            )
