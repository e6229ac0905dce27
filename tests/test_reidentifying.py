"""Who took whose place is known from the ledger again, and what both took is counted once."""

from gateway.core.extraction import Class
from gateway.core.identity import State
from gateway.core.policy import Policy
from gateway.keyring import KeyRing
from gateway.reidentifying import Changes, write
from gateway.stores.connection import Store
from gateway.stores.identities import Identities

CARRIED = {"kind": "identity", "event": "carried", "from": "p", "to": "q", "now": 1.0, "pairs": [["a", "b", "a"]]}
CONFIRMED = {"kind": "identity", "event": "confirmed", "identity": "b", "now": 2.0}


async def test_a_lost_store_knows_again_who_took_whose_place(store: Store, keyring: KeyRing, clock) -> None:
    changes, policy = Changes(), Policy("d", {}, Class.SENSITIVE, Class.PERSONAL, {}, (), (), {}, ())
    assert len(list(changes.noting([CONFIRMED, {"kind": "answer", "now": 1.5}, CARRIED]))) == 3
    identities = Identities(store, keyring, clock)
    for _ in range(2):
        await write(identities, changes, policy, clock.now())
    states = [(one.user, one.state) for one in await identities.all_of(["a", "b"])]
    assert states == [("a", State.GONE), ("a", State.CONFIRMED)]
    assert await identities.shares("q") == "p"
