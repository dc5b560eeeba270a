"""A model that is picked is opened, or downloaded first; until it is here, the built-in one stands in."""

from collections.abc import Sequence

import streamlit as st

from model.loading import checkpoint, hub
from pages.shared import models
from pages.shared.prose import literal


def ready(name: str, others: Sequence[str] = models.NAMES) -> models.Model:
    """The picked model, opened; if it cannot be used now, what to do about it, and the first of `others` that can.

    If no other may stand in, or none can be used, the page ends.
    """
    entry, others = models.CATALOG[name], [other for other in others if other != name]
    folder = entry.folder()
    if folder is None:
        size = f"{entry.megabytes:,} MB, {entry.license} license" if entry.megabytes else "its size is not known yet"
        until = f"you see {others[0]}" if others else "nothing can be shown"
        fetch(
            entry.source,
            hub.FILES,
            f"**{literal(name)}** is not on this server yet: `{entry.source}` from the hub, {size}. "
            f"Until it is here, {until}.",
        )
        if not others:
            st.stop()
        return ready(others[0], others)
    try:
        if models.is_open(name):
            return models.load(name)
        needed = 4 * checkpoint.sizes(folder).parameters / 1e6
        with st.spinner(f"Opening {literal(name)}, {needed:,.0f} MB of memory", show_time=True):
            return models.load(name)
    except (ValueError, FileNotFoundError) as error:
        problem = f"{literal(name)} cannot be used: {literal(error)}."
        if not others:
            st.error(f"{problem} Please tell whoever runs this server.")
            st.stop()
        st.warning(f"{problem} You see {others[0]}.")
        return ready(others[0], others)


def fetch(repo: str, files: Sequence[str], why: str) -> None:
    """Offer a download from the hub: a reason, a button that starts it, and its progress, the same for all visitors."""
    latest = hub.latest(repo, files)
    running = latest is not None and latest.running

    @st.fragment(run_every=0.5 if running else None)
    def panel() -> None:
        download = hub.latest(repo, files)
        if download is not latest or running != (download is not None and download.running):
            st.rerun()  # it has started, or ended
        with st.container(border=True):
            text, button = st.columns([5, 1], vertical_alignment="center")
            text.markdown(
                f":material/cloud_download: {why} It is stored for all visitors, in `{hub.cache_location()}`."
            )
            if running:
                left = f", about {download.seconds_left:,.0f} s left" if download.seconds_left is not None else ""
                share = min(1.0, download.received / download.total) if download.total else 0.0
                megabytes = f"{download.received / 1e6:,.1f} of {download.total / 1e6:,.1f} MB{left}"
                st.progress(share, f"**{megabytes if share else 'Asking the hub'}** · it continues when you leave")
                return
            if download is not None and download.error:
                text.warning(literal(download.error))
            button.button(
                "Try again" if download is not None else "Fetch it",
                key=f"fetch {repo} {len(files)}",
                on_click=hub.start,
                args=(repo, files, models.MODELS),
                width="stretch",
            )

    panel()
