# SPDX-License-Identifier: GPL-2.0-or-later
"""The screen in a browser: textual-serve with a page of our own (page/), which asks no other host for anything.

Each page that is opened starts the program once more and gives it keys: whoever may open one can do what the user can.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from qmisniff.errors import UsageError


class PageServer(Server):
    """Serves a command that runs the screen."""

    def __init__(self, command: str, host: str, port: int) -> None:
        shown = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
        page = Path(__file__).with_name("page")
        super().__init__(command, host, port, title="qmisniff", public_url=shown, templates_path=page)

    async def on_startup(self, app: web.Application) -> None:
        """Say where the page is."""
        self.console.print(f"qmisniff is at {self.public_url}, ctrl+c ends", highlight=False, markup=False)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Start the program for our own page only: any other that the browser shows can connect to this machine too."""
        origin = urlsplit(request.headers.get("Origin", ""))
        # A name of somebody else's may lead to a loopback address too.
        named = not is_loopback(self.host) or is_loopback(origin.hostname or "")
        if origin.netloc != request.host or not named:
            raise web.HTTPForbidden(text="Only qmisniff's own page may connect.")
        return await super().handle_websocket(request)

    def serve(self, debug: bool = False) -> None:
        """Serve until a signal. Raises UsageError where the address cannot be listened at."""
        try:
            super().serve(debug)
        except OSError as error:
            raise UsageError(f"{self.public_url}: {error.strerror or error}", "try another --port or --host") from None


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
