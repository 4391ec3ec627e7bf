"""The page that shows a run: its numbers are those of the files, and it needs nothing else."""

import json
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import yaml
from front_pages import FIGURES, REFERENCE, made_up_run, page_of
from repository_files import REPOSITORY

from ldct.common.provenance import record_path
from ldct.front_page.intervals import claim_drawing, group_of

STYLE = (REPOSITORY / "ldct/front_page/style.css").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_up_run(tmp_path_factory.mktemp("results") / "demo")


@pytest.fixture(scope="module")
def page(run):
    return page_of(run)[0]


def test_table_is_table1_csv(page):
    rows, table = page.rows("table1"), pd.read_csv(REFERENCE / "table1.csv")
    assert len(table) >= 9
    for row in table.to_dict("records"):
        names = (("psnr", 2), ("psnr_gain", 2), ("published_psnr", 2), ("published_psnr_gain", 2))
        names += tuple((name.replace("psnr", "ssim"), 3) for name, _ in names)
        for cell, (name, digits) in zip(rows[row["title"]], names, strict=True):
            if pd.isna(row[name]):
                assert cell == "–"
            else:
                assert float(re.match(r"[+-]?[\d.]+", cell)[0]) == round(row[name], digits)


def test_forest_is_differences_csv_with_the_sign_turned(page):
    rows, table = page.rows("forest"), pd.read_csv(REFERENCE / "differences.csv")
    titles = pd.read_csv(REFERENCE / "table1.csv", index_col="method")["title"]
    assert set(rows) >= {"LSGAN", "DRL", "DRLP", "CCNN-PL", "DRL → DRL"} and "BM3D" not in rows
    for (metric, method), own in table.groupby(["metric", "method"]):
        if metric != "rmse_hu" and titles[method] in rows:
            column, digits = {"psnr": (0, 2), "ssim": (1, 3)}[metric]
            sign, number = rows[titles[method]][column].split()
            assert sign == "?" and float(number) == round(-own["estimate"].iat[0], digits) + 0


def test_every_claim_has_its_line_with_verdict_quotation_and_reading(page):
    claims = json.loads((REFERENCE / "claims.json").read_text())["claims"]
    lines = page.all("details", **{"class": "claim"})
    assert len(lines) == len(claims) == 40
    for claim, (attributes, text) in zip(claims, lines, strict=True):
        assert attributes["id"] == f"claim-{claim['id']}"
        for key in ("statement", "verdict", "quotation", "place", "reading"):
            assert claim[key] in text


def test_it_asks_for_nothing_and_its_links_lead_somewhere(run, page):
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    credits = [attributes.get("id") for _, attributes, _ in page.elements].index("credits")
    for place, (tag, attributes, _) in enumerate(page.elements):
        assert tag not in ("link", "script", "iframe", "object", "form")
        assert attributes.get("src", "data:image/png;").startswith("data:image/png;")
        target = attributes.get("href", "#main")
        if target.startswith("#"):
            assert target[1:] in ids
        elif place < credits or not target.startswith("https://"):
            assert (run / target).is_file(), target
    assert "url(" not in STYLE and "@import" not in STYLE
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0][0]["content"]
    assert policy.startswith("default-src 'none'")
    assert (run / "index.html").stat().st_size < 15e6 and record_path(run / "index.html").is_file()


