"""A bounded cache; concurrent callers with the same key share one computation."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from threading import Condition
from typing import Any

import streamlit as st
from cachetools import LRUCache, cached
from cachetools.keys import hashkey

from pages.shared.runtime.progress import OnProgress
from pages.shared.runtime.queue import INTERVAL, PATIENCE, spinner


class SharedResult(Condition):
    """A condition variable on which callers wait for a result that another visitor's call is computing.

    A visitor who waits longer than PATIENCE sees a sentence about it, and can leave.
    """

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a notification, but not for long; cachetools calls it again until the result is there."""
        if super().wait(PATIENCE):
            return True
        self.release()
        try:
            with spinner("Another visitor asked for the same, which is being computed"), self:
                return super().wait(INTERVAL)
        finally:
            self.acquire()


def cache_key(*args: Any) -> Any:
    """The key of a call: an argument with a `cache_key`, such as a model, is replaced by it, and not held."""
    return hashkey(*(getattr(arg, "cache_key", arg) for arg in args))


def memoize(
    most: int, size: Callable[[Any], int] | None = None, key: Callable = cache_key, doing: str = ""
) -> Callable:
    """Decorator: cache up to `most` results (bytes, if `size` returns those of one), least recently used out first.

    Callers with the same key wait for the first; callers with other keys do not. With `doing`, a spinner with that text
    is shown. The spinner stands around the cache: if its visitor leaves, the computation still completes.
    """

    def decorate(function: Callable) -> Callable:
        memoized = cached(LRUCache(most, size), key, condition=SharedResult())(function)

        @wraps(function)
        def with_spinner(*args: Any) -> Any:
            with nullcontext() if key(*args) in memoized.cache else st.spinner(doing, show_time=True):
                return memoized(*args)

        with_spinner.cache, with_spinner.cache_clear = memoized.cache, memoized.cache_clear
        return with_spinner if doing else memoized

    return decorate


def without_progress(on_progress: OnProgress, *args: Any) -> Any:
    """Cache key of a function whose first argument is a progress callback, which makes no difference to the result."""
    return cache_key(*args)
