"""The picture of ``top`` in the README, by hand: of a Cowrie that is being visited.

python tests/accuracy.py make FOLDER --sessions 110 --seed 11 &
python tests/top_picture.py FOLDER etc/top.png
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import MONOKAI
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from cowrie_sessionstats.watching.log import Follower
from cowrie_sessionstats.watching.state import StoreReader
from cowrie_sessionstats.watching.top_command import Request, Watching
from cowrie_sessionstats.watching.where import watched

COLUMNS: Final = 150
ROWS: Final = 32
SCALE: Final = 0.75
"""Of the picture: for a page of a README, in which it is small."""


def main() -> None:
    """Draw the page as it is now."""
    folder, picture = Path(sys.argv[1]), Path(sys.argv[2])
    where = watched(None, folder)
    request = Request(where, "/srv/cowrie", once=False, interval=1.0)
    store = StoreReader(where.store, where.without)
    watching = Watching(request, Follower(where.log), store, hint="q leaves")
    watching.page(COLUMNS, ROWS)
    time.sleep(12)
    console = Console(
        record=True, width=COLUMNS, height=ROWS, file=io.StringIO(), force_terminal=True,
        color_system="truecolor", highlight=False, markup=False,
    )  # fmt: skip
    console.print(watching.page(COLUMNS, ROWS))
    watching.follower.close()
    with tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch) / "top.svg"
        drawn.write_text(console.export_svg(title="cowrie-sessionstats top", theme=MONOKAI))
        _shoot(drawn, picture)


def _shoot(drawn: Path, picture: Path) -> None:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.set_window_size(1500, 800)
        browser.get(drawn.as_uri())
        box = browser.execute_script(
            "const b = document.documentElement.viewBox.baseVal; return [b.width, b.height];"
        )
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": round(box[0]), "height": round(box[1]), "deviceScaleFactor": SCALE,
             "mobile": False},
        )  # fmt: skip
        browser.save_screenshot(str(picture))
        # A tenth of the colours, a fourth of the bytes: apt-get install pngquant.
        smaller = ("pngquant", "--force", "--output", picture, picture)
        subprocess.run(smaller, check=True)
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
