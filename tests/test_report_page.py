"""The page in a real browser: nothing that attackers sent runs, and everything can be used."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from logs import tool
from nasty import NASTY
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from summaries import summary, write_records
from test_report_hostile import hostile

from cowrie_sessionstats.summary import printable

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
Browser: TypeAlias = webdriver.Chrome
Open: TypeAlias = Callable[..., Browser]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no Chromium (apt-get install chromium chromium-driver)",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of hostile records."""
    folder = tmp_path_factory.mktemp("page")
    said = tool("report", "--html", folder / "p.html", write_records(folder / "s.jsonl", hostile()))
    assert said.status == 0, said.err
    return folder / "p.html"


@pytest.fixture
def opened(browser: Browser, page: Path) -> Open:
    """Return what opens the page as a window of some size and scheme shows it."""

    def show(width: int = 1280, height: int = 900, scheme: str = "light") -> Browser:
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        for kind in ("browser", "performance"):
            log(browser, kind)
        browser.get(page.as_uri())
        until(lambda: drawn(browser) == scheme)
        return browser

    return show


def log(browser: Browser, kind: str) -> list[dict[str, Any]]:
    """Return what the browser has logged since it was last asked."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def drawn(browser: Browser) -> Any:
    """Return in which scheme the plots have been drawn."""
    return browser.execute_script("return document.documentElement.dataset.drawn")


def until(true: Callable[[], Any]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_that_attackers_sent_runs(opened: Open) -> None:
    """No script, no element, no request, and the policy has had nothing to stop."""
    browser = opened()
    assert browser.execute_script("return window.hacked") is None
    assert [entry["message"] for entry in log(browser, "browser")] == []
    count = "return document.querySelectorAll(arguments[0]).length"
    assert browser.execute_script(count, "script") == 3
    for element in ("iframe", "img", "base", "link", "object", "b", "style:not(head > style)"):
        assert browser.execute_script(count, element) == 0, element
    sent = [
        url
        for entry in log(browser, "performance")
        for url in re.findall(r'"url":"((?:https?|file|ftp|ws)[^"]*)"', entry["message"])
        if "Network.requestWillBeSent" in entry["message"]
    ]
    assert set(sent) == {browser.current_url}


def test_the_policy_lets_only_the_pages_own_scripts_run(opened: Open) -> None:
    """What gets into the page all the same neither runs nor loads."""
    browser = opened()
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.hacked = 9';"
        "document.body.append(s);"
        "const d = document.createElement('div');"
        "d.innerHTML = '<img src=https://example.net/x.png onerror=\"window.hacked = 10\">';"
        "document.body.append(d);"
    )
    assert browser.execute_script("return window.hacked") is None
    browser.execute_script(
        "document.body.setAttribute('onclick', 'window.hacked = 11'); document.body.click();"
    )
    assert browser.execute_script("return window.hacked") is None
    said = " ".join(entry["message"] for entry in log(browser, "browser"))
    assert "Content Security Policy" in said


def test_every_plot_is_drawn(opened: Open) -> None:
    """In both schemes, and again when the scheme changes."""
    for scheme in ("light", "dark"):
        browser = opened(scheme=scheme)
        plots = browser.find_elements(By.CSS_SELECTOR, ".plot")
        assert len(plots) == 8  # no template has been seen often enough to say where it is left
        for plot in plots:
            assert "could not be drawn" not in plot.text
            assert plot.find_element(By.TAG_NAME, "canvas").size["height"] > 50
    browser.find_element(By.ID, "scheme").click()
    until(lambda: drawn(browser) == "light")


def test_tables_sort_and_filter_by_keyboard(opened: Open) -> None:
    """Headings are buttons; what is typed filters; the count is said."""
    browser = opened()
    table = browser.find_element(By.ID, "clients-table")
    heading = table.find_element(By.XPATH, ".//th[button='sessions']/button")
    heading.send_keys(Keys.ENTER)
    assert heading.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
    heading.send_keys(Keys.SPACE)
    assert heading.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    field = browser.find_element(By.CSS_SELECTOR, "input[data-table='clients-table']")
    field.send_keys("<script>window")
    rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
    shown = [row for row in rows if row.is_displayed()]
    assert 0 < len(shown) < len(rows)
    assert browser.find_element(By.ID, "clients-count").text == (
        f"{len(shown)} of {len(rows)} rows"
    )
    field.clear()
    field.send_keys(Keys.SPACE, Keys.BACKSPACE)
    assert all(row.is_displayed() for row in rows)


def test_a_record_is_behind_every_row(opened: Open) -> None:
    """By keyboard, and each key of it as text."""
    browser = opened()
    for table in browser.find_elements(By.CSS_SELECTOR, "table"):
        rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
        numbers = table.get_attribute("id") == "figure2-table"  # whose empty bars have none
        buttons = table.find_elements(By.CSS_SELECTOR, "button.record")
        assert len(buttons) == len(rows) or numbers
    for number in (0, 1, 16):
        name = f"{NASTY[number][:40]}{number}"
        button = next(
            each
            for each in browser.find_elements(By.CSS_SELECTOR, "#worth_a_look button.record")
            if each.text == printable(name, 40)
        )
        button.send_keys(Keys.ENTER)
        dialog = browser.find_element(By.ID, "record")
        assert dialog.get_attribute("open") is not None
        assert printable(name, 40) in dialog.text
        assert "last_command" in dialog.text
        assert NASTY[number] in dialog.text
        dialog.find_element(By.TAG_NAME, "button").send_keys(Keys.ESCAPE)
        until(lambda: not browser.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    assert browser.execute_script("return window.hacked") is None


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_is_no_wider_than_its_window(opened: Open, width: int) -> None:
    """On a telephone, too: what is wider scrolls by itself."""
    browser = opened(width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_page_says_what_it_counts_and_is_valid_without_script(page: Path) -> None:
    """Its tables stand in the HTML; ids are there once."""
    text = page.read_text()
    assert "sessions that logged in; every cowrie.command.* event counts" in text
    ids = re.findall(r'\bid="([^"]+)"', text.partition("<script")[0])
    assert len(ids) == len(set(ids)) > 20
    assert "window.hacked = 1</script>" not in text.partition('id="data"')[0]


def test_a_page_of_one_session(tmp_path: Path) -> None:
    """The smallest there is."""
    path = write_records(tmp_path / "s.jsonl", [summary("a")])
    said = tool("report", "--html", tmp_path / "p.html", path)
    assert said.status == 0, said.err
    assert "<table" in (tmp_path / "p.html").read_text()
