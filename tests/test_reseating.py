"""Seats made again from the ledger: who had one has it, who was new is as new, and nobody else is either."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.reseating import NEW_S, Comings, write
from gateway.stores import keys
from gateway.stores.connection import Store
from gateway.stores.seats import Seats

NOW = 1_800_000_000.0
HOUR, DAY = 3600, 86_400


def came(kind: str, ago_s: float, user: str = "u_1", partner: str = "p", **more: object) -> Mapping[str, Any]:
    """A record of a kind with such a caller."""
    return {"kind": kind, "now": NOW - ago_s, "caller": {"user": user, "partner": partner}, **more}


def freed(ago_s: float, user: str = "u_1") -> Mapping[str, Any]:
    return {"kind": "operator", "event": "seat_freed", "now": NOW - ago_s, "user": user, "partner": "p"}


def by_token(kind: str, ago_s: float, credential: str) -> Mapping[str, Any]:
    caller = {"user": "u_1", "partner": "p", "credential": credential, "credential_kind": "token"}
    return {"kind": kind, "now": NOW - ago_s, "caller": caller}


def noted(*records: Mapping[str, Any]) -> Comings:
    comings = Comings()
    assert list(comings.noting(records)) == list(records)
    return comings


def since_s(*records: Mapping[str, Any]) -> float | None:
    """For how long the one person of ``p`` was not seen; ``None``: they have no seat."""
    at = noted(*records).seated(NOW).get(("p", "u_1"))
    return None if at is None else NOW - at


SIGNED_IN = {"verdict": "accepted"}


@pytest.mark.parametrize(
    ("records", "ago_s"),
    [
        ([came("first_sight", 50)], 50),
        ([came("first_sight", 900), came("sign_in", 100, **SIGNED_IN), came("sign_in", 500, **SIGNED_IN)], 100),
        ([came("first_sight", 900), by_token("answer", 30, "a_1")], 30),
        ([came("first_sight", 900), by_token("answer", 30, "t_1")], 900),
        ([came("sign_in", 100, verdict="refusal", reason="no_seat")], None),
        ([came("alarm", 100, reason="no_seat")], None),
        ([came("first_sight", 45 * DAY)], None),
        ([came("first_sight", 45 * DAY - 1)], 45 * DAY - 1),
        ([came("first_sight", 900), freed(100)], None),
        ([freed(100), came("first_sight", 900), came("first_sight", 50)], 50),
        ([came("first_sight", 50, partner="q")], None),
        ([{"kind": "stop", "now": NOW}, {"kind": "refusal", "now": NOW, "caller": {"client": "192.0.2.1"}}], None),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else None,
)
def test_who_has_a_seat_and_since_when_they_were_not_seen(
    records: list[Mapping[str, Any]], ago_s: float | None
) -> None:
    assert since_s(*records) == ago_s


async def test_an_emptied_store_knows_again_who_has_a_seat_and_who_is_new(store: Store, clock) -> None:
    clock.at = NOW
    seats = Seats(store, clock)
    comings = noted(
        came("first_sight", 40 * DAY, "u_old"),
        came("first_sight", 2 * HOUR, "u_new"),
        came("first_sight", HOUR, "u_ripe", ripe=True),
    )
    assert await write(store, comings, NOW) == 3
    assert [one.user for one in await seats.rows("p")] == ["u_old", "u_new", "u_ripe"]
    assert await seats.take("p", "u_new", most=3) == "known"
    assert await seats.take("p", "u_other", most=3) == "full"
    assert await store.call("GET", keys.first_sight("u_new")) == repr(NOW - 2 * HOUR).encode()
    assert await store.call("TTL", keys.first_sight("u_new")) == NEW_S - 2 * HOUR
    assert await store.call("EXISTS", keys.first_sight("u_old"), keys.first_sight("u_ripe")) == 0


async def test_a_store_of_before_loses_who_was_freed_and_keeps_what_is_later(store: Store, clock) -> None:
    clock.at = NOW
    seats = Seats(store, clock)
    for user in ("u_1", "u_2"):
        await seats.take("p", user)
    comings = noted(came("first_sight", 900), freed(100), came("first_sight", 900, "u_2"))
    for _ in range(2):
        assert await write(store, comings, NOW) == 1
        assert [(one.user, one.seen) for one in await seats.rows("p")] == [("u_2", NOW)]
