"""A partner's provider that lies: ``python lying_provider.py --port N``; its issuers are ``http://127.0.0.1:N/LIE``.

Everybody who comes is signed in at once as ``sub-alice``; what is wrong then is said by the issuer's last part, one lie
of ``LIES``. ``honest`` tells none. ``POST /LIE/rotate`` changes the key that is published; from ``POST /LIE/hide`` to
``POST /LIE/show`` whoever asks for keys gets 500; ``GET /LIE/seen`` shows what the gateway sent last. It forgets all.
"""

import argparse
import asyncio
import base64
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from joserfc import jws
from joserfc.jwk import ECKey, Key
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.demo.serving import serve

HUGE = b'{"keys": [' + b'{"kty":"EC"},' * 60_000 + b'{"kty":"EC"}]}'


@dataclass(frozen=True)
class Lie:
    """What is wrong: in the answer to the browser, a token's header, claims or signature, userinfo, keys."""

    answer: Mapping[str, str | None] = field(default_factory=dict)
    header: Mapping[str, object] = field(default_factory=dict)
    claims: Mapping[str, object] = field(default_factory=dict)
    signature: str = ""
    userinfo: Mapping[str, object] = field(default_factory=dict)
    userinfo_as: str = "application/jwt"
    userinfo_signature: str = ""
    keys: str = ""
    token: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)


PAST, JUST, FUTURE = -100_000, -10, 100_000
"""As the value of a time: seconds from now."""

LIES: dict[str, Lie] = {
    "honest": Lie(),
    "named-by-nobody": Lie(answer={"iss": None}),
    "named-by-another": Lie(answer={"iss": "https://another.example"}),
    "refusing": Lie(answer={"error": "access_denied"}),
    "iss-of-another": Lie(claims={"iss": "https://another.example"}),
    "iss-missing": Lie(claims={"iss": None}),
    "aud-of-another": Lie(claims={"aud": "another"}),
    "aud-missing": Lie(claims={"aud": None}),
    "aud-many-no-azp": Lie(claims={"aud": ["gateway", "another"]}),
    "azp-of-another": Lie(claims={"azp": "another"}),
    "nonce-of-another": Lie(claims={"nonce": "n" * 43}),
    "nonce-missing": Lie(claims={"nonce": None}),
    "expired": Lie(claims={"exp": PAST}),
    "exp-missing": Lie(claims={"exp": None}),
    "exp-as-text": Lie(claims={"exp": "2099-01-01"}),
    "iat-long-ago": Lie(claims={"iat": PAST}),
    "iat-to-come": Lie(claims={"iat": FUTURE}),
    "iat-missing": Lie(claims={"iat": None}),
    "sub-missing": Lie(claims={"sub": None}),
    "sub-a-number": Lie(claims={"sub": 7}),
    "acr-too-low": Lie(claims={"acr": "eidas1"}),
    "acr-missing": Lie(claims={"acr": None}),
    "alg-none": Lie(header={"alg": "none"}, signature="none"),
    "alg-hs256-public-key": Lie(header={"alg": "HS256"}, signature="public"),
    "alg-hs256-our-secret": Lie(header={"alg": "HS256"}, signature="secret"),
    "signed-by-another": Lie(signature="foreign"),
    "kid-unknown": Lie(header={"kid": "unknown"}),
    "kid-a-number": Lie(header={"kid": 7}),
    "brings-its-key": Lie(header={"jwk": {"kty": "oct", "k": "AAAA"}}),
    "points-to-its-keys": Lie(header={"jku": "https://another.example/keys"}),
    "critical-extension": Lie(header={"crit": ["b64"], "b64": False}),
    "a-logout-token": Lie(header={"typ": "logout+jwt"}),
    "an-access-token": Lie(header={"typ": "at+jwt"}),
    "content-changed": Lie(signature="moved"),
    "signature-missing": Lie(signature="empty"),
    "padded-base64": Lie(signature="padded"),
    "no-id-token": Lie(token="none"),
    "id-token-no-text": Lie(token="number"),
    "token-huge": Lie(token="huge"),
    "token-no-json": Lie(token="html"),
    "userinfo-of-another": Lie(userinfo={"sub": "sub-mallory"}),
    "userinfo-of-nobody": Lie(userinfo={"sub": None}),
    "userinfo-not-signed": Lie(userinfo_as="application/json"),
    "userinfo-not-signed-but-said-to-be": Lie(userinfo_signature="plain"),
    "userinfo-alg-none": Lie(userinfo_signature="none"),
    "userinfo-signed-by-another": Lie(userinfo_signature="foreign"),
    "userinfo-iss-of-another": Lie(userinfo={"iss": "https://another.example"}),
    "userinfo-aud-of-another": Lie(userinfo={"aud": "another"}),
    "userinfo-expired": Lie(userinfo={"exp": PAST}),
    "userinfo-huge": Lie(userinfo_signature="huge"),
    "keys-huge": Lie(keys="huge"),
    "keys-slow": Lie(keys="slow"),
    "keys-no-json": Lie(keys="html"),
    "keys-none": Lie(keys="none"),
    "keys-symmetric": Lie(header={"alg": "HS256", "kid": "s"}, signature="published", keys="symmetric"),
    "keys-elsewhere": Lie(keys="redirect"),
    "keys-removed": Lie(signature="first"),
    "metadata-of-another": Lie(metadata={"issuer": "https://another.example"}),
    "metadata-in-the-clear": Lie(metadata={"token_endpoint": "http://another.example/token"}),
}


