#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A Firefox for Playwright: starts Debian's, and stands between the two.

    playwright.firefox.launch(channel="moz-firefox", executable_path="tools/firefox_relay.py")

Playwright drives an unpatched Firefox by WebDriver BiDi, but begins with a command that the ESR
does not know, and takes the refusal for the end.  This program passes everything on as it is, and
answers that one command itself: the page keeps its colour scheme.  Standard library only.
"""

import asyncio
import json
import os
import re
import shutil
import sys

UNKNOWN = b"emulation.setMediaFeaturesOverride"
LISTENING = re.compile(rb"(WebDriver BiDi listening on ws://127\.0\.0\.1:)(\d+)")


async def read_frame(reader):
    """Return the bytes of one WebSocket frame and its text, unmasked (b"" if it is no whole text)."""
    head = await reader.readexactly(2)
    length, rest = head[1] & 0x7F, b""
    if length > 125:
        rest = await reader.readexactly(2 if length == 126 else 8)
        length = int.from_bytes(rest, "big")
    mask = await reader.readexactly(4) if head[1] & 0x80 else b""
    body = await reader.readexactly(length)
    if head[0] != 0x81 or length > 4096:
        return head + rest + mask + body, b""
    keys = mask or bytes(4)
    return head + rest + mask + body, bytes(byte ^ keys[at % 4] for at, byte in enumerate(body))


def text_frame(text):
    """Return a short text as a frame from a server."""
    length = bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")
    return b"\x81" + length + text


async def pass_on(reader, writer):
    """Copy bytes until there are no more."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def relay(client_in, client_out, port):
    """Serve one connection of Playwright's."""
    server_in, server_out = await asyncio.open_connection("127.0.0.1", port)
    head = await client_in.readuntil(b"\r\n\r\n")
    # Without compression, so that the commands can be read; from this machine, as Firefox asks.
    head = re.sub(rb"(?im)^sec-websocket-extensions:.*\r\n", b"", head)
    head = re.sub(rb"(?im)^host:.*\r\n", b"Host: 127.0.0.1:%d\r\n" % port, head)
    server_out.write(head)
    back = asyncio.ensure_future(pass_on(server_in, client_out))
    try:
        while True:
            frame, text = await read_frame(client_in)
            if UNKNOWN in text:
                answer = {"type": "success", "id": json.loads(text)["id"], "result": {}}
                client_out.write(text_frame(json.dumps(answer).encode()))
                continue
            server_out.write(frame)
            await server_out.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        server_out.close()
    await back


async def main():
    """Start Firefox, and tell Playwright the address of the relay instead of Firefox's own."""
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if not firefox:
        sys.exit("no Firefox: see tools/get_firefox.py")
    process = await asyncio.create_subprocess_exec(firefox, *sys.argv[1:], stderr=asyncio.subprocess.PIPE)
    servers = []
    async for line in process.stderr:
        if found := LISTENING.search(line):
            server = await asyncio.start_server(lambda r, w, port=int(found[2]): relay(r, w, port), "127.0.0.1", 0)
            servers.append(server)
            line = LISTENING.sub(rb"\g<1>%d" % server.sockets[0].getsockname()[1], line)
        os.write(2, line)
    return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
