"""The scripts of ``stores/lua``, and what is sent to the store."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from typing import NamedTuple

Argument = bytes | str | int | float


class Script:
    """One script of ``stores/lua``, called by its digest; its files one after the other, behind ``tag.lua``.

    ``waits``: what it writes must be acknowledged by the replicas. False where it reads, or where nothing hangs on it.
    """

    def __init__(self, *names: str, waits: bool = True) -> None:
        self.names = names
        self.waits = waits

    @cached_property
    def source(self) -> bytes:
        """The text that is sent when the store does not know the digest."""
        folder = resources.files("gateway.stores") / "lua"
        return b"\n".join((folder / f"{name}.lua").read_bytes() for name in ("tag", *self.names))

    @cached_property
    def digest(self) -> str:
        """SHA-1 of the source, as EVALSHA asks for."""
        return hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


class Run(NamedTuple):
    """One call of a script."""

    script: Script
    names: Sequence[bytes | str]
    arguments: Sequence[Argument]

    def known(self) -> Sequence[Argument]:
        """The command for a server that knows the script."""
        return ("EVALSHA", self.script.digest, len(self.names), *self.names, *self.arguments)

    def whole(self) -> Sequence[Argument]:
        """The command that teaches it."""
        return ("EVAL", self.script.source, len(self.names), *self.names, *self.arguments)


class Placed(NamedTuple):
    """One call of a script in one place of the store."""

    place: str
    script: Script
    names: Sequence[bytes | str]
    arguments: Sequence[Argument]


READS = frozenset(
    (
        *("GET", "MGET", "EXISTS", "TTL", "PTTL", "TIME", "PING", "INFO", "ROLE", "DBSIZE", "CLUSTER"),
        *("HGET", "HMGET", "HGETALL", "HKEYS", "HVALS", "HLEN", "HEXISTS"),
        *("SCARD", "SISMEMBER", "SMISMEMBER", "SMEMBERS"),
        *("ZCARD", "ZCOUNT", "ZSCORE", "ZMSCORE", "ZRANGE", "ZRANGEBYSCORE"),
    )
)
"""Commands after which nothing has to be acknowledged."""


def writes(commands: Sequence[Sequence[Argument]]) -> bool:
    """Whether one of them may write."""
    return any(command[0] not in READS for command in commands)


_OF_NO_KEY = frozenset(["CONFIG", "DBSIZE", "INFO", "PING", "ROLE", "SCRIPT", "TIME"])
_OF_MANY_KEYS = frozenset(["DEL", "EXISTS", "MGET"])


def tagged_names(tag: str, names: Sequence[bytes | str]) -> Sequence[bytes | str]:
    """Names of keys with a tag before them."""
    if not tag:
        return names
    return [tag.encode() + name if isinstance(name, bytes) else tag + name for name in names]


def tagged(tag: str, command: Sequence[Argument]) -> Sequence[Argument]:
    """A command whose keys have a tag before their names."""
    if not tag or command[0] in _OF_NO_KEY:
        return command
    last = len(command) if command[0] in _OF_MANY_KEYS else 2
    names = [one if isinstance(one, bytes) else str(one) for one in command[1:last]]
    return [command[0], *tagged_names(tag, names), *command[last:]]
