"""A partner's single sign-on: a small OpenID provider, code flow with PKCE S256 and nothing else.

`python -m gateway.demo.sso --port N --issuer URL --users FILE.json`; the file has `users` (login, password, sub, name,
email, agency; acr and amr, where not `eidas1` and `["pwd"]`) and `clients` (client_id, client_secret, redirect_uris,
post_logout_redirect_uris; `signals`: issuer, jwks_uri and audience of the events that it pushes here). State is in
memory.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx2
from jinja2 import Environment, FileSystemLoader
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.demo.serving import fault, serve
from gateway.demo.sso_requests import Code, Fields, Refusal, Session, basic_pair, fields, login_needed, request_error
from gateway.demo.sso_signals import Heard, Listener, Teller
from gateway.parentdeath import die_with_parent

_CODE_S, _TOKEN_S, _SESSION_S = 60, 300, 8 * 3600
_WRONG_PASSWORDS, _LOCK_S = 10, 900
_ACR: Final = "eidas1"
_AMR: Final = ("pwd",)
_SCOPES: Final = ("openid", "profile", "email")
_TEMPLATES: Final = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
_HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "same-origin", "x-frame-options": "DENY",
                   "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}  # fmt: skip


class Provider:
    """The endpoints over users, clients, sessions, codes and tokens; `clock` gives Unix seconds."""

    def __init__(self, issuer: str, users: Mapping[str, Any], clock: Callable[[], float] = time.time) -> None:
        self.issuer = issuer.rstrip("/")
        self._users = {user["login"]: user for user in users["users"]}
        self._clients = {client["client_id"]: client for client in users["clients"]}
        self._clock = clock
        self._key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        self._teller = Teller(self.issuer, self._key, clock)
        self._listener = Listener(self.issuer, users["clients"], clock)
        self._sessions: dict[str, Session] = {}
        self._ended: dict[str, float] = {}
        self._codes: dict[str, Code] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._tokens_of_code: dict[str, str] = {}
        self._wrong: dict[str, tuple[int, float]] = {}
        # Cookies know no ports: the name says which provider of this host they belong to.
        self._cookie = f"demo_sso_{urlsplit(self.issuer).port or 'default'}"

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self.discovery),
            Route("/authorize", self.authorize, methods=["GET", "POST"]),
            Route("/token", self.token, methods=["POST"]),
            Route("/userinfo", self.userinfo, methods=["GET", "POST"]),
            Route("/jwks", self.jwks),
            Route("/end_session", self.end_session, methods=["GET", "POST"]),
            Route("/signal", self.signal, methods=["POST"]),
            Route("/events", self.events, methods=["POST"]),
        ]

    async def discovery(self, _request: Request) -> Response:
        endpoints = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in ("token", "userinfo", "end_session")}
        return JSONResponse(
            {
                "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", **endpoints,
                "jwks_uri": f"{self.issuer}/jwks", "response_types_supported": ["code"],
                "response_modes_supported": ["query"], "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"], "scopes_supported": list(_SCOPES),
                "acr_values_supported": sorted({user.get("acr", _ACR) for user in self._users.values()}),
                "prompt_values_supported": ["none", "login"],
                "authorization_response_iss_parameter_supported": True, "request_parameter_supported": False,
                "request_uri_parameter_supported": False, "claims_parameter_supported": False,
            }
        )  # fmt: skip

    async def jwks(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    # Authorization endpoint (OpenID Connect Core §3.1.2)

    async def authorize(self, request: Request) -> Response:
        """Check the request, sign the person in where needed, give a code. A POST is the login page's own form."""
        asked = fields(request.scope["query_string"])
        if asked is None:
            return _page("Paramètre en double / duplicate parameter", 400)
        client = self._clients.get(asked.get("client_id", ""))
        if client is None or asked.get("redirect_uri") not in client["redirect_uris"]:
            return _page("Client ou adresse de retour inconnus / unknown client or redirect_uri", 400)
        if error := request_error(asked):
            return self._back(asked, {"error": error})
        if request.method == "POST":
            return await self._login(request, asked)
        session = self._session(request)
        if session is None or login_needed(asked, session, self._clock()):
            if asked.get("prompt") == "none":
                return self._back(asked, {"error": "login_required"})
            return self._login_page(ended=request.cookies.get(self._cookie, "") in self._ended)
        return self._with_code(asked, session)

    async def _login(self, request: Request, asked: Fields) -> Response:
        if request.headers.get("origin", _origin(self.issuer)) != _origin(self.issuer):
            return _page("Formulaire venu d'ailleurs / form from elsewhere", 403)
        form = fields(await request.body())
        if form is None or not self._password_is_right(form.get("login", ""), form.get("password", "")):
            return self._login_page(wrong=True)
        self._sessions.pop(request.cookies.get(self._cookie, ""), None)
        handle = secrets.token_urlsafe(32)
        session = Session(secrets.token_urlsafe(16), form["login"], self._clock())
        self._sessions[handle] = session
        answer = self._with_code(asked, session)
        answer.set_cookie(self._cookie, handle, httponly=True, samesite="lax", secure=self.issuer.startswith("https:"))
        return answer

    def _password_is_right(self, login: str, password: str) -> bool:
        """Ten wrong in a row lock the login for a quarter of an hour, the right one included."""
        user = self._users.get(login)
        given, kept = (hashlib.sha256(text.encode()).digest() for text in (password, (user or {}).get("password", "")))
        right = hmac.compare_digest(given, kept)
        if user is None:
            return False
        wrong, last = self._wrong.get(login, (0, 0.0))
        if wrong >= _WRONG_PASSWORDS and self._clock() < last + _LOCK_S:
            return False
        if right:
            self._wrong.pop(login, None)
        else:
            self._wrong[login] = (wrong % _WRONG_PASSWORDS + 1, self._clock())
        return right

    def _login_page(self, wrong: bool = False, ended: bool = False) -> Response:
        page = _TEMPLATES.get_template("sso_login.html").render(wrong=wrong, ended=ended, issuer=self.issuer)
        return HTMLResponse(page, 401 if wrong else 200, _HEADERS)

    def _session(self, request: Request) -> Session | None:
        session = self._sessions.get(request.cookies.get(self._cookie, ""))
        return session if session and self._clock() < session.auth_time + _SESSION_S else None

    def _with_code(self, asked: Fields, session: Session) -> Response:
        now = self._clock()
        for stale in [code for code, kept in self._codes.items() if kept.expires_at < now]:
            del self._codes[stale]
            self._tokens_of_code.pop(stale, None)
        code = secrets.token_urlsafe(32)
        self._codes[code] = Code(asked, session, now + _CODE_S)
        return self._back(asked, {"code": code})

    def _back(self, asked: Fields, answer: Fields) -> Response:
        answer = {**answer, **({"state": asked["state"]} if "state" in asked else {}), "iss": self.issuer}
        separator = "&" if "?" in asked["redirect_uri"] else "?"
        return RedirectResponse(f"{asked['redirect_uri']}{separator}{urlencode(answer)}", 303, _HEADERS)

    # Token endpoint (OpenID Connect Core §3.1.3, RFC 7636 §4.6)

    async def token(self, request: Request) -> Response:
        form = fields(await request.body())
        granted = Refusal("invalid_request") if form is None else self._grant(request, form)
        if isinstance(granted, Refusal):
            headers = {**_HEADERS, **({"www-authenticate": "Basic"} if granted.status == 401 else {})}
            return JSONResponse({"error": granted.error}, granted.status, headers)
        return JSONResponse(granted, headers=_HEADERS)

    def _grant(self, request: Request, form: Fields) -> dict[str, Any] | Refusal:
        client = self._client(request.headers.get("authorization"), form)
        if isinstance(client, Refusal):
            return client
        if form.get("grant_type") != "authorization_code":
            return Refusal("unsupported_grant_type")
        code = form.get("code", "")
        if code in self._tokens_of_code:
            # A code that comes back was stolen by one of the two: what it gave is taken back (RFC 6749 §4.1.2).
            self._tokens.pop(self._tokens_of_code[code], None)
            return Refusal("invalid_grant")
        kept = self._codes.get(code)
        if kept is None or self._clock() >= kept.expires_at:
            return Refusal("invalid_grant")
        # Used up by this try, whatever comes of it.
        self._tokens_of_code[code] = ""
        asked = kept.request
        if asked["client_id"] != client or asked["redirect_uri"] != form.get("redirect_uri"):
            return Refusal("invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
        if not hmac.compare_digest(challenge, asked["code_challenge"].encode()):
            return Refusal("invalid_grant")
        access = secrets.token_urlsafe(32)
        self._tokens_of_code[code] = access
        self._tokens[access] = (kept.session.login, self._clock() + _TOKEN_S)
        return {
            "access_token": access, "token_type": "Bearer", "expires_in": _TOKEN_S, "scope": asked["scope"],
            "id_token": self._id_token(asked, kept.session),
        }  # fmt: skip

    def _client(self, authorization: str | None, form: Fields) -> str | Refusal:
        """The client's id once its secret is verified: in the header or in the form, not in both (RFC 6749 §2.3)."""
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization is not None:
            if "client_secret" in form:
                return Refusal("invalid_request")
            pair = basic_pair(authorization)
            if client_id not in ("", pair[0]):
                return Refusal("invalid_request")
            client_id, secret = pair
        client = self._clients.get(client_id)
        if client is None or not hmac.compare_digest(secret.encode(), client["client_secret"].encode()):
            return Refusal("invalid_client", 401)
        return client_id

    def _claims(self, login: str) -> dict[str, Any]:
        user = self._users[login]
        return {name: user[name] for name in ("sub", "name", "email", "agency") if user.get(name)}

    def _id_token(self, asked: Fields, session: Session) -> str:
        now, user = int(self._clock()), self._users[session.login]
        claims = {
            **self._claims(session.login), "iss": self.issuer, "aud": asked["client_id"], "iat": now,
            "exp": now + _TOKEN_S, "auth_time": int(session.auth_time),
            "acr": user.get("acr", _ACR), "amr": list(user.get("amr", _AMR)), "sid": session.sid,
            **({"nonce": asked["nonce"]} if "nonce" in asked else {}),
        }  # fmt: skip
        return jwt.encode({"alg": "ES256", "kid": self._key.kid}, claims, self._key)

    async def userinfo(self, request: Request) -> Response:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        login, expires_at = self._tokens.get(token, ("", 0.0)) if kind.lower() == "bearer" else ("", 0.0)
        if self._clock() >= expires_at:
            return JSONResponse({"error": "invalid_token"}, 401, {"www-authenticate": 'Bearer error="invalid_token"'})
        return JSONResponse(self._claims(login), headers=_HEADERS)

    # RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0)

    async def end_session(self, request: Request) -> Response:
        """With this provider's ID token: sign out and go back. Without: ask the person first."""
        asked = fields(await request.body() if request.method == "POST" else request.scope["query_string"])
        if asked is None:
            return _page("Paramètre en double / duplicate parameter", 400)
        hint = self._hint(asked.get("id_token_hint", ""))
        back = asked.get("post_logout_redirect_uri")
        session = self._session(request)
        if session is not None and hint.get("sid") != session.sid and asked.get("confirmed") != "yes":
            return HTMLResponse(_TEMPLATES.get_template("sso_logout.html").render(), headers=_HEADERS)
        self._sessions.pop(request.cookies.get(self._cookie, ""), None)
        if session is not None:
            for name, one in self._clients.items():
                token = self._teller.logout_token(name, self._users[session.login]["sub"], session.sid)
                await self._teller.tell(one, token, logout=True)
        client = self._clients.get(hint.get("aud", ""), {})
        answer: Response = _page("Vous êtes déconnecté / you are signed out")
        if back is not None and back in client.get("post_logout_redirect_uris", client.get("redirect_uris", ())):
            state = f"?{urlencode({'state': asked['state']})}" if "state" in asked else ""
            answer = RedirectResponse(back + state, 303, _HEADERS)
        answer.delete_cookie(self._cookie)
        return answer

    async def signal(self, request: Request) -> Response:
        """Tell a client about one of the people here, as an administrator would: `login`, `event` (`logout`, or one of
        CAEP's such as `session-revoked`), `client_id`. A client without an address for it is shown the token."""
        form = fields(await request.body()) or {}
        client, user = self._clients.get(form.get("client_id", "")), self._users.get(form.get("login", ""))
        if (
            client is None
            or user is None
            or not hmac.compare_digest(form.get("client_secret", "").encode(), client["client_secret"].encode())
        ):
            return JSONResponse({"error": "invalid_request"}, 400, _HEADERS)
        kind, name = form.get("event", "logout"), client["client_id"]
        logout = kind == "logout"
        token = self._teller.logout_token(name, user["sub"]) if logout else self._teller.event(name, user["sub"], kind)
        status = await self._teller.tell(client, token, logout=logout)
        return JSONResponse({"status": status} if status is not None else {"token": token}, headers=_HEADERS)

    async def events(self, request: Request) -> Response:
        """What a client signals of the people here (RFC 8935): whoever it has stopped is signed out here too."""
        try:
            heard = await self._listener.hear(await request.body())
        except (httpx2.HTTPError, ValueError):
            return Response(status_code=503)
        if not isinstance(heard, Heard):
            return JSONResponse({"err": heard.err, "description": heard.description}, 400, _HEADERS)
        if heard.kind == "session-revoked" and heard.sub is not None:
            self._end_all(heard.sub)
        return Response(status_code=202)

    def _end_all(self, sub: str) -> None:
        now = self._clock()
        self._ended = {handle: at for handle, at in self._ended.items() if now < at + _SESSION_S}
        for handle, session in list(self._sessions.items()):
            if self._users[session.login]["sub"] == sub:
                del self._sessions[handle]
                self._ended[handle] = now
        for code, kept in list(self._codes.items()):
            if self._users[kept.session.login]["sub"] == sub:
                del self._codes[code]

    def _hint(self, token: str) -> dict[str, Any]:
        try:
            claims = jwt.decode(token, self._key, algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            return {}
        return claims if claims.get("iss") == self.issuer else {}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _page(text: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_TEMPLATES.get_template("sso_message.html").render(text=text), status, _HEADERS)


def create_sso(provider: Provider) -> Starlette:
    return Starlette(routes=provider.routes(), exception_handlers={Exception: fault})


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m gateway.demo.sso", description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--issuer", required=True, help="this provider's URL as browsers and clients see it")
    arguments.add_argument("--users", type=Path, required=True, help="JSON file of users and clients")
    arguments.add_argument("--die-with-parent", action="store_true", help="end when the starting process ends")
    given = arguments.parse_args()
    if given.die_with_parent:
        die_with_parent()
    provider = Provider(given.issuer, json.loads(given.users.read_text("utf-8")))
    serve(create_sso(provider), given.host, given.port)


if __name__ == "__main__":
    main()
