"""The gateway's own answers: the only file that knows status codes.

Navigating browsers get a page in their language, everyone else RFC 9457 problem details; a proof that is missing is
asked for by an RFC 9470 challenge. Nothing of a refusal's ``detail`` (for the operator) ever leaves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from gateway.core.reasons import Reason, Refusal
from gateway.edge import asking, words
from gateway.edge.asked import Asked
from gateway.edge.credentials import DPOP
from gateway.edge.dpop import ALGORITHMS
from gateway.edge.pages import PAGE_HEADERS, page
from gateway.edge.words import Language, explain_reason

Headers = list[tuple[bytes, bytes]]

RETURN_FLOW = "return"
"""The kind of flow that holds the target that a person goes back to (value: ``kept_target``)."""
RETURN_FLOW_TTL_S = 1800
LONGEST_TARGET_BYTES = 1_024
"""A longer one, sealed twice, would not pass through a partner's server: one goes on at one's account page."""
SIGN_IN = "/.gateway/sign-in"

STATUS: Mapping[Reason, int] = MappingProxyType(
    {
        Reason.MALFORMED_REQUEST: 400,
        Reason.AMBIGUOUS_TARGET: 400,
        Reason.UNKNOWN_HOST: 400,
        Reason.AMBIGUOUS_CREDENTIALS: 400,
        Reason.NO_CALLER: 401,
        Reason.TOKEN_UNKNOWN: 401,
        Reason.TOKEN_EXPIRED: 401,
        Reason.TOKEN_REVOKED: 401,
        Reason.INVALID_DPOP_PROOF: 401,
        Reason.USE_DPOP_NONCE: 401,
        Reason.INVALID_DPOP_BINDING: 401,
        Reason.FROZEN: 403,
        Reason.CLOSED_BY_PERSON: 403,
        Reason.PARTNER_NOT_TRUSTED: 403,
        Reason.METHOD_NOT_LISTED: 405,
        Reason.DENIED_BY_RULE: 403,
        Reason.PROOF_REQUIRED: 401,
        Reason.MACHINE_TOKEN: 403,
        Reason.MANDATE_REQUIRED: 403,
        Reason.ANSWER_EXCEEDS_PROOF: 403,
        Reason.TOO_MANY_PERSONS: 403,
        Reason.BUDGET_EXHAUSTED: 429,
        Reason.TOO_LARGE_TO_READ: 403,
        Reason.MASKED_VALUE_RETURNED: 409,
        Reason.CODE_REJECTED: 403,
        Reason.CODE_USED: 403,
        Reason.CODE_NEXT_NEEDED: 403,
        Reason.TOO_MANY_TRIES: 429,
        Reason.TOO_MANY_SIGN_INS: 429,
        Reason.FACTOR_STOPPED: 403,
        Reason.NO_FACTOR: 403,
        Reason.NO_PASSKEY: 403,
        Reason.PASSKEY_REJECTED: 403,
        Reason.CEREMONY_OVER: 403,
        Reason.LAST_FACTOR: 403,
        Reason.ROLE_REQUIRED: 403,
        Reason.INVITATION_REQUIRED: 403,
        Reason.INVITATION_REFUSED: 403,
        Reason.FACTOR_COOLING: 403,
        Reason.BODY_TOO_LARGE: 413,
        Reason.BODY_STALLED: 408,
        Reason.BAD_ORIGIN: 403,
        Reason.SIGN_IN_FAILED: 403,
        Reason.CLAIM_MISSING: 403,
        Reason.NOT_ADMITTED: 403,
        Reason.PARTNER_UNREACHABLE: 503,
        Reason.NO_SEAT: 403,
        Reason.IDENTITY_GONE: 403,
        Reason.IDENTITY_UNCONFIRMED: 403,
        Reason.STEP_UP_CODE_UNKNOWN: 404,
        Reason.KEPT_GONE: 404,
        Reason.ANSWER_GONE: 404,
        Reason.NOT_FOUND: 404,
        Reason.UPSTREAM_UNREACHABLE: 502,
        Reason.UPSTREAM_MALFORMED: 502,
        Reason.UPSTREAM_TIMEOUT: 504,
        Reason.STORE_UNAVAILABLE: 503,
        Reason.LEDGER_UNAVAILABLE: 503,
        Reason.BUSY: 503,
        Reason.INTERNAL_FAULT: 500,
        Reason.HTTP_VERSION_TOO_OLD: 505,
        Reason.REASON_REQUIRED: 403,
        Reason.CONTENT_WITHHELD: 200,  # only where the application's own status is not known
    }
)

_SIGN_IN = frozenset({Reason.NO_CALLER, Reason.TOKEN_UNKNOWN, Reason.TOKEN_EXPIRED, Reason.TOKEN_REVOKED})
_DPOP_ERRORS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.INVALID_DPOP_PROOF: "invalid_dpop_proof",
        Reason.USE_DPOP_NONCE: "use_dpop_nonce",
        Reason.INVALID_DPOP_BINDING: "invalid_token",
    }
)
"""The error codes of RFC 9449, 7.1 and 12.2."""
_DPOP_SCHEME = f'DPoP algs="{" ".join(ALGORITHMS)}",'
_FIGURES_ALWAYS = frozenset({Reason.TOO_MANY_PERSONS, Reason.ANSWER_EXCEEDS_PROOF, Reason.PROOF_REQUIRED})
_OF_LIMITS = frozenset({Reason.BUDGET_EXHAUSTED, Reason.TOO_MANY_PERSONS, Reason.ANSWER_EXCEEDS_PROOF})
_SAFE = (b"GET", b"HEAD")
_NEXT: Mapping[Reason, tuple[str, str]] = MappingProxyType(
    {
        Reason.BUDGET_EXHAUSTED: ("/.gateway/account", "limits"),
        Reason.TOO_MANY_PERSONS: ("/.gateway/account", "limits"),
        Reason.ANSWER_EXCEEDS_PROOF: ("/.gateway/account", "limits"),
        Reason.MASKED_VALUE_RETURNED: ("/.gateway/step-up", "step_up_title"),
        Reason.SIGN_IN_FAILED: ("/.gateway/sign-in", "sign_in"),
        Reason.IDENTITY_GONE: ("/.gateway/sign-in", "sign_in"),
        Reason.PARTNER_UNREACHABLE: ("/.gateway/sign-in", "sign_in"),
    }
)


@dataclass(frozen=True, slots=True)
class Site:
    """What all answers of one application share. ``disclose``: the policy lets limits be told."""

    pages_url: str
    help_desk: str
    cors_origins: frozenset[str] = frozenset()
    product: str = "Gateway"
    disclose: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer ready to send: lower-case header names, a body that fits its content-length."""

    status: int
    headers: Headers
    body: bytes


