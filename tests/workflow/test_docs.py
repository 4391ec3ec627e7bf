"""Pages: every link between them leads somewhere, and what they name exists."""

import re

import pytest
from repository_files import REPOSITORY

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
