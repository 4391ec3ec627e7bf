"""The rules of the workflow as text."""

import re

from repository_files import REPOSITORY

RULE_FILES = sorted((REPOSITORY / "workflow/rules").glob("*.smk"))


def rules() -> dict[str, str]:
    """Rule name to its text, for every rule of the workflow."""
    found = {}
    for file in RULE_FILES:
        parts = re.split(r"^ *rule (\w+):\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        found.update(zip(parts[1::2], parts[2::2], strict=True))
    return found
