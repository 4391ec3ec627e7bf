"""The viewer in a real browser, opened as a file with the network off."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from browser import (
    Viewer,
    chromium,
    console_errors,
    open_page,
    requested,
    resize,
    save_screenshot,
)
from made_up_slices import ABDOMEN, METHODS, pack

from ldct.metrics.pixelwise import pair_scores
from ldct.metrics.protocol import SsimWindow
from ldct.rendering.windows import WINDOWS
from ldct.viewer.page import images_of, viewer_html

NAMES = ["LDCT", *METHODS.values(), "NDCT"]
PROTOCOLS = {
    "uniform": ABDOMEN,
    "gaussian": replace(ABDOMEN, name="gaussian", ssim=SsimWindow("gaussian", 1.5)),
    "prediction": replace(
        ABDOMEN, name="prediction", clip=False, data_range="prediction", window=(-1024.0, 3071.0)
    ),
}
PAGE = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Slices</title><style>'
    ":root {{ color-scheme: light dark }} body {{ padding-bottom: 60rem }}</style></head><body>"
    '<section id="viewer"><h2>Slices</h2>{}</section></body></html>'
)
OUTLINE = "return getComputedStyle(document.activeElement).outlineStyle"
UNNAMED = """
return [...document.querySelectorAll('.viewer :is(button, select, input)')]
  .filter((each) => !(each.ariaLabel || each.labels?.[0]?.innerText || each.innerText))
"""


@pytest.fixture(scope="module")
def driver():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pages by protocol, and the whole images of every slice of the first."""
    folder = tmp_path_factory.mktemp("viewer")
    pages = {}
    for name, protocol in PROTOCOLS.items():
        packed = pack(folder, protocol)
        pages[name] = folder / f"{name}.html"
        pages[name].write_text(PAGE.format(viewer_html(packed)), encoding="utf-8")
    slices = {
        e["id"]: e for e in json.loads((folder / "viewer_abdomen.json").read_text())["slices"]
    }
    return SimpleNamespace(pages=pages, slices=slices, whole=images_of(slices["L7_0005"]))


@pytest.fixture
def viewer(driver, made):
    resize(driver, 1280)
    return Viewer(driver, made.pages["uniform"]).open()


def grey(hu, level, width):
    """The formula of a window: black at its lower bound, white at its upper one."""
    unit = (hu.astype(float) - (level - width / 2)) / width
    return np.floor(255 * np.clip(unit, 0, 1) + 0.5)


def assert_greys(viewer, images, level, width, second=None):
    found = viewer.canvases()
    for name in NAMES:
        part, pixels = found[name]
        assert np.array_equal(pixels[..., 0], grey(images[name][part], level, width)), name
        assert (pixels[..., 0] == pixels[..., 2]).all() and (pixels[..., 3] == 255).all()


def test_opens_without_an_error_and_asks_for_nothing(driver, viewer):
    driver.get_log("browser"), driver.get_log("performance")
    viewer.open().press("d", "b", "s")
    assert console_errors(driver) == []
    assert requested(driver) == [viewer.page.as_uri()]


def test_pixels_follow_the_window(viewer, made):
    viewer.set(slice="L7_0005")
    assert_greys(viewer, made.whole, 40, 400)
    viewer.set(level=-20, width=77)
    assert_greys(viewer, made.whole, -20, 77)
    viewer.set(preset="lung")
    assert_greys(viewer, made.whole, -600, 1500)
    viewer.drag("window", (0.5, 0.5), (0.7, 0.2))
    level, width = (
        float(viewer.find(f"[name={n}]").get_property("value")) for n in ("level", "width")
    )
    assert width > 1500 and level < -600
    assert_greys(viewer, made.whole, level, width)


def test_a_second_row_shows_what_the_window_does_not(viewer, made):
    viewer.set(slice="L7_2_0005")
    lower, upper = WINDOWS["lung"]
    found = viewer.canvases()
    assert len(found) == 2 * len(NAMES)
    _, pixels = found["NDCT, lung window"]
    images = images_of(made.slices["L7_2_0005"])
    expected = grey(images["NDCT"], (lower + upper) / 2, upper - lower)
    assert np.array_equal(pixels[..., 0], expected)
    assert viewer.find("figure:last-child span").text == "lung window"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_region_has_the_values_of_numpy_and_of_the_package(driver, made, name):
    viewer = Viewer(driver, made.pages[name]).open().set(slice="L7_0005")
    for top, left, rows, columns in ((20, 30, 40, 45), (45, 50, 17, 11), (0, 0, 80, 112)):
        viewer.set(top=top, left=left, rows=rows, columns=columns)
        region = {n: i[top : top + rows, left : left + columns] for n, i in made.whole.items()}
        for title, (mean, sd, *scores) in viewer.scores().items():
            assert (mean, sd) == pytest.approx(
                (region[title].mean(), region[title].std()), rel=1e-9
            )
            if title != "NDCT":
                images = (region[key] for key in (title, "LDCT", "NDCT"))
                expected = pair_scores(*images, PROTOCOLS[name])
                assert scores == pytest.approx([expected["psnr"], expected["ssim"]], rel=1e-9)


