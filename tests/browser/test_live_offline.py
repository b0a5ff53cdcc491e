"""The service worker: what was loaded once is not loaded again, and nothing broken is kept."""

import functools
import threading

import pytest

from live_page import LivePage
from serve_book import BookHandler, BookServer

CHAPTER = "book/getting-pages.html"

KEPT = """async () => {
  const cache = await caches.open("kmm-live");
  const sizes = {};
  for (const request of await cache.keys()) {
    sizes[request.url.split("/_static/live/")[1]] = (await (await cache.match(request)).blob()).size;
  }
  return sizes;
}"""


class Flaky(BookHandler):
    """A host whose connection breaks in the middle of files with this in their name, and that can be switched off."""

    breaks = ""
    down = False

    def do_GET(self) -> None:
        """Answer, or fail as told."""
        if Flaky.down:
            self.close_connection = True
            self.connection.close()
        elif Flaky.breaks and Flaky.breaks in self.path:
            file = self.translate_path(self.path)
            with open(file, "rb") as source:
                half = source.read()[:1000]
            self.send_response(200)
            self.send_header("Content-Type", self.guess_type(file))
            self.send_header("Connection", "close")  # no length: the browser cannot know that this is not all
            self.end_headers()
            self.wfile.write(half)
            self.close_connection = True
        else:
            super().do_GET()


@pytest.fixture
def host(built_book):
    """Address of the built book on a host that fails as ``Flaky.breaks`` and ``Flaky.down`` say."""
    Flaky.breaks, Flaky.down = "", False
    server = BookServer(("127.0.0.1", 0), functools.partial(Flaky, directory=str(built_book)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def reader(browser):
    """A browser profile of its own, with service workers."""
    context = browser.new_context()
    yield context
    context.close()


def visit(context, address):
    live = LivePage(context.new_page())
    live.open(address)
    return live


def controlled(live):
    """Wait until the service worker is in charge of this page, then load the page again through it."""
    live.page.evaluate("""async () => {
      const { serviceWorker } = navigator;
      await serviceWorker.ready;
      const taken = new Promise((done) => serviceWorker.addEventListener("controllerchange", done, { once: true }));
      if (!serviceWorker.controller) await taken;
    }""")
    live.page.reload()


def test_after_one_visit_the_page_is_live_with_no_host(reader, host):
    live = visit(reader, host + CHAPTER)
    controlled(live)
    live.wait_live()
    kept = live.page.evaluate(KEPT)
    assert {name.split("-")[0] for name in kept} >= {"packages", "sources", "worker", "session", "pyodide"}
    live.page.close()
    Flaky.down = True
    offline = visit(reader, host + CHAPTER)
    offline.wait_live()
    assert offline.run_code(offline.plain_cell(), "print('no host')") == "no host"


def test_half_a_file_is_never_kept(reader, host):
    live = visit(reader, host + CHAPTER)
    controlled(live)
    live.wait_live()
    live.page.evaluate("caches.delete('kmm-live')")
    Flaky.breaks = "packages-"
    live.page.reload()
    live.wait_state("failed")
    assert "only in part" in live.status
    assert not any(name.startswith("packages-") for name in live.page.evaluate(KEPT))
    Flaky.breaks = ""
    live.start()


def test_a_new_build_takes_the_old_ones_files_out_of_the_cache(reader, host):
    live = visit(reader, host + CHAPTER)
    live.page.evaluate("""async () => {
      await navigator.serviceWorker.ready;
      const cache = await caches.open("kmm-live");
      await cache.put(new URL("../_static/live/sources-of-another-build.zip", location.href), new Response("old"));
      await caches.open("kmm-pages-of-another-build");
      const [registration] = await navigator.serviceWorker.getRegistrations();
      await registration.unregister();
    }""")
    live.page.close()
    again = visit(reader, host + CHAPTER)  # registers the service worker anew, as after a new build
    again.page.wait_for_function("""async () => {
      const files = await (await caches.open("kmm-live")).keys();
      const names = [...files.map(({ url }) => url), ...(await caches.keys())];
      return !names.some((name) => name.includes("another-build"));
    }""")
