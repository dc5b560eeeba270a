"""The servers that are measured: the app, and a page that only echoes what is typed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from tests.browser.conftest import ROOT, start_server

ECHO = """import streamlit as st
st.text(st.text_input("Prompt", "Hello", live=True))
st.slider("Number", 1, 10)
"""


def resident(process: int | str = "self") -> float:
    """Memory of a process that is its own, in MB: files that are only mapped do not count (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


class Server(NamedTuple):
    """A server of this machine."""

    process: Popen
    address: str

    def memory(self) -> float:
        """Its own memory, in MB."""
        return resident(self.process.pid)

    def cpu(self) -> float:
        """The CPU seconds that it has used so far (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(folder: Path, app: Path = ROOT) -> Iterator[Server]:
    """A fresh server of an app; its log is kept in the folder."""
    server = Server(*start_server(folder, app))
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(20)


def echo_app(folder: Path) -> Path:
    """The page that only echoes, under the settings of the app: with Streamlit's own it is several times as slow."""
    app = folder / "echo"
    shutil.copytree(ROOT / ".streamlit", app / ".streamlit")
    (app / "app.py").write_text(ECHO, "utf-8")
    return app
