"""What a first visit downloads before the page is there: little, whatever the theme brings."""

import gzip
import re

from live_page import SAVE_DATA

LIMIT = 150_000  # bytes over the wire, from a host that compresses
A_LAB = 30 * 1024  # of them, for each lab of a page: scripts, styles, and the run that it shows
STATE = re.compile(r'<script type="application/vnd\.jupyter\.widget-(?:state|view)\+json">.*?</script>', re.DOTALL)
OF_LABS = """() => performance.getEntriesByType("resource").filter(({ name }) => name.includes("/live/modules/"))
  .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)"""


def test_a_page_needs_few_bytes_until_it_is_drawn_and_few_of_them_for_each_lab(visit, site, built_book, page_names):
    heavy = {}
    for name in page_names:
        seen = visit(None)
        seen.page.add_init_script(SAVE_DATA + "window.requestIdleCallback = () => 0")  # what waits for time comes later
        client = seen.context.new_cdp_session(seen.page)
        client.send("Network.enable")
        sizes: list[int] = []
        client.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
        seen.page.goto(site + name, wait_until="networkidle")
        assert sizes
        if sum(sizes) > LIMIT:
            heavy[name] = int(sum(sizes))
        text = (built_book / name).read_text(encoding="utf-8")
        if labs := text.count("vnd.jupyter.widget-view+json"):
            seen.page.wait_for_function(f"document.querySelectorAll('.kmm-bench').length === {labs}")
            code = seen.page.evaluate(OF_LABS)
            assert code > 10_000
            runs = len(gzip.compress(text.encode())) - len(gzip.compress(STATE.sub("", text).encode()))
            if (code + runs) / labs > A_LAB:
                heavy[f"a lab of {name}"] = (code + runs) / labs
        seen.context.close()
    assert not heavy
