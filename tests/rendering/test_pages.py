"""Pages of tables: what a reader sees, escaped in each markup, and numbers written for people."""

import json

import numpy as np
import pandas as pd
import pytest

from ldct.rendering.numbers import bounds, number, p_text, signed, with_bounds, write_tables
from ldct.rendering.page import Cell, PlainTable, escape_latex, to_html, to_markdown

HOSTILE = "<b> a|b & *c*"
TABLE = PlainTable(
    HOSTILE,
    ["Method", "PSNR (dB)", "Remark"],
    {"Methods": [["DRL", Cell("31.20", "[30.1, 32.3]", "~", bold=True), HOSTILE]], "Controls": []},
    words=[2],
)


def test_html_shows_groups_bold_mark_and_interval_and_escapes_text():
    page = to_html(HOSTILE, [HOSTILE], [TABLE], [HOSTILE])
    assert "<b> a" not in page and page.count("&lt;b&gt; a|b &amp; *c*") == 7
    assert '<tr><th class="group" colspan="3">Methods</th></tr>' in page
    cell = '<b>31.20</b><span class="mark">~</span><span class="below">[30.1, 32.3]</span>'
    assert f'<th scope="row">DRL</th><td>{cell}</td><td class="words">' in page


def test_markdown_shows_the_same():
    text = to_markdown(HOSTILE, [], [TABLE], [HOSTILE])
    shown = r"&lt;b&gt; a\|b &amp; \*c\*"
    assert text.startswith(f"# {shown}\n\n## {shown}\n\n| Method | PSNR (dB) | Remark |\n|:--|--:|")
    assert f"| *Methods* | | |\n| DRL | **31.20** \\~ \\[30.1, 32.3\\] | {shown} |" in text
    assert text.endswith(f"\n\n{shown}\n")


def test_latex_is_escaped():
    assert escape_latex("50 % & [−1 ± 2]_x\\") == (
        r"50 \% \& {[}$-$1 $\pm$ 2{]}\_x\textbackslash{}"
    )
    assert escape_latex("Δ λ 10⁹ c₁ é …") == (
        r"$\Delta$ $\lambda$ 10\textsuperscript{9} c\textsubscript{1} é ..."
    )


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (1.005, "1.00", "+1.00"),
        (-0.25, "−0.25", "−0.25"),
        (-0.001, "0.00", "0.00"),
        (12345.6, "12,345.60", "+12,345.60"),
        (np.inf, "∞", "+∞"),
        (None, "–", "–"),
    ],
)
def test_numbers_for_people(value, plain, with_sign):
    assert (number(value, 2), signed(value, 2)) == (plain, with_sign)


def test_bounds_stand_only_where_there_are_some():
    assert bounds(-0.5, 1.5, 1) == "[−0.5, 1.5]" and bounds(np.nan, np.nan, 1) == ""
    assert with_bounds(1.0, 0.5, 1.5, 1) == "1.0 [0.5, 1.5]"
    assert with_bounds(1.0, np.nan, np.nan, 1) == "1.0"
    assert with_bounds(np.nan, 0.5, 1.5, 1) == "–"
    assert [p_text(p) for p in (0.0004, 0.0416, np.nan)] == ["< 0.001", "0.042", "–"]


def test_written_tables_hold_bare_values_and_a_record_each(tmp_path):
    values = pd.DataFrame({"method": ["drl"], "psnr": [31.2]})
    source = tmp_path / "scores.json"
    source.write_text("{}")
    write_tables(tmp_path / "a.b", "Scores", [TABLE], values, ["", "a note"], [source], ["before"])
    assert (tmp_path / "a.b.csv").read_text() == "method,psnr\ndrl,31.2\n"
    for suffix in ("md", "html"):
        text = (tmp_path / f"a.b.{suffix}").read_text()
        assert text.index("before") < text.index("31.20") < text.index("a note")
        record = json.loads((tmp_path / f"a.b.{suffix}.provenance.json").read_text())
        assert record["settings"] == {"notes": ["a note"]}
