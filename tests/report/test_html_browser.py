"""The HTML report in headless Chromium: controls, keyboard, sorting, narrow screens, accessibility."""

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from report_folders import (
    HOSTILE,
    bench_folder,
    check_folder,
    comparison_folder,
    explanation_folder,
    reproduction_folder,
    sentences_folder,
)

from probatum.terminal.kinds import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="the extra 'browser' is not installed")
pytestmark = pytest.mark.extra

SCHEMES = ("light", "dark")
WIDTHS = (1280, 390)
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("no Chromium: install Debian's package chromium, or set CHROMIUM to its program")
    with playwright.sync_playwright() as driver:
        # Inside a container Chromium cannot make a sandbox of its own.
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The address of each kind of page; names of one check hold markup."""
    root = tmp_path_factory.mktemp("reports")
    folders = {
        "check": check_folder(root / "check"),
        "hostile": check_folder(root / "hostile", HOSTILE, kept=len(HOSTILE), label=" ".join(HOSTILE)),
        "explanation": explanation_folder(root / "explanation"),
        "comparison": comparison_folder(root / "comparison"),
        "reproduction": reproduction_folder(root / "reproduction"),
        "sentences": sentences_folder(root / "sentences"),
        "bench": bench_folder(root / "bench"),
    }
    return {name: write_report(folder).as_uri() for name, folder in folders.items()}


@pytest.fixture
def visit(browser):
    """Opens a page; at the end nothing may have been complained of, and nothing fetched."""
    complaints, fetched, contexts = [], [], []

    def open_page(address, **settings):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | settings))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert not [url for url in fetched if not url.startswith("data:") and not url.endswith("/report.html")]


def sources(page, selector=".method .map"):
    return page.eval_on_selector_all(selector, "images => images.map(image => image.src)")


def test_the_slider_changes_the_maps_by_keyboard(visit, reports):
    page = visit(reports["check"])
    slider = page.locator("#stage")
    last, trained = sources(page), sources(page, ".before")
    assert page.locator("#stage-name").inner_text() == "3 of 3: conv1"
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#stage-name").inner_text() == "2 of 3: conv2"
    assert slider.get_attribute("aria-valuetext") == "2 of 3: conv2"
    assert all(a != b for a, b in zip(sources(page), last, strict=True))
    assert sources(page, ".before") == trained
    assert "after conv2, SSIM 0." in page.locator(".map").first.get_attribute("alt")
    page.keyboard.press("Home")
    assert page.locator("#stage-name").inner_text() == "Original: trained weights"
    assert sources(page) == trained


def test_image_and_style_are_chosen_by_keyboard(visit, reports):
    page = visit(reports["check"])
    before, picture = sources(page), sources(page, ".shown")
    page.locator("input[name=image]").first.focus()
    page.keyboard.press("ArrowDown")
    other = sources(page)
    assert all(a != b for a, b in zip(other, before, strict=True))
    assert sources(page, ".shown") != picture
    assert page.locator(".about").inner_text() == "cat (two)"
    page.get_by_label("signed").check()
    assert all(a != b for a, b in zip(sources(page), other, strict=True))
    page.get_by_label("Score below the maps").select_option("Rank correlation (spearman)")
    assert page.locator(".score").first.inner_text().startswith("Rank correlation")


def test_exact_values_come_with_focus_and_pointer_and_go_with_escape(visit, reports):
    page = visit(reports["check"])
    values, button = page.locator(".values").first, page.locator(".pair").first
    assert not values.is_visible()
    button.focus()
    assert values.is_visible()
    assert "SSIM\n" in values.inner_text()
    assert "mean of trials" in values.inner_text()
    page.keyboard.press("Escape")
    assert not values.is_visible()
    page.locator(".pair").nth(1).hover()
    assert page.locator(".values").nth(1).is_visible()
    page.mouse.move(0, 0)
    page.keyboard.press("Tab")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    page.locator("#stage").fill("2")  # the map of this stage, image and method is constant
    assert "this map is constant" in values.text_content()


def test_maps_are_laid_over_the_image_and_enlarged(visit, reports):
    page = visit(reports["check"])
    page.get_by_label("laid over the image").check()
    assert page.locator(".layer.over .under").count() == page.locator(".layer").count()
    page.get_by_role("button", name="Enlarge Gradient").focus()
    page.keyboard.press("Enter")
    assert page.locator("#large img").count() == 5  # the image, and two maps over it
    page.get_by_role("button", name="Close").focus()
    page.keyboard.press("Enter")
    assert not page.locator("#large").is_visible()
    assert page.evaluate("document.activeElement.className").startswith("enlarge")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert not page.locator("#large").is_visible()


def test_a_signed_map_over_the_image_is_transparent_at_0(visit, reports):
    page = visit(reports["explanation"])
    page.get_by_label("laid over the image").check()
    page.get_by_label("signed").check()
    layer = page.locator(".method .layer").first
    # A map that is 0 on the left and strongly positive on the right, over a dark image.
    layer.evaluate("""layer => {
        const painted = (left, right) => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 64;
            const brush = canvas.getContext("2d");
            for (const [place, color] of [[0, left], [32, right]]) {
                brush.fillStyle = color;
                brush.fillRect(place, 0, 32, 64);
            }
            return canvas.toDataURL();
        };
        layer.querySelector(".map").src = painted("rgb(221,221,220)", "rgb(180,4,38)");
        layer.querySelector(".under").src = painted("rgb(40,40,40)", "rgb(40,40,40)");
    }""")
    layer.locator(".map").evaluate("image => image.decode()")
    shown = np.asarray(Image.open(io.BytesIO(layer.screenshot())).convert("RGB")).astype(int)
    height, width = shown.shape[:2]
    zero, strong = shown[height // 2, width // 4], shown[height // 2, 3 * width // 4]
    assert np.ptp(zero) <= 2  # the gray image alone
    assert zero.max() < 128
    assert np.abs(strong - [180, 4, 38]).max() <= 12  # the map alone


def test_a_map_is_enlarged_by_a_click_where_it_has_no_stages(visit, reports):
    page = visit(reports["explanation"])
    page.locator(".method .layer").first.click()
    assert page.locator("#large").is_visible()


@pytest.mark.parametrize("kind", ["check", "comparison"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_first_screen_has_the_answer(visit, reports, kind, width, height):
    page = visit(reports[kind], viewport={"width": width, "height": height})
    for shown in [page.locator("h1"), page.locator(".answer"), *page.locator(".answers tbody th[scope=row]").all()]:
        box = shown.bounding_box()
        assert box["y"] + box["height"] < height
    assert page.locator(".answers tbody th[scope=row]").count() == 3


def test_columns_sort_by_number_both_ways(visit, reports):
    page = visit(reports["check"])
    table = page.locator("#verdict-table")
    head = table.get_by_role("columnheader", name="SSIM").last

    def column():
        return page.eval_on_selector_all(
            "#verdict-table tbody tr", "rows => rows.map(row => Number(row.cells[3].dataset.value))"
        )

    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(column())
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column() == sorted(column(), reverse=True)
    table.get_by_role("button", name="Method").click()
    assert head.get_attribute("aria-sort") is None
    titles = table.locator("tbody th bdi").all_inner_texts()
    assert titles == sorted(titles)


def test_what_does_not_exist_sorts_last(visit, reports):
    page = visit(reports["check"])
    page.locator(".metric details summary").first.click()
    table = page.locator(".metric table").first
    for _ in range(2):  # rising, then falling
        table.get_by_role("button", name="Noise ceiling").click()
        assert table.locator("tbody tr").first.locator("td").last.inner_text() == "0.80"


def test_all_stages_stand_side_by_side_when_asked(visit, reports):
    page = visit(reports["check"])
    page.locator("#strip summary").click()
    page.locator("#strip table").wait_for()
    assert page.locator("#strip img").count() == 3 * 4
    first = sources(page, "#strip img")
    page.locator("input[name=image]").nth(1).check()
    assert sources(page, "#strip img") != first


def test_the_keyboard_reaches_everything_and_starts_at_the_skip_link(visit, reports):
    page = visit(reports["check"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached |= set(page.evaluate("document.activeElement.id + ' ' + document.activeElement.className").split())
    assert {"wide", "sort", "stage", "score", "pair", "copy"} <= reached


def test_names_of_markup_are_text(visit, reports):
    page = visit(reports["hostile"])
    assert page.locator(".thumb").count() == len(HOSTILE)
    for choice in page.locator("input[name=image]").all():
        choice.check()
    assert page.evaluate("document.scripts.length") == 2
    assert "<img src=x onerror=alert(1)>" in page.locator("main").text_content()
    assert page.locator("img:not([src^='data:']):not([hidden])").count() == 0


@pytest.mark.parametrize(
    "kind", ["check", "hostile", "explanation", "comparison", "reproduction", "sentences", "bench"]
)
def test_a_phone_needs_no_sideways_scrolling(visit, reports, kind):
    page = visit(reports[kind], viewport={"width": 375, "height": 800})
    for opener in page.locator("details").all():
        opener.evaluate("one => { one.open = true }")
    assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_a_card_has_no_row_without_a_value(visit, reports):
    page = visit(reports["bench"], viewport={"width": 390, "height": 800})
    cells = page.eval_on_selector_all(
        ".cards td",
        "cells => cells.map(cell => [cell.checkVisibility(), !!(cell.innerText || cell.querySelector('svg'))])",
    )
    assert {filled for shown, filled in cells if shown} == {True}
    assert [False, False] in cells  # rows without a value, which a wide table shows as empty cells


@pytest.mark.parametrize("kind", ["check", "explanation", "comparison", "reproduction", "sentences", "bench"])
def test_axe_finds_nothing(visit, reports, kind):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra 'browser' is not installed")
    page = visit(reports[kind], reduced_motion="reduce")
    for opener in page.locator("details").all():
        opener.evaluate("one => { one.open = true }")
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        # The schemes differ in nothing but colors.
        options = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            response = axe.Axe().run(page, options=options).response
            found += [(scheme, width, one["id"], one["nodes"][0]["html"]) for one in response["violations"]]
    assert found == []


def test_paper_shows_the_tables_whole(visit, reports):
    page = visit(reports["check"])
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator("#explorer").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0


def test_without_scripts_the_results_are_there(visit, reports):
    page = visit(reports["check"], java_script_enabled=False)
    assert page.locator("#verdict-table tbody tr").count() == 3
    assert page.locator(".method .map").first.is_visible()
    assert not page.locator("#stage").is_visible()
