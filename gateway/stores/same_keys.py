"""Nodes that share a store share their keys: whoever has others would know nobody, and open nothing that is sealed."""

from collections.abc import Mapping

from gateway.ports import StoreUnavailable
from gateway.stores import keys
from gateway.stores.connection import Store


class OtherKeys(StoreUnavailable):
    """The store was begun with other keys than ours: until ours are replaced nothing can be answered."""


async def require_same_keys(store: Store, fingerprints: Mapping[str, str]) -> None:
    """Compare the fingerprints of our oldest keys, by purpose, with those that the store was begun with.

    The first node of an empty store leaves its own. A key that was rotated in later changes none of them. Raises
    ``OtherKeys``.
    """
    left = [("HSETNX", keys.FINGERPRINTS, purpose, fingerprint) for purpose, fingerprint in fingerprints.items()]
    kept = (await store.calls(*left, ("HMGET", keys.FINGERPRINTS, *fingerprints)))[-1]
    others = [
        purpose for (purpose, ours), theirs in zip(fingerprints.items(), kept, strict=True) if theirs != ours.encode()
    ]
    if others:
        raise OtherKeys(
            f"this node's keys are not those that the store was begun with ({', '.join(others)}): copy the whole folder"
            " of keys from a node that works, or give this node a store of its own"
        )
