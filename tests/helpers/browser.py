"""A real browser without a network, for pages that open by double click, and their slice viewer."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
# As root, as in containers, Chromium's sandbox does not start; the pages are our own.
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars")
# Every canvas: its label, part of the slice, size, and the colours of its pixels.
READ = """
return [...document.querySelectorAll('.viewer-frame:not([hidden]) canvas')].map((canvas) => ({
  label: canvas.getAttribute('aria-label'),
  part: canvas.parentElement.querySelector('svg').getAttribute('viewBox').split(' ').map(Number),
  pixels: btoa([...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]
    .map((byte) => String.fromCharCode(byte)).join('')) }))
"""
SETTLED = """
const done = arguments[0];
const frame = (then) => () => requestAnimationFrame(then);
const look = () => setTimeout(
  document.querySelector('.viewer tbody tr') ? frame(frame(() => setTimeout(done, 20))) : look, 20);
look();
"""
SET = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"


@contextmanager
def chromium(width: int = 1280, height: int = 900) -> Iterator:
    """A Selenium driver of Chromium with the network off; skips where there is none."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium not found")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        driver.set_script_timeout(120)
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE)
        resize(driver, width, height)
        yield driver
    finally:
        driver.quit()


def resize(driver, width: int, height: int = 900) -> None:
    """Make the page so many CSS pixels wide: a window cannot be as narrow as a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def open_page(driver, page: Path, fragment: str = "") -> None:
    """Open a file as a double click does, as a new page."""
    driver.get("about:blank")
    driver.get(page.resolve().as_uri() + fragment)


def console_errors(driver) -> list[str]:
    """Messages of the console, but for what is only told."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] != "INFO"]


def requested(driver) -> list[str]:
    """Addresses that pages asked for since the last call, without those that hold their content."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    found = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in found if not address.startswith(("data:", "about:", "blob:"))]


def save_screenshot(driver, path: Path) -> None:
    """Write the whole page, not only what is in view, as PNG."""
    height = driver.execute_script("return document.documentElement.scrollHeight")
    width = driver.execute_script("return innerWidth")
    area = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    asked = {"captureBeyondViewport": True, "clip": area}
    image = driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]
    path.write_bytes(base64.b64decode(image))


class Viewer:
    """What a reader does with the slice viewer of a page, and sees."""

    def __init__(self, driver, page):
        self.driver, self.page = driver, page

    def open(self, fragment: str = "") -> "Viewer":
        open_page(self.driver, self.page, fragment)
        return self.settled()

    def settled(self):
        self.driver.execute_async_script(SETTLED)
        return self

    def find(self, selector):
        return self.driver.find_element("css selector", f".viewer {selector}")

    def find_all(self, selector):
        return self.driver.find_elements("css selector", f".viewer {selector}")

    def set(self, **fields):
        for name, value in fields.items():
            self.driver.execute_script(SET, self.find(f"[name={name}]"), value)
        return self.settled()

    def press(self, *keys):
        for key in keys:
            self.find(".viewer-panels").send_keys(key)
        return self.settled()

    def drag(self, tool, start, end):
        """Drag in the first image between two places, given as parts of its width and height."""
        from selenium.webdriver import ActionChains

        self.find(f"[value={tool}]").click()
        canvas = self.find("canvas")
        width, height = canvas.size["width"], canvas.size["height"]
        (x, y), (to_x, to_y) = ((int(a * width), int(b * height)) for a, b in (start, end))
        move = ActionChains(self.driver, duration=0)
        move.move_to_element_with_offset(canvas, x - width // 2, y - height // 2).click_and_hold()
        move.move_by_offset(to_x - x, to_y - y).release().perform()
        return self.settled()

    @property
    def link(self):
        return "#" + self.find(".viewer-link").get_attribute("href").split("#")[1]

    def canvases(self):
        """Label to (part of the slice, colours of its pixels)."""
        found = {}
        for canvas in self.driver.execute_script(READ):
            left, top, columns, rows = map(int, canvas["part"])
            pixels = np.frombuffer(base64.b64decode(canvas["pixels"]), np.uint8)
            pixels = pixels.reshape(rows, columns, 4).astype(int)
            found[canvas["label"]] = (np.s_[top : top + rows, left : left + columns], pixels)
        return found

    def scores(self):
        """Image to mean, standard deviation, PSNR and SSIM of the region."""
        cells = self.driver.execute_script(
            "return [...document.querySelectorAll('.viewer td')].map((cell) => ({...cell.dataset}))"
        )
        values = [float(value) for cell in cells for value in cell.values()]
        names = [row.text for row in self.find_all("tbody th")]
        return dict(zip(names, np.reshape(values, (-1, 4)), strict=True))
