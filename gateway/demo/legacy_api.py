"""Plain REST over the register, with the habits of its age: any method reads, parameters come twice or in a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.demo.legacy_activity import Activity
from gateway.demo.legacy_register import Conflict, Record, Register
from gateway.demo.legacy_xml import record_as_xml

_LARGEST_PAGE: Final = 500
_SAVING: Final = frozenset({"POST", "PUT", "PATCH"})
_LARGEST_BODY_BYTES: Final = 16 * 1024 * 1024


class AnyMethod:
    """An endpoint that does not look at the method."""

    def __init__(self, handler: Callable[[Request], Awaitable[Response]]) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._handler(Request(scope, receive, send))
        await response(scope, receive, send)


class RecordApi:
    """Routes below `/api`."""

    def __init__(self, register: Register, activity: Activity) -> None:
        self._register = register
        self._activity = activity

    def routes(self) -> list[Route]:
        return [
            Route("/api/demandeurs", AnyMethod(self.list_or_several)),
            Route("/api/demandeurs/{id:int}.xml", AnyMethod(self.record)),
            Route("/api/demandeurs/{id:int}", AnyMethod(self.record)),
            Route("/api/agences", self.agencies),
        ]

    async def list_or_several(self, request: Request) -> Response:
        """A page of the list; several full records where ids are given, in the query or in the body."""
        given = await _body_fields(request)
        asked = [*request.query_params.getlist("id"), *_as_list((given or {}).get("id"))]
        ids = [int(number) for value in asked for number in str(value).split(",") if number.strip().isdecimal()]
        if ids:
            return JSONResponse({"demandeurs": self._register.persons(ids[:_LARGEST_PAGE])})
        page = max(1, _number(request, "page", 1))
        size = min(max(1, _number(request, "taille", 50)), _LARGEST_PAGE)
        listed = self._register.page(page, size)
        return JSONResponse({"page": page, "taille": size, "total": self._register.count(), "demandeurs": listed})

    async def record(self, request: Request) -> Response:
        """The full record, saved first where the request brings fields; XML where asked."""
        number = int(request.path_params["id"])
        fields = await _body_fields(request)
        if fields is None:
            return JSONResponse({"erreur": "champs illisibles"}, 400)
        if self._register.person(number) is None:
            return JSONResponse({"erreur": "demandeur inconnu"}, 404)
        if fields and request.method in _SAVING:
            scalars = {name: value for name, value in fields.items() if not isinstance(value, dict | list)}
            refused = self._register.save(number, scalars)
            if isinstance(refused, Conflict):
                return JSONResponse({"erreur": refused.reason}, 409)
            self._activity.saved += 1
        record = self._register.person(number) or {}
        if request.url.path.endswith(".xml") or _wants_xml(request):
            return Response(record_as_xml(record), media_type="application/xml")
        return JSONResponse(record)

    async def agencies(self, _request: Request) -> Response:
        return JSONResponse({"agences": self._register.agencies()})


def _wants_xml(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "application/xml" in accepted and "text/html" not in accepted and "json" not in accepted


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 10 else default


async def _body_fields(request: Request) -> Record | None:
    """The fields of a JSON object or of a form; none for an empty body, `None` for anything else."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY_BYTES:
            return None
    if not body.strip():
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return form_fields(bytes(body))
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None


def form_fields(body: bytes) -> Record:
    """The fields of a URL-encoded form; a field given several times has a list."""
    fields: Record = {}
    for name, values in parse_qs(body.decode("latin-1"), keep_blank_values=True, errors="replace").items():
        fields[name] = values[0] if len(values) == 1 else values
    return fields
