"""What the application has done: counters that only grow, for whoever checks that nothing ran twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(slots=True)
class Activity:
    """`saved`: what was written or uploaded; `unsafe`: requests whose method is not safe (RFC 9110 §9.2.1)."""

    saved: int = 0
    unsafe: int = 0


class CountUnsafeRequests:
    """Counts a request before anything else looks at it."""

    def __init__(self, app: ASGIApp, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            self._activity.unsafe += 1
        await self._app(scope, receive, send)
