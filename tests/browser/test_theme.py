"""The theme's buttons do what they did before the build took its scripts apart and joined them again."""

import pytest
from playwright.sync_api import expect

from live_page import SAVE_DATA

CHAPTER = "book/getting-pages.html"
SCROLL_BY = """async (top) => {  // and let the page hear of it
  scrollBy({ top, behavior: "instant" });
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); }"""
NO_TIME = SAVE_DATA + "window.requestIdleCallback = () => 0"  # then what waits for time comes when it is needed


@pytest.fixture(params=["before there was time", "later"])
def page(request, visit, site):
    """The chapter, before and after the menus' script came by itself."""
    page = visit(None).page
    if request.param != "later":
        page.add_init_script(NO_TIME)
    page.goto(site + CHAPTER)
    if request.param == "later":
        page.wait_for_function("() => window.bootstrap")
    else:
        assert page.evaluate("() => window.bootstrap") is None
    return page


def test_a_menu_opens_at_the_first_click_and_closes_at_the_next(page):
    button = page.get_by_role("button", name="Launch interactive content")
    for expanded in ("true", "false", "true"):
        button.click()
        expect(button).to_have_attribute("aria-expanded", expanded)
        expect(page.locator(".dropdown-menu.show")).to_have_count(int(expanded == "true"))
    expect(page.get_by_role("link", name="Binder")).to_be_visible()
    page.keyboard.press("Escape")
    expect(button).to_have_attribute("aria-expanded", "false")


def test_a_menu_opens_by_keyboard(page):
    page.get_by_role("button", name="Download this page").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=".ipynb")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".dropdown-menu.show a:focus, .dropdown-menu.show button:focus")).to_have_count(1)


def test_a_button_says_its_name_when_it_is_pointed_at(page):
    page.locator(".theme-switch-button").first.hover()
    expect(page.locator(".tooltip")).to_have_text("light/dark")
    page.mouse.move(5, 400)
    expect(page.locator(".tooltip")).to_have_count(0)


def test_the_scheme_changes_and_is_remembered(page, site):
    button, scheme = page.locator(".theme-switch-button").first, "() => document.documentElement.dataset.theme"
    before = page.evaluate(scheme)
    button.click()
    after = page.evaluate(scheme)
    assert {before, after} == {"light", "dark"}
    page.goto(site + "book/buddy-system.html")
    assert page.evaluate(scheme) == after


@pytest.mark.parametrize("dark", [False, True])
def test_a_first_visit_has_its_colours_before_anything_is_drawn(visit, site, dark):
    page = visit(None, dark=dark).page
    page.add_init_script("""window.schemes = new Set();
      const see = () => document.body && schemes.add(document.documentElement.dataset.theme);
      new MutationObserver(see).observe(document, { attributes: true, childList: true, subtree: true });""")
    page.goto(site + CHAPTER)
    assert page.evaluate("[...schemes]") == ["dark" if dark else "light"]


def test_a_reader_without_scripts_has_a_light_page(visit, site):
    page = visit(None, dark=True, java_script_enabled=False).page
    page.goto(site + CHAPTER)
    body = page.locator("body")
    assert body.evaluate("body => getComputedStyle(body).backgroundColor") == "rgb(255, 255, 255)"
    assert body.evaluate("body => getComputedStyle(body.querySelector('.bd-article a')).color") != "rgb(0, 0, 0)"
    assert body.evaluate("body => getComputedStyle(body).getPropertyValue('--pst-color-primary')")


def test_the_mark_at_the_section_that_is_read_follows_the_reader(page):
    mark = page.locator(".bd-toc-nav a.active")
    for name in ("The real kernel", "Summary"):
        page.locator("article h2", has_text=name).evaluate("(heading) => heading.scrollIntoView()")
        expect(mark.first).to_have_text(name)


def test_a_reader_who_scrolls_back_is_offered_the_top(page):
    button = page.locator("#pst-back-to-top")
    page.set_viewport_size({"width": 1000, "height": 800})  # wider, the contents beside the page lead there
    page.evaluate("scrollTo(0, 3000)")
    page.wait_for_function("() => scrollY === 3000 && window.bootstrap")
    expect(button).to_be_hidden()
    page.evaluate("scrollBy(0, -200)")
    expect(button).to_be_visible()
    button.click()
    page.wait_for_function("() => scrollY === 0")


def test_what_leads_to_the_top_is_never_in_front_of_a_labs_timeline(visit, site):
    page = visit(None, width=390, height=800).page
    page.goto(site + "book/zones.html")
    page.wait_for_function("() => window.bootstrap")
    button, timeline = page.locator("#pst-back-to-top"), page.locator(".kmm-timeline").first
    timeline.evaluate("line => line.closest('.kmm-bench').scrollIntoView({ block: 'start', behavior: 'instant' })")
    for step in (300, -150):
        page.evaluate(SCROLL_BY, step)
    box = timeline.bounding_box()
    assert box["y"] < 740 < box["y"] + box["height"]  # it is where the button would be
    expect(button).to_be_hidden()
    for step in (20_000, -150):
        page.evaluate(SCROLL_BY, step)
    expect(button).to_be_visible()


def test_the_search_opens_from_its_button_and_from_the_keyboard(page):
    field = page.locator(".search-button__search-container input[name=q]")
    page.locator("button.search-button__button:visible").first.click()
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    page.keyboard.press("ControlOrMeta+k")
    expect(field).to_be_focused()


def test_the_left_column_folds_away(page):
    column = page.locator(".bd-sidebar-primary")
    expect(column).to_be_in_viewport()
    page.locator(".primary-toggle").click()
    expect(column).not_to_be_in_viewport()


def test_on_a_phone_both_columns_open_over_the_page_and_close_again(visit):
    page = visit(CHAPTER, width=360, height=740).page
    for which in ("primary", "secondary"):
        column = page.locator(f".bd-sidebar-{which}")
        expect(column).not_to_be_in_viewport()
        page.locator(f".{which}-toggle").click()
        expect(column).to_be_in_viewport()
        expect(column.locator("a, button").first).to_be_focused()
        page.keyboard.press("Escape")
        expect(column).not_to_be_in_viewport()


def test_code_is_copied_by_its_button(visit):
    page = visit(CHAPTER, permissions=["clipboard-read", "clipboard-write"]).page
    block = page.locator(".highlight:has(.copybtn)").first
    block.hover()
    page.evaluate("navigator.clipboard.writeText('')")  # what another test has copied
    block.locator(".copybtn").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).trim()")
    assert page.evaluate("navigator.clipboard.readText()").strip().split("\n")[0] in block.inner_text()
