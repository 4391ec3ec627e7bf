"""Pages: links lead somewhere, what they name exists, what they show is so, and they stay short."""

import csv
import importlib.util
import re
import subprocess
import sys

import pytest
from repository_files import REPOSITORY
from workflow_runs import job_environment

from ldct.cli import main
from ldct.common.files import read_yaml

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "methods/*.md", "config/*.md", "results/**/*.md")
    for path in REPOSITORY.glob(pattern)
)
FILE = re.compile(
    r"`((?:ldct|config|methods|benchmarks|workflow|tests|results/reference)/[\w/.-]+)`"
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(text: str) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_between_pages_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        found = page.parent / target if target else page
        assert found.exists(), f"{target} of {page.name}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_files_that_pages_name_exist():
    for page in [page for page in PAGES if page.name != "CHANGELOG.md"]:
        for name in FILE.findall(page.read_text(encoding="utf-8")):
            assert (REPOSITORY / name).exists(), f"{name} of {page.name}"


def test_readme_shows_the_reference_results():
    """Six rows: PSNR with the gain over Low Dose, and the published gain."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = [line.strip("| ").split(" | ") for line in readme.splitlines() if line.startswith("| ")]
    with (REPOSITORY / "results/reference/demo-quick/table1.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["in_paper"] == "True"]
    assert len(rows) == 6
    for row in rows:
        (line,) = [cells for cells in shown if cells[0] == row["title"]]
        gain, published = (
            f"{float(row[key]):+.2f}" if row[key] else ""
            for key in ("psnr_gain", "published_psnr_gain")
        )
        expected = f"{float(row['psnr']):.2f}" + (f" ({gain})" if gain else "")
        assert [expected, published] == [*line[1:], ""][:2]


def test_commands_that_pages_show_print_what_they_show(capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("COLUMNS", "80")
    page = (REPOSITORY / "docs/results.md").read_text(encoding="utf-8")
    shown = re.search(r"```console\n\$ ldct (table reference.*?)\n(.*?)```", page, re.DOTALL)
    assert main(shown[1].split()) == 0
    assert capsys.readouterr().out == shown[2]


def test_pages_are_short():
    words = {page: len(page.read_text(encoding="utf-8").split()) for page in PAGES}
    assert words[REPOSITORY / "README.md"] <= 900
    # But for a table that scripts/licences.py makes.
    docs = [page for page in PAGES if page.parent.name == "docs" and page.stem != "licences"]
    assert sum(words[page] for page in [*docs, REPOSITORY / "README.md"]) <= 16_000


def keys_without(schema: dict, above: str = "") -> list[str]:
    """Keys of a run's configuration of which the schema does not say what they mean."""
    found = []
    for key, entry in schema.get("properties", {}).items():
        inner = keys_without(entry, f"{above}{key}.")
        found += inner if "title" in entry or "properties" in entry else [f"{above}{key}", *inner]
    return found


@pytest.mark.parametrize("name", ["config", "protocol"])
def test_every_key_says_what_it_means(name):
    assert keys_without(read_yaml(REPOSITORY / f"workflow/schemas/{name}.schema.yaml")) == []


@pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="mkdocs not installed")
def test_site_is_built_without_a_warning(tmp_path):
    """Its reference is made from the schemas and the parsers."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=job_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for page, shown in (
        ("configuration", "<code>scaling.<wbr>window</code>"),
        ("commands", "check-method"),
        ("card", "<code>recipe.<wbr>learning_rate</code>"),
        ("index", "runs a paper on low-dose CT"),
    ):
        file = tmp_path / ("index.html" if page == "index" else f"{page}/index.html")
        assert shown in file.read_text(encoding="utf-8")
