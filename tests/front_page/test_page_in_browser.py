"""The page in a real browser, opened as a file with the network off."""

import pandas as pd
import pytest
from browser import Viewer, chromium, console_errors, open_page, requested, resize
from front_pages import made_up_run, page_of
from made_up_slices import pack

WIDTHS = "return [innerWidth, document.documentElement.scrollWidth]"
UNFOLD = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
CELLS = """
return [...document.querySelectorAll('#table1 tbody tr')]
  .map((row) => [...row.children].map((cell) => cell.innerText))
"""
TOP = "return [scrollY, document.querySelector('.viewer').getBoundingClientRect().top]"
FOOT = "return document.querySelector('#left').getBoundingClientRect().bottom"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    run = made_up_run(folder / "demo")
    (run / "viewer").mkdir()
    pack(folder).rename(run / "viewer/slices.json")
    return run


@pytest.fixture(scope="module")
def driver():
    with chromium() as found:
        yield found


def test_it_opens_offline_without_an_error_and_no_width_scrolls_sideways(driver, run):
    page_of(run)
    for width in (1280, 390):
        resize(driver, width, 800)
        open_page(driver, run / "index.html")
        if width == 1280:
            assert driver.execute_script(FOOT) <= 800
        driver.execute_script(UNFOLD)
        assert driver.execute_script(WIDTHS) == [width, width]
    assert console_errors(driver) == []
    assert {address.split("/")[-1] for address in requested(driver)} == {"index.html"}


def test_shown_values_are_those_of_table1_csv(driver, run):
    page_of(run)
    open_page(driver, run / "index.html")
    rows = {row[0]: row[1:] for row in driver.execute_script(CELLS) if len(row) > 1}
    for row in pd.read_csv(run / "tables/table1.csv").to_dict("records"):
        psnr, ssim = (rows[row["title"]][place].split()[0].rstrip("~") for place in (0, 4))
        assert (psnr, ssim) == (f"{row['psnr']:.2f}", f"{row['ssim']:.3f}"), row["title"]


def test_a_link_to_a_view_leads_there(driver, run):
    page_of(run)
    resize(driver, 1280, 800)
    viewer = Viewer(driver, run / "index.html").open()
    link = viewer.set(slice="L7_2_0005", level=-600).link
    assert viewer.open(link).link == link
    scrolled, top = driver.execute_script(TOP)
    assert scrolled > 1000 and abs(top) < 100
