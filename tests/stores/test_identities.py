"""One person under two identities: one user, one budget, one seat; confirmed once, and the old one is over."""

import asyncio
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_cluster import clustered

from gateway.core.assurance import Caller, Proof
from gateway.core.charging import Charge, PersonCharge, limits_of
from gateway.core.extraction import Class
from gateway.core.identity import Known, Pair, State, merges_of
from gateway.core.policy import BudgetRule, ClassRule, PartnerRule, Policy, Scope
from gateway.keyring import KeyRing
from gateway.stores import keys
from gateway.stores.budgets import Budgets
from gateway.stores.callers import StoredCallers
from gateway.stores.closures import Closures
from gateway.stores.connection import Store
from gateway.stores.freezes import Freezes
from gateway.stores.identities import Identities
from gateway.stores.seats import Seats
from gateway.stores.sessions import Sessions

HOUR, DAY = 3600, 86_400
PARTNERS = ("before", "after")
OLD = Pair("u_old", "u_new", "u_old")
RULES = (
    BudgetRule("hour", Scope.USER, Class.SENSITIVE, 60, HOUR),
    BudgetRule("day", Scope.USER, Class.INTERNAL, 150, DAY),
    BudgetRule("partner", Scope.PARTNER, Class.SENSITIVE, 100, HOUR, floor=10),
    BudgetRule("lookups", Scope.USER, Class.INTERNAL, 20, HOUR, misses=True),
)
POLICY = Policy(
    "d",
    {klass: ClassRule(klass, ("totp",), HOUR) for klass in Class},
    Class.RESTRICTED,
    Class.PERSONAL,
    {},
    (),
    (),
    {},
    (),
    partners={name: PartnerRule(RULES, seats=4) for name in PARTNERS},
)
OPEN = replace(POLICY, budgets=RULES[:2])
"""The same for people of any partner."""
NUMBERS = itertools.count(1)


def persons(*numbers: int) -> tuple[tuple[PersonCharge, ...], ...]:
    return tuple((PersonCharge((number.to_bytes(16, "big"),), ("nir",), Class.SENSITIVE),) for number in numbers)


def more(count: int) -> tuple[tuple[PersonCharge, ...], ...]:
    return persons(*itertools.islice(NUMBERS, count))


def policy_of(who: Caller) -> Policy:
    return POLICY if who.partner in PARTNERS else OPEN


def caller(user: str, partner: str, **said: object) -> Caller:
    return Caller(user, partner, "iss", "s", "", "person", "session", f"s_{user}", **said)


@dataclass
class Place:
    """A store with somebody in the middle of a migration."""

    store: Store
    identities: Identities
    budgets: Budgets
    clock: object

    async def carry(self, pair: Pair = OLD, partners: tuple[str, str] = PARTNERS) -> str:
        return await self.identities.carry(pair, partners=partners)

    async def merge(self, pair: Pair = OLD, shares: str = "before") -> None:
        await self.identities.merge(merges_of(POLICY, pair, "after", shares, self.clock.now()))

    async def take(self, who: Caller, records: tuple[tuple[PersonCharge, ...], ...]) -> int:
        limits = limits_of(policy_of(who), who, self.clock.now())
        return (await self.budgets.charge(Charge(limits, records))).granted

    async def used(self, who: Caller) -> dict[str, int]:
        return {
            one.limit.name: one.used
            for one in await self.budgets.usage(limits_of(policy_of(who), who, self.clock.now()))
        }


@pytest.fixture
def place(store: Store, keyring: KeyRing, clock) -> Place:
    return Place(store, Identities(store, keyring, clock), Budgets(store, clock), clock)


async def test_an_identity_of_which_nobody_said_anything_is_its_own_user(place: Place, keyring: KeyRing) -> None:
    own = keyring.user_id("https://sso", "1")
    assert await place.identities.of("https://sso", "1") == Known(own, own)


async def test_a_new_identity_is_the_old_ones_user_unconfirmed_then_confirmed_and_the_old_one_is_over(
    place: Place,
) -> None:
    assert await place.carry() == "carried"
    waiting = await place.identities.known("u_new")
    assert (waiting.user, waiting.state, waiting.unconfirmed) == ("u_old", State.WAITING, "u_new")
    old = await place.identities.known("u_old")
    assert (old.user, old.state, old.after) == ("u_old", State.OWN, "u_new")
    for family, goes_on in (("", ""), ("s_1", "s_1"), ("s_2", "s_1"), ("", "s_1")):
        assert await place.identities.confirm("u_new", family=family) == goes_on
        assert (await place.identities.known("u_new")).state is State.CONFIRMED
        assert (await place.identities.known("u_old")).state is State.GONE
    assert (await place.identities.known("u_new")).unconfirmed == ""


