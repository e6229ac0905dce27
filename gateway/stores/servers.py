"""One server of the store: how it is connected to, and how what it is told is acknowledged by its replicas."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError

from gateway.config.store import Node, StoreAddress
from gateway.hosts import HOSTS
from gateway.ports import StoreUnavailable
from gateway.stores.deadline import Deadline
from gateway.stores.faults import NO_ANSWER, NotAcknowledged, translated
from gateway.stores.scripts import Argument, Run, writes

MOST_CONNECTIONS: Final = 32
WAIT_SHARE: Final = 0.75
"""The part of a call's time after which replicas are not waited for any more: then the answer says how many have it."""


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


class _Named(Connection):
    """A connection to a server whose name is looked up by ``gateway.hosts``; its addresses are tried in turn."""

    _address = ""

    async def _connect(self) -> None:
        addresses = await HOSTS.addresses(self.host)
        for place, self._address in enumerate(addresses, 1):
            try:
                await super()._connect()  # type: ignore[no-untyped-call]
                break
            except OSError:
                if place == len(addresses):
                    raise

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "host": self._address}


class _NamedTls(_Named, SSLConnection):
    """The same over TLS: the certificate is the name's."""

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self.host}


class Witness(Protocol):
    """Who is told how often a server was written to with fewer replicas than it should have (see ``lone``)."""

    @property
    def counter(self) -> str:
        """The key that the server counts with."""

    async def told(self, count: int) -> None:
        """Hold a count; raises ``StoreUnavailable``."""


class Server:
    """One server, asked over a pool of connections of its own. Every fault is ``StoreUnavailable``, in ``timeout_s``.

    Where the address asks for replicas, WAIT goes behind what was written, in the same pipeline on the same connection:
    anywhere else it speaks of another connection's writes, and acknowledges falsely.
    """

    def __init__(self, address: StoreAddress, node: Node | None = None, *, timeout_s: float) -> None:
        self.node = node
        self._timeout_s = timeout_s
        self.expect(address.replicas)
        self._redis = Redis(
            connection_pool=_pool(
                address,
                node,
                MOST_CONNECTIONS,
                _credentials(address.user, address.password_file),
                database=address.database,
            )
        )
        self._raw = Redis(connection_pool=self._redis.connection_pool)
        self._raw.response_callbacks = {}  # within a transaction a command's first answer is QUEUED: no shape fits it
        self._execute: Callable[..., Awaitable[Any]] = self._redis.execute_command
        self._execute_raw: Callable[..., Awaitable[Any]] = self._raw.execute_command

    def expect(self, replicas: int, witness: Witness | None = None) -> None:
        """From now on so many replicas, and the witness, must know of a write before it counts."""
        self.replicas = replicas
        self._witness = witness
        self._asked_of_all = bool(replicas or witness)
        wait: list[Sequence[Argument]] = [("WAIT", replicas, int(self._timeout_s * 1000 * WAIT_SHARE))]
        self._behind = wait if witness is None else [("INCR", witness.counter), *wait]

    async def close(self) -> None:
        """Close every connection; what is under way on one ends as a fault. A dead server is not waited for."""
        with contextlib.suppress(TimeoutError):
            async with Deadline(self._timeout_s):
                await self._redis.aclose()
                await self._redis.connection_pool.disconnect()

    async def call(self, *command: Argument) -> Any:
        """Run one command."""
        if self._asked_of_all and writes([command]):
            (answer,) = await self.calls([command])
            return answer
        async with self._faults_translated():
            return await self._execute(*command)

    async def calls(self, commands: Sequence[Sequence[Argument]], *, atomic: bool = False) -> list[Any]:
        """Run several commands in one round trip; ``atomic``: as one transaction. Raises what the first of them met."""
        sent = [("MULTI",), *commands, ("EXEC",)] if atomic else commands
        alone = len(commands) == 1 and not atomic
        async with self._faults_translated(alone=alone):
            answers = await self._pipelined(sent, acknowledged=self._asked_of_all and writes(commands))
            _raise_first(answers)
            if atomic:
                answers = answers[-1]
                _raise_first(answers)
            return [self._shaped(one, answer) for one, answer in zip(commands, answers, strict=True)]

    def _shaped(self, command: Sequence[Argument], answer: Any) -> Any:
        """An answer as the library shapes it where a command is sent alone."""
        shape = self._redis.response_callbacks.get(str(command[0]))
        return answer if shape is None else shape(answer)

    async def run(self, run: Run) -> Any:
        """Run a script; the server is taught it when it does not know it (after its restart)."""
        async with self._faults_translated():
            (answer,) = await self._taught([run])
            if isinstance(answer, Exception):
                raise answer
            return answer

    async def runs(self, runs: Sequence[Run]) -> list[Any]:
        """Run scripts in one round trip: the answer of each, or the ``StoreUnavailable`` that it met.

        Raises ``StoreUnavailable`` where it is not known of any whether it was done, or whether it will last.
        """
        async with self._faults_translated(alone=False):
            answers = await self._taught(runs)
        return [translated(answer) if isinstance(answer, Exception) else answer for answer in answers]

    async def _taught(self, runs: Sequence[Run]) -> list[Any]:
        waits = self._asked_of_all and any(run.script.waits for run in runs)
        answers = await self._pipelined([run.known() for run in runs], acknowledged=waits)
        unknown = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            more = await self._pipelined([runs[at].whole() for at in unknown], acknowledged=waits)
            for at, answer in zip(unknown, more, strict=True):
                answers[at] = answer
        return answers

    async def _pipelined(self, commands: Sequence[Sequence[Argument]], *, acknowledged: bool) -> list[Any]:
        """The answers of commands sent together, errors of the server's among them; raises ``NotAcknowledged``."""
        behind, replicas, witness = self._behind, self.replicas, self._witness  # what is expected may change meanwhile
        if len(commands) == 1 and not acknowledged:
            try:
                return [await self._execute_raw(*commands[0])]
            except ResponseError as error:
                return [error]
        async with self._raw.pipeline(transaction=False) as pipeline:
            for command in (*commands, *behind) if acknowledged else commands:
                pipeline.execute_command(*command)
            answers = list(await pipeline.execute(raise_on_error=False))
        if not acknowledged:
            return answers
        answers, said = answers[: len(commands)], answers[len(commands) :]
        if not all(isinstance(answer, NoScriptError) for answer in answers):
            await _check_known(said, replicas, witness)
        return answers

    @contextlib.asynccontextmanager
    async def _faults_translated(self, *, alone: bool = True) -> AsyncIterator[None]:
        try:
            async with Deadline(self._timeout_s):
                yield
        except TimeoutError as fault:
            raise StoreUnavailable(f"no answer within {self._timeout_s} s ({NO_ANSWER.what_to_do})") from fault
        except (RedisError, OSError) as fault:
            raise translated(fault, alone=alone) from fault


