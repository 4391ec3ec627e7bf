"""Table I says what was measured, marks the right rows, and shows no number that was not run."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ldct.errors import InputError
from ldct.evaluation.protocol import Protocol, SsimWindow
from ldct.evaluation.scores import summarise
from ldct.evaluation.statistics import metric_statistics
from ldct.files import read_yaml
from ldct.reporting.table1 import METRICS, best_and_second, render_table1

PUBLISHED = read_yaml(Path(__file__).parents[1] / "config" / "published.yaml")
CONTEXT = {
    "run": "demo-quick",
    "dataset": "simulated quarter dose on LIDC-IDRI-0001",
    "simulated": True,
    "attribution": "CT images: LIDC-IDRI, CC BY 3.0.",
    "budget": "quick (200 steps)",
    "protocol": "window [-160, 240] HU",
    "test_slices": "every 16th slice and every lesion slice",
    "seeds": [0, 1],
    "kept_tiles": 6123,
    "published_protocol": True,
    "comparable": True,
    "notes": [],
}
METHODS = [
    {"id": "low_dose", "title": "Low Dose", "in_paper": True},
    {"id": "drl", "title": "DRL_50% & <b>|x|</b>", "in_paper": False},
    {"id": "proposed", "title": "Proposed", "in_paper": True},
    {"id": "bm3d", "title": "BM3D", "in_paper": True},
    {"id": "fc_aide", "title": "FC-AIDE", "in_paper": True, "missing": "training failed: NaN"},
]


ABDOMEN = Protocol(
    "abdomen", (-160.0, 240.0), True, 1.0, SsimWindow("uniform", 7), "mean_of_slices"
)


def scores(seeds=(0, 1), noise=0.01, **psnr_and_ssim):
    """Rows of 17 slices of one patient with given means; methods differ by little noise."""
    rng = np.random.default_rng(0)
    anatomy = np.linspace(-2, 2, 17)
    frames = []
    for method, (psnr, ssim) in psnr_and_ssim.items():
        for seed in seeds:
            own = rng.normal(0, noise, (2, 17))
            own -= own.mean(axis=1, keepdims=True)
            frames.append(
                pd.DataFrame(
                    {
                        "method": method, "seed": seed, "patient": "L903",
                        "slice_index": range(17), "z_mm": 1.0 * np.arange(17),
                        "protocol": "abdomen", "psnr": psnr + anatomy + own[0],
                        "ssim": ssim + (anatomy + own[1]) / 100, "rmse_hu": 20.0,
                    }
                )
            )  # fmt: skip
    return pd.concat(frames)


SCORES = scores(
    low_dose=(25.5512, 0.8534), drl=(31.0, 0.9), proposed=(29.0, 0.85), bm3d=(28.5, 0.87)
)


def render(folder, scores=SCORES, methods=METHODS, **context):
    summary = summarise(scores, ABDOMEN) if len(scores) else pd.DataFrame()
    statistics = {
        metric: metric_statistics(scores, ABDOMEN, metric, "low_dose", resamples=300)
        for metric in (METRICS if len(scores) else ())
    }
    paths = render_table1(summary, statistics, methods, PUBLISHED, {**CONTEXT, **context}, folder)
    csv, *texts = paths
    table = pd.read_csv(csv, index_col="method", dtype={"psnr_mark": str, "ssim_mark": str})
    return table, *(path.read_text("utf-8") for path in texts)


def html_rows(html):
    """Cells of each body row as markup, by row title."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', html, re.DOTALL)
    return {unescape(title): re.findall(r"<td.*?</td>", cells, re.DOTALL) for title, cells in rows}


def line_of(text, start):
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"a": 3.0, "b": 1.0, "c": 2.0}, {"a": 1, "c": 2}),
        ({"a": 3.0, "b": 3.00001, "c": 2.0, "d": 2.0}, {"a": 1, "b": 1, "c": 2, "d": 2}),
        ({"a": 3.0}, {"a": 1}),
        ({"a": np.inf, "b": 3.0}, {"a": 1, "b": 2}),
        ({}, {}),
    ],
)
def test_best_and_second_best_with_ties_as_printed(values, expected):
    assert best_and_second(values) == expected


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


def test_paper_rows_stand_first_in_the_papers_order_and_ours_follow(tmp_path):
    table, markdown, latex, html = render(tmp_path)
    order = ["low_dose", "bm3d", "fc_aide", "drlp", "ccnn_pl", "proposed", "drl"]
    assert list(table.index) == order
    titles = ["Low Dose", "BM3D", "FC-AIDE", "DRLP", "CCNN-PL", "Proposed", "DRL_50% & <b>|x|</b>"]
    assert list(html_rows(html)) == titles
    for text in (markdown, latex):
        starts = [text.index(f"\n{p}{t}") for t in titles[:6] for p in ["| " * (text is markdown)]]
        assert starts == sorted(starts)
        assert starts[-1] < text.index("Not in the paper's table") < text.index("DRL\\_50")


