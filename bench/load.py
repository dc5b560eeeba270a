"""What a class costs: `python -m bench.load`.

A fresh server and 10, 30, 60, 100 sessions (`bench.session`) of a page that only echoes the text, and of each lesson.
All open it at once. Then each enters a prompt of its own every 10 s, from a moment of its own on, and halfway moves a
slider where the page has one. The time of an answer is that from Enter, or from when it was due if the session still
waited, to the end of the script run. Each session looks for its own prompt in the tokens of the pictures that come; an
answer that does not show it is wrong. Errors are exceptions on the page, lost connections, a minute without an answer.

Then the worst second: all press Enter together, on the same prompt and on distinct ones. Printed is when the last
answer came, beside the computing that distinct ones need: the server's CPU time for a prompt of a single session, times
the sessions. CPU is that of the server for an answer under load. Memory, of each session, is what the server holds more
than after its first visitor: when all have opened the page, and at the end, with the readings that it keeps (Linux).

The sessions share one core, which the server may use as well; what they take of it is printed. Nothing is painted here:
`bench.page` does that.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

from websockets.exceptions import WebSocketException

from bench.server import ROOT, Server, echo_app, running
from bench.session import Answer, Broken, Session, visit
from model.toy_world.grammar import LEXICON
from pages.shared.runtime.catalog import CATALOG, NAMES

PACE, WORDS, ALONE = 10, 8, 10  # seconds between prompts, words in one, prompts of the session that is alone
WORLD = sorted(word for word in LEXICON if word.isalpha())
SLIDERS = {
    "echo": "Number",
    "attention": None,
    "sampling": "Width: texts that are kept at each step",
    "positions": "Dimension",
}
COLUMNS = {  # and the decimals of each
    "answers": 0,
    "p50 (ms)": 0,
    "p95 (ms)": 0,
    "p95 / echo": 2,
    "errors": 0,
    "wrong": 0,
    "CPU (ms)": 0,
    "opened (MB)": 2,
    "end (MB)": 2,
    "all open (s)": 1,
    "same prompt (s)": 2,
    "distinct (s)": 2,
    "computing (s)": 2,
    "sessions (% of a core)": 0,
}


def prompt(*seed: object) -> str:
    """Words of the world; other seeds draw others."""
    return " ".join(random.Random(str(seed)).sample(WORLD, WORDS))


def told(answer: Answer) -> set[str]:
    """The texts whose tokens an answer draws; of the echo page, the text."""
    texts = set()
    for element in answer.elements:
        drawn: list[str] = []
        match element.WhichOneof("type"), element.bidi_component.component_name:
            case "text", _:
                drawn = [element.text.body]
            case "plotly_chart", _:
                drawn = json.loads(element.plotly_chart.spec)["layout"]["yaxis"].get("ticktext", [])
            case _, "vitrine.attention":
                data = element.bidi_component.bytes
                drawn = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])["tokens"]
            case _, "vitrine.token_bars":
                drawn = [cell["token"] for cell in json.loads(element.bidi_component.json).get("tokens", [])]
        texts.add("".join(drawn).replace("·", " "))
    return texts


@dataclass
class Tally:
    """What the sessions found: the seconds of each answer, wrong answers, and errors by what they say."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    async def ask(self, session: Session, text: str, due: float, **slider: float) -> None:
        """Move a slider, or else enter the text; either way, the answer must be about the text."""
        answer: Answer | None = await self.count(session.run(slider or {"Prompt": text}))
        if answer:
            self.seconds.append(time.perf_counter() - due)
            self.wrong += text not in told(answer)

    async def count(self, work: Awaitable[Any]) -> Any:
        """What it gives; None if that is an error, which is counted."""
        try:
            return await work
        except (Broken, OSError, WebSocketException) as error:  # TimeoutError is an OSError
            self.errors[f"{type(error).__name__}: {error}"] += 1


async def at(moment: float) -> None:
    """Wait for a moment of the clock."""
    await asyncio.sleep(moment - time.perf_counter())


