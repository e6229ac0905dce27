"""An interrupted form on its way into keeping, and out of it onto the path again.

Rules of this file:

1. Only what our own origin sent is kept, by a browser that is signed in, or was until its session ended by time: a kept
   form of another site would be a cannon, and who signed out or was stopped leaves nothing behind.
2. What is sent later goes the whole path as if the browser had sent it then: nothing is decided beforehand.
3. The page that sends it posts its id to the form's own address, so that the answer stands where the links in it lead
   from. Such a body is never forwarded, whatever became of what it names.
"""

from collections.abc import MutableMapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from gateway.core.assurance import Caller
from gateway.core.canonical import folded
from gateway.core.reasons import Reason, Refusal
from gateway.edge import cookies
from gateway.edge.cookies import AmbiguousCookie
from gateway.edge.kept import KEPT_FIELD
from gateway.incoming import BodyStalled, BodyTooLarge, ClientGone
from gateway.passage import Body, Passage, Receive, Scope, Send
from gateway.stores.halved import ID_LENGTH, LARGEST_BYTES
from gateway.stores.kept_requests import ANY_SESSION, KeptRequest

KEPT_PATH = b"/.gateway/kept"
FORM_TYPE = b"application/x-www-form-urlencoded"
_SENDS = f"{KEPT_FIELD}=".encode()
_SENDS_BYTES = len(_SENDS) + ID_LENGTH
_OF_A_BODY = (b"content-length", b"content-type", b"transfer-encoding", b"referer", b"trailer", b"expect")


class Keeping(Protocol):
    """Where interrupted requests are kept."""

    async def keep(self, user: str, family: str, request: KeptRequest) -> tuple[str, str] | None: ...

    async def take(self, user: str, family: str, kept_id: str, half: str) -> KeptRequest | None: ...


def same_origin(passage: Passage) -> bool:
    """Whether a page of this very host sent the request (Fetch Metadata; without it, ``Origin`` equal to the Host)."""
    site = passage.fields.get(b"sec-fetch-site")
    if site is not None:
        return site == b"same-origin"
    origin = passage.fields.get(b"origin")
    return origin is not None and origin.partition(b"://")[2].decode("latin-1").lower() == passage.host


def may_be_kept(passage: Passage, refusal: Refusal) -> bool:
    """Whether a refused request is a form of ours that a confirmation, or signing in again, would let through."""
    asks = refusal.reason in (Reason.PROOF_REQUIRED, Reason.REASON_REQUIRED) and passage.caller is not None
    ended = refusal.reason is Reason.NO_CALLER and passage.ended != ""
    return (
        (asks or ended)
        and passage.method == b"POST"
        and passage.credential.kind == "session"
        and passage.asked.navigating
        and not passage.executed
        and not passage.raw_target.startswith((b"//", b"/\\"))  # to browsers another host
        and same_origin(passage)
    )


async def keep(passage: Passage, body: Body, keeping: Keeping) -> tuple[str, tuple[bytes, bytes]] | None:
    """Keep a request: where it is sent from, and the cookie for the browser; ``None``: it cannot be kept.

    Raises ``StoreUnavailable``.
    """
    caller = passage.caller
    user, family = (caller.user, caller.credential_id) if caller else (passage.ended, ANY_SESSION)
    try:
        content = await body.buffer(LARGEST_BYTES) if body.present else b""
    except (BodyStalled, BodyTooLarge, ClientGone):
        return None
    if content is None:
        return None
    request = KeptRequest(
        passage.method.decode("latin-1"),
        passage.raw_target.decode("latin-1"),
        passage.host,
        body.content_type.decode("latin-1"),
        (passage.fields.get(b"referer") or b"").decode("latin-1"),
        content,
    )
    kept = await keeping.keep(user, family, request)
    if kept is None:
        return None
    kept_id, half = kept
    return f"{KEPT_PATH.decode()}?id={kept_id}", cookies.kept(kept_id, half, after_sign_in=family == ANY_SESSION)


async def sends(passage: Passage, body: Body) -> str | None:
    """The id of what this browser kept, where the request comes from the page that sends it.

    :raises BodyStalled, ClientGone:
    """
    if passage.method != b"POST" or not body.content_type.lower().startswith(FORM_TYPE):
        return None
    if body.length not in (None, _SENDS_BYTES):  # a proxy before us may have chunked it
        return None
    content = await body.buffer(_SENDS_BYTES) or b""
    return content.removeprefix(_SENDS).decode("latin-1") if content.startswith(_SENDS) else None


async def take(passage: Passage, caller: Caller, keeping: Keeping, kept_id: str) -> KeptRequest | Refusal:
    """Take what this browser kept and now sends."""
    if not same_origin(passage):
        return Refusal(Reason.BAD_ORIGIN)
    try:
        half = cookies.read(passage.headers, cookies.kept_name(kept_id))
    except AmbiguousCookie:
        return Refusal(Reason.AMBIGUOUS_CREDENTIALS)
    found = await keeping.take(caller.user, caller.credential_id, kept_id, half) if half else None
    if found is None or found.host != passage.host:
        return Refusal(Reason.KEPT_GONE)
    return found


def asked_id(passage: Passage) -> str | None:
    """The one ``id`` of a request's query."""
    try:
        asked = parse_qs(passage.raw_target.partition(b"?")[2].decode("latin-1"), max_num_fields=4).get("id", [])
    except ValueError:
        return None
    return asked[0] if len(asked) == 1 else None


def forgetting(passage: Passage, kept_id: str) -> Send:
    """Sends the answer, and takes the half of the key away that is of no use any more."""

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], cookies.no_longer_kept(kept_id)]
        await passage.send(message)

    return send


def as_sent(passage: Passage, kept: KeptRequest) -> tuple[Scope, Receive]:
    """The scope and body of a kept request, with this request's own credentials and other header fields."""
    target = kept.target.encode("latin-1")
    path, _, query = target.partition(b"?")
    headers = [one for one in passage.headers if folded(one[0]) not in _OF_A_BODY]
    headers += [(b"content-length", str(len(kept.body)).encode())]
    for name, value in ((b"content-type", kept.content_type), (b"referer", kept.referer)):
        if value:
            headers.append((name, value.encode("latin-1")))
    scope: Scope = {
        **passage.scope,
        "method": kept.method,
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": headers,
    }
    left = [kept.body]

    async def receive() -> MutableMapping[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await passage.receive()

    return scope, receive
