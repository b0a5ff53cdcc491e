"""What a page is not allowed to do: the browser itself keeps to the policy that the build wrote."""

import pytest

from live_page import BREACHES


@pytest.fixture
def page(visit):
    """A page that writes down what its policy forbade."""
    page = visit(None, errors_expected=True).page
    page.add_init_script(BREACHES)
    return page


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
