"""Who took whose place, made again from the ledger, after the store was emptied, swapped or rolled back.

Done again, the result is the same: each step is the one that was done when it was recorded.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core.identity import Pair, merges_of
from gateway.core.policy import Policy
from gateway.stores.identities import Identities


@dataclass(slots=True)
class Changes:
    """What the ledger says of identities: records of people carried and confirmed, in any order."""

    records: list[Mapping[str, Any]] = field(default_factory=list)

    def noting(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Hand verified records on, and note what they say of identities."""
        for record in records:
            if record.get("kind") == "identity" and record.get("event") in ("carried", "confirmed"):
                self.records.append(record)
            yield record


async def write(identities: Identities, changes: Changes, policy: Policy, now: float) -> None:
    """Carry and confirm everybody anew, and count in one limit what both identities took. Budgets stand already."""
    for record in sorted(changes.records, key=lambda one: float(one["now"])):
        if record["event"] == "confirmed":
            await identities.confirm(str(record["identity"]))
            continue
        old, new = str(record["from"]), str(record["to"])
        shares = await identities.share(new, old) if new != old else ""
        for pair in (Pair(*said) for said in record["pairs"]):
            if await identities.carry(pair, partners=(old, new)) in ("carried", "already"):
                await identities.merge(merges_of(policy, pair, new, shares, now))
