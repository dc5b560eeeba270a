"""A model that is picked is opened, or fetched first; until it is here, the built-in one stands in."""

from collections.abc import Sequence

import streamlit as st

from model.loading import gpt2_format as gpt2
from model.loading import hub as download
from pages.shared import models
from pages.shared.prose import literal


def ready(name: str, others: Sequence[str] = models.NAMES) -> str:
    """The picked model if it can be used now; else what there is to do about it, and the first of the others that can.

    Where none can, or no other may stand in, the page ends.
    """
    offer, others = models.OFFERS[name], [other for other in others if other != name]
    folder = offer.folder()
    if folder is None:
        size = f"{offer.megabytes:,} MB, {offer.licence} licence" if offer.megabytes else "its size is told when asked"
        until = f"you see {others[0]}" if others else "nothing of it can be shown"
        fetch(
            offer.source,
            download.FILES,
            f"**{literal(name)}** is not on this server yet: `{offer.source}` from the hub, {size}. "
            f"Until it is here, {until}.",
        )
        if not others:
            st.stop()
        return ready(others[0], others)
    try:
        if not models.is_open(name):
            needed = 4 * gpt2.sizes(folder).parameters / 1e6
            with st.spinner(f"Opening {literal(name)}, {needed:,.0f} MB of memory", show_time=True):
                models.load(name)
    except (ValueError, FileNotFoundError) as error:
        said = f"{literal(name)} cannot be used: {literal(error)}."
        if not others:
            st.error(f"{said} Who runs this server must mend it.")
            st.stop()
        st.warning(f"{said} You see {others[0]}.")
        return ready(others[0], others)
    return name


def fetch(repo: str, files: Sequence[str], why: str) -> None:
    """Why something could be fetched from the hub, a button that does it, and how far it is, for all who wait."""
    latest = download.latest(repo, files)
    running = latest is not None and latest.running

    @st.fragment(run_every=0.5 if running else None)
    def panel() -> None:
        now = download.latest(repo, files)
        if now is not latest or running != (now is not None and now.running):
            st.rerun()  # it has begun, or ended
        with st.container(border=True):
            text, button = st.columns([5, 1], vertical_alignment="center")
            text.markdown(f":material/cloud_download: {why} It is kept for all who come, in `{download.kept_in()}`.")
            if running:
                left = f", about {now.seconds_left:,.0f} s left" if now.seconds_left is not None else ""
                share = min(1.0, now.received / now.total) if now.total else 0.0
                done = f"{now.received / 1e6:,.1f} of {now.total / 1e6:,.1f} MB{left}" if share else "Asking the hub"
                st.progress(share, f"**{done}** · it goes on when you leave")
                return
            if now is not None and now.error:
                text.warning(literal(now.error))
            button.button(
                "Try again" if now is not None else "Fetch it",
                key=f"fetch {repo} {len(files)}",
                on_click=download.start,
                args=(repo, files, models.MODELS),
                width="stretch",
            )

    panel()