def test_csv_holds_full_precision_differences_and_what_it_belongs_to(tmp_path):
    table = render(tmp_path)[0]
    row = table.loc["low_dose"]
    assert row["psnr"] == pytest.approx(25.5512) and row["psnr_std"] > 1
    assert row["psnr_lower"] < 25.5512 < row["psnr_upper"]
    assert row["interval_unit"] == "slices"
    assert row["psnr_difference"] == pytest.approx(25.5512 - 25.4247)
    assert row["ssim_difference"] == pytest.approx(0.8534 - 0.8211)
    assert (row["n_slices"], row["n_patients"], row["n_seeds"]) == (17, 1, 2)
    assert (row["seeds"], row["protocol"]) == ("0 1", "abdomen")
    assert row["dataset"] == CONTEXT["dataset"] and row["simulated"]
    assert (row["kept_tiles"], row["published_tiles"]) == (6123, 281660)


def test_marks_are_among_the_papers_rows_and_separate_for_ours_and_published(tmp_path):
    table, markdown, latex, html = render(tmp_path)
    assert table["psnr_mark"].dropna().to_dict() == {"proposed": "1", "bm3d": "2"}
    assert table["ssim_mark"].dropna().to_dict() == {"bm3d": "1", "low_dose": "2"}
    assert table["psnr_rank"].dropna().to_dict() == {
        "drl": 1, "proposed": 2, "bm3d": 3, "low_dose": 4,
    }  # fmt: skip
    assert (table["psnr_rank_lower"].dropna() == table["psnr_rank"].dropna()).all()
    cells = line_of(markdown, "| Proposed").split(" | ")
    assert re.fullmatch(r"\*\*29\.0000\*\*¹ \[2\d\.\d\d, 3\d\.\d\d\] ± 0\.00", cells[1])
    assert re.fullmatch(r"0\.8500 \[0\.8\d\d, 0\.8\d\d\] ± 0\.0000", cells[2])
    assert cells[3:6] == ["*29.2404*²", "**0.8816**¹", "−0.2404"]
    proposed = line_of(latex, "Proposed")
    assert proposed.count(r"\textcolor{red}") == 2 and proposed.count(r"\textcolor{blue}") == 1
    assert r"\textcolor{red}{29.0000\rlap{\textsuperscript{1}}}" in proposed
    psnr, ssim, published_psnr, published_ssim, *_ = html_rows(html)["Proposed"]
    assert 'class="best"' in psnr and "<sup>1</sup>" in psnr and "± 0.00" in psnr
    assert "class=" not in ssim.replace('class="uncertainty"', "")
    assert 'class="second"' in published_psnr and "<sup>2</sup>" in published_psnr
    assert 'class="best"' in published_ssim
    ours = "".join(html_rows(html)["DRL_50% & <b>|x|</b>"])
    assert "31.0000" in ours and "best" not in ours and "second" not in ours


def test_rows_that_the_data_do_not_tell_apart_share_a_place_without_colour(tmp_path):
    """BM3D and Proposed differ by 0.01 dB, slices of either by far more."""
    close = scores(noise=1.0, low_dose=(20.0, 0.8), bm3d=(29.0, 0.8), proposed=(29.01, 0.8))
    table, markdown, latex, html = render(tmp_path, close, METHODS[:1] + METHODS[2:])
    assert table["psnr_mark"].dropna().to_dict() == {"bm3d": "1 tied", "proposed": "1 tied"}
    assert table.loc["proposed", ["psnr_rank_lower", "psnr_rank_upper"]].to_list() == [1, 2]
    assert set(table["ssim_mark"].dropna()) == {"1 tied"}
    assert "| 29.0100⁼¹ [" in line_of(markdown, "| Proposed")
    assert r"29.0000\rlap{\textsuperscript{=1}}" in line_of(latex, "BM3D")
    psnr = html_rows(html)["BM3D"][0]
    assert "<sup>=1</sup>" in psnr and "best" not in psnr
    for text in (markdown, latex, html):
        assert "do not decide between them" in " ".join(text.split())


def test_one_row_alone_is_no_best(tmp_path):
    table = render(tmp_path, scores(low_dose=(25.0, 0.8)), METHODS[:1])[0]
    assert table["psnr_mark"].isna().all()


def test_spread_over_seeds_is_shown_where_there_are_several(tmp_path):
    shifted = scores(low_dose=(25.0, 0.8), proposed=(29.0, 0.9))
    learned = (shifted["method"] == "proposed") & (shifted["seed"] == 1)
    shifted.loc[learned, "psnr"] += 1
    _, markdown, *_ = render(tmp_path, shifted, METHODS[:1] + METHODS[2:3])
    assert "29.5000" in line_of(markdown, "| Proposed")
    assert "] ± 0.71 |" in line_of(markdown, "| Proposed")
    assert "± is their standard deviation" in markdown
    single = scores(seeds=[0], low_dose=(25.0, 0.8), proposed=(29.0, 0.9))
    _, markdown, *_ = render(tmp_path, single, METHODS[:1] + METHODS[2:3], seeds=[0])
    assert "±" not in markdown and "nothing is said of other trainings" in markdown


