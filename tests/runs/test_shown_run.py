"""`ldct table` and `ldct open`: what a finished run shows."""

import csv
import shutil

import pytest
from repository_files import REPOSITORY

from ldct.cli import main

REFERENCE = REPOSITORY / "results/reference/demo-quick"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run `mine` of the reference results, in the working directory."""
    folder = tmp_path / "results/mine"
    (folder / "tables").mkdir(parents=True)
    shutil.copy(REFERENCE / "config.yaml", folder)
    shutil.copy(REFERENCE / "table1.csv", folder / "tables")
    monkeypatch.chdir(tmp_path)
    return folder


def test_table_has_every_row_with_its_gain(run, capsys):
    assert main(["table", "mine"]) == 0
    shown = capsys.readouterr().out
    with (REFERENCE / "table1.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        (line,) = [line for line in shown.splitlines() if line.startswith(f"{row['title']}  ")]
        assert f" {float(row['psnr']):.2f}" in line
        assert not row["psnr_gain"] or f"{float(row['psnr_gain']):+.2f}" in line
    assert "DRL → DRL    32.48*" in shown and rows[0]["budget"] in " ".join(shown.split())


def test_table_shows_intervals_reasons_and_idle_adversaries(run, capsys):
    file = run / "tables/table1.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows[1] |= {"psnr_gain_lower": "-0.5", "psnr_gain_upper": "1.25"}
    rows[2] |= {"status": "not run", "reason": "training failed", "psnr": "", "n_slices": ""}
    rows[5] |= {"adversary": "not at work"}
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert main(["table", "mine"]) == 0
    shown = capsys.readouterr().out
    assert "[−0.50, +1.25]" in shown and "FC-AIDE: not run: training failed" in shown
    assert "Proposed†" in shown and "†: adversary not at work" in shown


@pytest.mark.parametrize("verb", ["table", "open"])
def test_what_is_not_there_ends_in_one_line(verb, run, capsys):
    assert main([verb, "mime"]) == 1
    assert "did you mean 'mine'?" in capsys.readouterr().err
    if verb == "open":
        assert main([verb, "mine"]) == 1
        assert "not found; ldct front-page --run results/mine" in capsys.readouterr().err
    shutil.rmtree(run / "tables")
    assert main([verb, "mine"]) == 1
    said = capsys.readouterr().err
    assert "not found; ./run.sh" in said and said.count("\n") == 1


def test_open_shows_the_page(run, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    (run / "index.html").write_text("<p>", encoding="utf-8")
    assert main(["open", "mine"]) == 0
    assert opened == [(run / "index.html").resolve().as_uri()]
    assert capsys.readouterr().out.strip() == opened[0]
