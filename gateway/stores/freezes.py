"""Freezes: a token, a user or a partner stopped at once. A user's partner is told, where it wants to know."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from gateway.core import events
from gateway.core.events import Claims
from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.connection import Argument, Store
from gateway.stores.encoding import texts
from gateway.stores.sending import Sending
from gateway.stores.subjects import Subjects

KINDS = ("token", "user", "partner")


@dataclass(frozen=True, slots=True)
class Freeze:
    """What is frozen, since when (Unix seconds), by whom and why."""

    kind: str
    name: str
    by: str
    reason: str
    at: float


class Freezes:
    """The freezes in the store; every worker sees one within a second. ``told``: partners that hear of their people."""

    def __init__(self, store: Store, keyring: KeyRing, told: frozenset[str] = frozenset()) -> None:
        self._store = store
        self._subjects = Subjects(store, keyring)
        self._told = told

    async def freeze(self, kind: str, name: str, *, by: str, reason: str, now: float) -> str | None:
        """Stop ``token`` (also a session family), ``user`` or ``partner`` called ``name``; which partner will hear."""
        if kind not in KINDS:
            raise ValueError("a token, a user or a partner can be frozen")
        partner, telling = await self._telling(kind, name, now, events.frozen)
        await self._store.calls(
            ("HSET", keys.frozen(kind, name), "by", by, "reason", reason, "at", repr(now)),
            ("SADD", keys.FROZEN, f"{kind}:{name}"),
            *telling,
            atomic=True,
        )
        return partner

    async def unfreeze(self, kind: str, name: str, *, now: float) -> bool:
        """Let it go on; false where it was not frozen."""
        if not await self._store.call("EXISTS", keys.frozen(kind, name)):
            return False
        _, telling = await self._telling(kind, name, now, events.unfrozen)
        removed, *_ = await self._store.calls(
            ("DEL", keys.frozen(kind, name)), ("SREM", keys.FROZEN, f"{kind}:{name}"), *telling, atomic=True
        )
        return bool(removed)

    async def _telling(
        self, kind: str, name: str, now: float, made: Callable[[str, str, float, str], tuple[Claims, ...]]
    ) -> tuple[str | None, list[Sequence[Argument]]]:
        """Who hears of it, and the commands that make them hear."""
        subject = await self._subjects.of(name) if kind == "user" and self._told else None
        if subject is None or subject.partner not in self._told:
            return None, []
        queue = signals_to(self._store, subject.partner)
        messages = [
            orjson.dumps({"user": name, "claims": claims})
            for claims in made(subject.issuer, subject.sub, now, secrets.token_hex(16))
        ]
        return subject.partner, [command for body in messages for command in queue.putting(body, now)]

    async def rows(self) -> list[Freeze]:
        """Everything that is frozen now."""
        named = sorted(one.decode().split(":", 1) for one in await self._store.call("SMEMBERS", keys.FROZEN))
        answers = await self._store.calls(*(("HGETALL", keys.frozen(*one)) for one in named)) if named else []
        said = [(one, texts(answer)) for one, answer in zip(named, answers, strict=True) if answer]
        return [Freeze(kind, name, of["by"], of["reason"], float(of["at"])) for (kind, name), of in said]


def signals_to(store: Store, partner: str) -> Sending:
    """The signals that wait for a partner: none of them is ever dropped."""
    return Sending(store, name=keys.signals_to(partner), for_ever=True)