async def test_it_settles_for_two_seconds(place: Place) -> None:
    await place.carry()
    at = place.clock.now()
    known = await place.identities.known("u_new")
    assert [known.settling(at + late) for late in (0, 1.9, 2)] == [True, True, False]
    assert not replace(known, state=State.CONFIRMED).settling(at)


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        (OLD, "already"),
        (Pair("u_old", "u_other", "u_old"), "taken"),
        (Pair("u_somebody", "u_new", "u_somebody"), "taken"),
        (Pair("u_new", "u_third", "u_old"), "waiting"),
        (Pair("u_new", "u_third", "u_new"), "taken"),
        (Pair("u_third", "u_old", "u_third"), "taken"),
    ],
    ids=["the-same", "another-new", "another-old", "from-one-unconfirmed", "with-a-wrong-user", "back-upon-the-old"],
)
async def test_nobody_is_two_people_and_nobody_is_mapped_twice(place: Place, pair: Pair, why: str) -> None:
    await place.carry()
    assert await place.carry(pair) == why
    assert (await place.identities.known("u_new")).user == "u_old"
    assert (await place.identities.known("u_other")).user == "u_other"


async def test_who_changed_twice_is_still_the_first_user(place: Place) -> None:
    await place.carry()
    await place.identities.confirm("u_new")
    assert await place.carry(Pair("u_old", "u_third", "u_old")) == "taken"
    assert await place.carry(Pair("u_new", "u_third", "u_old"), ("after", "third")) == "carried"
    assert (await place.identities.known("u_third")).user == "u_old"
    await place.identities.confirm("u_third")
    states = [(await place.identities.known(one)).state for one in ("u_old", "u_new", "u_third")]
    assert states == [State.GONE, State.GONE, State.CONFIRMED]


async def test_two_pairs_at_once_for_one_identity_carry_one_of_them(place: Place) -> None:
    pairs = [Pair(f"u_{one}", "u_new", f"u_{one}") for one in range(20)]
    assert sorted(await asyncio.gather(*map(place.carry, pairs))) == ["carried"] + ["taken"] * 19


async def test_a_seat_moves_once_it_is_confirmed_and_none_is_new_for_it(place: Place) -> None:
    seats = Seats(place.store, place.clock)
    await seats.take("before", "u_old", most=1)
    await seats.take("after", "u_new")
    await place.store.call("DEL", keys.first_sight("u_old"))
    await place.carry()
    assert [one.user for one in await seats.rows("before")] == ["u_old"]
    assert [one.user for one in await seats.rows("after")] == ["u_old"]
    assert await seats.take("after", "u_old", most=1) == "known"
    await place.identities.confirm("u_new")
    assert await seats.rows("before") == []
    assert [one.user for one in await seats.rows("after")] == ["u_old"]


async def test_a_seat_at_the_same_partner_stays(place: Place) -> None:
    seats = Seats(place.store, place.clock)
    await seats.take("before", "u_old")
    await place.carry(partners=("before", "before"))
    await place.identities.confirm("u_new")
    assert [one.user for one in await seats.rows("before")] == ["u_old"]


async def test_what_was_stopped_closed_or_changed_under_the_new_name_is_so_under_both(place: Place, keyring) -> None:
    await Freezes(place.store, keyring).freeze("user", "u_new", by="officer", reason="stolen", now=1.0)
    await Closures(place.store, place.clock).not_me("u_new", but="")
    await place.store.call("SET", keys.changed("u_new"), "77.0")
    await place.carry()
    rows = {one.name: (one.by, one.reason) for one in await Freezes(place.store, keyring).rows()}
    assert rows["u_old"] == ("officer", "stolen")
    assert await Closures(place.store).closed_from("u_old") is Class.SENSITIVE
    assert await place.store.call("GET", keys.changed("u_old")) == b"77.0"


async def test_a_freeze_of_the_user_stops_the_session_of_the_new_identity(place: Place, keyring: KeyRing) -> None:
    sessions = Sessions(place.store, keyring, place.clock)
    who = {"issuer": "https://new", "sub": "1", "partner": "after", "name": "Léa", "login": "lea"}
    cookie = await sessions.open(**who, user="u_old", unconfirmed="u_new")
    callers = StoredCallers(place.store, keyring, place.clock)
    found = await callers.by_session(cookie)
    assert (found.user, found.unconfirmed, found.elsewhere(frozenset())) == ("u_old", "u_new", True)
    await Freezes(place.store, keyring).freeze("user", "u_old", by="o", reason="", now=1.0)
    assert (await callers.by_session(cookie, anew=True)).reason == "frozen"
    await Freezes(place.store, keyring).unfreeze("user", "u_old", now=2.0)
    await sessions.settle(found.credential_id)
    assert not (await callers.by_session(cookie, anew=True)).elsewhere(frozenset())


async def test_whom_both_had_taken_count_once_in_one_limit(place: Place) -> None:
    old, new = caller("u_old", "before"), caller("u_new", "after")
    both, only_old, only_new = more(5), more(10), more(20)
    await place.take(old, both + only_old)
    await place.take(new, both + only_new)
    await place.carry()
    for _ in range(2):
        await place.merge()
        assert await place.used(old) == {"hour": 35, "day": 35, "partner": 35}
    assert await place.take(old, only_new) == 20
    assert await place.used(old) == {"hour": 35, "day": 35, "partner": 35}


