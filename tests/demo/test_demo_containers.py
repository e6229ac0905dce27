"""What the containers' volumes are filled with: once, for each service its own, and a store's account that suffices."""

import re
import ssl
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import redis
from redis_servers import RedisServer, running

from gateway.config import load
from gateway.config.store import address_of
from gateway.demo import certificate, containers
from gateway.demo.containers import Volumes, prepare
from gateway.initialise import AlreadyThere
from gateway.ports import StoreUnavailable
from gateway.stores import connection

PERSONS = 40
NETWORK = "172.16.250.0/24"


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    made = Volumes.of(tmp_path, tmp_path / "config")
    for folder in (made.config, made.store, made.partners, made.proxy, made.application, made.told):
        folder.mkdir()
    return made


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_configuration_is_valid_and_names_what_the_services_are_called(volumes: Volumes) -> None:
    prepare(volumes, PERSONS, NETWORK)
    settings = load(volumes.config)
    assert settings.gateway.trusted_proxies == [NETWORK]
    assert (settings.gateway.listen.address, settings.gateway.admin.address) == ("0.0.0.0", "0.0.0.0")  # noqa: S104
    assert settings.gateway.applications["emploi"].upstream == "http://application:8001"
    assert settings.store.nodes == (("redis", 6379),) and settings.store.user == "gateway"


def test_preparing_again_changes_nothing(volumes: Volumes, tmp_path: Path) -> None:
    prepare(volumes, PERSONS, NETWORK)
    before = contents(tmp_path)
    prepare(volumes, PERSONS, NETWORK)
    assert contents(tmp_path) == before


def test_what_a_stop_left_half_made_is_made_anew(volumes: Volumes) -> None:
    prepare(volumes, PERSONS, NETWORK)
    (volumes.application / "population.db").unlink()
    (volumes.config / "policy.toml").write_text("half")
    prepare(volumes, PERSONS, NETWORK)
    load(volumes.config)


def test_a_configuration_of_somebody_else_s_is_left_alone(volumes: Volumes) -> None:
    (volumes.config / "policy.toml").write_text("theirs")
    with pytest.raises(AlreadyThere):
        prepare(volumes, PERSONS, NETWORK)
    assert contents(volumes.config) == {"policy.toml": b"theirs"}


def test_secrets_are_for_their_owner_alone_and_the_store_is_told_a_hash(volumes: Volumes) -> None:
    prepare(volumes, PERSONS, NETWORK)
    password = volumes.config / "store.password"
    secret = [
        password,
        volumes.proxy / "partners.pem",
        *volumes.partners.iterdir(),
        *(volumes.config / "keys").iterdir(),
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert password.read_text() not in (volumes.store / "users.acl").read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in volumes.store.iterdir()} == {0o640}


def test_providers_are_told_where_the_gateway_is_from_where_they_are(volumes: Volumes) -> None:
    prepare(volumes, PERSONS, NETWORK)
    client = orjson.loads((volumes.partners / "relais-emploi.json").read_bytes())["clients"][0]
    assert client["redirect_uris"] == ["http://localhost:8080/.gateway/callback/relais-emploi"]
    assert client["backchannel_logout_uri"] == "http://proxy:8081/.gateway/back-channel-logout/relais-emploi"


def test_a_whole_agency_can_sign_in_and_has_seats_for_all(volumes: Volumes) -> None:
    prepare(volumes, PERSONS, NETWORK)
    settings = load(volumes.config)
    for partner, number in containers.COLLEAGUES.items():
        users = orjson.loads((volumes.partners / f"{partner}.json").read_bytes())["users"]
        assert len(users) == len({user["sub"] for user in users}) > number
        held = settings.policy.partners.get(partner)
        assert held is None or held.seats is None or held.seats >= len(users)


