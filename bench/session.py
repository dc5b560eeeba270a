"""A browser session without a browser: Streamlit's websocket protocol, spoken as the page's own script speaks it.

A session opens a page, moves its widgets, keeps the large messages that the server later only names by their hash, and
reads what each run of the script sends. It draws nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlencode

from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.TextInput_pb2 import TextInput
from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 60  # seconds that a visitor waits for an answer


class Broken(Exception):
    """The page showed an error, or there is no such page."""


class Answer(NamedTuple):
    """The elements that a run of the script sent, and the bytes that came."""

    elements: list[Element]
    bytes: int


class Session:
    """A visitor at a page."""

    def __init__(self, socket: ClientConnection, address: str, page: str, link: dict[str, str]) -> None:
        self.socket = socket
        self.state = BackMsg().rerun_script
        self.state.page_name = page
        self.state.context_info.url = f"{address}/{page}"
        self.state.context_info.timezone = "UTC"
        self.state.context_info.locale = "en"
        self.link = link
        self.widgets: dict[str, TextInput | Slider] = {}  # by label
        self.messages: dict[str, tuple[ForwardMsg, int]] = {}  # large messages by hash, and the run that last used them
        self.runs = 0

    async def run(self, moved: dict[str, str | float] | None = None) -> Answer:
        """Move widgets, by their labels, and wait for what the script answers.

        Raises Broken where the page shows an error, TimeoutError after PATIENCE seconds, with which the visit ends, and
        ConnectionClosed.
        """
        for label, value in (moved or {}).items():
            self._move(self.widgets[label], value)
        self.state.query_string = urlencode(self.link)
        self.state.cached_message_hashes[:] = self.messages
        await self.socket.send(BackMsg(rerun_script=self.state).SerializeToString())
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._answer()
        except TimeoutError:
            await self.socket.close()
            raise

    def _move(self, widget: TextInput | Slider, value: str | float) -> None:
        """Set a text input or a slider; one that is kept in the link is set there, too."""
        states = self.state.widget_states.widgets
        state = next((state for state in states if state.id == widget.id), None) or states.add(id=widget.id)
        if isinstance(value, str):
            state.string_value = value
        else:
            state.double_array_value.data[:] = [value]
        if widget.query_param_key:
            self.link[widget.query_param_key] = str(value)

    def _read_element(self, element: Element) -> list[str]:
        """Keep the widgets that can be set later; returns the errors that the element shows."""
        match element.WhichOneof("type"):
            case "exception":
                return [f"{element.exception.type} {element.exception.message}"]
            case "alert" if element.alert.format == Alert.ERROR:
                return [element.alert.body]
            case "text_input":
                self.widgets[element.text_input.label] = element.text_input
            case "slider" if element.slider.type == Slider.SLIDER:  # a slider of options has another message
                self.widgets[element.slider.label] = element.slider
        return []

    async def _answer(self) -> Answer:
        """Read messages until the script has finished."""
        elements, errors, size = [], [], 0
        while True:
            data = await self.socket.recv()
            size += len(data)
            message = ForwardMsg.FromString(data)
            if message.metadata.cacheable:
                self.messages[message.hash] = message, self.runs
            if message.WhichOneof("type") == "ref_hash":
                message, _ = self.messages[message.ref_hash]
                self.messages[message.hash] = message, self.runs
            match message.WhichOneof("type"):
                case "new_session":
                    elements, errors = [], []
                    age = message.new_session.config.max_cached_message_age
                case "navigation":
                    self.state.page_script_hash, self.state.page_name = message.navigation.page_script_hash, ""
                case "delta" if message.delta.WhichOneof("type") == "new_element":
                    elements.append(message.delta.new_element)
                    errors += self._read_element(elements[-1])
                case "page_not_found":
                    errors.append("there is no such page")
                case "script_finished" if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    self.runs += 1
                    self.messages = {
                        name: entry for name, entry in self.messages.items() if self.runs - entry[1] <= age
                    }
                    if errors:
                        raise Broken(*errors)
                    return Answer(elements, size)
                case "script_finished" if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    raise Broken("the script does not compile")


@asynccontextmanager
async def visit(address: str, page: str, **link: str) -> AsyncIterator[tuple[Session, Answer]]:
    """Open a page by a link, and leave it in the end: the session, and what the page showed first."""
    socket = f"ws{address.removeprefix('http')}/_stcore/stream"
    async with connect(
        socket, origin=address, subprotocols=["streamlit"], compression=None, max_size=None, open_timeout=PATIENCE
    ) as opened:
        session = Session(opened, address, page, link)
        yield session, await session.run()
