"""WebSockets through a whole gateway: every message a slice, charged and recorded before it is passed on."""

import asyncio
import contextlib
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from gateway.core.assurance import Proof
from gateway.edge.cookies import SESSION
from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.embedded import EmbeddedStore
from gateway.stores.sessions import Sessions
from gateway.stores.tokens import Tokens
from gateway.watching import ROUND_S

Result = TypeVar("Result")
PROMISE_S = 1.0

GATEWAY = """
[listen]
port = {port}
workers = 1
max_websockets = 16
[admin]
port = {admin}
[store]
url = "{store}"
[ledger]
directory = "ledger"
[applications.emploi]
hosts = ["localhost:{port}"]
upstream = "http://127.0.0.1:{upstream}"
websocket_origins = ["https://listed.example"]
"""
POLICY = """
unreadable = "sensitive"
unsafe_default = "personal"
[classes.sensitive]
proof = ["totp"]
max_age = "4h"
without = "challenge"
[unique.nir]
class = "sensitive"
names = ["nir"]
pattern = "nir"
in_text = true
[fields.phone]
class = "personal"
names = ["phone"]
[[routes]]
name = "masking"
application = "emploi"
path = "/masking"
mask = ["phone"]
[[routes]]
name = "proven"
application = "emploi"
path = "/proven"
class = "sensitive"
[[routes]]
name = "unread"
application = "emploi"
path = "/unread"
inspect = false
[[budgets]]
name = "sensitive-hour"
scope = "user"
class = "sensitive"
persons = 2
per = "1h"
"""
PARTNERS = """
[partners.p]
name = "P"
issuer = "https://sso.example"
client_id = "gateway"
client_secret = "not used here, and long enough"
algorithms = ["ES256"]
"""
SERVE = (sys.executable, "-m", "gateway", "serve", "--config")


def nir(number: int) -> str:
    """A number with the key that belongs to it."""
    digits = f"1850175{number:06d}"
    return f"{digits}{97 - int(digits) % 97:02d}"


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as probes:
        opened = [probes.enter_context(socket.socket()) for _ in range(count)]
        for one in opened:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in opened]


@dataclass
class House:
    """A running gateway, its folder, and what its application received."""

    directory: Path
    port: int
    redis: EmbeddedStore
    received: "queue.Queue[str | bytes | None]" = field(default_factory=queue.Queue)

    @property
    def store_url(self) -> str:
        return self.redis.url

    def token(self, *, proven: bool = False) -> tuple[str, str]:
        """A token of a user of its own, and its id."""
        return asyncio.run(self._token(proven))

    async def _token(self, proven: bool) -> tuple[str, str]:
        store = await Store.connect(self.store_url, timeout_s=20)
        tokens = Tokens(store, KeyRing.load(self.directory / "keys"))
        now = store.clock.now()
        sub = secrets.token_hex(8)
        token, token_id = await tokens.issue(
            issuer="https://sso.example", sub=sub, partner="p", name="n", login="l", expires_at=now + 3600
        )
        if proven:
            proof = Proof(secrets.token_hex(8), "totp", now, sub, token_id, "f")
            assert await tokens.attach_proof(token_id, proof)
        await store.close()
        return token, token_id

    def revoke(self, token_id: str) -> None:
        async def work() -> None:
            store = await Store.connect(self.store_url, timeout_s=20)
            assert await Tokens(store, KeyRing.load(self.directory / "keys")).revoke(token_id)
            await store.close()

        asyncio.run(work())

    def of_sessions(self, work: "Callable[[Sessions, Store, KeyRing], Awaitable[Result]]") -> Result:
        """What some work with the store's sessions gives."""

        async def with_store() -> Result:
            store, keyring = await Store.connect(self.store_url, timeout_s=20), KeyRing.load(self.directory / "keys")
            try:
                return await work(Sessions(store, keyring), store, keyring)
            finally:
                await store.close()

        return asyncio.run(with_store())

    def open(
        self, path: str = "/ws", *, token: str | None = None, proven: bool = False, cookie: str = "", **more: Any
    ) -> ClientConnection:
        token = self.token(proven=proven)[0] if token is None and not cookie else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if cookie:
            headers, more = {"Cookie": f"{SESSION}={cookie}"}, {"origin": f"http://localhost:{self.port}", **more}
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        try:
            return connect(f"ws://localhost:{self.port}{path}", sock=peer, additional_headers=headers, **more)
        except BaseException:
            peer.close()
            raise

    def refused(self, **how: Any) -> tuple[int, str]:
        """The status and the reason of a handshake that must be refused."""
        with pytest.raises(InvalidStatus) as caught:
            self.open(**how)
        answer = caught.value.response
        return answer.status_code, orjson.loads(answer.body)["type"].rsplit(":", 1)[1]

    def heard_from(self, client: ClientConnection) -> "queue.Queue[str | bytes | None]":
        """What the application receives on this connection from now on; ``None``: it is closed."""
        client.send("who are you?")
        client.recv(timeout=10)
        assert self.received.get(timeout=10) == "who are you?"
        return self.received

    def recorded(self) -> list[dict[str, Any]]:
        lines = [
            line for file in (self.directory / "ledger").rglob("*.jsonl") for line in file.read_bytes().splitlines()
        ]
        return [orjson.loads(line) for line in lines]

    def application(self, socket_: ServerConnection) -> None:
        """Echoes; ``close 4001`` closes with that code, ``bytes`` answers binary."""
        received = self.received = queue.Queue()
        with contextlib.suppress(ConnectionClosed):
            for message in socket_:
                received.put(message)
                if message == "bytes":
                    socket_.send(b"\0" * 100)
                elif message == "close":
                    socket_.close(4001, "as asked")
                else:
                    socket_.send(message)
        received.put(None)


def choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return offered[-1] if offered else None


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    directory = Path(tempfile.mkdtemp(prefix="gw"))
    redis = EmbeddedStore(directory / "store")
    port, admin = free_ports(2)
    house = House(directory, port, redis)
    with serve(
        house.application, "127.0.0.1", 0, select_subprotocol=choose, max_size=None, compression=None
    ) as application:
        upstream = application.socket.getsockname()[1]
        thread = threading.Thread(target=application.serve_forever)
        thread.start()
        redis.start()
        redis.wait_ready()
        settings = GATEWAY.format(port=port, admin=admin, store=redis.url, upstream=upstream)
        (directory / "gateway.toml").write_text(settings)
        (directory / "policy.toml").write_text(POLICY)
        (directory / "partners.toml").write_text(PARTNERS)
        KeyRing.create(directory / "keys")
        with subprocess.Popen([*SERVE, str(directory)], env=os.environ) as gateway:
            try:
                wait_ready(house, gateway)
                yield house
            finally:
                gateway.terminate()
                gateway.wait(60)
                redis.stop()
                application.shutdown()
                thread.join()
                shutil.rmtree(directory, ignore_errors=True)


def wait_ready(house: House, gateway: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and gateway.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            with pytest.raises(InvalidStatus) as caught:
                house.open(token="")
            if caught.value.response.status_code == 403 and caught.value.response.body:
                return
    raise TimeoutError("the gateway is not ready")


def ended(client: ClientConnection) -> tuple[int, str | None]:
    """The close code, and the reason of the notice before it, of a conversation that must end."""
    reason = None
    try:
        while True:
            message = client.recv(timeout=10)
            if isinstance(message, str) and message.startswith('{"gateway"'):
                reason = orjson.loads(message)["gateway"]["reason"]
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code, reason


def test_message_that_names_nobody_passes_both_ways(house: House) -> None:
    with house.open() as client:
        client.send('{"ping":  1}')
        assert client.recv(timeout=10) == '{"ping":  1}'


def test_number_leaves_only_with_its_record(house: House) -> None:
    with house.open(proven=True) as client:
        client.send(f'{{"nir": "{nir(1)}"}}')
        assert client.recv(timeout=10) == f'{{"nir": "{nir(1)}"}}'
        last = [one for one in house.recorded() if one["kind"] == "answer"][-1]
    assert last["status"] == 101
    assert [person["clear"] for person in last["persons"]] == [["nir"]]


@pytest.mark.parametrize("text", [f'{{"nir": "{nir(2)}"}}', f"about {nir(2)}", f'["a", {nir(2)}]'])
def test_number_without_a_proof_never_leaves(house: House, text: str) -> None:
    with house.open() as client:
        client.send(text)
        assert ended(client) == (1008, "proof_required")


def test_message_beyond_the_budget_ends_the_conversation(house: House) -> None:
    with house.open(proven=True) as client:
        heard = house.heard_from(client)
        for number in (11, 12, 11):
            client.send(nir(number))
            assert client.recv(timeout=10) == nir(number)
        client.send(nir(13))
        assert ended(client) == (1008, "budget_exhausted")
    while heard.get(timeout=10) is not None:
        pass  # the record is made before the application's side is closed
    assert house.recorded()[-1]["reason"] == "budget_exhausted"


def test_field_that_the_route_masks_leaves_masked(house: House) -> None:
    with house.open("/masking") as client:
        client.send('{"phone": "+33199001234"}')
        assert orjson.loads(client.recv(timeout=10))["phone"].endswith("xMASKx")


def test_binary_message_is_unreadable(house: House) -> None:
    with house.open() as client:
        client.send("bytes")
        assert ended(client) == (1008, "proof_required")


def test_binary_message_passes_with_a_proof_and_is_charged(house: House) -> None:
    with house.open(proven=True) as client:
        client.send("bytes")
        assert client.recv(timeout=10) == b"\0" * 100
        last = [one for one in house.recorded() if one["kind"] == "answer"][-1]
    assert (last["unnamed"], last["bytes"]) == (1, 100)


def test_route_that_is_not_inspected_passes_binary(house: House) -> None:
    with house.open("/unread") as client:
        client.send("bytes")
        assert client.recv(timeout=10) == b"\0" * 100


def test_masked_value_does_not_reach_the_application(house: House) -> None:
    with house.open() as client:
        heard = house.heard_from(client)
        client.send('{"nir": "18501xxxxxMASKx"}')
        assert ended(client) == (1008, "masked_value_returned")
        assert heard.get(timeout=10) is None


def test_message_too_large_is_not_passed_on(house: House) -> None:
    with house.open() as client:
        client.send("x" * 1_048_577)
        assert ended(client) == (1009, "body_too_large")


def test_revoked_token_ends_a_silent_conversation(house: House) -> None:
    token, token_id = house.token()
    with house.open(token=token) as client:
        house.revoke(token_id)
        assert ended(client) == (1008, "token_revoked")


def test_session_that_got_another_cookie_keeps_its_conversation_until_it_ends(house: House) -> None:
    async def sign_in(sessions: Sessions, *_: object) -> str:
        who = {"issuer": "https://sso.example", "sub": secrets.token_hex(8), "partner": "p", "name": "n", "login": "l"}
        return await sessions.open(**who)

    cookie = house.of_sessions(sign_in)

    async def change(sessions: Sessions, store: Store, keyring: KeyRing) -> str:
        new = await sessions.rotate(cookie, None)
        await store.call("DEL", keys.session(keyring.token_hash(cookie)))  # as its lifetime does
        return str(new)

    with house.open(cookie=cookie) as client:
        new = house.of_sessions(change)
        with pytest.raises(TimeoutError):
            client.recv(timeout=PROMISE_S + ROUND_S)
        assert house.refused(cookie=cookie) == (401, "no_caller")
        client.send("still here")
        assert client.recv(timeout=10) == "still here"
        house.of_sessions(lambda sessions, *_: sessions.end(new))
        assert ended(client) == (1008, "no_caller")


@pytest.mark.parametrize("path", ["/ws", "/unread"])
def test_store_that_hangs_ends_a_silent_conversation(house: House, path: str) -> None:
    pid, (token, _) = house.redis.pid, house.token()
    assert pid is not None
    with house.open(path, token=token) as client:
        os.kill(pid, signal.SIGSTOP)
        try:
            assert ended(client) == (1013, "store_unavailable")
        finally:
            os.kill(pid, signal.SIGCONT)
    assert until_it_opens(house, token) == "hello"


def until_it_opens(house: House, token: str) -> str | bytes:
    """What the first conversation that opens again says."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with house.open(token=token) as client:
                client.send("hello")
                return client.recv(timeout=10)
        except InvalidStatus as refused:
            assert refused.response.status_code == 503
            assert time.monotonic() < deadline


def test_ping_is_answered(house: House) -> None:
    with house.open() as client:
        assert client.ping().wait(10)
        client.send("after")
        assert client.recv(timeout=10) == "after"


def test_close_code_of_the_application_reaches_the_client(house: House) -> None:
    with house.open() as client:
        client.send("close")
        assert ended(client) == (4001, None)


def test_client_that_leaves_closes_the_application_side(house: House) -> None:
    with house.open() as client:
        heard = house.heard_from(client)
        client.send("one")
        client.recv(timeout=10)
    assert [heard.get(timeout=10) for _ in range(2)] == ["one", None]


def test_subprotocol_of_the_application_is_kept(house: House) -> None:
    with house.open(subprotocols=[Subprotocol("a"), Subprotocol("b")]) as client:
        assert client.subprotocol == "b"


def test_class_of_the_route_asks_its_proof_before_the_handshake(house: House) -> None:
    assert house.refused(path="/proven") == (401, "proof_required")


def test_handshake_without_a_caller_is_refused(house: House) -> None:
    assert house.refused(token="", origin=f"http://localhost:{house.port}") == (401, "no_caller")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost"])
def test_page_of_another_site_is_refused(house: House, origin: str) -> None:
    assert house.refused(origin=origin) == (403, "bad_origin")


@pytest.mark.parametrize("origin", ["https://listed.example", None, "own"])
def test_own_and_listed_pages_and_programs_are_let_in(house: House, origin: str | None) -> None:
    with house.open(origin=f"http://localhost:{house.port}" if origin == "own" else origin) as client:
        client.send("hello")
        assert client.recv(timeout=10) == "hello"


def test_program_without_a_token_is_refused(house: House) -> None:
    assert house.refused(token="") == (403, "bad_origin")


def test_no_more_are_open_than_may_be_and_requests_still_pass(house: House) -> None:
    with contextlib.ExitStack() as leaving:
        token, _ = house.token()
        clients = [leaving.enter_context(house.open(token=token)) for _ in range(16)]
        assert house.refused(token=token) == (503, "busy")
        clients[0].send("hello")
        assert clients[0].recv(timeout=10) == "hello"


def test_ambiguous_target_is_refused(house: House) -> None:
    assert house.refused(path="/a//b") == (400, "ambiguous_target")
