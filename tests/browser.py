"""Looking at pages in Debian's Chromium, without a screen: does it fit, and can everybody use it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]  # a desk and a phone, by day and by night


@contextmanager
def launched(home: Path) -> Iterator[Browser]:
    if shutil.which(CHROMIUM) is None:
        pytest.fail(f"there is no {CHROMIUM}; tools/browser.sh installs it, or says what to do")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], env={"HOME": str(home)})
        yield browser
        browser.close()


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")


def fits(page: Page) -> bool:
    """Whether nobody has to scroll sideways to read it."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def violations(page: Page) -> list[tuple[str, str]]:
    """What axe-core finds serious or critical, with the first element that it is about."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
