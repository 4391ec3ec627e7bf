"""docs/licences.md: what this suite stands on, by licence. `python scripts/licences.py` writes it.

Licences of packages come from the installed distributions. A package of another platform is not
installed: its line is kept as the page has it.
"""

import csv
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs/licences.md"
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
LONGEST = 40  # characters of a licence's name; a longer field is its text
# What packages say beside an expression of SPDX, in short.
SHORT = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF",
}
UNLOCKED = ("torch", "open", "notebooks", "docs")
HEAD = """\
# Licences

The code of this suite is under the [MIT licence](../LICENSE). It stands on the packages and data
below, of which none lies in the repository. `python scripts/licences.py` makes this page.

## Packages

Those of `requirements.lock`, PyTorch, and those of the extras `open`, `notebooks` and `docs`.

| package | version | licence |
|---|---|---|
"""
DATA = """
## Data and weights

| what | from | licence |
|---|---|---|
"""
GIVEN = [
    ("AAPM Low Dose CT Grand Challenge", "the user, who has it from the AAPM", "as agreed with it"),
    ("LDCT-and-Projection-data", "the user, who has it from TCIA", "as stated there"),
]


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(packages()) + "\n" + DATA + "\n".join(data()) + "\n"


def packages() -> Iterator[str]:
    """A line for each package."""
    before = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    for name, version in sorted(pinned()):
        start = f"| {name} | {version} | "
        kept = re.search(rf"^{re.escape(start)}(.+) \|$", before, re.MULTILINE)
        try:
            licence = licence_of(distribution(name))
        except PackageNotFoundError:
            licence = kept[1] if kept else "not known here"
        yield f"{start}{licence} |"


def pinned() -> set[tuple[str, str]]:
    """Name and version of what the lock names, and of what it leaves out."""
    lock = ENTRY.findall((REPOSITORY / "requirements.lock").read_text(encoding="utf-8"))
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    return {*lock, *(tuple(line.split("==")) for name in UNLOCKED for line in extras[name])}


def licence_of(package: Distribution) -> str:
    """The licence as the package names it: expression, short name, classifiers, or its file."""
    about = package.metadata
    told = " ".join((about.get("License") or "").split())
    classes = [each for each in about.get_all("Classifier") or [] if each.startswith("License ::")]
    names = [SHORT.get(name, name) for name in (each.split(" :: ")[-1] for each in classes)]
    named = about.get("License-Expression") or (told if 0 < len(told) <= LONGEST else "")
    if named or names:
        return SHORT.get(named, named) or " or ".join(names)
    files = [file for file in package.files or [] if file.name.upper().startswith("LICEN")]
    line = files[0].read_text().strip().splitlines()[0] if files else "not known here"
    return SHORT.get(line, line)


def data() -> Iterator[str]:
    """A line for each scan and network that a run may fetch, and for what users bring."""
    for patient, scan, *_, source, licence in table("Demo data"):
        yield f"| {patient}: {scan} | {source} | {licence} |"
    manifest = REPOSITORY / "config/datasets/open_manifest.csv"
    with manifest.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            source = f"{row['collection']}, doi:{row['DOI']}"
            yield f"| {row['patient']} | {source} | {row['licence']} |"
    archive = licence = ""
    for network, given, _ in table("Pretrained weights"):
        found = re.fullmatch(r"(.+) \(.+, (.+)\)", given)
        archive, licence = found.groups() if found else (archive, licence)
        yield f"| weights of {network} | {archive} | {licence} |"
    yield from (f"| {' | '.join(row)} |" for row in GIVEN)


def table(heading: str) -> list[list[str]]:
    """Cells of the table below a heading of docs/data.md, without its head."""
    text = (REPOSITORY / "docs/data.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