def keeps_target(refusal: Refusal, request: Asked) -> bool:
    """Whether the answer goes on to ``request.target`` later: the caller of ``render`` seals it and passes it on."""
    if not request.navigating or request.method not in _SAFE or len(request.target) > LONGEST_TARGET_BYTES:
        return False
    return refusal.reason is Reason.PROOF_REQUIRED or _asks_to_sign_in(refusal, request)


def tells_since(refusal: Refusal, request: Asked) -> bool:
    """Whether the answer is a page that says what happened since the last confirmation."""
    return request.navigating and (refusal.reason is Reason.PROOF_REQUIRED or refusal.reason in _OF_LIMITS)


def kept_target(request: Asked) -> dict[str, object]:
    """The value to hand out as ``RETURN_FLOW``."""
    return {"target": request.target.decode("latin-1"), "host": request.host}


def render(
    refusal: Refusal,
    *,
    request: Asked,
    site: Site,
    sign_in_flow: str | None = None,
    application_status: int | None = None,
    kept_at: str | None = None,
    released: Mapping[str, object] | None = None,
    since: Mapping[str, object] | None = None,
    reason_flow: str | None = None,
) -> Rendered:
    """The answer to a refused request.

    ``sign_in_flow``: key of the kept target (``keeps_target``); ``application_status``: the status to keep when the
    content is withheld; ``kept_at``: where the request, kept for now, is sent from later; ``released``: what one answer
    would release, in words (``releases``); ``since``: what happened since the last confirmation (``activity``).
    """
    status = STATUS[refusal.reason]
    if refusal.reason is Reason.CONTENT_WITHHELD and application_status is not None:
        status = application_status
    headers = _refusal_headers(refusal, site, request)
    if not request.navigating:
        return problem_of(refusal, status, headers, request, site)
    if _asks_to_sign_in(refusal, request):
        # on the host that was asked for: it takes on to the pages' own, with a cookie that binds the way back
        origin = f"{site.pages_url.partition('://')[0]}://{request.host}" if request.host else site.pages_url
        sign_in_url = f"{origin}{SIGN_IN}" + (f"?flow={sign_in_flow}" if sign_in_flow else "")
        if request.method in _SAFE:
            return see_other(sign_in_url, request, site)
        values: dict[str, object] = {"sign_in_url": sign_in_url, "kept": kept_at is not None}
        return page_of("not_sent", request, site, headers, values, status=status)
    if refusal.reason is Reason.PROOF_REQUIRED:
        values = asking.step_up_values(
            request.language, refusal.klass, refusal.kinds, refusal.max_age_s, refusal.limit
        ) | {
            "flow": sign_in_flow,
            "after": "reload" if request.method in _SAFE else "stay",
            "sent": request.method in _SAFE,
            "next": kept_at,
            "challenge": refusal.challenge if refusal.bound else "",
            "releases": released,
            "elsewhere": refusal.elsewhere,
            "unconfirmed": refusal.unconfirmed,
            "window": asking.window_of(site.pages_url, request.host, refusal.challenge if refusal.bound else None),
            "since": since,
            "at_partner": _at_partner(sign_in_flow) if refusal.by_partner and not refusal.elsewhere else None,
        }
        return page_of("step_up", request, site, headers, values, status=status)
    if reason_flow is not None:
        values = asking.reason_values(reason_flow, refusal.asked)
        return page_of("reason", request, site, headers, values, status=status)
    title, text = _explained(refusal, request.language)
    facts = _facts(refusal, request.language, site)
    following = (refusal.pick_up, "sealed_open") if refusal.pick_up else _NEXT.get(refusal.reason)
    told = {"title": title, "text": text, "facts": facts, "next": following, "since": since}
    return page_of("refusal", request, site, headers, told, status=status)