WORDS: dict[str, Lie] = {
    "word": Lie(claims={"auth_time": JUST}),
    "word-by-amr": Lie(claims={"acr": None, "amr": ["pwd", "hwk"], "auth_time": JUST}),
    "word-in-userinfo": Lie(claims={"acr": None}, userinfo={"acr": "eidas2", "auth_time": JUST}),
    "word-in-both": Lie(claims={"acr": "eidas1"}, userinfo={"acr": "eidas2", "auth_time": JUST}),
    "word-of-old": Lie(claims={"auth_time": PAST}),
    "word-to-come": Lie(claims={"auth_time": FUTURE}),
    "word-untimed": Lie(),
    "word-timed-in-text": Lie(claims={"auth_time": "now"}),
    "word-too-low": Lie(claims={"acr": "eidas1", "auth_time": JUST}),
    "word-not-said": Lie(claims={"acr": None, "auth_time": JUST}),
    "word-amr-in-text": Lie(claims={"acr": None, "amr": "hwk", "auth_time": JUST}),
    "word-acr-listed": Lie(claims={"acr": ["eidas2"], "auth_time": JUST}),
}
"""What is said of how somebody signed in; these are signed in all the same."""


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Issuer:
    """One of its faces."""

    def __init__(self, base: str, name: str) -> None:
        self.url = f"{base}/{name}"
        self.lie = (LIES | WORDS)[name]
        self.first = self.key = _key()
        self.foreign = _key(self.key.kid)
        self.shared = secrets.token_bytes(32)
        self.requests: dict[str, dict[str, str]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.seen: dict[str, Any] = {"jwks": 0}
        self.hidden = False

    def claims(self, changes: Mapping[str, object], **rest: object) -> dict[str, object]:
        now = int(time.time())
        usual: dict[str, object] = {"iss": self.url, "sub": "sub-alice", "iat": now, "exp": now + 300, **rest}
        changed = usual | {
            name: now + value if value in (PAST, JUST, FUTURE) else value for name, value in changes.items()
        }  # type: ignore[operator]  # a time
        return {name: value for name, value in changed.items() if value is not None}

    def signed(self, claims: Mapping[str, object], how: str, secret: str, header: Mapping[str, object]) -> str:
        full = {"alg": "ES256", "kid": self.key.kid, **header}
        content = json.dumps(claims)
        if how in ("none", "empty", "plain", "huge"):
            full = {"alg": "none"} if how == "none" else full
            unsigned = f"{b64(json.dumps(full).encode())}.{b64(content.encode())}."
            return {"plain": content, "huge": "x" * 1_000_000}.get(how, unsigned)
        key: Key = self.first if how == "first" else self.foreign if how == "foreign" else self.key
        if how == "first":
            full["kid"] = key.kid
        head, body = b64(json.dumps(full).encode()), b64(content.encode())
        signing = f"{head}.{body}".encode()
        known = {"secret": secret.encode(), "public": self.key.as_pem(private=False), "published": self.shared}
        if how in known:
            signature = hmac.digest(known[how], signing, "sha256")
        else:
            signature = jws.JWSRegistry.algorithms["ES256"].sign(signing, key)
        token = f"{head}.{body}.{b64(signature)}"
        if how == "moved":
            return token.replace(body, b64(content.replace("sub-alice", "sub-admin").encode()))
        return f"{token}==" if how == "padded" else token


def _key(kid: str | None = None) -> ECKey:
    return ECKey.generate_key("P-256", {"use": "sig", "kid": kid or secrets.token_hex(4)}, private=True)


class LyingProvider:
    """The endpoints, each below the name of a lie."""

    def __init__(self, base: str) -> None:
        self._issuers: dict[str, Issuer] = {name: Issuer(base, name) for name in LIES | WORDS}

    def routes(self) -> list[Route]:
        listed: list[tuple[str, Callable[[Issuer, Request], Any]]] = [
            ("/.well-known/openid-configuration", self.metadata),
            ("/authorize", self.authorize),
            ("/par", self.par),
            ("/token", self.token),
            ("/userinfo", self.userinfo),
            ("/jwks", self.jwks),
            ("/rotate", self.rotate),
            ("/hide", self.hide),
            ("/show", self.show),
            ("/seen", self.seen),
        ]
        return [Route(f"/{{lie}}{path}", self._of(answer), methods=["GET", "POST"]) for path, answer in listed]

    def _of(self, answer: Callable[[Issuer, Request], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            response: Response = await answer(self._issuers[request.path_params["lie"]], request)
            return response

        return endpoint

    async def metadata(self, issuer: Issuer, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": issuer.url,
                "authorization_endpoint": f"{issuer.url}/authorize",
                "token_endpoint": f"{issuer.url}/token",
                "jwks_uri": f"{issuer.url}/jwks",
                "userinfo_endpoint": f"{issuer.url}/userinfo",
                "pushed_authorization_request_endpoint": f"{issuer.url}/par",
                "authorization_response_iss_parameter_supported": True,
                **issuer.lie.metadata,
            }
        )

    async def par(self, issuer: Issuer, request: Request) -> Response:
        form = await _form(request)
        issuer.seen["par"] = form
        name = f"urn:ietf:params:oauth:request_uri:{secrets.token_hex(8)}"
        issuer.requests[name] = form
        return JSONResponse({"request_uri": name, "expires_in": 60}, 201)

    async def authorize(self, issuer: Issuer, request: Request) -> Response:
        asked = dict(request.query_params)
        issuer.seen["authorize"] = asked
        asked = issuer.requests.pop(asked.get("request_uri", ""), asked)
        code = secrets.token_urlsafe(16)
        issuer.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": issuer.url} | dict(issuer.lie.answer)
        given = {name: value for name, value in answer.items() if value is not None}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(given)}", 303)

    async def token(self, issuer: Issuer, request: Request) -> Response:
        form = await _form(request)
        issuer.seen["token"] = form | {"authorization": request.headers.get("authorization", "")}
        asked = issuer.codes.pop(form.get("code", ""), None)
        if asked is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = issuer.claims(
            {"acr": "eidas2"} | dict(issuer.lie.claims),
            aud=asked["client_id"],
            nonce=asked["nonce"],
            agency={"code": "75001", "roles": ["adviser"]},
        )
        token: object = issuer.signed(claims, issuer.lie.signature, "the client's secret", issuer.lie.header)
        if issuer.lie.token == "html":
            return Response("<p>Bonjour", media_type="text/html")
        told = {"none": None, "number": 7, "huge": "x" * 1_000_000}
        token = told.get(issuer.lie.token, token)
        return JSONResponse({"access_token": "a-token", "token_type": "Bearer", "id_token": token})

    async def userinfo(self, issuer: Issuer, request: Request) -> Response:
        issuer.seen["userinfo"] = request.headers.get("authorization")
        claims = issuer.claims(issuer.lie.userinfo, aud="gateway", siret="13000548100010", usual_name="Alice M.")
        as_json = "json" in request.query_params or issuer.lie.userinfo_as == "application/json"
        if as_json:
            return JSONResponse(claims)
        token = issuer.signed(claims, issuer.lie.userinfo_signature, "", {})
        return Response(token, media_type=issuer.lie.userinfo_as)

    async def jwks(self, issuer: Issuer, _request: Request) -> Response:
        issuer.seen["jwks"] += 1
        if issuer.hidden:
            return Response(status_code=500)
        keys = [issuer.key.as_dict(private=False)]
        if issuer.lie.keys == "symmetric":
            keys = [{"kty": "oct", "kid": "s", "k": b64(issuer.shared)}]
        answers: dict[str, Callable[[], Response]] = {
            "huge": lambda: Response(HUGE, media_type="application/json"),
            "slow": lambda: StreamingResponse(_trickle(), media_type="application/json"),
            "html": lambda: Response("<p>Bonjour", media_type="text/html"),
            "none": lambda: JSONResponse({"keys": []}),
            "redirect": lambda: RedirectResponse(f"{issuer.url}/jwks2", 302),
        }
        return answers.get(issuer.lie.keys, lambda: JSONResponse({"keys": keys}))()

    async def rotate(self, issuer: Issuer, _request: Request) -> Response:
        issuer.key = _key()
        return Response(status_code=204)

    async def hide(self, issuer: Issuer, _request: Request) -> Response:
        issuer.hidden = True
        return Response(status_code=204)

    async def show(self, issuer: Issuer, _request: Request) -> Response:
        issuer.hidden = False
        return Response(status_code=204)

    async def seen(self, issuer: Issuer, _request: Request) -> Response:
        return JSONResponse(issuer.seen)


async def _form(request: Request) -> dict[str, str]:
    pairs = parse_qsl((await request.body()).decode())
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a parameter stands twice")
    return dict(pairs)


async def _trickle() -> AsyncIterator[bytes]:
    for _ in range(600):
        yield b" "
        await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    serve(Starlette(routes=LyingProvider(f"http://127.0.0.1:{port}").routes()), "127.0.0.1", port)


if __name__ == "__main__":
    main()
