"""What a page is not allowed to do: the browser itself keeps to the policy that the build wrote."""

from html import unescape

import pytest

from live_page import go_live

STATUS_LINE = '<div class="kmm-live"'  # on pages with code
BREACHES = """document.addEventListener("securitypolicyviolation",
    ({ effectiveDirective }) => (window.breaches ??= []).push(effectiveDirective))"""


@pytest.fixture
def page(visit):
    """A page that writes down what its policy forbade."""
    page = visit(None, errors_expected=True).page
    page.add_init_script(BREACHES)
    return page


@pytest.fixture(scope="module")
def seen(visit_for_all):
    """One visit to all pages: what of Python one of them has loaded, the next ones have."""
    seen = visit_for_all(None)
    seen.page.add_init_script(BREACHES)
    return seen


def test_a_page_keeps_to_its_policy_and_its_site_while_its_code_runs(seen, site, built_book, site_page):
    """The fixture adds: no request to another origin, no script that threw."""
    text = (built_book / site_page).read_text(encoding="utf-8")
    assert "default-src 'self'" in unescape(text)
    seen.console_errors.clear()
    if STATUS_LINE in text:
        go_live(seen.page, site + site_page)
    else:
        seen.page.goto(site + site_page, wait_until="networkidle")
    assert seen.page.evaluate("window.breaches ?? []") == []
    assert not [error for error in seen.console_errors if "Content Security Policy" in error]


@pytest.mark.parametrize(("deed", "directive"), [
    ("fetch('http://127.0.0.1:9/elsewhere').catch(() => 0)", "connect-src"),
    ("document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))",
     "script-src-elem"),
    ("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')", "script-src-attr"),
    ("setTimeout('window.ran = 1')", "script-src"),
], ids=["fetch", "script", "handler", "string as code"])
def test_what_the_policy_forbids_does_not_happen(page, site, deed, directive):
    page.goto(site + "book/getting-pages.html")
    page.evaluate(f"() => {{ {deed} }}")
    page.wait_for_function("() => window.breaches?.length")
    assert page.evaluate("window.breaches") == [directive]
    assert page.evaluate("window.ran") is None