async def sit(session: Session, number: int, count: int, slider: str | None, seconds: float, tally: Tally) -> None:
    """Enter a prompt every PACE seconds, and move the slider halfway to the next."""
    began = time.perf_counter() + PACE * number / count
    for turn in range(int(seconds // PACE)):
        due = began + PACE * turn
        await at(due)
        await tally.ask(session, prompt(number, turn), due)
        if slider:
            await at(due + PACE / 2)
            await tally.ask(session, prompt(number, turn), due + PACE / 2, **{slider: 1.0 + turn % 4})


async def together(sessions: Sequence[Session], text: Callable[[int], str], tally: Tally) -> float:
    """All press Enter: the seconds until the last one has its answer."""
    began = time.perf_counter()
    await asyncio.gather(*(tally.ask(session, text(n), began) for n, session in enumerate(sessions)))
    return time.perf_counter() - began


async def measure(
    server: Server, page: str, count: int, seconds: float, **link: str
) -> tuple[dict[str, float], Counter[str]]:
    """The columns that so many sessions find at a page, and the errors; raises those of the first session."""
    steady, rush = Tally(), Tally()
    async with AsyncExitStack() as doors:

        async def enter() -> Session:
            session, _ = await doors.enter_async_context(visit(server.address, "" if page == "echo" else page, **link))
            return session

        first = await enter()
        await first.run({"Prompt": prompt("warm")})
        before = server.cpu()
        for n in range(ALONE):
            await first.run({"Prompt": prompt("alone", n)})
        row = {"computing (s)": (server.cpu() - before) / ALONE * count}
        held, began = server.memory(), time.perf_counter()
        sessions = list(filter(None, await asyncio.gather(*(rush.count(enter()) for _ in range(count)))))
        row["all open (s)"] = time.perf_counter() - began
        row["opened (MB)"] = (server.memory() - held) / count
        before, mine, began = server.cpu(), time.process_time(), time.perf_counter()
        visits = (sit(session, n, count, SLIDERS[page], seconds, steady) for n, session in enumerate(sessions))
        await asyncio.gather(*visits)
        row["CPU (ms)"] = 1e3 * (server.cpu() - before) / max(1, len(steady.seconds))
        row["sessions (% of a core)"] = 100 * (time.process_time() - mine) / (time.perf_counter() - began)
        row["same prompt (s)"] = await together(sessions, lambda n: prompt("same"), rush)
        row["distinct (s)"] = await together(sessions, lambda n: prompt("distinct", n), rush)
        row["end (MB)"] = (server.memory() - held) / count
    centiles = quantiles(steady.seconds, n=100) if len(steady.seconds) > 1 else [float("nan")] * 99
    row |= {"answers": len(steady.seconds)}
    row |= {"p50 (ms)": 1e3 * centiles[49], "p95 (ms)": 1e3 * centiles[94], "wrong": steady.wrong + rush.wrong}
    return row, steady.errors + rush.errors


def main() -> None:
    """Print a line for each page and number of sessions."""
    parser = argparse.ArgumentParser(description="What a class costs.")
    parser.add_argument("--sessions", type=int, nargs="+", default=[10, 30, 60, 100])
    parser.add_argument("--seconds", type=float, default=30, help=f"of a prompt each {PACE} s")
    parser.add_argument("--pages", nargs="+", default=["attention", "sampling"], choices=[*SLIDERS][1:])
    parser.add_argument("--model", default=NAMES[0], choices=CATALOG, help="that all sessions pick")
    arguments = parser.parse_args()
    gc.disable()  # a collection would be a pause of the clock
    cores = os.sched_getaffinity(0)
    print("sessions  page     ", *COLUMNS, sep="  ")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        echo = echo_app(folder)
        for count in arguments.sessions:
            base = float("nan")
            for page in ["echo", *arguments.pages]:
                with running(folder, echo if page == "echo" else ROOT) as server:
                    os.sched_setaffinity(0, {max(cores)})
                    row, errors = asyncio.run(measure(server, page, count, arguments.seconds, model=arguments.model))
                    os.sched_setaffinity(0, cores)
                base = row["p95 (ms)"] if page == "echo" else base
                row |= {"p95 / echo": row["p95 (ms)"] / base, "errors": errors.total()}
                cells = (f"{row[title]:{len(title)}.{decimals}f}" for title, decimals in COLUMNS.items())
                print(f"{count:8}  {page:9}", *cells, sep="  ", flush=True)
                for error, times in errors.items():
                    print(f"{'':8}  {times} × {error}", flush=True)


if __name__ == "__main__":
    main()
