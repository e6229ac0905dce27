"""Big things: exports that stream, downloads, uploads. Nothing here holds more than a piece in memory."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator
from typing import Final

import anyio
import orjson
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.demo.legacy_activity import Activity
from gateway.demo.legacy_live import number_of
from gateway.demo.legacy_register import EXPORT_HEADER, HEALTH_HEADER, Register

_ROWS_AT_ONCE: Final = 50
_EVERYBODY: Final = 2**31
_LARGEST_DOWNLOAD_MB: Final = 1_100
_PIECE: Final = bytes(range(256)) * 256
_DEPOSIT: Final = re.compile(r"[\w.-]{1,100}")


class Exports:
    """Routes that move many bytes."""

    def __init__(self, register: Register, activity: Activity) -> None:
        self._register = register
        self._activity = activity

    def routes(self) -> list[Route]:
        return [
            Route("/exports/demandeurs.csv", self.csv),
            Route("/exports/demandeurs.ndjson", self.ndjson),
            Route("/exports/sante.csv", self.health),
            Route("/telechargements/{megaoctets:int}", self.download),
            Route("/depots/{name}", self.deposit, methods=["PUT"]),
            Route("/dossiers/{id:int}/pieces", self.attach, methods=["POST"]),
        ]

    async def csv(self, request: Request) -> Response:
        """Everybody, or `limite` of them; with `intervalle_ms` one row after the other, so far apart."""
        return self._as_csv(request, EXPORT_HEADER, "demandeurs.csv")

    async def health(self, request: Request) -> Response:
        """Disability, health and housing of everybody."""
        return self._as_csv(request, HEALTH_HEADER, "sante.csv")

    def _as_csv(self, request: Request, header: tuple[str, ...], name: str) -> Response:
        disposition = {"content-disposition": f'attachment; filename="{name}"'}
        pieces = self._csv_pieces(_limit(request), header, number_of(request, "intervalle_ms", 0.0) / 1_000)
        return StreamingResponse(pieces, media_type="text/csv", headers=disposition)

    async def _csv_pieces(self, limit: int, header: tuple[str, ...], pause_s: float) -> AsyncIterator[str]:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=";")
        writer.writerow(header)
        for rows in self._register.export(limit, 1 if pause_s else _ROWS_AT_ONCE, header):
            writer.writerows(rows)
            yield text.getvalue()
            text.seek(0)
            text.truncate()
            await asyncio.sleep(pause_s)
        yield text.getvalue()

    async def ndjson(self, request: Request) -> Response:
        return StreamingResponse(self._json_lines(_limit(request)), media_type="application/x-ndjson")

    async def _json_lines(self, limit: int) -> AsyncIterator[bytes]:
        for rows in self._register.export(limit, _ROWS_AT_ONCE):
            yield b"".join(
                orjson.dumps(dict(zip(EXPORT_HEADER, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
                for row in rows
            )
            await anyio.lowlevel.checkpoint()

    async def download(self, request: Request) -> Response:
        megabytes = int(request.path_params["megaoctets"])
        if megabytes > _LARGEST_DOWNLOAD_MB:
            return PlainTextResponse("Trop grand", 404)
        size_bytes = megabytes * 1_000_000
        return StreamingResponse(
            _bytes(size_bytes),
            media_type="application/octet-stream",
            headers={"content-length": str(size_bytes)},
        )

    async def deposit(self, request: Request) -> Response:
        """Count an upload's bytes; they are kept nowhere."""
        if not _DEPOSIT.fullmatch(request.path_params["name"]):
            return JSONResponse({"erreur": "nom refusé"}, 400)
        size_bytes = 0
        async for chunk in request.stream():
            size_bytes += len(chunk)
        self._activity.saved += 1
        return JSONResponse({"octets": size_bytes})

    async def attach(self, request: Request) -> Response:
        """Count the bytes of a multipart upload's parts (RFC 7578)."""
        kind, options = parse_options_header(request.headers.get("content-type"))
        if kind != b"multipart/form-data" or b"boundary" not in options:
            return JSONResponse({"erreur": "multipart/form-data attendu"}, 415)
        size_bytes = 0

        def count(_data: bytes, start: int, end: int) -> None:
            nonlocal size_bytes
            size_bytes += end - start

        parser = MultipartParser(options[b"boundary"], {"on_part_data": count})
        try:
            async for chunk in request.stream():
                parser.write(chunk)
            parser.finalize()
        except MultipartParseError:
            return JSONResponse({"erreur": "envoi illisible"}, 400)
        self._activity.saved += 1
        return JSONResponse({"octets": size_bytes})


async def _bytes(size_bytes: int) -> AsyncIterator[bytes]:
    whole, rest = divmod(size_bytes, len(_PIECE))
    for _ in range(whole):
        yield _PIECE
    yield _PIECE[:rest]


def _limit(request: Request) -> int:
    value = request.query_params.get("limite", "")
    return int(value) if value.isdecimal() and len(value) < 10 else _EVERYBODY