def test_region_is_drawn_and_has_no_score_where_there_is_none(viewer):
    viewer.set(slice="L7_0005").drag("region", (0.51, 0.51), (0.74, 0.76))
    drawn = [int(viewer.find("rect").get_attribute(key)) for key in ("y", "x", "height", "width")]
    assert drawn == pytest.approx([40, 57, 21, 26], abs=1)
    viewer.set(top=60, rows=5)
    assert "too small for the window of SSIM" in viewer.find("caption").text
    assert np.isnan(viewer.scores()["Dull"][3]) and viewer.scores()["Dull"][2] > 0
    viewer.set(top=2, left=2, rows=12, columns=12)  # lung: nothing within the window
    assert "both doses are equal" in viewer.find("caption").text
    assert np.isnan(viewer.scores()["Keep"][2:]).all()


def test_all_images_move_and_zoom_together(viewer, made):
    viewer.set(slice="L7_0005").press("+", "+")
    viewer.drag("pan", (0.8, 0.8), (0.4, 0.5))
    parts = {str(part) for part, _ in viewer.canvases().values()}
    assert len(parts) == 1 and parts != {str(np.s_[20:60, 28:84])}
    assert_greys(viewer, made.whole, 40, 400)
    far = viewer.press(*["\ue008\ue013"] * 30).canvases()["NDCT"][0]  # Shift and up
    assert far[0].start == 0


def test_a_link_restores_the_view(viewer):
    viewer.set(slice="L7_1_0005", level=10, width=90, a="Keep", b="LDCT", rows=9)
    viewer.press("+", "d").drag("pan", (0.6, 0.6), (0.2, 0.3))
    link, before = viewer.link, viewer.canvases()
    viewer.open(link)
    assert viewer.link == link
    after = viewer.canvases()
    assert list(after) == list(before) and "Dull − NDCT" in after
    assert all(np.array_equal(after[name][1], before[name][1]) for name in before)
    assert viewer.driver.execute_script("return scrollY") > 0


@pytest.mark.parametrize(
    "fragment",
    ["#viewer", "#viewer&", "#viewer&slice=none&level=x&width=-5&zoom=99&at=1&a=<b>&region=1,2,3"],
)
def test_what_a_link_says_wrongly_is_as_at_first(driver, viewer, fragment):
    first = viewer.link
    driver.get_log("browser")
    link = viewer.open(fragment).link
    assert link.replace("width=1&", "width=400&") == first and console_errors(driver) == []


def test_difference_is_blue_below_and_red_above(viewer, made):
    viewer.set(slice="L7_0005").press("d")
    _, pixels = viewer.canvases()["Dull − NDCT"]
    difference = made.whole["Dull"].astype(int) - made.whole["NDCT"]
    assert (pixels[difference == 0] == 255).all()
    red, blue = pixels[..., 0], pixels[..., 2]
    assert (red[difference > 0] > blue[difference > 0]).all()
    assert (red[difference < 0] < blue[difference < 0]).all()
    assert (pixels[difference >= 100][:, :3] == [178, 24, 43]).all()
    assert "+100 HU" in viewer.find(".viewer-legend").text
    assert np.array_equal(viewer.canvases()["NDCT"][1][..., 0], grey(made.whole["NDCT"], 40, 400))


def test_two_images_blink_by_themselves_and_by_hand(viewer):
    from selenium.webdriver.support.ui import WebDriverWait

    viewer.press("b")
    (first,) = viewer.canvases()
    WebDriverWait(viewer.driver, 10).until(lambda _: list(viewer.canvases()) != [first])
    (now,) = viewer.press("s").canvases()
    (other,) = viewer.press("s").canvases()
    assert {now, other} == {"Keep", "NDCT"}
    assert len(viewer.press("b").canvases()) == len(NAMES)


def test_keyboard_reaches_everything_and_its_focus_is_seen(driver, viewer):
    assert driver.execute_script(UNNAMED) == []
    reached = set()
    for _ in range(40):
        driver.switch_to.active_element.send_keys("\ue004")  # Tab
        focused = driver.switch_to.active_element
        reached.add(focused.get_attribute("name") or focused.get_attribute("class"))
        assert driver.execute_script(OUTLINE) != "none"
        if focused.get_attribute("class") == "viewer-link":
            break
    assert {"slice", "level", "tool", "blink", "columns", "viewer-panels", "viewer-link"} <= reached
    viewer.press("\ue014")  # right
    assert "slice=L7_1_0005" in viewer.link
    assert "slice 5" in viewer.find(".viewer-status").get_property("textContent")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_fits_desktop_and_phone(driver, viewer, tmp_path, width, scheme):
    resize(driver, width)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    viewer.open()
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    save_screenshot(driver, tmp_path / f"{width}.png")
    columns = {canvas.location["x"] for canvas in driver.find_elements("css selector", "canvas")}
    assert len(columns) == (2 if width == 390 else 5)


def test_paper_and_pages_without_script_have_a_picture(driver, viewer):
    def shown():
        return [viewer.find(name).is_displayed() for name in (".viewer-live", ".viewer-static img")]

    assert shown() == [True, False]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert shown() == [False, True]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    open_page(driver, viewer.page)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert shown() == [False, True]
    assert viewer.find(".viewer-static img").get_property("naturalWidth") > 1000
