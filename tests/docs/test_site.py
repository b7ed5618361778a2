"""The site in Chromium: found, picked, copied, searched; on a desk and on a phone, by day and by night."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import LOOKS, fits, launched, unfold, violations

ROOT = Path(__file__).parents[2]
KINDS = ["", "tutorial/first-run/", "recipes/", "recipes/internvl3/", "recipes/qwen3-8b/?hardware=l4x1&tp=1&dp=1"]
KINDS += ["reference/plugins/", "reference/cli/", "reference/documents/", "how-to/choose-checks/"]

pytestmark = pytest.mark.browser


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(command, cwd=ROOT, env=env, timeout=120, check=True)
    return folder


@pytest.fixture(scope="session")
def home(site: Path) -> Iterator[str]:
    """The address of the site, on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with launched(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    made.grant_permissions(["clipboard-read", "clipboard-write"])
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_pages_fit_ask_nobody_else_and_are_accessible(browser: Browser, home: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    wrong = {}
    for path in KINDS:
        page.goto(home + path)
        unfold(page)
        wrong[path] = violations(page) + [("too wide", path)] * (not fits(page))
    assert {path: found for path, found in wrong.items() if found} == {}
    assert [url for url in asked if not url.startswith(home)] == []
    assert said == []
    context.close()


def test_from_the_front_page_to_a_command(page: Page, home: str) -> None:
    """Home, a recipe, another hardware, the command copied, a check found."""
    page.goto(home)
    page.get_by_role("link", name="Find your model's command").click()
    page.get_by_role("article").get_by_role("link", name="internvl3", exact=True).click()
    told = page.get_by_role("status").filter(has_text="On ")
    expect(told).to_have_text(
        "On a100x2, TP 2, DP 1. Fits: weights 7.53 GiB, KV cache for 1,036,240 tokens on each of 2 GPUs."
    )
    command, server = page.locator(".rr-shown pre > code").all()
    expect(command).to_have_text("recipe-run recipe=internvl3 hardware=a100x2")
    page.get_by_label("Hardware").select_option("h100x8")
    page.get_by_label("Tensor parallel (TP)").select_option("1")
    page.get_by_label("Data parallel (DP)").select_option("8")
    words = "recipe-run recipe=internvl3 hardware=h100x8 parallelism.tp=1 parallelism.dp=8"
    expect(command).to_have_text(words)
    expect(server).to_contain_text("CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7 \\")
    expect(server).to_contain_text("--data-parallel-size 8")
    for block, copied in ((command, words), (server, server.inner_text())):
        block.locator("xpath=ancestor::pre").get_by_role("button").click()
        expect(page.get_by_text("Copied to clipboard")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()").strip() == copied.strip()
    page.get_by_role("textbox", name="Search").click()
    page.get_by_role("textbox", name="Search").type("tool_call")
    page.get_by_role("link").filter(has_text="tool_call").first.click()
    page.wait_for_url("**/reference/plugins/**")
    expect(page.get_by_role("heading", name="tool_call")).to_be_visible()


def test_of_a_session_the_commands_are_copied(page: Page, home: str) -> None:
    page.goto(home)
    block = page.locator("pre").filter(has_text="internvl3-tiny on cpu")
    block.get_by_role("button").click()
    expect(page.get_by_text("Copied to clipboard")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "recipe-run recipe=internvl3-tiny hardware=cpu"


def test_a_refusal_says_why_and_shows_no_command(page: Page, home: str) -> None:
    page.goto(f"{home}recipes/internvl3/")
    page.get_by_label("Tensor parallel (TP)").select_option("4")
    told = page.get_by_role("status").filter(has_text="On ")
    expect(told).to_contain_text("On a100x2, TP 4, DP 1. Refused: tp=4 takes 4 devices, a100x2 has 2;")
    expect(page.locator(".rr-shown")).to_be_hidden()
    assert page.get_by_label("Data parallel (DP)").locator("option").all_inner_texts() == [
        f"{size} (refused)" for size in (1, 2, 4, 8)
    ]
    page.get_by_label("Hardware").select_option("h100x1")
    expect(told).to_contain_text("On h100x1, TP 1, DP 1. Fits:")
    expect(page.locator(".rr-shown pre > code").first).to_have_text(
        "recipe-run recipe=internvl3 hardware=h100x1 parallelism.tp=1"
    )


def test_what_was_picked_has_an_address(page: Page, home: str) -> None:
    page.goto(f"{home}recipes/internvl3/?hardware=a100x8&tp=2&dp=4")
    expect(page.locator(".rr-shown pre > code").first).to_contain_text("hardware=a100x8 parallelism.dp=4")
    page.get_by_label("Data parallel (DP)").select_option("2")
    assert page.url == f"{home}recipes/internvl3/?hardware=a100x8&tp=2&dp=2"
    page.goto(f"{home}recipes/internvl3/?hardware=<b>&tp=99")
    expect(page.locator(".rr-shown pre > code").first).to_have_text("recipe-run recipe=internvl3 hardware=a100x2")


def test_it_is_picked_with_the_keyboard(page: Page, home: str) -> None:
    page.goto(f"{home}recipes/internvl3/")
    page.get_by_label("Hardware").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".rr-shown pre > code").first).to_contain_text("hardware=a100x8")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".rr-shown pre > code").first).to_contain_text("hardware=a100x8 parallelism.tp=4")


def test_the_index_is_filtered(page: Page, home: str) -> None:
    page.goto(f"{home}recipes/")
    shown = page.locator("article tbody tr:visible td:first-child a")
    told = page.get_by_role("status").filter(has_text="recipes")
    expect(told).to_have_text("7 of 7 recipes")
    page.get_by_label("Fits on").select_option("cpu")
    assert shown.all_inner_texts() == ["internvl3-tiny", "qwen3-8b", "smollm2-135m"]
    page.get_by_label("Task").select_option("text")
    assert shown.all_inner_texts() == ["qwen3-8b", "smollm2-135m"]
    page.get_by_label("Weights").select_option("1")
    assert shown.all_inner_texts() == ["smollm2-135m"]
    expect(told).to_have_text("1 of 7 recipes")
    shown.click()
    expect(page.locator(".rr-shown pre > code").first).to_have_text("recipe-run recipe=smollm2-135m hardware=cpu")
    assert page.url.endswith("/recipes/smollm2-135m/?hardware=cpu")


def test_without_scripts_a_command_and_all_recipes_are_there(browser: Browser, home: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{home}recipes/internvl3/")
    expect(page.locator(".rr-picker")).to_be_hidden()
    expect(page.locator(".rr-shown pre > code").first).to_have_text("recipe-run recipe=internvl3 hardware=a100x2")
    expect(page.get_by_role("cell", name="hardware=h100x1 parallelism.tp=1")).to_be_visible()
    page.goto(f"{home}recipes/")
    expect(page.locator(".rr-filter")).to_be_hidden()
    expect(page.locator("article tbody tr:visible")).to_have_count(7)
    context.close()


def test_a_page_that_is_opened_as_a_file_can_pick(page: Page, site: Path) -> None:
    page.goto((site / "recipes" / "internvl3" / "index.html").as_uri())
    page.get_by_label("Hardware").select_option("h100x2")
    expect(page.locator(".rr-shown pre > code").first).to_have_text("recipe-run recipe=internvl3 hardware=h100x2")
