"""A made-up finished run with a page, and the page taken apart."""

import base64
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
from repository_files import REPOSITORY

from ldct.cli import main
from ldct.common.provenance import recorded
from ldct.lesions.measures import MEASURES as LESION_MEASURES
from ldct.texture.measure import MEASURES as TEXTURE_MEASURES

REFERENCE = REPOSITORY / "results/reference/demo-quick"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
FIGURES = (
    "fig1_network",
    "fig2_cascade",
    "fig3_lesion",
    "fig4_texture",
    "texture_spectra",
    "loss_curves",
)
VOID = {"meta", "img", "br", "link", "input"}
MINUS = str.maketrans("−", "-")


class Page(HTMLParser):
    """The page as elements [tag, attributes, text]; fails where tags are not balanced."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.elements.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for element in self.open:
            element[2] += data

    def all(self, tag=None, **attributes):
        return [
            (found, text)
            for name, found, text in self.elements
            if tag in (None, name) and attributes.items() <= found.items()
        ]

    def rows(self, id):
        """Texts of the cells of all rows in a section: the first number of each."""
        start = next(n for n, each in enumerate(self.elements) if each[1].get("id") == id)
        rows = []
        for tag, attributes, text in self.elements[start + 1 :]:
            if tag == "section":
                break
            if tag == "tr":
                rows.append([])
            elif tag in ("th", "td") and "colspan" not in attributes:
                rows[-1].append(text.translate(MINUS))
        return {row[0]: row[1:] for row in rows if row}


def made_up_run(folder: Path) -> Path:
    """The reference results in a run's places, and tables that they lack."""
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True)
    for name in ("config.yaml", "claims.json"):
        shutil.copy(REFERENCE / name, folder)
    for name in ("table1.csv", "differences.csv"):
        shutil.copy(REFERENCE / name, folder / "tables")
    generator = np.random.default_rng(2)
    images = [
        ("ndct", "NDCT", "reference"),
        ("ldct", "LDCT", "reference"),
        ("drl", "DRL", "network"),
    ]
    frame = pd.DataFrame(images, columns=["method", "title", "kind"])
    texture = {f"{name}{end}": 0.5 for name in TEXTURE_MEASURES for end in ("", "_lower", "_upper")}
    frame.assign(**texture).to_csv(folder / "tables/texture.csv", index=False)
    curve = pd.DataFrame(
        {"frequency": np.linspace(0.02, 0.7, 20), "power": generator.uniform(1, 1e4, 20)}
    )
    frame.merge(curve, how="cross").to_csv(folder / "figures/texture_nps.csv", index=False)
    lesions = pd.DataFrame(
        [{"method": m, "measure": n} for m, *_ in images for n in LESION_MEASURES]
    )
    numbers = {
        "mean": 1.0,
        "lower": np.nan,
        "upper": np.nan,
        "n_slices": 3,
        "n_lesions": 1,
        "n_failed": 0,
    }
    with recorded([folder / "tables/lesions.csv"], [folder / "config.yaml"], {"notes": ["Noted."]}):
        lesions.assign(**numbers).to_csv(folder / "tables/lesions.csv", index=False)
    stage = {"steps": 450, "batch": 4, "critic_auc": 0.9}
    cost = {
        "methods": {"drl": {"title": "DRL", "parameters": 12}},
        "stages": {"drl": stage},
        "micro": {},
    }
    (folder / "tables/cost.json").write_text(json.dumps(cost))
    for name in FIGURES:
        (folder / f"figures/{name}.png").write_bytes(PIXEL)
    return folder


def page_of(run: Path, *files: str) -> tuple[Page, str]:
    only = ["--results", *(str(run / name) for name in files)] if files else []
    assert main(["front-page", "--run", str(run), *only]) == 0
    text = (run / "index.html").read_text(encoding="utf-8")
    return Page(text), text
