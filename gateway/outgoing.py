"""Headers in both directions: what travels on to the application, and what of its answer reaches the client."""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from gateway.application import Application
from gateway.core.assurance import Caller
from gateway.core.canonical import METHOD_OVERRIDES, Headers, end_to_end, folded, joined
from gateway.edge.credentials import DPOP
from gateway.passage import OWN_COOKIES, Passage, forwards_authorization, is_foreign, without_own_cookies

FORGED = frozenset(
    {
        b"x-gateway-user",
        b"x-gateway-partner",
        b"x-gateway-assertion",
        b"x-request-id",
        b"gateway-authorization",
        b"gateway-reason",
        b"content-length",
        b"expect",
        b"forwarded",
        b"x-real-ip",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-forwarded-user",
        b"x-forwarded-prefix",
        b"x-original-url",
        b"x-rewrite-url",
    }
)
"""Fields that say who asks or rewrite what is asked: a client's copies never travel on."""

PARTIAL = frozenset({b"range", b"if-range", b"if-match", b"accept-encoding"})
"""On inspected routes: an answer is read whole and uncoded, or not at all."""

VALIDATORS = frozenset({b"etag", b"last-modified", b"cache-control", b"expires", b"pragma", b"age", b"vary"})
VARY = b"Cookie, Authorization, Gateway-Authorization"
NEVER_BACK = frozenset({b"content-length", b"x-request-id", b"x-gateway-reference", b"alt-svc"})
NEVER_BACK_CLASSIFIED = NEVER_BACK | VALIDATORS | {b"content-encoding", b"accept-ranges"}


def to_application(passage: Passage, application: Application, inspected: bool, assertion: str | None) -> Headers:
    """The request's headers as the application gets them, in the client's order, then ours."""
    foreign = forwards_authorization(passage) or (application.observing and is_foreign(passage))
    shown = not foreign or passage.credential.scheme == DPOP
    drop = _dropped(tuple(application.table.identity_headers), inspected, not foreign, shown)
    host = application.table.host
    kept = [(b"host", host.encode() if host else passage.host.encode())]
    kept += end_to_end(passage.headers, drop)
    if b"cookie" in passage.fields:
        remaining = without_own_cookies(joined(passage.headers, b"cookie", b"; ") or b"")
        if remaining:
            kept.append((b"cookie", remaining))
    if inspected:
        kept.append((b"accept-encoding", b"identity"))
    if passage.caller is not None:
        kept += identity_headers(passage.caller, application.table.identity_headers, assertion)
    kept.append((b"x-request-id", passage.request_id.encode()))
    return kept


@lru_cache(maxsize=256)
def _dropped(identity: tuple[str, ...], inspected: bool, authorization: bool, dpop: bool) -> frozenset[bytes]:
    """The fields of a request, folded, that do not travel on; a proof of a key goes with the token it is for."""
    drop = FORGED | METHOD_OVERRIDES | {b"cookie", b"host"} | {folded(name.encode()) for name in identity}
    if inspected:
        drop |= PARTIAL
    return drop | ({b"authorization"} if authorization else set()) | ({b"dpop"} if dpop else set())


def identity_headers(caller: Caller, named: Mapping[str, str], assertion: str | None) -> Headers:
    """Who asks, for the application: the contract's three headers and those that the configuration names."""
    headers = [(b"x-gateway-user", caller.user.encode()), (b"x-gateway-partner", caller.partner.encode())]
    if assertion:
        headers.append((b"x-gateway-assertion", assertion.encode()))
    if not named:
        return headers
    values = {"user": caller.user, "name": caller.name, "partner": caller.partner, "login": caller.sub}
    for name, source in named.items():
        if source != "drop":
            headers.append((name.lower().encode(), _field_value(values[source])))
    return headers


@lru_cache(maxsize=4096)
def _field_value(text: str) -> bytes:
    """A name as a header's bytes: latin-1 as the legacy expects, nothing that could end the field."""
    return "".join(char for char in text if char.isprintable()).encode("latin-1", "replace")


def to_client(
    passage: Passage, application: Application, headers: Headers, *, classified: bool, length: int | None
) -> list[tuple[bytes, bytes]]:
    """The application's headers as the client gets them.

    ``classified``: the answer carries findings or a mask, and may rest in no cache; ``length``: the body's length
    where the gateway has it whole or the connector enforces it.
    """
    drop = NEVER_BACK_CLASSIFIED if classified else NEVER_BACK
    if passage.nonce:
        drop |= {b"dpop-nonce"}
    kept: list[tuple[bytes, bytes]] = []
    for name, value in end_to_end(headers, drop):
        key = folded(name)
        if key == b"set-cookie":
            mapped = _cookie_back(value, passage, application)
            if mapped is None:
                continue
            kept.append((name, mapped))
        elif key in (b"location", b"content-location") and application.table.host:
            kept.append((name, _location_back(value, passage, application)))
        else:
            kept.append((name, value))
    if classified:
        kept += [(b"cache-control", b"no-store"), (b"vary", VARY)]
    if length is not None:
        kept.append((b"content-length", str(length).encode()))
    if passage.nonce:
        kept.append((b"dpop-nonce", passage.nonce.encode()))
    kept += [(b"x-request-id", passage.request_id.encode()), (b"x-gateway-reference", passage.reference.encode())]
    return kept


def _cookie_back(value: bytes, passage: Passage, application: Application) -> bytes | None:
    """A ``Set-Cookie`` of the application: never with our name; ``Domain`` mapped where the host is replaced."""
    name = value.lstrip(b"= \t").partition(b"=")[0].strip()  # "=a=b" is sent back as "a=b"
    if name.lower().startswith(b"__host-gateway") or name in OWN_COOKIES:
        return None
    own = application.table.host
    if not own:
        return value
    parts = value.split(b";")
    for index, part in enumerate(parts):
        key, _, domain = part.strip().partition(b"=")
        if key.lower() == b"domain" and domain.strip().lstrip(b".").lower() == own.rsplit(":", 1)[0].lower().encode():
            parts[index] = b" Domain=" + passage.host.rsplit(":", 1)[0].encode()
    return b";".join(parts)


def _location_back(value: bytes, passage: Passage, application: Application) -> bytes:
    text = value.decode("latin-1")
    try:
        netloc = urlsplit(text).netloc
        start = text.index(netloc) + len(netloc)
    except ValueError:  # no URL: what the application says, the client reads
        return value
    if netloc.lower() != (application.table.host or "").lower():
        return value
    scheme = "https" if application.site.pages_url.startswith("https:") else "http"
    return f"{scheme}://{passage.host}{text[start:]}".encode("latin-1")
