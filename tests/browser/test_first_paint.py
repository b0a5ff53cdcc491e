"""What a first visit downloads before the page is there: little, whatever the theme brings."""

from live_page import SAVE_DATA

LIMIT = 170_000  # bytes over the wire, from a host that compresses; the longest chapters have five labs


def pages(built_book):
    """The pages that have a lab."""
    return sorted(path.relative_to(built_book).as_posix() for path in built_book.glob("book/*.html")
                  if "kmm-view-room" in path.read_text(encoding="utf-8"))


def test_a_page_needs_few_bytes_until_it_is_drawn(visit, site, built_book):
    heavy = {}
    for name in pages(built_book):
        seen = visit(None)
        seen.page.add_init_script(SAVE_DATA)  # Python comes later
        client = seen.context.new_cdp_session(seen.page)
        client.send("Network.enable")
        sizes: list[int] = []
        client.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
        seen.page.goto(site + name, wait_until="networkidle")
        if sum(sizes) > LIMIT:
            heavy[name] = int(sum(sizes))
        seen.context.close()
    assert not heavy