def _at_partner(flow: str | None) -> str:
    """Where people sign in anew at their partner, and go on from there."""
    return f"{SIGN_IN}?again=1" + (f"&flow={flow}" if flow else "")


def page_of(
    name: str,
    request: Asked,
    site: Site,
    headers: Iterable[tuple[bytes, bytes]] = (),
    values: Mapping[str, object] | None = None,
    *,
    status: int = 200,
) -> Rendered:
    """A page of ours with the headers that all answers carry."""
    body = page(name, request.language, request=request, site=site, **(values or {}))
    return _whole(status, [*headers, *PAGE_HEADERS], body, request, site)


def see_other(location: str, request: Asked, site: Site, headers: Iterable[tuple[bytes, bytes]] = ()) -> Rendered:
    """On to another page by GET (RFC 9110, 15.4.4). ``location`` is never taken from a request."""
    return _whole(303, [*headers, (b"location", location.encode("latin-1"))], b"", request, site)


def document_of(value: object, request: Asked, site: Site, headers: Iterable[tuple[bytes, bytes]] = ()) -> Rendered:
    """A JSON document."""
    return _whole(200, [*headers, (b"content-type", b"application/json")], orjson.dumps(value), request, site)


def file_of(content: bytes, media_type: bytes, etag: bytes, asked_etag: bytes | None, request: Asked) -> Rendered:
    """A file that never changes under its validator: the one answer that browsers may keep."""
    kept: Headers = [
        (b"etag", etag),
        (b"cache-control", b"public, max-age=3600"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request.request_id.encode()),
        (b"x-gateway-reference", request.reference.encode()),
    ]
    if asked_etag == etag:
        return Rendered(304, kept, b"")
    described = [(b"content-type", media_type), (b"content-length", str(len(content)).encode())]
    return Rendered(200, [*kept, *described], b"" if request.method == b"HEAD" else content)


def problem_of(
    refusal: Refusal, status: int, headers: Iterable[tuple[bytes, bytes]], request: Asked, site: Site
) -> Rendered:
    """RFC 9457 problem details; member names in the README's table."""
    title, text = _explained(refusal, request.language)
    problem: dict[str, object] = {
        "type": f"urn:gateway:problem:{refusal.reason}",
        "title": title,
        "status": status,
        "detail": text,
        "reference": request.reference,
    }
    if refusal.klass is not None:
        problem["class"] = refusal.klass.word
    if refusal.reason is Reason.PROOF_REQUIRED:
        problem |= {"kinds": list(refusal.kinds), "step_up_uri": _step_up_uri(site, refusal)}
        if refusal.max_age_s is not None:
            problem["max_age"] = refusal.max_age_s
        if refusal.bound:
            problem["challenge"] = refusal.challenge
    if site.disclose or refusal.reason in _FIGURES_ALWAYS:
        figures = {
            "persons": refusal.asked,
            "limit": refusal.limit,
            "window_s": refusal.window_s,
            "budget": refusal.budget,
        }
        problem |= {name: value for name, value in figures.items() if value is not None}
    if refusal.pick_up is not None:
        problem["pick_up_uri"] = refusal.pick_up
    if refusal.retry_s is not None:
        problem["retry_after_s"] = refusal.retry_s
    if refusal.methods:
        problem["methods"] = list(refusal.methods)
    if site.help_desk:
        problem["help"] = site.help_desk
    typed = [*headers, (b"content-type", b"application/problem+json")]
    return _whole(status, typed, orjson.dumps(problem), request, site)


