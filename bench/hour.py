"""What a server holds after an hour of visits: `python -m bench.hour`.

Sessions (`bench.session`) open one lesson after the other by links with random prompts, lengths and models, type and
move sliders there, and leave; now and then one leaves in the middle of an answer. Printed each minute is what
the server holds (Linux) beside the visits, the answers, those that were cut and the errors so far.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from streamlit.proto.Slider_pb2 import Slider
from websockets.exceptions import WebSocketException

from bench.load import WORLD
from bench.server import Server, running
from bench.session import Broken, visit
from pages.shared import course
from pages.shared.runtime.catalog import CATALOG

LESSONS = [lesson.url for lesson in course.LESSONS]


class Tally:
    """What has come about so far."""

    def __init__(self) -> None:
        self.visits = self.answers = self.cut = 0
        self.errors: Counter[str] = Counter()


def text(rng: random.Random) -> str:
    """Few words, or many."""
    return " ".join(rng.choices(WORLD, k=int(2 ** rng.uniform(0, 8))))


async def wander(address: str, models: list[str], number: int, pause: float, until: float, tally: Tally) -> None:
    """Visit one lesson after the other."""
    rng = random.Random(number)
    while time.monotonic() < until:
        lesson = rng.choice(LESSONS)
        try:
            async with visit(address, lesson, model=rng.choice(models), prompt=text(rng)) as (session, _):
                tally.visits += 1
                for label in rng.sample([*session.widgets], min(len(session.widgets), rng.randrange(4))):
                    await asyncio.sleep(rng.expovariate(1 / pause))
                    widget = session.widgets[label]
                    to = rng.randint(int(widget.min), int(widget.max)) if isinstance(widget, Slider) else text(rng)
                    answer = asyncio.create_task(session.run({label: to}))
                    if rng.random() < 0.1:
                        await asyncio.wait([answer], timeout=0.01)
                        answer.cancel()
                        await asyncio.gather(answer, return_exceptions=True)
                        tally.cut += 1
                        break
                    await answer
                    tally.answers += 1
        except (Broken, OSError, WebSocketException) as error:
            tally.errors[f"{lesson}: {type(error).__name__} {error}"] += 1


async def watch(server: Server, models: list[str], sessions: int, pause: float, minutes: int) -> None:
    """Print what the server holds, a line each minute."""
    tally, began = Tally(), time.monotonic()
    walks = [wander(server.address, models, n, pause, began + 60 * minutes, tally) for n in range(sessions)]
    walking = asyncio.gather(*walks, return_exceptions=True)
    print("minute  server (MB)  visits  answers  cut  errors", flush=True)
    for minute in range(minutes + 1):
        await asyncio.sleep(max(0.0, began + 60 * minute - time.monotonic()))
        counts = f"{tally.visits:6}  {tally.answers:7}  {tally.cut:3}  {tally.errors.total():6}"
        print(f"{minute:6}  {server.memory():11.0f}  {counts}", flush=True)
    tally.errors.update(repr(error) for error in await walking if error)
    for error, times in tally.errors.items():
        print(f"{times} × {error}", flush=True)


def main() -> None:
    """Print what a fresh server holds, a line each minute."""
    parser = argparse.ArgumentParser(description="What a server holds after an hour of visits.")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--pause", type=float, default=5, help="seconds between two answers, on average")
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--models", nargs="+", default=[*CATALOG][:2], choices=CATALOG)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        asyncio.run(watch(server, arguments.models, arguments.sessions, arguments.pause, arguments.minutes))


if __name__ == "__main__":
    main()
