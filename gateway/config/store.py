"""Where the store is: one address form for each topology, credentials and certificates in files.

``unix:///PATH`` and ``redis://HOST:PORT`` name one server, ``redis+sentinel://HOST:PORT,…/SERVICE`` the sentinels that
know who is primary, ``redis+cluster://HOST:PORT,…`` some nodes of a cluster. ``rediss…`` is the same over TLS.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote

from pydantic import Field

from gateway.config.addresses import url_of
from gateway.config.tables import Problem, Table

Topology = Literal["single", "sentinel", "cluster"]
Node = tuple[str, int]
"""Host and port."""

TOPOLOGIES: Final[dict[str, Topology]] = {"redis": "single", "redis+sentinel": "sentinel", "redis+cluster": "cluster"}
USUAL_PORTS: Final[dict[Topology, int]] = {"single": 6379, "sentinel": 26_379, "cluster": 6379}
EXPECTED = (
    "write unix:///PATH, redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or"
    " redis+cluster://HOST:PORT,HOST:PORT; over TLS rediss… instead of redis…"
)


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """All it takes to reach the store. Files are read when a connection is made, so that a password can be changed.

    ``nodes``: where to ask first (the server, the sentinels, some of the cluster); none with a ``socket``.
    ``service``: the primary's name at the sentinels. ``replicas``: how many acknowledge a write before it counts.
    """

    topology: Topology
    nodes: tuple[Node, ...] = ()
    socket: str = ""
    service: str = ""
    database: int = 0
    tls: bool = False
    replicas: int = 0
    user: str = ""
    password_file: Path | None = None
    sentinel_user: str = ""
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    @property
    def several(self) -> bool:
        """Whether several servers stand behind it, one of which may take another's place."""
        return self.topology != "single"


class StoreSettings(Table):
    """The Redis or Valkey server, or servers.

    ``replicas``: how many must have a write before it counts; 1 where several servers stand behind the address.
    ``user``: of the store's ACL; ``password_file`` alone is for its default user. The sentinels have their own.
    """

    url: str
    replicas: int | None = Field(None, ge=0, le=16)
    user: str = ""
    password_file: Path | None = None
    sentinel_user: str = ""
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    def address(self, path: Callable[[Path], Path]) -> StoreAddress:
        """Everything as the store's connections take it; ``path`` makes paths absolute. Raises ``ValueError``."""
        address = address_of(self.url)
        return replace(
            address,
            replicas=int(address.several) if self.replicas is None else self.replicas,
            user=self.user,
            sentinel_user=self.sentinel_user,
            **{setting: path(file) for setting, file in self.files() if file is not None},  # type: ignore[arg-type]
        )

    def files(self) -> Iterator[tuple[str, Path | None]]:
        """The files that it names, by setting."""
        for setting in ("password_file", "sentinel_password_file", "ca_file", "client_certificate", "client_key"):
            yield setting, getattr(self, setting)


def address_of(url: str) -> StoreAddress:
    """What a URL says; raises ``ValueError``, which says what to write."""
    scheme, separator, rest = url.partition("://")
    if not separator or "?" in rest or "#" in rest:
        raise ValueError(EXPECTED)
    if scheme == "unix":
        if not rest.startswith("/") or rest == "/":
            raise ValueError(EXPECTED)
        return StoreAddress("single", socket=unquote(rest))
    tls = scheme.startswith("rediss")
    topology = TOPOLOGIES.get(scheme.replace("rediss", "redis", 1))
    if topology is None:
        raise ValueError(EXPECTED)
    hosts, _, path = rest.partition("/")
    if "@" in hosts:
        raise ValueError("write the user as store.user, and its password into a file named by store.password_file")
    nodes = tuple(_node(one, USUAL_PORTS[topology]) for one in hosts.split(","))
    if len(set(nodes)) < len(nodes):
        raise ValueError("the same HOST:PORT stands in it twice")
    address = StoreAddress(topology, nodes, tls=tls)
    match topology:
        case "single":
            if len(nodes) > 1:
                raise ValueError("several servers: write redis+sentinel:// or redis+cluster://, as they are set up")
            return replace(address, database=_database(path))
        case "sentinel":
            if not path or "/" in path:
                raise ValueError("the service is missing: redis+sentinel://HOST:PORT,HOST:PORT/SERVICE")
            return replace(address, service=unquote(path))
        case "cluster":
            if path:
                raise ValueError("a cluster has neither databases nor services: redis+cluster://HOST:PORT,HOST:PORT")
            return address


def _node(text: str, usual_port: int) -> Node:
    parts = url_of(f"//{text}")
    if not parts.hostname or parts.path or any(character.isspace() for character in text):
        raise ValueError(EXPECTED)
    return parts.hostname, usual_port if parts.port is None else parts.port


def _database(path: str) -> int:
    if not path:
        return 0
    if not (path.isascii() and path.isdecimal()):
        raise ValueError(f"{path!r} is no number of a database: redis://HOST:PORT/0")
    return int(path)


def store_problems(store: StoreSettings) -> Iterator[Problem]:
    """What is wrong with the store's settings beyond their shape."""
    try:
        address = address_of(store.url)
    except ValueError as fault:
        yield _problem("url", str(fault))
        return
    if store.user and store.password_file is None:
        yield _problem("user", "a user needs password_file")
    if store.sentinel_user and store.sentinel_password_file is None:
        yield _problem("sentinel_user", "a user needs sentinel_password_file")
    for setting in ("sentinel_user", "sentinel_password_file"):
        if getattr(store, setting) and address.topology != "sentinel":
            yield _problem(setting, "is for redis+sentinel:// alone")
    for setting in ("ca_file", "client_certificate", "client_key"):
        if getattr(store, setting) is not None and not address.tls:
            yield _problem(setting, "is for TLS: write rediss… in the url")
    if (store.client_certificate is None) != (store.client_key is None):
        yield _problem("client_key", "a client certificate needs its key, and a key its certificate")
    if address.several and store.replicas == 0:
        yield _problem("replicas", "must be 1 at least: whoever takes a dead server's place must know what it answered")


def _problem(setting: str, words: str) -> Problem:
    return ("store", setting), f"store.{setting}", words
