"""The page: values and drawings set into the template."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ldct.cost.table import cost_tables
from ldct.front_page.curves import spectra
from ldct.front_page.intervals import forest
from ldct.front_page.results import Results
from ldct.front_page.words import cards, claims, facts
from ldct.lesions.table import lesion_table
from ldct.rendering.page import PlainTable, html_table
from ldct.table1.render import notes_of_marks, printed_table
from ldct.table1.tables import STATISTICS
from ldct.texture.table import texture_table
from ldct.viewer.page import viewer_html

HERE = Path(__file__).parent
ADDRESS = re.compile(r"(?:doi:|https://)[^\s;,()]+[^\s;,().]")
# Further pages of a run, which lie beside this one.
FURTHER = {
    "tables/table1.html": "Table I with the gains of each patient",
    "tables/metrics.html": "further metrics",
    "tables/detectability.html": "detectability of discs",
    "tables/controls.html": "controls",
    "calibration/calibration.html": "calibration of the protocol",
    "lesions/index.html": "lesion panels",
}


def front_page(results: Results) -> str:
    """The whole page as HTML: one file that asks for nothing."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"table": _table, "linked": _linked}
    table = results.frame("tables/table1.csv", index_col="method")
    packed = results.path("viewer/slices.json")
    named = (STATISTICS | results.settings.get("statistics", {}))["reference"]
    return environment.get_template("page.html").render(
        run=results.settings["run"],
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        facts=facts(results, table),
        table1=_table1(table),
        forest=forest(results),
        nps=spectra(results, named),
        claims=claims(results),
        lesions=_lesions(results),
        texture=_texture(results),
        cost=_cost(results),
        critics=[] if table is None else _critics(table),
        cards=cards(results),
        credit=results.settings["dataset"].get("credit", results.settings["dataset"]["title"]),
        further={name: what for name, what in FURTHER.items() if results.path(name)},
        viewer=Markup(viewer_html(packed)) if packed else "",
        has=results.path,
        image=results.image,
        record=results.record,
    )


def _table(table: PlainTable) -> Markup:
    return Markup(html_table(table))


def _linked(text: str) -> Markup:
    """Plain text whose DOIs and addresses are links."""

    def link(found: re.Match[str]) -> str:
        return f'<a href="{found[0].replace("doi:", "https://doi.org/")}">{found[0]}</a>'

    return Markup(ADDRESS.sub(link, str(escape(text))))


def _table1(frame: Any) -> Mapping[str, Any] | None:
    if frame is None:
        return None
    table, reasons = printed_table(frame, compare=True)
    return {"table": table, "notes": notes_of_marks(frame, reasons)}


def _critics(frame: Any) -> list[tuple[str, float]]:
    known = frame[frame["critic_auc"].notna()]
    return list(zip(known["title"], known["critic_auc"], strict=True))


def _lesions(results: Results) -> PlainTable | None:
    values = results.frame("tables/lesions.csv")
    if values is None:
        return None
    return lesion_table(values, {name: results.titles[name] for name in values["method"].unique()})


def _texture(results: Results) -> PlainTable | None:
    values = results.frame("tables/texture.csv")
    return None if values is None else texture_table(values)


def _cost(results: Results) -> list[PlainTable]:
    cost = results.json("tables/cost.json")
    return [] if cost is None else cost_tables(cost)
