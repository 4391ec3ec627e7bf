"""Table I says what was measured, marks the right rows, and shows no number that was not run."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from made_up_scores import ABDOMEN, score_rows
from repository_files import REPOSITORY

from ldct.common.errors import InputError
from ldct.common.files import read_yaml
from ldct.table1.render import METRICS, render_table1
from ldct.table1.statistics import metric_statistics, summarise

PUBLISHED = read_yaml(REPOSITORY / "config/published.yaml")
MARGINS = {"psnr": 0.2, "ssim": 0.005}
CONTEXT = {
    "run": "demo-quick",
    "dataset": {
        "title": "simulated quarter dose on LIDC-IDRI-0001",
        "simulated": True,
        "credit": "CT images: LIDC-IDRI, CC BY 3.0.",
    },
    "budget_text": "quick (200 steps)",
    "protocol": "window [-160, 240] HU",
    "test": {"every": 16},
    "seeds": [0, 1],
    "kept_tiles": 6123,
    "published_protocol": True,
}
METHODS = [
    {"id": "low_dose", "title": "Low Dose"},
    {"id": "drl", "title": "DRL_50% & <b>|x|</b>"},
    {"id": "proposed", "title": "Proposed"},
    {"id": "bm3d", "title": "BM3D"},
    {"id": "fc_aide", "title": "FC-AIDE", "missing": "training failed: NaN"},
]
TWO = [METHODS[0], METHODS[2]]


def scores(seeds=2, patients=3, **psnr_and_ssim):
    """Rows of 4 slices of each patient with given means."""
    anatomy = np.linspace(-2, 2, 4 * patients).reshape(patients, 4) + np.zeros((seeds, 1, 1))
    return pd.concat(
        score_rows(psnr + own, method, ssim=ssim + own / 100)
        for number, (method, (psnr, ssim)) in enumerate(psnr_and_ssim.items())
        for own in [anatomy * (1 + number / 50)]
    )


SCORES = scores(
    low_dose=(25.5512, 0.8534), drl=(31.0, 0.9), proposed=(29.0, 0.85), bm3d=(28.9, 0.87)
)


def render(folder, scores=SCORES, methods=METHODS, **context):
    summary = summarise(scores, ABDOMEN) if len(scores) else pd.DataFrame()
    statistics = {
        metric: metric_statistics(scores, ABDOMEN, metric, "low_dose")
        for metric in (METRICS if len(scores) else ())
    }
    context = {**CONTEXT, **context}
    csv, *texts = render_table1(summary, statistics, methods, PUBLISHED, MARGINS, context, folder)
    return pd.read_csv(csv, index_col="method"), *(path.read_text("utf-8") for path in texts)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Table I of SCORES: the CSV as a frame, and the texts."""
    return render(tmp_path_factory.mktemp("table1"))


