"""The page in a real browser, opened as a file with the network off."""

import pytest
from browser import chromium, console_errors, open_page, requested, resize
from front_pages import made_up_run, page_of
from made_up_slices import pack

WIDTHS = "return [innerWidth, document.documentElement.scrollWidth]"
UNFOLD = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
FOOT = "return document.querySelector('#left').getBoundingClientRect().bottom"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    run = made_up_run(folder / "demo")
    (run / "viewer").mkdir()
    pack(folder).rename(run / "viewer/slices.json")
    return run


def test_it_opens_offline_without_an_error_and_no_width_scrolls_sideways(run):
    page_of(run)
    with chromium() as driver:
        for width in (1280, 390):
            resize(driver, width, 800)
            open_page(driver, run / "index.html")
            if width == 1280:
                assert driver.execute_script(FOOT) <= 800
            driver.execute_script(UNFOLD)
            assert driver.execute_script(WIDTHS) == [width, width]
        assert console_errors(driver) == []
        assert {address.split("/")[-1] for address in requested(driver)} == {"index.html"}
