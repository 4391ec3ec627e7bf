"""Table I says what was measured, marks the right rows, and shows no number that was not run."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ldct.errors import InputError
from ldct.files import read_yaml
from ldct.reporting.table1 import best_and_second, render_table1

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
}
METHODS = [
    {"id": "low_dose", "title": "Low Dose", "in_paper": True},
    {"id": "drl", "title": "DRL_50% & <b>|x|</b>", "in_paper": False},
    {"id": "proposed", "title": "Proposed", "in_paper": True},
    {"id": "bm3d", "title": "BM3D", "in_paper": True},
    {"id": "fc_aide", "title": "FC-AIDE", "in_paper": True, "missing": "training failed: NaN"},
]


def summary(**psnr_and_ssim):
    return pd.DataFrame.from_dict(
        {
            method: {
                "protocol": "abdomen", "psnr": psnr, "ssim": ssim, "rmse_hu": 20.0,
                "psnr_std": 1.25, "ssim_std": 0.0211, "psnr_std_seeds": np.nan,
                "n_slices": 17, "n_patients": 1, "n_seeds": 2, "seeds": "0 1",
            }
            for method, (psnr, ssim) in psnr_and_ssim.items()
        },
        orient="index",
    )  # fmt: skip


SUMMARY = summary(
    low_dose=(25.5512, 0.8534), drl=(31.0, 0.9), proposed=(29.0, 0.85), bm3d=(28.5, 0.87)
)


def render(folder, summary=SUMMARY, methods=METHODS, **context):
    paths = render_table1(summary, methods, PUBLISHED, {**CONTEXT, **context}, folder)
    csv, *texts = paths
    return pd.read_csv(csv, index_col="method"), *(path.read_text("utf-8") for path in texts)


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
    assert row["psnr"] == 25.5512 and row["psnr_std"] == 1.25
    assert row["psnr_difference"] == pytest.approx(25.5512 - 25.4247)
    assert row["ssim_difference"] == pytest.approx(0.8534 - 0.8211)
    assert (row["n_slices"], row["n_patients"], row["n_seeds"]) == (17, 1, 2)
    assert (row["seeds"], row["protocol"]) == ("0 1", "abdomen")
    assert row["dataset"] == CONTEXT["dataset"] and row["simulated"]
    assert (row["kept_tiles"], row["published_tiles"]) == (6123, 281660)


def test_marks_are_among_the_papers_rows_and_separate_for_ours_and_published(tmp_path):
    table, markdown, latex, html = render(tmp_path)
    assert table["psnr_rank"].dropna().to_dict() == {"proposed": 1, "bm3d": 2}
    assert table["ssim_rank"].dropna().to_dict() == {"bm3d": 1, "low_dose": 2}
    assert line_of(markdown, "| Proposed").startswith(
        "| Proposed | **29.0000**¹ ± 1.25 | 0.8500 ± 0.021 | *29.2404*² | **0.8816**¹ | −0.2404 |"
    )
    proposed = line_of(latex, "Proposed")
    assert proposed.count(r"\textcolor{red}") == 2 and proposed.count(r"\textcolor{blue}") == 1
    assert r"\textcolor{red}{29.0000\rlap{\textsuperscript{1}}}" in proposed
    psnr, ssim, published_psnr, published_ssim, *_ = html_rows(html)["Proposed"]
    assert 'class="best"' in psnr and "<sup>1</sup>" in psnr and "± 1.25" in psnr
    assert "class=" not in ssim.replace('class="spread"', "")
    assert 'class="second"' in published_psnr and "<sup>2</sup>" in published_psnr
    assert 'class="best"' in published_ssim
    ours = "".join(html_rows(html)["DRL_50% & <b>|x|</b>"])
    assert "31.0000" in ours and "best" not in ours and "second" not in ours


def test_ties_share_their_mark(tmp_path):
    tied = summary(low_dose=(25.0, 0.8), bm3d=(29.0, 0.85), proposed=(29.00001, 0.9))
    _, markdown, _, html = render(tmp_path, tied, METHODS[:1] + METHODS[2:])
    assert "| **29.0000**¹ ±" in line_of(markdown, "| BM3D")
    assert "| **29.0000**¹ ±" in line_of(markdown, "| Proposed")
    assert "| *25.0000*² ±" in line_of(markdown, "| Low Dose")
    assert [html_rows(html)[title][0].count("best") for title in ("BM3D", "Proposed")] == [1, 1]


def test_a_method_without_scores_shows_its_reason_and_no_number(tmp_path):
    with_stale_scores = pd.concat([SUMMARY, summary(fc_aide=(99.0, 0.99))])
    table, markdown, latex, html = render(tmp_path, with_stale_scores)
    reasons = {
        "fc_aide": "training failed: NaN",
        "drlp": "not part of this run",
        "ccnn_pl": "not part of this run",
    }
    missing = table[table["status"] == "not run"]
    assert missing["reason"].to_dict() == reasons
    assert missing[["psnr", "ssim", "psnr_difference", "psnr_rank"]].isna().all(axis=None)
    for text in (markdown, latex, html):
        assert "99.0" not in text
        assert all(reason in text for reason in reasons.values())
    assert line_of(markdown, "| FC-AIDE").split(" | ")[1:3] == ["not run <sup>a</sup>"] * 2
    assert r"\multicolumn{2}{c}{\textit{not run}\textsuperscript{b}}" in line_of(latex, "DRLP")
    assert html_rows(html)["CCNN-PL"][0].endswith("not run<sup>b</sup></td>")


def test_a_listed_method_that_left_no_scores_says_so(tmp_path):
    table = render(tmp_path, SUMMARY.drop("bm3d"))[0]
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
    _, markdown, latex, _ = render(tmp_path, summary(proposed=(np.inf, 1.0)))
    assert "**∞**¹" in line_of(markdown, "| Proposed")
    assert r"$\infty$" in line_of(latex, "Proposed")


def test_mistakes_of_the_caller_are_named(tmp_path):
    with pytest.raises(InputError, match="key budget not found"):
        context = {key: value for key, value in CONTEXT.items() if key != "budget"}
        render_table1(SUMMARY, METHODS, PUBLISHED, context, tmp_path)
    with pytest.raises(InputError, match="no method has scores"):
        render(tmp_path, SUMMARY.iloc[:0])
    with pytest.raises(InputError, match=r"method drl: in_paper is True.*low_dose"):
        render(tmp_path, methods=[{"id": "drl", "title": "DRL", "in_paper": True}])
    assert not list(tmp_path.iterdir())