def line_of(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


def test_published_values_are_those_of_the_paper():
    printed = {name: (row["psnr"], row["ssim"]) for name, row in PUBLISHED["rows"].items()}
    assert printed == {
        "low_dose": (25.4247, 0.8211),
        "bm3d": (26.8496, 0.7122),
        "fc_aide": (29.1620, 0.8804),
        "drlp": (28.8069, 0.8436),
        "ccnn_pl": (29.7232, 0.8799),
        "proposed": (29.2404, 0.8816),
    }
    assert PUBLISHED["counts"] == {"training_tiles": 281660, "test_slices": 844}


def test_paper_rows_stand_first_in_the_papers_order_and_ours_follow(page):
    table, markdown, latex, html = page
    order = ["low_dose", "bm3d", "fc_aide", "proposed", "drl"]  # drlp, ccnn_pl: not asked for
    assert list(table.index) == order
    titles = ["Low Dose", "BM3D", "FC-AIDE", "Proposed"]
    for text, before in ((markdown, "\n| "), (latex, "\n"), (html, '<th scope="row">')):
        starts = [text.index(before + title) for title in titles]
        assert starts == sorted(starts)
        assert starts[-1] < unescape(text).index("Not in the paper's table") < text.rindex("DRL")


def test_csv_holds_full_precision_gains_and_what_it_belongs_to(page):
    row = page[0].loc["low_dose"]
    assert row["psnr"] == pytest.approx(25.5512) and row["psnr_std"] > 1
    assert row["psnr_lower"] < 25.5512 < row["psnr_upper"]
    assert np.isnan([row["psnr_gain"], row["published_psnr_gain"]]).all()
    ours = page[0].loc["proposed"]
    assert ours["psnr_gain"] == pytest.approx(29 - 25.5512)
    assert ours["psnr_gain_lower"] < ours["psnr_gain"] < ours["psnr_gain_upper"]
    assert ours["published_psnr_gain"] == pytest.approx(29.2404 - 25.4247)
    assert ours["published_ssim_gain"] == pytest.approx(0.8816 - 0.8211)
    assert np.isnan(page[0].loc["drl", "published_psnr_gain"])
    assert (row["n_slices"], row["n_patients"], row["n_seeds"]) == (12, 3, 2)
    assert (row["seeds"], row["protocol"]) == ("0 1", "abdomen")
    assert row["dataset"] == CONTEXT["dataset"]["title"] and row["simulated"]
    assert "Training tiles kept: 6,123; the paper" in page[1]
    assert (row["kept_tiles"], row["published_tiles"]) == (6123, 281660)


def test_the_best_row_is_bold_whoever_it_belongs_to_and_rows_near_it_are_marked(page):
    table, markdown, latex, html = page
    assert table["psnr_mark"].dropna().to_dict() == {"drl": "best"}
    assert table["ssim_mark"].dropna().to_dict() == {"drl": "best"}
    # Of the paper's rows, CCNN-PL among them, which is not in the run.
    assert table["published_psnr_mark"].dropna().empty
    assert table["published_ssim_mark"].dropna().to_dict() == {
        "fc_aide": "near",
        "proposed": "best",
    }
    cells = line_of(markdown, "| Proposed").split(" | ")
    assert re.fullmatch(r"29\.00 ± \d\.\d\d \(trainings ± 0\.00\)", cells[1])
    assert re.fullmatch(r"\+3\.45 \\\[3\.\d\d, 3\.\d\d\\\]", cells[2])
    assert cells[3:5] == ["29.24", "+3.82"] and cells[7:] == ["**0.882**", "+0.060 |"]
    assert line_of(markdown, "| Low Dose").split(" | ")[2:5] == ["–", "25.42", "–"]
    assert r"\textbf{31.00}" in line_of(latex, r"DRL\_50")
    assert "<b>31.00</b>" in html and "<b>29.00</b>" not in html
    for text in (markdown, latex, html):
        assert "within 0.2 dB or 0.005 (SSIM) of it" in text


def test_rows_within_the_margin_on_print_are_near(tmp_path):
    near = scores(low_dose=(25.0, 0.8), proposed=(29.0, 0.85), drl=(29.2, 0.855), bm3d=(28.9, 0.85))
    table = render(tmp_path, near, METHODS[:4])[0]
    assert table["psnr_mark"].dropna().to_dict() == {"drl": "best", "proposed": "near"}
    assert table["ssim_mark"].dropna().to_dict() == {
        "drl": "best",
        "proposed": "near",
        "bm3d": "near",
    }


def test_one_patient_has_no_interval_and_one_seed_no_spread(tmp_path):
    one = scores(seeds=1, patients=1, low_dose=(25.0, 0.8), proposed=(np.inf, 1.0))
    table, markdown, latex, _ = render(tmp_path, one, TWO, seeds=[0])
    assert table[["psnr_lower", "ssim_gain_upper"]].isna().all(axis=None)
    assert line_of(markdown, "| Proposed").split(" | ")[1:3] == ["∞", "+∞"]
    assert re.search(r"25\.00 ± \d\.\d\d \|", line_of(markdown, "| Low Dose"))
    assert r"$\infty$" in line_of(latex, "Proposed")
    assert "4 slices of 1 patient (±: SD over slices; no interval)" in markdown
    assert "trainings ±" not in markdown and "nothing is said of other trainings" in markdown


def test_spread_over_seeds_is_shown_where_there_are_several(tmp_path):
    alone = scores(low_dose=(25.0, 0.8))
    alone.loc[alone["seed"] == 1, "psnr"] += 1
    table, markdown, *_ = render(tmp_path, alone, METHODS[:1])
    cell = line_of(markdown, "| Low Dose").split(" | ")[1]
    assert cell.startswith("25.50 ") and cell.endswith("(trainings ± 0.71)")
    assert "values are means over them" in markdown
    assert table["psnr_mark"].isna().all()  # one row is no best


def test_a_run_without_the_low_dose_has_no_gains(tmp_path):
    rows = SCORES[SCORES["method"] != "low_dose"]
    summary = summarise(rows, ABDOMEN)
    found = {metric: metric_statistics(rows, ABDOMEN, metric, "drl") for metric in METRICS}
    csv, *_ = render_table1(summary, found, METHODS[1:3], PUBLISHED, MARGINS, CONTEXT, tmp_path)
    table = pd.read_csv(csv, index_col="method")
    assert table["psnr_gain"].isna().all() and table.loc["proposed", "published_psnr_gain"] > 3


def test_a_table_under_another_protocol_has_no_published_values(tmp_path):
    table, markdown, latex, html = render(tmp_path, published_protocol=False)
    assert table["psnr_mark"].notna().any()
    assert line_of(markdown, "| Proposed").count("|") == 6
    assert r"\begin{tabular}{lrrrr}" in latex
    for text in map(unescape, (markdown, latex, html)):
        assert "29.24" not in text and "Published" not in text


def test_a_method_without_scores_shows_its_reason_and_no_number(tmp_path):
    stale = scores(fc_aide=(99.0, 0.99))
    with_stale_scores = pd.concat([SCORES[SCORES["method"] != "bm3d"], stale])
    table, markdown, latex, html = render(tmp_path, with_stale_scores)
    reasons = {
        "bm3d": "no scores in this run",
        "fc_aide": "training failed: NaN",
    }
    missing = table[table["status"] == "not run"]
    assert missing["reason"].to_dict() == reasons
    assert missing[["psnr", "ssim", "psnr_gain", "psnr_lower"]].isna().all(axis=None)
    for text in (markdown, latex, html):
        assert "99.0" not in text and "DRLP" not in text
        assert all(reason in text for reason in reasons.values())
    assert line_of(markdown, "| FC-AIDE").split(" | ")[1:3] == ["not run (b)", "–"]


def test_text_from_outside_is_escaped_and_html_needs_nothing_from_outside(tmp_path):
    _, markdown, latex, html = render(
        tmp_path,
        dataset={"title": "<script>alert(1)</script> 50% of $x_1$ \\input{a}", "simulated": True},
    )
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "<script" not in markdown and "\\|x\\|" in markdown
    assert r"50\% of \$x\_1\$ \textbackslash{}input\{a\}" in latex
    assert r"DRL\_50\% \& \textless{}b\textgreater{}\textbar{}x" in latex
    assert not re.search(r"(src|href)=|@import|url\(", html)


def test_the_page_says_what_the_numbers_belong_to(page, tmp_path):
    for text in map(unescape, page[1:]):
        for part in (
            "simulated quarter dose on LIDC-IDRI-0001; quarter dose simulated by this suite",
            "SD over patients; brackets: 95",
            "one slice in 16; the paper: 844 slices",
            "quick (200 steps)",
            "6,123; the paper: 281,660",
            "240",
            "Seeds: 0, 1",
            "EMBC 2021, Table I; of other data and dose",
            "12 slices of 3 patients",
            "CC BY 3.0",
        ):
            assert part in text
    _, *texts = render(tmp_path, dataset={"title": "AAPM", "simulated": False}, test="all")
    for text in map(unescape, texts):
        assert "quarter dose of the data set" in text
        assert "Test slices: all slices" in text


def test_a_row_whose_adversary_is_not_at_work_says_so(tmp_path):
    found = {"proposed": 0.504, "drl": 0.93}
    methods = [each | {"critic_auc": found.get(each["id"])} for each in METHODS]
    table, markdown, latex, html = render(tmp_path, methods=methods)
    states = table["adversary"].dropna().to_dict()
    assert states.pop("proposed") == "not at work" and states.pop("drl") == "at work"
    assert states == {"low_dose": "none", "bm3d": "none"}
    assert table["critic_auc"].dropna().to_dict() == found
    assert line_of(markdown, "| Proposed").startswith("| Proposed † | ")
    assert line_of(latex, "Proposed").startswith(r"Proposed\rlap{ \dag{}} & ")
    assert 'Proposed<span class="mark">†</span>' in html
    for text in (markdown, html):
        assert "below 0.6; 0.5 is chance): Proposed 0.50." in text


def test_a_run_without_scores_has_no_table(tmp_path):
    with pytest.raises(InputError, match="no method has scores"):
        render(tmp_path, SCORES.iloc[:0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("patients", "shown"), [(1, False), (2, True), (12, True), (13, False)])
def test_gains_stand_patient_by_patient_where_there_are_several(tmp_path, patients, shown):
    rows = scores(patients=patients, low_dose=(25.0, 0.85), proposed=(29.0, 0.87))
    first = rows["patient"].iloc[0]
    rows.loc[(rows["patient"] == first) & (rows["method"] == "proposed"), "psnr"] += 1
    _, markdown, *_ = render(tmp_path, rows, TWO)
    _, found, table = markdown.partition("patient by patient")
    assert bool(found) == shown
    if shown:
        cells = next(line for line in table.splitlines() if "Proposed" in line).split("|")[2:-1]
        assert len(cells) == patients
        low = rows[rows["method"] == "low_dose"].groupby("patient")["psnr"].mean()
        own = rows[rows["method"] == "proposed"].groupby("patient")["psnr"].mean()
        assert [float(cell) for cell in cells] == pytest.approx((own - low).tolist(), abs=0.006)


def test_tiles_of_folds_are_told_as_a_mean(tmp_path):
    markdown = render(tmp_path, tile_tables=2)[1]
    assert "Training tiles kept in a fold, on average: 6,123; the paper" in markdown
