"""The server itself: what it does before the first visitor comes."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter, base_events
from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit.watcher import LocalSourcesWatcher

from app import app, warm
from pages.shared import models


async def waits() -> bool:
    """Whether small packets of a connection wait, where the socket that listens is made as Streamlit makes its own."""
    accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def come(_: StreamReader, writer: StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        accepted.set_result(not connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = socket.socket(family=socket.AF_INET)
    listening.bind(("127.0.0.1", 0))
    async with await asyncio.start_server(come, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        writer.close()
        return await accepted


def test_no_packet_waits_for_the_receipt_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_events, "_set_nodelay", base_events._set_nodelay)  # both are put back in the end
    monkeypatch.setattr(LocalSourcesWatcher, "update_watched_modules", LocalSourcesWatcher.update_watched_modules)
    monkeypatch.setattr(models, "warm", lambda: None)

    async def before_and_after() -> tuple[bool, bool]:
        before = await waits()
        async with warm(app):
            return before, await waits()

    with ThreadPoolExecutor(1) as thread:  # that of the tests has the loop of the browser
        assert thread.submit(asyncio.run, before_and_after()).result() == (True, False)