def test_it_can_be_read_without_eyes_and_with_a_keyboard(page):
    assert page.all("html")[0][0]["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("main", "header", "footer", "h1")] == [1, 1, 1, 1]
    assert page.all("a")[0][0] == {"class": "skip", "href": "#main"}
    levels = [int(tag[1]) for tag, *_ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.all("img")) == len(FIGURES)
    assert all(len(attributes["alt"].split()) > 4 for attributes, _ in page.all("img"))
    for attributes, _ in page.all("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]
    for attributes, _ in page.all("div", **{"class": "wide"}):
        assert attributes["tabindex"] == "0" and attributes["aria-label"]
    captions = page.all(None, **{"class": "caption"}) + page.all("figcaption")
    assert captions and all(len(text.split()) <= 40 for _, text in captions)


def test_where_numbers_come_from_is_one_click_away(page):
    lesions = next(text for _, text in page.all("details") if "lesions.csv" in text)
    assert "Noted." in lesions and "config.yaml" in lesions and "sha256" in lesions


@pytest.mark.parametrize("files", [["config.yaml"], ["config.yaml", "tables/table1.csv"]])
def test_a_run_without_further_results_has_a_shorter_page(run, files):
    """What lies in the folder, but is not of the run, is not shown."""
    page, _ = page_of(run, *files)
    ids = {attributes.get("id") for _, attributes, _ in page.elements}
    assert ids.isdisjoint(
        {"claims", "lesions", "texture", "cost", "curves", "forest", "nps", "fig3"}
    )
    assert {"facts", "methods", "credits"} <= ids and ("table1" in ids) == (len(files) > 1)


def test_text_of_users_is_escaped(tmp_path):
    run = made_up_run(tmp_path / "demo")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["dataset"]["title"] = settings["cards"]["drl"]["title"] = (
        "<script>alert(1)</script> & 'x'"
    )
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    page, text = page_of(run)
    assert page.all("script") == [] and "<script" not in text
    assert any("<script>alert(1)</script> & 'x'" in text for _, text in page.all("dd"))


def test_parts_and_baselines_are_told_apart_by_their_stages():
    settings = yaml.safe_load((REFERENCE / "config.yaml").read_text())
    found = {name: group_of(name, "proposed", settings) for name in settings["cards"]}
    assert {name for name in found if found[name] == "its parts"} == {"lsgan", "drl"}
    assert {name for name in found if found[name] == "perceptual loss"} == {"drlp", "ccnn_pl"}
    assert {name for name in found if found[name] == "supervised alone"} == {"fc_aide", "drl_drl"}
    assert found["bm3d"] is found["low_dose"] is None


def comparison(**changes):
    plain = {"better": "higher", "form": "difference", "bound": 0.0, "margin": 0.2, "tests": []}
    return plain | {"estimate": 0.2} | changes


def test_a_claim_is_drawn_in_margins_and_for_it_is_right():
    plain = claim_drawing(comparison())
    assert plain["dot"] == pytest.approx(sum(plain["band"])) and plain["zero"] == 50
    assert claim_drawing(comparison(better="lower"))["dot"] == pytest.approx(plain["band"][0])
    ratio = comparison(form="ratio", bound=1.0, estimate=1.2)
    assert claim_drawing(ratio)["dot"] == pytest.approx(plain["dot"])
    assert claim_drawing(ratio | {"estimate": 1 / 1.2})["dot"] == pytest.approx(plain["band"][0])
    far = claim_drawing(comparison(estimate=-9.0, tests=[{"lower": -10.0, "upper": 0.0}]))
    assert far["beyond"] == "left" and far["ends"][1] == 50 and far["ends"][0] == far["dot"]
    assert claim_drawing(comparison(estimate=float("nan"))) is None
    assert claim_drawing(comparison(margin=None, bound=1.0))["band"] is None


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * each for each in digits) if len(digits) == 3 else digits
    channels = np.array([int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_text_and_lines_stand_out_in_light_and_in_dark():
    schemes = [dict(re.findall(r"--(\w+): (#\w+)", each)) for each in STYLE.split(":root {")[1:]]
    assert len(schemes) == 2
    for scheme in schemes:
        paper = luminance(scheme["paper"])
        for name, least in [
            ("ink", 7),
            ("soft", 4.5),
            ("link", 4.5),
            *((f"c{n}", 2) for n in range(6)),
        ]:
            high, low = sorted((luminance(scheme[name]), paper), reverse=True)
            assert (high + 0.05) / (low + 0.05) > least, name
