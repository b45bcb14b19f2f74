"""The picture in the README, by hand: the page of public logs, as a browser shows it.

python tests/screenshot.py ../shared/data/real etc/report.png
"""

from __future__ import annotations

import base64
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from logs import tool
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

WIDTH: Final = 1180
SECTIONS: Final = ("figure8", "leaving", "tree", "worth_a_look")
"""What is shown below the heading; what else there is on the page is left out."""


def main() -> None:
    """Make the page, open it, and write what is seen."""
    logs, picture = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        said = tool("report", "--html", page, "--top", "8", logs)
        if said.status:
            raise SystemExit(said.err)
        picture.write_bytes(_shot(page))


def _shot(page: Path) -> bytes:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": WIDTH, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.get(page.as_uri())
        while not browser.execute_script("return document.documentElement.dataset.drawn"):
            time.sleep(0.1)
        browser.execute_script(
            "for (const each of document.querySelectorAll('section'))"
            "  if (!arguments[0].includes(each.id)) each.remove();"
            "for (const each of document.querySelectorAll('.scroll'))"
            "  each.style.maxHeight = '15rem';",
            SECTIONS,
        )
        height = browser.execute_script("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
        shot = browser.execute_cdp_cmd(
            "Page.captureScreenshot",
            {"format": "png", "captureBeyondViewport": True, "clip": clip},
        )
        return base64.b64decode(shot["data"])
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
