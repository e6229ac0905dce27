"""Everything under ``/.gateway/``: this list is the table of contents."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

from gateway.core.reasons import Reason, Refusal
from gateway.edge import answers, challenges, cookies, enrol, enrol_totp, invite, passkeys, people, tickets
from gateway.edge.access import end_access
from gateway.edge.account import account
from gateway.edge.budget import budget
from gateway.edge.context import Context, Handler, context_of, endpoint, is_path, sent
from gateway.edge.doors import Doors
from gateway.edge.kept import kept_page
from gateway.edge.letter import letter
from gateway.edge.migrations import migrations, migrations_page
from gateway.edge.not_me import not_me
from gateway.edge.notices import notices_page, seen
from gateway.edge.pages import FOLDER
from gateway.edge.reason import reason
from gateway.edge.recovery import make_codes, recovery_page, step_up_recovery
from gateway.edge.sign_in import SignIn
from gateway.edge.sign_out import SignOut
from gateway.edge.signals import PartnerSignals
from gateway.edge.sso import PartnerSso
from gateway.edge.step_up import step_up_page, step_up_totp
from gateway.edge.words import LANGUAGES

_MEDIA_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}


def build(doors: Doors) -> Starlette:
    """The pages as an ASGI application; it expects the path to have checked Host and framing."""
    partners = {
        partner.id: PartnerSso(
            partner,
            doors.flows,
            doors.documents,
            f"{doors.pages_url}/.gateway/callback/{partner.id}",
            doors.partner_faults,
        )
        for partner in doors.partners.values()
    }
    sign_in, sign_out, signals = SignIn(partners), SignOut(partners), PartnerSignals(partners)

    def get(path: str, handler: Handler) -> Route:
        return Route(f"/.gateway/{path}", endpoint(doors, handler), methods=["GET"])

    def post(path: str, handler: Handler) -> Route:
        return Route(f"/.gateway/{path}", endpoint(doors, handler), methods=["POST"])

    async def static(context: Context) -> Response:
        return await _static(context, files)

    files = _files()
    routes = [
        get("sign-in", sign_in.sign_in),
        post("sign-in", sign_in.typed),
        get("sign-in/{partner}", sign_in.entry),
        get("callback/{partner}", sign_in.callback),
        post("sign-out", sign_out.sign_out),
        post("back-channel-logout/{partner}", signals.back_channel_logout),
        post("events/{partner}", signals.events),
        get("signed-out", sign_out.signed_out),
        get("ticket", tickets.ticket),
        get("window", tickets.window),
        get("window-done", tickets.window_done),
        get("step-up", step_up),
        post("step-up/totp", step_up_totp),
        get("step-up/ways", passkeys.ways),
        post("step-up/webauthn/options", passkeys.options),
        post("step-up/webauthn/verify", passkeys.verify),
        get("enrol", enrol.enrol_page),
        post("enrol/webauthn/options", enrol.options),
        post("enrol/webauthn/verify", enrol.verify),
        post("enrol/remove", enrol.remove),
        post("enrol/totp", enrol_totp.begin),
        post("enrol/totp/verify", enrol_totp.finish),
        post("enrol/ask", invite.ask),
        post("enrol/letter", letter),
        get("invite", invite.invite_page),
        post("invite", invite.invite),
        get("migrations", migrations_page),
        post("migrations", migrations),
        get("people", people.people_page),
        post("people", people.people),
        get("recovery", recovery_page),
        post("step-up/recovery", step_up_recovery),
        post("recovery/codes", make_codes),
        get("account", account),
        post("account/end", end_access),
        get("notices", notices_page),
        post("notices", seen),
        post("not-me", not_me),
        post("reason", reason),
        get("kept", kept_page),
        get("budget", budget),
        get("jwks.json", jwks),
        get("language", language),
        get("static/{name}", static),
    ]
    handlers: Mapping[object, ExceptionHandler] = {HTTPException: _unknown(doors)}
    application = Starlette(routes=routes, exception_handlers=dict(handlers))
    application.router.redirect_slashes = False
    return application


async def step_up(context: Context) -> Response:
    """``GET step-up``: confirm for oneself, or with ``?code=…`` what was asked under this name."""
    names = context.request.query_params.getlist("code")
    return await challenges.challenge_page(context, names[0]) if names else await step_up_page(context)


async def jwks(context: Context) -> Response:
    """``GET jwks.json``: the public keys of our assertions (RFC 7517)."""
    return context.document(context.doors.keyring.jwks())


async def language(context: Context) -> Response:
    """``GET language?to=fr``: remembers the choice and goes back to the page of ours that asked."""
    chosen = context.request.query_params.getlist("to")
    if len(chosen) != 1 or chosen[0] not in LANGUAGES:
        return await context.refuse(Refusal(Reason.MALFORMED_REQUEST))
    back = urlsplit(context.one_header(b"referer") or "")
    target = back.path + (f"?{back.query}" if back.query else "")
    if back.netloc != context.asked.host or not is_path(target):
        target = "/.gateway/account"
    return context.go(target, [cookies.chosen_language(chosen[0])])


def _files() -> dict[str, tuple[bytes, bytes, bytes]]:
    found: dict[str, tuple[bytes, bytes, bytes]] = {}
    for path in sorted((FOLDER / "static").iterdir()):
        content = path.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode()
        found[path.name] = (content, _MEDIA_TYPES[path.suffix], etag)
    return found


async def _static(context: Context, files: Mapping[str, tuple[bytes, bytes, bytes]]) -> Response:
    file = files.get(context.request.path_params["name"])
    if file is None:
        return await context.refuse(Refusal(Reason.NOT_FOUND))
    content, media_type, etag = file
    asked_etag = (context.one_header(b"if-none-match") or "").encode("latin-1")
    return sent(answers.file_of(content, media_type, etag, asked_etag, context.asked))


def _unknown(doors: Doors) -> ExceptionHandler:
    async def answer(request: Request, fault: Exception) -> Response:
        context = context_of(request, doors)
        refusal = Refusal(Reason.NOT_FOUND)
        allowed = fault.headers.get("Allow") if isinstance(fault, HTTPException) and fault.headers else None
        if allowed:
            methods = tuple(sorted(method.strip() for method in allowed.split(",")))
            refusal = Refusal(Reason.METHOD_NOT_LISTED, methods=methods)
        return sent(answers.render(refusal, request=context.asked, site=context.site))

    return answer