def always(request: Asked, site: Site) -> Headers:
    """The headers that every answer of ours carries (CORS: Fetch standard, for listed origins only)."""
    headers: Headers = [
        (b"x-request-id", request.request_id.encode()),
        (b"x-gateway-reference", request.reference.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if site.cors_origins:
        headers.append((b"vary", b"Origin"))
    if request.origin is not None and request.origin in site.cors_origins:
        headers += [
            (b"access-control-allow-origin", request.origin.encode()),
            (b"access-control-allow-credentials", b"true"),
            (
                b"access-control-expose-headers",
                b"WWW-Authenticate, Retry-After, X-Request-Id, X-Gateway-Reference, DPoP-Nonce",
            ),
        ]
    return headers


def notice_detail(refusal: Refusal, *, reference: str, language: Language = "en") -> str:
    """Why a stream stopped here, in one line."""
    title, text = explain_reason(refusal.reason, language)
    return f"{title}. {text} {words.say('reference', language)}: {reference}"


def _explained(refusal: Refusal, language: Language) -> tuple[str, str]:
    title, text = explain_reason(refusal.reason, language)
    return title, words.say("sealed_text", language) if refusal.pick_up else text


def _asks_to_sign_in(refusal: Refusal, request: Asked) -> bool:
    return refusal.reason in _SIGN_IN and not request.signed_in and request.kind_of_credential != "token"


def _step_up_uri(site: Site, refusal: Refusal) -> str:
    code = f"?code={refusal.challenge}" if refusal.challenge else ""
    return f"{site.pages_url}/.gateway/step-up{code}"


def _refusal_headers(refusal: Refusal, site: Site, request: Asked) -> Headers:
    headers: Headers = []
    scheme = _DPOP_SCHEME if request.scheme == DPOP or refusal.reason in _DPOP_ERRORS else "Bearer"
    if refusal.reason is Reason.PROOF_REQUIRED:
        about = f"content of class {refusal.klass.word} needs" if refusal.klass is not None else "this needs"
        known = " ".join((*refusal.kinds, *refusal.levels))
        challenge = (
            f'{scheme} error="insufficient_user_authentication", '
            f'error_description="{about} a fresh confirmation", acr_values="{known}"'
        )
        if refusal.max_age_s is not None:
            challenge += f', max_age="{refusal.max_age_s}"'
        headers.append((b"www-authenticate", f'{challenge}, step_up_uri="{_step_up_uri(site, refusal)}"'.encode()))
    elif refusal.reason is Reason.NO_CALLER:
        headers.append((b"www-authenticate", b"Bearer"))
    elif refusal.reason in _SIGN_IN:
        description = explain_reason(refusal.reason, "en")[0]
        challenge = f'{scheme} error="invalid_token", error_description="{description}"'
        headers.append((b"www-authenticate", challenge.encode()))
    elif refusal.reason in _DPOP_ERRORS:
        description = explain_reason(refusal.reason, "en")[0]
        challenge = f'{scheme} error="{_DPOP_ERRORS[refusal.reason]}", error_description="{description}"'
        headers.append((b"www-authenticate", challenge.encode()))
    if refusal.nonce is not None:
        headers.append((b"dpop-nonce", refusal.nonce.encode()))
    if refusal.retry_s is not None:
        headers.append((b"retry-after", str(refusal.retry_s).encode()))
    if refusal.reason is Reason.METHOD_NOT_LISTED:
        headers.append((b"allow", ", ".join(refusal.methods).encode()))
    return headers


def _facts(refusal: Refusal, language: Language, site: Site) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if site.disclose or refusal.reason in _FIGURES_ALWAYS:
        if refusal.asked is not None:
            facts.append((words.say("asked", language), str(refusal.asked)))
        if refusal.limit is not None:
            limit = f"{refusal.limit} {words.say('files', language)}"
            if refusal.window_s is not None:
                limit += f" {words.say('in_words_per', language, time=words.duration(refusal.window_s, language))}"
            facts.append((words.say("limit", language), limit))
    if refusal.retry_s is not None:
        at = words.duration(refusal.retry_s, language)
        facts.append((words.say("wait", language), at))
    return facts


def _whole(status: int, headers: Headers, body: bytes, request: Asked, site: Site) -> Rendered:
    length = [(b"content-length", str(len(body)).encode())]
    sent = b"" if request.method == b"HEAD" else body
    return Rendered(status, [*headers, *length, *always(request, site)], sent)
