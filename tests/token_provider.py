"""A partner's provider that issues access tokens: JWT (RFC 9068) and opaque ones (RFC 7662), and can fall silent."""

import base64
import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from dpop_client import b64
from joserfc import jws
from joserfc.jwk import ECKey, Key

AUDIENCE = "https://register.example"
CLIENT, SECRET = "gateway-api", "s:e c+ret"


def new_key(kid: str | None = None) -> ECKey:
    return ECKey.generate_key("P-256", {"use": "sig", "kid": kid or secrets.token_hex(4)}, private=True)


@dataclass
class TokenProvider:
    """``silent``: it answers 500; ``opaque``: what it says of opaque tokens; ``asked``: paths that were asked for."""

    issuer: str = "https://sso.example"
    key: ECKey = field(default_factory=new_key)
    opaque: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    silent: bool = False
    slow: threading.Event | None = None

    def claims(self, sub: str = "sub-1", *, now: float | None = None, **changes: object) -> dict[str, Any]:
        """What a right token says, with changes; ``None`` leaves a claim out."""
        at = int(time.time() if now is None else now)
        usual = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": sub,
            "client_id": "crm",
            "iat": at,
            "exp": at + 300,
            "jti": secrets.token_hex(8),
        }
        return {name: one for name, one in (usual | changes).items() if one is not None}

    def token(
        self,
        sub: str = "sub-1",
        *,
        now: float | None = None,
        header: Mapping[str, object] | None = None,
        key: Key | None = None,
        **changes: object,
    ) -> str:
        """An access token."""
        head = {"alg": "ES256", "kid": self.key.kid, "typ": "at+jwt", **(header or {})}
        head = {name: one for name, one in head.items() if one is not None}
        claims = self.claims(sub, now=now, **changes)
        signing = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
        algorithm = jws.JWSRegistry.algorithms[str(head["alg"])]
        return f"{signing}.{b64(algorithm.sign(signing.encode(), key or self.key))}"

    def opaque_token(self, sub: str = "sub-1", *, prefix: str = "", **changes: object) -> str:
        """A token that only this provider knows."""
        token = f"{prefix}{secrets.token_urlsafe(24)}"
        self.opaque[token] = {"active": True, **self.claims(sub, **changes)}
        return token

    def answer(self, path: str, authorization: str, body: str) -> tuple[int, object]:
        self.asked.append(path)
        if self.slow is not None:
            self.slow.wait(5)
        if self.silent:
            return 500, {}
        if path == "/.well-known/openid-configuration":
            names = ("authorization_endpoint", "token_endpoint", "introspection_endpoint")
            return 200, {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/jwks",
                **{name: f"{self.issuer}/{name.partition('_')[0]}" for name in names},
            }
        if path == "/jwks":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if path == "/introspection":
            basic = base64.b64encode(b"gateway-api:s%3Ae+c%2Bret").decode()
            if authorization != f"Basic {basic}":
                return 401, {"error": "invalid_client"}
            return 200, self.opaque.get(parse_qs(body)["token"][0], {"active": False})
        return 404, {}


@contextlib.contextmanager
def running_provider() -> Iterator[TokenProvider]:
    """A provider on a port of its own."""
    provider = TokenProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["content-length"])).decode())

        def _answer(self, body: str) -> None:
            status, said = provider.answer(self.path, self.headers.get("authorization", ""), body)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join(5)
