"""report.html in Chromium: on a desk and on a phone, by day and by night, and for those who do not see it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from recipe_runner.reports.html import Html
from tests.browser import LOOKS, fits, launched, unfold, violations
from tests.reports.documents import HOSTILE, LONG, RUN, SWEEP, hostile

WRITER = Html(uses="html")

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with launched(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(params=LOOKS, ids=lambda p: f"{p[0]}-{p[1]}")
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    yield context.new_page()
    context.close()


@pytest.fixture(params=["passed", "hostile", "long", "sweep"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "sweep":
        return WRITER.write_sweep(SWEEP, tmp_path)
    documents = {"passed": RUN, "hostile": hostile(HOSTILE), "long": hostile(LONG)}
    return WRITER.write(documents[request.param], tmp_path)


def test_it_fits_asks_for_nothing_and_is_accessible(page: Page, file: Path) -> None:
    assert file.stat().st_size <= 1_000_000
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    unfold(page)
    assert fits(page)
    assert violations(page) == []
    assert (asked, said) == ([file.as_uri()], [])


@pytest.mark.parametrize("what", ["run", "sweep"])
def test_on_a_phone_verdicts_are_seen_without_scrolling(browser: Browser, tmp_path: Path, what: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto((WRITER.write(RUN, tmp_path) if what == "run" else WRITER.write_sweep(SWEEP, tmp_path)).as_uri())
    ends = page.eval_on_selector_all("td .verdict", "all => all.map(one => one.getBoundingClientRect().right)")
    page.close()
    assert len(ends) >= 4
    assert max(ends) <= 390


def test_its_plots_are_seen_by_night_as_by_day(browser: Browser, tmp_path: Path) -> None:
    seen = [colours(browser, WRITER.write(RUN, tmp_path), scheme) for scheme in ("light", "dark")]
    assert all(contrast(letters, ground) >= 4.5 for letters, _, ground in seen)
    assert all(contrast(line, ground) >= 3 for _, line, ground in seen)
    assert seen[0][2] != seen[1][2]


def test_a_point_of_a_sweep_leads_to_its_report(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "003").mkdir()
    WRITER.write(RUN, tmp_path / "003")
    page = browser.new_page()
    page.goto(WRITER.write_sweep(SWEEP, tmp_path).as_uri())
    page.get_by_role("link", name="003").click()
    page.wait_for_url("**/003/report.html")
    assert page.title() == "internvl3 on a100x2: passed"
    page.close()


def test_the_tests_see_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    """A page that is too wide, grey on grey, and has an image without words."""
    wrong = tmp_path / "wrong.html"
    wrong.write_text("<p style='width: 2000px; color: #ccc; background: #fff'>text</p><img src='data:,'>")
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(wrong.as_uri())
    assert not fits(page)
    assert {"color-contrast", "html-has-lang", "image-alt"} <= {name for name, _ in violations(page)}
    page.close()


def colours(browser: Browser, file: Path, scheme: str) -> list[tuple[int, ...]]:
    """Of the first plot: its letters, its line, and what they stand on."""
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(file.as_uri())
    asked = "[['svg text', 'fill'], ['svg path[style*=series-0]', 'stroke'], ['body', 'backgroundColor']]"
    got = page.evaluate(f"{asked}.map(([what, of]) => getComputedStyle(document.querySelector(what))[of])")
    page.close()
    return [tuple(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) for colour in got]


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """As WCAG has it."""

    def luminance(colour: tuple[int, ...]) -> float:
        linear = [part / 3294.6 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    less, more = sorted((luminance(one), luminance(other)))
    return (more + 0.05) / (less + 0.05)
