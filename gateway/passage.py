"""One request on its way through: what is known of it so far, and the credentials it came with."""

import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import product
from typing import Any, Protocol

from gateway.application import Application
from gateway.core.assurance import Caller
from gateway.core.canonical import Fields, Headers, Target, fields_of, joined
from gateway.core.classify import Classified
from gateway.core.extraction import Identifier
from gateway.core.places import places_of
from gateway.core.reasons import Refusal
from gateway.edge.asked import Asked, language, navigating
from gateway.edge.credentials import NOBODY, Credential, pairs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OWN_COOKIES = (b"__Host-gateway", b"gateway_lang", b"gateway_way")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, so that a reference can be read out on the telephone."""


LOOK_LASTS_S = 0.15
"""How long a look at the caller serves: what it found may be 0.8 s old already, and who is ended is out in a second."""

_TWO = tuple(map("".join, product(_ALPHABET, repeat=2)))


def reference_of(request_id: str) -> str:
    """The short form of a request id, such as ``K7Q-4M2``: its first 30 bits."""
    number = int(request_id[:8], 16) >> 2
    middle = _TWO[number >> 10 & 1_023]
    return f"{_TWO[number >> 20]}{middle[0]}-{middle[1]}{_TWO[number & 1_023]}"


class Body(Protocol):
    """A request's body as far as it came, which may be asked for more."""

    present: bool
    length: int | None
    content_type: bytes

    async def buffer(self, limit_bytes: int) -> bytes | None: ...


@dataclass(slots=True)
class Passage:
    """One request; fields are filled in the order of the path. ``started``: the first byte of the answer has left.

    ``held``, ``spent``: ids of proofs for one answer: those that this request has claimed, and those another has.
    ``ended``: the user whose session has ended by time; ``own_cookie``: a field that goes with an answer of ours.
    ``seen_at``: when the last look-up of the caller was begun (monotonic seconds).
    ``outlives_cookie``: its session has another cookie now, and goes on.
    ``possession``: the token's key was shown; ``nonce``: what its next proof must name.
    """

    scope: Scope
    receive: Receive
    send: Send
    request_id: str
    reference: str
    method: bytes
    headers: Headers
    fields: Fields
    raw_target: bytes
    host: str
    client: str
    house: tuple[IPv4Network | IPv6Network, ...] = ()
    credential: Credential = NOBODY
    application: Application | None = None
    target: Target | None = None
    caller: Caller | None = None
    seen_at: float = 0.0
    ended: str = ""
    classified: Classified | None = None
    persons: tuple[Identifier, ...] | None = None
    unclear: bool = False
    writes_identifier: bool = False
    executed: bool = False
    would_be: Refusal | None = None
    status: int = 0
    started: bool = False
    bytes_out: int = 0
    body_ended: Callable[[], bool] = lambda: True
    body: Body | None = None
    own_cookie: tuple[bytes, bytes] | None = None
    outlives_cookie: bool = False
    possession: bool = False
    nonce: str = ""
    notes: dict[str, object] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    spent: set[str] = field(default_factory=set)
    _asked: Asked | None = None

    def know(self, caller: Caller, asked_at: float) -> None:
        """Take what was found of the caller by a look-up that was begun at ``asked_at`` (monotonic seconds)."""
        self.seen_at = asked_at
        self.caller = self.marked(caller)

    def marked(self, caller: Caller) -> Caller:
        """The caller with the proofs that this request has claimed, and without those it has lost to another."""
        if self.held or self.spent:
            left = (proof for proof in caller.proofs if proof.id not in self.spent)
            proofs = tuple(replace(proof, held=True) if proof.id in self.held else proof for proof in left)
            return replace(caller, proofs=proofs)
        return caller

    @property
    def lately_seen(self) -> bool:
        """Whether the caller was looked up so lately that whoever was ended a second ago is not let through."""
        return time.monotonic() - self.seen_at < LOOK_LASTS_S

    @property
    def places(self) -> frozenset[str]:
        """The network and the browser that this request comes from."""
        agent = self.fields.get(b"user-agent", b"")
        return places_of(self.client, agent.decode("latin-1"), self.house)

    @property
    def asked(self) -> Asked:
        """What our own answers need to know of the request."""
        if self._asked is None:
            self._asked = asked_of(self)
        return self._asked


def begin(scope: Scope, receive: Receive, send: Send, trusted: "tuple[IPv4Network | IPv6Network, ...]") -> Passage:
    """A new passage for an ASGI scope, with an id of its own."""
    headers: Headers = scope["headers"]
    fields = fields_of(headers)
    request_id = os.urandom(16).hex()
    method = scope.get("method", "GET").encode("latin-1")
    query: bytes = scope.get("query_string", b"")
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode("latin-1", "replace")
    return Passage(
        scope,
        receive,
        send,
        request_id,
        reference_of(request_id),
        method,
        headers,
        fields,
        raw_path + b"?" + query if query else raw_path,
        fields.get(b"host", b"").decode("latin-1").lower(),
        client_of(scope, headers, trusted),
    )


def asked_of(passage: Passage) -> Asked:
    """What our own answers need to know of a request; most requests never ask for one."""
    headers = passage.headers
    origin = passage.fields.get(b"origin")
    accept_language = passage.fields.get(b"accept-language")
    cookies = joined(headers, b"cookie", b"; ")
    return Asked(
        navigating=navigating(headers, passage.method),
        language=language(
            accept_language.decode("latin-1") if accept_language else None, _cookie(cookies, b"gateway_lang")
        ),
        method=passage.method,
        target=passage.raw_target,
        reference=passage.reference,
        request_id=passage.request_id,
        origin=origin.decode("latin-1") if origin else None,
        host=passage.host,
        scheme=passage.credential.scheme,
    )


def client_of(scope: Scope, headers: Headers, trusted: "tuple[IPv4Network | IPv6Network, ...]") -> str:
    """The client's address: the peer, or what trusted proxies say, read from the nearest hop outwards."""
    peer = str((scope.get("client") or ("", 0))[0])
    if not trusted:
        return peer
    hops = [part.strip() for part in (joined(headers, b"x-forwarded-for") or b"").decode("latin-1").split(",")]
    while hops and hops[-1] and _is_in(peer, trusted) and _is_address(hops[-1]):
        peer = hops.pop()
    return peer


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, networks: "tuple[IPv4Network | IPv6Network, ...]") -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _cookie(cookies: bytes | None, name: bytes) -> str | None:
    values = [value for key, value in pairs(cookies or b"") if key == name]
    return values[0].decode("latin-1") if values else None


def without_own_cookies(value: bytes) -> bytes | None:
    """A ``Cookie`` header's value without ours; unchanged bytes where none is ours; ``None`` when nothing is left."""
    parts = value.split(b";")
    kept = [part for part in parts if not _is_own(part.strip().partition(b"=")[0].strip())]
    if len(kept) == len(parts):
        return value
    return b";".join(kept).strip() or None


def _is_own(name: bytes) -> bool:
    return name.startswith(b"__Host-gateway") or name in OWN_COOKIES


def forwards_authorization(passage: Passage) -> bool:
    """Whether ``Authorization`` belongs to the application: it is not what named the caller."""
    if passage.credential.kind == "session":
        return True
    return b"gateway-authorization" in passage.fields


def is_foreign(passage: Passage) -> bool:
    """Whether what is shown is not for us and names nobody: an application that is only observed may know it."""
    return not passage.credential.ours and (passage.caller is None or passage.caller.credential == "anonymous")
