"""What stays open: events, a WebSocket, an answer that takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.demo.legacy_activity import Activity
from gateway.demo.legacy_register import Register

_EVENT_FIELDS: Final = ("id", "nom", "prenom", "nir")
_LONGEST_WAIT_S: Final = 600.0


class Live:
    """Routes whose answers take time."""

    def __init__(self, register: Register, activity: Activity) -> None:
        self._register = register
        self._activity = activity

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/evenements", self.events),
            WebSocketRoute("/ws/dossiers", self.records),
            Route("/lent", self.slow),
            Route("/compteur", self.counter),
        ]

    async def events(self, request: Request) -> Response:
        """Server-sent events (HTML Living Standard §9.2), one person each, in order of id."""
        interval_s = min(number_of(request, "intervalle_ms", 1_000.0) / 1_000, _LONGEST_WAIT_S)
        number = int(number_of(request, "nombre", float(2**31)))
        return StreamingResponse(
            self._event_texts(interval_s, number),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache"},
        )

    async def _event_texts(self, interval_s: float, number: int) -> AsyncIterator[bytes]:
        persons = self._register.count()
        for sent in range(number):
            if sent:
                await asyncio.sleep(interval_s)
            record = self._register.person(sent % persons + 1) or {}
            data = orjson.dumps({field: record.get(field) for field in _EVENT_FIELDS})
            yield b"id: %d\nevent: dossier\ndata: %b\n\n" % (sent + 1, data)

    async def records(self, socket: WebSocket) -> None:
        """`{"id": n}` is answered with that record, `{"ping": 1}` with `{"pong": 1}`."""
        await socket.accept()
        try:
            while True:
                await socket.send_text(orjson.dumps(self._answer(await socket.receive_text())).decode())
        except WebSocketDisconnect:
            return

    def _answer(self, text: str) -> Any:
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict):
            return {"erreur": "message illisible"}
        if "ping" in asked:
            return {"pong": asked["ping"]}
        number = asked.get("id")
        record = self._register.person(number) if isinstance(number, int) else None
        return record or {"erreur": "demandeur inconnu"}

    async def slow(self, request: Request) -> Response:
        seconds = min(number_of(request, "secondes", 1.0), _LONGEST_WAIT_S)
        await asyncio.sleep(seconds)
        return JSONResponse({"attendu": seconds})

    async def counter(self, _request: Request) -> Response:
        return JSONResponse({"ecritures": self._activity.saved, "requetes_non_sures": self._activity.unsafe})


def number_of(request: Request, name: str, default: float) -> float:
    """A number of the query; the default where it is none."""
    try:
        value = float(request.query_params.get(name, default))
    except ValueError:
        return default
    return value if 0 <= value < float("inf") else default