def test_the_inner_address_of_the_partners_is_believed_by_whoever_has_the_authority(tmp_path: Path) -> None:
    authority, pair = certificate.made_for("partners")
    (tmp_path / "pair.pem").write_bytes(pair)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=authority.decode())
    server.load_cert_chain(tmp_path / "pair.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    calling = client.wrap_bio(to_client, to_server, server_hostname="partners")
    called = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (calling, called, calling, called):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert calling.version() == "TLSv1.3"


def commands_used() -> set[str]:
    """What the gateway's scripts and stores say to the server."""
    stores = Path(connection.__file__).parent
    scripts = "".join(file.read_text() for file in (stores / "lua").glob("*.lua"))
    python = "".join(file.read_text() for file in stores.glob("*.py"))
    plain = set(re.findall(r"\bp?call\('([A-Z]+)'", scripts)) | set(re.findall(r"\(\"([A-Z]{3,})\"", python))
    below = {f"CLUSTER|{name}" for name in re.findall(r"\(\"CLUSTER\", \"([A-Z]+)\"", python)}
    return plain - {"CLUSTER"} | below


@pytest.fixture
def store(volumes: Volumes, tmp_path: Path) -> Iterator[RedisServer]:
    """A real server on which the prepared account exists beside the administrator's."""
    with running(tmp_path / "server") as server:
        for line in containers.store_accounts(dict.fromkeys(containers.ACCOUNTS, "password")).splitlines():
            name, *rules = line.removeprefix("user ").split()
            if name != "default":  # which the test itself is
                server.ask("ACL", "SETUSER", name, *rules)
        yield server


def may(server: RedisServer, command: str) -> bool:
    words = command.split("|")
    arity = abs(server.ask("COMMAND", "INFO", command)[command.lower()]["arity"])
    return bool(server.ask("ACL", "DRYRUN", "gateway", *words, *["1"] * (arity - len(words))) == "OK")


def test_the_store_s_account_may_do_all_that_the_gateway_does(store: RedisServer) -> None:
    used = commands_used()
    assert {"EVALSHA", "MGET", "ZADD", "HSET", "TIME", "WAIT", "CLUSTER|SLOTS"} <= used
    known = {name.upper() for name in store.ask("COMMAND")} | {one for one in used if "|" in one}
    assert [command for command in sorted(used & known) if not may(store, command)] == []


@pytest.mark.parametrize("command", ["FLUSHALL", "KEYS", "SHUTDOWN", "MONITOR", "SAVE", "REPLICAOF", "MIGRATE"])
def test_the_store_s_account_may_not_administer_it(store: RedisServer, command: str) -> None:
    assert not may(store, command)


@pytest.mark.parametrize("account", ["replica", "sentinel"])
def test_the_other_servers_accounts_read_nobody_s_data(store: RedisServer, account: str) -> None:
    assert store.ask("ACL", "DRYRUN", account, "PING") == "OK"
    assert store.ask("ACL", "DRYRUN", account, "GET", "epoch") != "OK"


def test_a_server_that_begins_again_has_all_that_scripts_have_written(tmp_path: Path) -> None:
    accounts = tmp_path / "users.acl"
    accounts.write_text(containers.store_accounts(dict.fromkeys(containers.ACCOUNTS, "password")))
    server = RedisServer(tmp_path / "server", {"aclfile": str(accounts)}).start()
    client = redis.Redis(port=server.port, username="operator", password="password")
    try:
        client.eval("redis.call('SET', 'a', 1) redis.call('SET', 'b', 1)", 0)
        server.kill()
        server.start()
        assert client.dbsize() == 2
    finally:
        client.close()
        server.kill()


async def test_people_are_entered_once_the_replicas_have_what_is_written(tmp_path: Path) -> None:
    with running(tmp_path / "alone") as alone:
        address = replace(address_of(alone.url), replicas=1)
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            await containers.until_whole(address, within_s=0)
        with running(tmp_path / "replica", {"replicaof": f"127.0.0.1\n{alone.port}"}):
            await containers.until_whole(address)
