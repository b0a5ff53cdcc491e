"""Serve the built book on this machine.

    python tools/serve_book.py _build/html --port 8000

Python's own file server, with what a page that runs Python needs: the right types for modules and WebAssembly,
connections that stay open, and no stale copy after the book was built again.
"""

import argparse
import contextlib
import functools
import gzip
import http.server
import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

COMPRESSIBLE = ("text/", "application/json", "application/wasm", "image/svg+xml")


class BookHandler(http.server.SimpleHTTPRequestHandler):
    """Files of one folder; with ``compress``, gzipped as a web host sends them."""

    protocol_version = "HTTP/1.1"
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json",
        ".wasm": "application/wasm", ".whl": "application/zip", ".svg": "image/svg+xml",
    }

    def __init__(self, *args, compress: bool = False, **kwargs) -> None:
        self.compress = compress
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        """Ask the browser to check each time whether a file changed."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def send_head(self):
        """The open file to send, gzipped if that was asked for and helps."""
        path = Path(self.translate_path(self.path))
        type_ = self.guess_type(path)
        if not (self.compress and path.is_file() and type_.startswith(COMPRESSIBLE)
                and "gzip" in self.headers.get("Accept-Encoding", "")):
            return super().send_head()
        changed = self.date_time_string(path.stat().st_mtime)
        if self.headers.get("If-Modified-Since") == changed:
            self.send_response(304)
            self.end_headers()
            return None
        body = gzipped(path, path.stat().st_mtime_ns)
        self.send_response(200)
        self.send_header("Last-Modified", changed)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def log_message(self, *args) -> None:
        """Say nothing for each request: the address is what the reader looks for."""


@functools.cache
def gzipped(path: Path, changed: int) -> bytes:
    """The file, compressed once for each time it ``changed``."""
    return gzip.compress(path.read_bytes(), 6)


class BookServer(http.server.ThreadingHTTPServer):
    """One thread a connection."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address) -> None:
        """A browser that leaves before it got its file is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def book_server(site: Path, port: int, *, compress: bool = False,
                handler: type[BookHandler] = BookHandler) -> BookServer:
    """A server of the folder ``site`` on this machine's ``port``, not yet running."""
    return BookServer(("127.0.0.1", port), functools.partial(handler, directory=str(site), compress=compress))


@contextlib.contextmanager
def serving(site: Path, *, compress: bool = False, handler: type[BookHandler] = BookHandler) -> Iterator[str]:
    """Serve ``site`` on a free port in the background; gives the address, which ends in a slash."""
    server = book_server(site, 0, compress=compress, handler=handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    if not (options.site / "index.html").is_file():
        print(f"There is no book in {options.site}: run `make html` first.", file=sys.stderr)
        return 1
    try:
        server = book_server(options.site, options.port)
    except OSError as error:
        print(f"Cannot serve on port {options.port} ({error.strerror}). "
              f"Another one:  make book PORT={options.port + 1}", file=sys.stderr)
        return 1
    with server, contextlib.suppress(KeyboardInterrupt):
        print(f"The book is on http://localhost:{server.server_port}  (Ctrl-C stops it)", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
