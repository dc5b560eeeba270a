"""The server: `streamlit run app.py`. The table of contents is pages/contents.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st


@asynccontextmanager
async def warm(app: st.App) -> AsyncIterator[None]:
    """Import torch and load the built-in model before the first visitor comes."""
    from pages.shared import models

    models.warm()
    yield


app = st.App("pages/contents.py", lifespan=warm)
