"""The store's time as every worker sees it."""

import time


class StoreClock:
    """The store's time in Unix seconds, never running backwards.

    It is carried between samples by the monotonic clock: setting the machine's clock does not move it, and shows as
    ``skew_s``.
    """

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()
        self._latest = 0.0
        self._sampled: float | None = None

    def sampled(self, store_time: float, before: float, after: float) -> None:
        """Take in the store's time as read between two readings of the monotonic clock."""
        self._offset_s = store_time - (before + after) / 2
        self._sampled = after

    def now(self) -> float:
        """The store's time, Unix seconds."""
        now = time.monotonic() + self._offset_s
        if now > self._latest:
            self._latest = now
        return self._latest

    @property
    def skew_s(self) -> float:
        """By how many seconds this machine's clock is ahead of the store's."""
        return time.time() - self.now()

    @property
    def sampled_ago_s(self) -> float:
        """The age of the last sample; infinite when there is none."""
        return float("inf") if self._sampled is None else time.monotonic() - self._sampled
