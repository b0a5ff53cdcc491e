"""What a first visit downloads before the page is there: little, whatever the theme brings."""

from live_page import SAVE_DATA

LIMIT = 150_000  # bytes over the wire, from a host that compresses


def test_a_page_needs_few_bytes_until_it_is_drawn(visit, site, page_names):
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
        seen.context.close()
    assert not heavy