async def _check_known(said: Sequence[Any], replicas: int, witness: Witness | None) -> None:
    """Raise ``NotAcknowledged`` where replicas or the witness lack what was done; ``said``: behind it."""
    try:
        _raise_first(said)
        if (have_it := int(said[-1])) < replicas:
            raise NotAcknowledged(
                f"{have_it} of {replicas} replicas have it: what was counted stays counted (start the replicas, or"
                " set store.replicas to as many as the primary has)"
            )
        if witness is not None:
            await witness.told(int(said[0]))
    except NotAcknowledged:
        raise
    except (RedisError, StoreUnavailable) as fault:
        raise NotAcknowledged(f"what was counted stays counted, and is known to nobody else: {fault}") from fault


def _raise_first(answers: Sequence[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer


def sentinel_of(address: StoreAddress, node: Node) -> Redis:
    """A client of one sentinel, which has users and passwords of its own. It raises the library's faults, and waits
    for ever."""
    credentials = _credentials(address.sentinel_user, address.sentinel_password_file)
    return Redis(connection_pool=_pool(address, node, 2, credentials))


def _credentials(user: str, file: Path | None) -> FileCredentials | None:
    return None if file is None else FileCredentials(user, file)


def _pool(
    address: StoreAddress,
    node: Node | None,
    most: int,
    credentials: FileCredentials | None,
    *,
    database: int = 0,
) -> BlockingConnectionPool:
    """Connections to ``node``, or to the server of the address itself. Nothing is tried twice, nor given up here:
    the library's own limits would count what a held-up worker has not read yet, and cost a task for each command."""
    settings: dict[str, Any] = {"db": database}
    kind: type[Connection] | type[UnixDomainSocketConnection] = _Named
    if node is None and address.socket:
        kind = UnixDomainSocketConnection
        settings["path"] = address.socket
    else:
        settings["host"], settings["port"] = node or address.nodes[0]
    if address.tls:
        kind = _NamedTls
        settings["ssl_ca_certs"] = str(address.ca_file) if address.ca_file else None
        settings["ssl_certfile"] = str(address.client_certificate) if address.client_certificate else None
        settings["ssl_keyfile"] = str(address.client_key) if address.client_key else None
    return BlockingConnectionPool(
        max_connections=most,
        timeout=None,
        connection_class=kind,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=None,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        credential_provider=credentials,
        **settings,
    )
