"""What is found is kept, and found once: who asks for it meanwhile waits."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from threading import Condition
from typing import Any

import streamlit as st
from cachetools import LRUCache, cached
from cachetools.keys import hashkey

from pages.shared.runtime.progress import Told
from pages.shared.runtime.queue import LOOKS, SOON

SWEPT = 64  # sweeps of each kind whose results are kept


class Found(Condition):
    """For those who wait for what another visitor asked for first: they are told so, and may go."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until something is found, for a little while only; who wants a certain thing asks again."""
        if super().wait(SOON):
            return True
        self.release()
        try:
            with st.spinner("Another visitor asked for the same, which is being computed"), self:
                return super().wait(LOOKS)
        finally:
            self.acquire()


def kept(most: int, size: Callable[[Any], int] | None = None, key: Callable = hashkey, doing: str = "") -> Callable:
    """Keep the latest used of what a function finds: up to `most` of them, or bytes of it where `size` tells these.

    Who asks for what is being found waits for it; who asks for something else does not. Where that takes long, `doing`
    says what is done. It stands around what is kept: a visitor who goes meanwhile ends the words, not the work.
    """

    def keep(find: Callable) -> Callable:
        found = cached(LRUCache(most, size), key, condition=Found())(find)

        @wraps(find)
        def told(*asked: Any) -> Any:
            with nullcontext() if key(*asked) in found.cache else st.spinner(doing, show_time=True):
                return found(*asked)

        told.cache, told.cache_clear = found.cache, found.cache_clear
        return told if doing else found

    return keep


def untold(told: Told, *asked: Any) -> Any:
    """What is asked; who is told how far it is makes no difference."""
    return hashkey(*asked)


def swept(find: Callable) -> Callable:
    """Keep the last SWEPT that a sweep found. Its first argument is told how far it is.

    Who asks for what is being found waits for it; where that visitor leaves, who waits finds it instead.
    """
    return kept(SWEPT, key=untold)(find)