def test_a_table_under_another_protocol_compares_with_no_published_value(tmp_path):
    table, markdown, latex, html = render(
        tmp_path, published_protocol=False, comparable=False, notes=["Not the networks' window."]
    )
    assert table["psnr_mark"].isna().all()
    assert line_of(markdown, "| Proposed").count("|") == 6
    assert r"\begin{tabular}{lrrrr}" in latex and "Difference" not in html
    for text in (markdown, latex, html):
        text = unescape(text)
        assert "Not the networks' window." in text and "no differences are given" in text
        assert "29.2404" in text


def test_a_method_without_scores_shows_its_reason_and_no_number(tmp_path):
    with_stale_scores = pd.concat([SCORES, scores(fc_aide=(99.0, 0.99))])
    table, markdown, latex, html = render(tmp_path, with_stale_scores)
    reasons = {
        "fc_aide": "training failed: NaN",
        "drlp": "not part of this run",
        "ccnn_pl": "not part of this run",
    }
    missing = table[table["status"] == "not run"]
    assert missing["reason"].to_dict() == reasons
    assert (
        missing[["psnr", "ssim", "psnr_difference", "psnr_rank", "psnr_lower"]]
        .isna()
        .all(axis=None)
    )
    for text in (markdown, latex, html):
        assert "99.0" not in text
        assert all(reason in text for reason in reasons.values())
    assert line_of(markdown, "| FC-AIDE").split(" | ")[1:3] == ["not run <sup>a</sup>"] * 2
    assert r"\multicolumn{2}{c}{\textit{not run}\textsuperscript{b}}" in line_of(latex, "DRLP")
    assert html_rows(html)["CCNN-PL"][0].endswith("not run<sup>b</sup></td>")


def test_a_listed_method_that_left_no_scores_says_so(tmp_path):
    table = render(tmp_path, SCORES[SCORES["method"] != "bm3d"])[0]
    assert table.loc["bm3d", "reason"] == "no scores in this run"


def test_text_from_outside_is_escaped(tmp_path):
    _, markdown, latex, html = render(
        tmp_path, dataset="<script>alert(1)</script> 50% of $x_1$ \\input{a}"
    )
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "<script" not in markdown and "\\|x\\|" in markdown
    assert r"50\% of \$x\_1\$ \textbackslash{}input\{a\}" in latex
    assert r"DRL\_50\% \& \textless{}b\textgreater{}\textbar{}x" in latex


def test_html_needs_nothing_from_outside(tmp_path):
    html = render(tmp_path)[3]
    assert not re.search(r"(src|href)=|@import|url\(", html)


@pytest.mark.parametrize("suffix", ["md", "tex", "html"])
def test_caption_says_what_the_numbers_belong_to(tmp_path, suffix):
    render(tmp_path)
    text = unescape((tmp_path / f"table1.{suffix}").read_text("utf-8"))
    for part in (
        "simulated quarter dose on LIDC-IDRI-0001",
        "The quarter dose is simulated by this suite",
        "17 slices of 1 patient (every 16th slice and every lesion slice)",
        "844 slices",
        "quick (200 steps)",
        "6,123",
        "281,660",
        "240",
        "Seeds: 0, 1",
        "confidence interval over slices of one patient: says nothing of other patients",
        "the two are of different data",
        "not a replication of the AAPM number",
        "CC BY 3.0",
    ):
        assert part in text


def test_caption_of_supplied_doses_claims_no_simulation(tmp_path):
    context = {"simulated": False, "dataset": "AAPM", "kept_tiles": None}
    _, *texts = render(tmp_path, **context)
    for text in texts:
        assert "not simulated here" in unescape(text)
        assert "not a replication" not in text
        assert "not counted" in text


def test_infinite_psnr_is_printed_as_such(tmp_path):
    perfect = scores(low_dose=(25.0, 0.8), proposed=(np.inf, 1.0))
    _, markdown, latex, _ = render(tmp_path, perfect, METHODS[:1] + METHODS[2:3])
    # Where nothing can be resampled there is no test, hence no colour.
    assert "∞⁼¹ [∞, ∞]" in line_of(markdown, "| Proposed")
    assert r"$\infty$" in line_of(latex, "Proposed")


def test_mistakes_of_the_caller_are_named(tmp_path):
    with pytest.raises(InputError, match="key budget not found"):
        context = {key: value for key, value in CONTEXT.items() if key != "budget"}
        render_table1(summarise(SCORES, ABDOMEN), {}, METHODS, PUBLISHED, context, tmp_path)
    with pytest.raises(InputError, match="no method has scores"):
        render(tmp_path, SCORES.iloc[:0])
    with pytest.raises(InputError, match=r"method drl: in_paper is True.*low_dose"):
        render(tmp_path, methods=[{"id": "drl", "title": "DRL", "in_paper": True}])
    assert not list(tmp_path.iterdir())
