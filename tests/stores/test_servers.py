"""One server of the store, reached as its address says: with users of its ACL, passwords in files, over TLS."""

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from authority import Authority
from cryptography import x509
from redis_servers import RedisServer, folder, running

from gateway.config.store import StoreAddress, StoreSettings, address_of
from gateway.hosts import Hosts
from gateway.ports import StoreUnavailable
from gateway.stores import servers
from gateway.stores.connection import Store


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("unix:///run/a%20b/s", StoreAddress("single", socket="/run/a b/s")),
        ("redis://store", StoreAddress("single", (("store", 6379),))),
        ("rediss://[::1]:7000/3", StoreAddress("single", (("::1", 7000),), database=3, tls=True)),
        ("redis+sentinel://a,b:7/jobs", StoreAddress("sentinel", (("a", 26_379), ("b", 7)), service="jobs")),
        ("rediss+sentinel://a/jobs", StoreAddress("sentinel", (("a", 26_379),), service="jobs", tls=True)),
        ("redis+cluster://a,b:7", StoreAddress("cluster", (("a", 6379), ("b", 7)))),
        ("rediss+cluster://a", StoreAddress("cluster", (("a", 6379),), tls=True)),
    ],
)
def test_an_address_says_where_to_ask_and_how(url: str, address: StoreAddress) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize("url", ["", "redis:", "redis://", "redis://:1", "redis://a:0x1", "redis://a,", "unix://s",
                                 "redis://a?db=1", "http://a", "redis+x://a", "redis://a b"])  # fmt: skip
def test_what_is_no_address_is_told_what_to_write(url: str) -> None:
    with pytest.raises(ValueError, match=r"^write unix:///PATH, redis://HOST:PORT"):
        address_of(url)


async def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def look_up(_: str, port: None, **__: object) -> list[object]:
        return [one for address in ("127.0.0.2", "127.0.0.1") for one in socket.getaddrinfo(address, port)]

    monkeypatch.setattr(servers, "HOSTS", Hosts(look_up))
    with running(tmp_path) as server:
        store = await Store.connect(f"redis://store:{server.port}")
        try:
            assert await store.call("PING")
        finally:
            await store.close()


@pytest.mark.parametrize(
    ("url", "said", "replicas"),
    [("redis://a", None, 0), ("redis+sentinel://a/s", None, 1), ("redis+cluster://a", 2, 2), ("redis://a", 1, 1)],
)
def test_one_replica_must_have_a_write_where_several_servers_stand_behind(
    url: str, said: int | None, replicas: int
) -> None:
    assert StoreSettings(url=url, replicas=said).address(Path).replicas == replicas


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisServer]:
    """A server that knows the user ``gateway`` and nobody else."""
    with folder() as directory, running(directory) as server:
        server.ask("ACL", "SETUSER", "gateway", "on", ">first", "~*", "+@all")
        server.ask("ACL", "SETUSER", "default", "off")
        yield server


async def test_a_user_of_the_acl_comes_in_with_the_password_of_its_file(guarded: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    store = await Store.connect(replace(address_of(guarded.url), user="gateway", password_file=file))
    assert await store.call("ACL", "WHOAMI") == b"gateway"
    await store.close()


async def test_a_password_that_was_changed_is_taken_up_at_the_next_connection(
    guarded: RedisServer, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("first")
    store = await Store.connect(replace(address_of(guarded.url), user="gateway", password_file=file))
    await store.call("ACL", "SETUSER", "gateway", ">second", "<first")
    file.write_text("second")
    with pytest.raises(StoreUnavailable):
        await store.call("CLIENT", "KILL", "USER", "gateway", "SKIPME", "no")
        await store.call("PING")
    assert await store.call("ACL", "WHOAMI") == b"gateway"
    await store.call("ACL", "SETUSER", "gateway", ">first")
    await store.close()


@pytest.mark.parametrize(
    ("content", "said"), [("wrong", "WRONGPASS|invalid username-password"), (None, "cannot be read")]
)
async def test_a_password_that_opens_nothing_is_said(
    guarded: RedisServer, tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(StoreUnavailable, match=said):
        await Store.connect(replace(address_of(guarded.url), user="gateway", password_file=file))


async def test_a_store_over_tls_knows_us_by_our_certificate_and_is_known_by_its_own(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    certificate, key = authority.issue("store", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    ours, our_key = authority.issue("gateway")
    settings = {"tls-cert-file": str(certificate), "tls-key-file": str(key), "tls-ca-cert-file": str(authority.ca_file)}
    with folder() as directory:
        server = RedisServer(directory, settings)
        server.serve_tls()
        address = address_of(f"rediss://127.0.0.1:{server.port}")
        trusted = replace(address, ca_file=authority.ca_file, client_certificate=ours, client_key=our_key)
        try:
            server.start()
            store = await Store.connect(trusted)
            assert await store.call("PING")
            await store.close()
            for refused in (
                address,
                replace(trusted, ca_file=other.ca_file),
                replace(trusted, client_certificate=None, client_key=None),
            ):
                with pytest.raises(StoreUnavailable):
                    await Store.connect(refused)
        finally:
            server.kill()
