"""What people were asked to confirm, by name: for a program without a browser (after RFC 8628), or for one answer.

Rules of this file:

1. A name opens nothing: it says to its own person what is asked, and they confirm with their factor.
2. A name serves one confirmation, and a credential has a few of them open: asking again and again fills no store.
3. A proof for one answer is claimed once, by whoever comes first.
"""

import secrets
from dataclasses import asdict, replace
from typing import Any

import orjson

from gateway.core.assurance import Challenge, Proof
from gateway.keyring import KeyRing
from gateway.ports import Clock
from gateway.stores import keys
from gateway.stores.connection import Argument, Script, Store
from gateway.stores.encoding import act_fields, act_of
from gateway.stores.invitations import ALPHABET, CODE_CHARACTERS

MOST_OPEN = 5
LONGEST_NAME = 64
_OFFER = Script("challenge_offer")


class Challenges:
    """The open challenges in the store."""

    def __init__(self, store: Store, keyring: KeyRing, clock: Clock | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock or store.clock

    async def offer(self, challenge: Challenge) -> str:
        """The name under which this is open for ten minutes: short enough to read out (``XXXX-XXXX``) for a token."""
        if challenge.credential == "token":
            code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
            name = f"{code[:4]}-{code[4:]}"
        else:
            name = secrets.token_urlsafe(24)
        names: list[bytes | str] = [self._same(challenge), keys.challenges_of(challenge.credential_id)]
        arguments: list[Argument] = [
            name,
            self._hash(name),
            orjson.dumps({**asdict(challenge), "act": act_fields(challenge.act)}),
            int(self._clock.now() * 1000),
            keys.CHALLENGE_LIFETIME_S,
            MOST_OPEN,
        ]
        held: bytes = await self._store.run(_OFFER, names, arguments)
        return held.decode()

    async def look(self, name: str) -> Challenge | None:
        """What a name stands for; ``None`` where it is over, was used, or never was."""
        return _challenge(await self._store.call("GET", self._name(name)))

    async def take(self, name: str) -> Challenge | None:
        """Use a name, once."""
        return _challenge(await self._store.call("GETDEL", self._name(name)))

    async def claim(self, proof: Proof) -> bool:
        """Whether this caller is the first to claim a proof that serves one answer."""
        return bool(await self._store.call("SET", keys.claimed(proof.id), 1, "NX", "EX", keys.PROOF_LIFETIME_S))

    def _same(self, challenge: Challenge) -> str:
        act = challenge.act
        return keys.challenge_same(challenge.credential_id, challenge.klass, f"{act.request}:{act.most}" if act else "")

    def _hash(self, name: str) -> str:
        plain = name[:LONGEST_NAME]
        if len(plain) <= 2 * CODE_CHARACTERS:
            plain = "".join(one for one in plain.upper() if one in ALPHABET)
        return self._keyring.token_hash(f"challenge:{plain}").hex()

    def _name(self, name: str) -> str:
        return keys.challenge(self._hash(name))


def _challenge(said: bytes | None) -> Challenge | None:
    if said is None:
        return None
    fields: dict[str, Any] = orjson.loads(said)
    return replace(Challenge(**fields), act=act_of(fields["act"]), kinds=tuple(fields["kinds"]))
