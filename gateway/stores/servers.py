"""How one server of the store is connected to: by socket or by name, over TLS or not, with a password from its file."""

from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from gateway.config.store import Node, StoreAddress

MOST_CONNECTIONS = 32


class FileCredentials(CredentialProvider):
    """A user's password, read anew for every connection: a changed file is taken up without a restart."""

    def __init__(self, user: str, file: Path) -> None:
        self._user = user
        self._file = file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """What AUTH is sent with; raises ``AuthenticationError`` where the file cannot be read."""
        try:
            password = self._file.read_text().strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise AuthenticationError(f"the password in {self._file} cannot be read: {fault}") from fault
        return (self._user, password) if self._user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """As ``get_credentials``: a file of one line is not worth a thread."""
        return self.get_credentials()


def pool_of(address: StoreAddress, node: Node | None, timeout_s: float) -> BlockingConnectionPool:
    """The connections to one server: that of ``address``, or the one that ``node`` names. Nothing is tried twice."""
    return _pool(
        address, node, timeout_s, MOST_CONNECTIONS, address.user, address.password_file, database=address.database
    )


def sentinel_pool_of(address: StoreAddress, node: Node, timeout_s: float) -> BlockingConnectionPool:
    """The connections to one sentinel, which has users and passwords of its own."""
    return _pool(address, node, timeout_s, 2, address.sentinel_user, address.sentinel_password_file)


def _pool(
    address: StoreAddress,
    node: Node | None,
    timeout_s: float,
    most: int,
    user: str,
    password_file: Path | None,
    *,
    database: int = 0,
) -> BlockingConnectionPool:
    settings: dict[str, Any] = {"db": database}
    kind: type[Connection] | type[UnixDomainSocketConnection] = Connection
    if node is None and address.socket:
        kind = UnixDomainSocketConnection
        settings["path"] = address.socket
    else:
        settings["host"], settings["port"] = node or address.nodes[0]
    if address.tls:
        kind = SSLConnection
        settings["ssl_ca_certs"] = str(address.ca_file) if address.ca_file else None
        settings["ssl_certfile"] = str(address.client_certificate) if address.client_certificate else None
        settings["ssl_keyfile"] = str(address.client_key) if address.client_key else None
    if password_file is not None:
        settings["credential_provider"] = FileCredentials(user, password_file)
    return BlockingConnectionPool(
        max_connections=most,
        timeout=timeout_s,
        connection_class=kind,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        **settings,
    )
