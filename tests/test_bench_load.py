"""The sessions of bench/load.py, on a real server: they find their own prompts, and notice what is wrong."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from bench import load
from bench.load import COLUMNS, SLIDERS, Tally, measure, prompt
from bench.server import Server, running
from bench.session import Broken, visit

FAILING = """import streamlit as st
match st.text_input("Prompt", "Hello"):
    case "raised":
        raise ValueError("no such word")
    case "told":
        st.error("This page broke")
"""


def done(work: Coroutine) -> Any:
    """What it comes to, on a thread of its own: that of the tests has the loop of the browser."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as one:
        yield one


def test_each_session_finds_its_own_prompts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "PACE", 2)
    found, errors = done(measure(server, "attention", count=10, seconds=4))
    assert not errors
    assert found["wrong"] == 0
    assert found["answers"] == 10 * 2
    assert all(isfinite(found[column]) for column in {*COLUMNS} - {"p95 / echo", "errors"})
    assert 0 < found["p50 (ms)"] <= found["p95 (ms)"]


@pytest.mark.parametrize("page", [page for page in SLIDERS if page != "echo"])
def test_an_answer_to_another_prompt_is_wrong(page: str, server: Server) -> None:
    async def confused() -> Tally:
        tally = Tally()
        async with visit(server.address, page) as (session, _):
            await tally.ask(session, prompt("own"), 0)
            assert (len(tally.seconds), tally.wrong) == (1, 0)
            if SLIDERS[page]:
                await tally.ask(session, prompt("own"), 0, **{SLIDERS[page]: 2.0})
                assert (len(tally.seconds), tally.wrong) == (2, 0)
            ask = session.run
            session.run = lambda moved: ask({"Prompt": prompt("another")})
            await tally.ask(session, prompt("own"), 0)
        return tally

    tally = done(confused())
    assert tally.wrong == 1
    assert not tally.errors


def test_a_page_that_is_not_there_is_an_error(server: Server) -> None:
    async def astray() -> None:
        async with visit(server.address, "nowhere"):
            pass

    with pytest.raises(Broken, match="no such page"):
        done(astray())


def test_an_exception_and_a_lost_connection_are_errors(tmp_path: Path) -> None:
    async def unlucky() -> Tally:
        tally = Tally()
        with running(tmp_path, tmp_path) as failing:
            async with visit(failing.address, "") as (session, _):
                await tally.ask(session, "raised", 0)
                await tally.ask(session, "told", 0)
                failing.process.terminate()
                failing.process.wait(20)
                await tally.ask(session, "Hello", 0)
        return tally

    (tmp_path / "app.py").write_text(FAILING, "utf-8")
    tally = done(unlucky())
    assert not tally.seconds
    raised, told, lost = tally.errors
    assert raised.startswith("Broken: ")
    assert told == "Broken: This page broke"
    assert lost.startswith("ConnectionClosed")
