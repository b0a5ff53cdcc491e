"""What a page is not allowed to do: the browser itself keeps to the policy that the build wrote."""

from html import unescape

import pytest

from live_page import LivePage

STATUS_LINE = '<div class="kmm-live"'  # on pages with code
BREACHES = """document.addEventListener("securitypolicyviolation",
    ({ effectiveDirective }) => (window.breaches ??= []).push(effectiveDirective))"""


@pytest.fixture
def page(visit):
    """A page that writes down what its policy forbade."""
    page = visit(None, errors_expected=True).page
    page.add_init_script(BREACHES)
    return page


def test_every_page_has_a_policy(built_book, page_names):
    for name in page_names:
        assert "default-src 'self'" in unescape((built_book / name).read_text(encoding="utf-8")), name


def test_every_page_keeps_to_its_policy_and_its_site_while_its_code_runs(visit, site, built_book, page_names):
    """The fixture adds: no request to another origin, no script that threw."""
    seen = visit(None)
    live = LivePage(seen.page)
    seen.page.add_init_script(BREACHES)
    alive = [name for name in page_names if STATUS_LINE in (built_book / name).read_text(encoding="utf-8")]
    assert len(alive) > 14  # the chapters, and more
    for name in alive:
        live.open(site + name)
        live.wait_live()
        assert seen.page.evaluate("window.breaches ?? []") == [], name
        refused = [text for text in seen.console_errors if "Content Security Policy" in text]
        assert not refused, f"{name}: {refused}"


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