async def test_on_a_cluster_both_are_counted_where_the_budgets_of_each_are(
    tmp_path: Path, keyring: KeyRing, clock
) -> None:
    with clustered(tmp_path) as shards:
        store = await Store.connect(shards.url, timeout_s=10)
        place = Place(store, Identities(store, keyring, clock), Budgets(store, clock), clock)
        old, new = caller("u_old", "before"), caller("u_new", "after")
        try:
            assert [await place.take(old, more(5)), await place.take(new, more(7))] == [5, 7]
            await place.merge()
            assert await place.used(old) == {"hour": 12, "day": 12, "partner": 12}
        finally:
            await store.close()


async def test_who_was_taken_at_two_times_leaves_by_the_later(place: Place) -> None:
    old, new = caller("u_old", "before"), caller("u_new", "after")
    (one,), (other,) = more(1), more(1)
    await place.take(old, (one,))
    place.clock.forward(HOUR)
    await place.take(new, (one,))
    place.clock.forward(60)
    await place.take(old, (other,))
    place.clock.forward(60)
    await place.take(new, (other,))
    await place.merge()
    assert (await place.used(old))["hour"] == 2
    place.clock.forward(HOUR - 120)
    assert (await place.used(old))["hour"] == 1  # the first was counted anew after its hour
    place.clock.forward(119)
    assert (await place.used(old))["hour"] == 1
    place.clock.forward(1)
    assert (await place.used(old))["hour"] == 0


async def test_the_floor_that_somebody_had_is_in_use_where_they_are_counted_now(place: Place) -> None:
    opening = {klass: ClassRule(klass, ("webauthn",), HOUR) for klass in Class}
    policy, now = replace(POLICY, classes=opening), place.clock.now()
    shown = Proof("p1", "webauthn", now, "u_new", "s_u_new")
    new, old = caller("u_new", "after", proofs=(shown,)), caller("u_old", "before")
    mine = tuple(one for one in limits_of(policy, new, now) if one.floor)
    assert (await place.budgets.charge(Charge(mine, more(80)))).granted == 70
    await place.merge()
    (usage,) = await place.budgets.usage(tuple(one for one in limits_of(policy, old, now) if one.floor))
    assert (usage.used, usage.floor_used, usage.floors_in_use) == (60, 10, 1)
    place.clock.forward(HOUR)
    (usage,) = await place.budgets.usage((usage.limit,))
    assert (usage.used, usage.floor_used, usage.floors_in_use) == (0, 0, 0)


async def test_both_at_once_take_the_limit_and_not_one_more(place: Place, keyring: KeyRing) -> None:
    await place.take(caller("u_new", "after"), more(7))
    await place.carry()
    await place.merge()
    both = [caller("u_old", "before"), caller("u_old", "after", shares="before")]
    granted = await asyncio.gather(*(place.take(one, more(1)) for one in both * 50))
    assert sum(granted) == 60 - 7
    assert await place.used(both[0]) == await place.used(both[1])
    assert (await place.used(both[0]))["hour"] == 60


async def test_the_partners_that_share_their_limits_are_the_first_one_whatever_comes_after(
    place: Place, keyring: KeyRing
) -> None:
    assert await place.identities.shares("after") == ""
    assert await place.identities.share("after", "before") == "before"
    assert await place.identities.share("third", "after") == "before"
    assert await place.identities.share("before", "third") == "before"
    assert [await place.identities.shares(one) for one in ("before", "after", "third")] == ["", "before", "before"]
    sessions = Sessions(place.store, keyring, place.clock)
    who = {"issuer": "https://new", "sub": "2", "partner": "after", "name": "Max", "login": "max"}
    found = await StoredCallers(place.store, keyring, place.clock).by_session(await sessions.open(**who))
    assert found.shares == "before"
    shared = next(one for one in limits_of(POLICY, found, place.clock.now()) if one.name == "partner")
    assert shared.key == "partner:before:sensitive:3600" and shared.floor.key.startswith("floor:before:")


WAITS_S = st.sampled_from([0, 600, 1800, 3000])
steps = st.lists(st.tuples(st.sampled_from(["old", "new"]), st.integers(0, 9), WAITS_S), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
async def test_merged_they_count_whoever_one_of_them_counts(place: Place, taken: list[tuple[str, int, int]]) -> None:
    """The model: each for itself counts a person anew once the hour has passed since they were last counted."""
    example = next(NUMBERS)
    pair = Pair(f"u_old{example}", f"u_new{example}", f"u_old{example}")
    whose = {"old": caller(pair.old, f"p{example}"), "new": caller(pair.new, f"q{example}")}
    counted: dict[tuple[str, int], float] = {}
    for who, person, seconds in taken:
        assert await place.take(whose[who], persons(person)) == 1
        now = place.clock.now()
        if now - counted.get((who, person), -HOUR) >= HOUR:
            counted[who, person] = now
        place.clock.forward(seconds)
    await place.identities.merge(merges_of(OPEN, pair, f"q{example}", "", place.clock.now()))
    for _ in range(4):
        alive = {person for (_, person), at in counted.items() if place.clock.now() - at < HOUR}
        assert (await place.used(whose["old"]))["hour"] == len(alive)
        place.clock.forward(900)
