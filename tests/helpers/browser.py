"""A real browser without a network, for pages that open by double click."""

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
# As root, as in containers, Chromium's sandbox does not start; the pages are our own.
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars")


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
