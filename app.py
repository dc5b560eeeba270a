"""The server: `streamlit run app.py`. The table of contents is pages/contents.py."""

import asyncio.base_events
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_NODELAY, socket

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.status import WS_1013_TRY_AGAIN_LATER
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from streamlit.watcher import LocalSourcesWatcher

# A page loads, and talks to, nothing but this server. Streamlit's own code needs scripts in the page, Vega `eval`.
HEADERS = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'self'",
            "script-src 'self' blob: 'unsafe-inline' 'unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        ]
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # a link holds the prompt
}

VISITORS = os.environ.get("VITRINE_VISITORS") or "200"
if not VISITORS.isdecimal():
    raise SystemExit(f"VITRINE_VISITORS is {VISITORS!r}; it must be how many may be here at once, such as 200.")
FULL = f"Vitrine takes {VISITORS} visitors at once, and they are all here. You come in as soon as one of them leaves."


class WithHeaders:
    """Adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, answer)


class WithLimits:
    """Takes no files, and VISITORS at once; who comes then is told so, and comes in when there is room."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.visitors = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        full = self.visitors >= int(VISITORS)
        match scope["type"]:
            case "websocket" if full:
                await WebSocketClose(WS_1013_TRY_AGAIN_LATER)(scope, receive, send)
            case "websocket":
                self.visitors += 1
                try:
                    await self.app(scope, receive, send)
                finally:
                    self.visitors -= 1
            case "http" if "/_stcore/upload_file/" in scope["path"]:
                await PlainTextResponse("This server takes no files.", 403)(scope, receive, send)
            case "http" if full and "text/html" in Headers(scope=scope).get("accept", ""):
                await PlainTextResponse(FULL, 503, {"Refresh": "5", "Retry-After": "5"})(scope, receive, send)
            case _:
                await self.app(scope, receive, send)


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Import torch and open the built-in model before the first visitor comes."""
    from pages.shared.warm import warm

    # For each new visitor, Streamlit looks through all 2,000 modules for files to watch, even where it is told to watch
    # none (`server.fileWatcherType`): 0.1 s in which nobody is answered. Pages are watched still, modules are not.
    LocalSourcesWatcher.update_watched_modules = lambda self: None
    asyncio.base_events._set_nodelay = send_at_once
    warm()
    yield


def send_at_once(connection: socket) -> None:
    """Let no packet wait for the receipt of the one before it, which the other side may hold back for 40 ms.

    asyncio sees to that where a socket names TCP as its protocol; Streamlit's names none.
    """
    if connection.family in (AF_INET, AF_INET6):
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)


def failed(error: Exception) -> bool:
    """A page that breaks says one sentence; what broke stands in the log of the server."""
    st.error(
        "This page broke, which is our fault; the other lessons go on. Reload it. If it breaks again, open it without "
        "what stands behind the question mark in the address bar: there is what you typed."
    )
    return True


app = st.App(
    "pages/contents.py",
    lifespan=lifespan,
    middleware=[Middleware(WithHeaders), Middleware(WithLimits)],
    on_script_error=failed,
)
