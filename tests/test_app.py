"""The server itself: what it does before the first visitor comes, and what it does not take."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter, base_events
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from streamlit.watcher import LocalSourcesWatcher
from websockets import CloseCode
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app import FULL, VISITORS, app, lifespan
from bench.server import running
from bench.session import visit
from pages.shared import warm


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
    monkeypatch.setattr(warm, "warm", lambda: None)

    async def before_and_after() -> tuple[bool, bool]:
        before = await waits()
        async with lifespan(app):
            return before, await waits()

    with ThreadPoolExecutor(1) as thread:  # that of the tests has the loop of the browser
        assert thread.submit(asyncio.run, before_and_after()).result() == (True, False)


def answer(request: Request) -> tuple[int, str]:
    """The status and the text of an answer."""
    try:
        with urlopen(request) as told:
            return told.status, told.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_so_many_visitors_come_in_and_the_next_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_VISITORS", "2")

    async def come(address: str) -> None:
        page = Request(address, headers={"Accept": "text/html"})
        health = Request(f"{address}/_stcore/health")
        async with AsyncExitStack() as doors:
            for _ in range(2):
                assert answer(page)[0] == 200
                await doors.enter_async_context(visit(address, "attention"))
            assert answer(page) == (503, FULL.replace(VISITORS, "2")) and answer(health)[0] == 200
            with pytest.raises(InvalidStatus, match="403"):
                await doors.enter_async_context(visit(address, "attention"))
        for _ in range(50):
            if (told := answer(page)[0]) == 200:
                break
            await asyncio.sleep(0.1)
        assert told == 200

    with running(tmp_path) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, come(server.address)).result()


def test_a_novel_is_read_and_what_is_longer_ends_the_visit(tmp_path: Path) -> None:
    async def paste(address: str) -> None:
        async with visit(address, "attention") as (one, _):
            told = await one.run({"Prompt": "word " * 700_000})
            (said,) = (element.alert.body for element in told.elements if element.WhichOneof("type") == "alert")
            assert "This prompt is longer than the model can read at once" in said and "3,480,000 characters" in said
            one.link.clear()
            with pytest.raises(ConnectionClosed) as ended:
                await one.run({"Prompt": "word" * 2_000_000})
            assert ended.value.rcvd.code == CloseCode.MESSAGE_TOO_BIG
        async with visit(address, "attention") as (another, _):
            assert (await another.run({"Prompt": "Hello"})).elements

    with running(tmp_path) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, paste(server.address)).result()
        put = Request(f"{server.address}/_stcore/upload_file/session/file", b"file", method="PUT")
        assert answer(put) == (403, "This server takes no files.")
