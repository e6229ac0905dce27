"""Budgets counted anew from the ledger: whoever was counted is counted, in every budget, and never less."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.assurance import Caller, Proof
from gateway.core.charging import Charge, PersonCharge, limits_of
from gateway.core.extraction import Class
from gateway.core.policy import AssertedRule, BudgetRule, ClassRule, PartnerRule, Policy, Scope
from gateway.ledger.reading import ChargedPerson, RecordedCharge
from gateway.rebuild import Rebuilt, replay, since, write
from gateway.stores.budgets import Budgets
from gateway.stores.connection import Store
from gateway.stores.faults import StoreLost

NOW = 1_800_000_000.0
HOUR, DAY = 3600, 86_400
POLICY = Policy(
    digest="d",
    classes={klass: ClassRule(klass) for klass in Class}
    | {Class.SENSITIVE: ClassRule(Class.SENSITIVE, ("totp",), 4 * HOUR, 40)},
    unreadable=Class.RESTRICTED,
    unsafe_default=Class.PERSONAL,
    media={},
    fields=(),
    unique=(),
    routes={},
    budgets=(
        BudgetRule("sensitive-hour", Scope.USER, Class.SENSITIVE, 60, HOUR),
        BudgetRule("internal-day", Scope.USER, Class.INTERNAL, 1000, DAY),
        BudgetRule("partner-day", Scope.PARTNER, Class.INTERNAL, 1000, DAY),
        BudgetRule("token-hour", Scope.TOKEN, Class.INTERNAL, 1000, HOUR),
        BudgetRule("everyone-day", Scope.EVERYONE, Class.INTERNAL, 1000, DAY),
        BudgetRule("misses-hour", Scope.USER, Class.INTERNAL, 20, HOUR, misses=True),
        BudgetRule("outside-hour", Scope.USER, Class.PERSONAL, 30, HOUR, outside=True),
    ),
)
WHO = {"user": "u_1", "partner": "p", "credential": "t_1", "credential_kind": "token"}


def hash_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def charge(
    ago_s: float, *numbers: int, klass: Class = Class.SENSITIVE, new: bool = True, **more: object
) -> RecordedCharge:
    persons = tuple(ChargedPerson(hash_of(number).hex(), klass.word, new) for number in numbers)
    fields: dict[str, object] = {
        "now": NOW - ago_s, "app": "a", "mode": "enforce", "caller": WHO, "proof": None, "persons": persons,
        "unnamed": 0, "charge_seq": 1, "hash_key_id": "h",
    }  # fmt: skip
    return RecordedCharge(**{**fields, **more})  # type: ignore[arg-type]  # fields by name


def counted(*charges: RecordedCharge) -> Mapping[str, int]:
    return {key: len(entries) for (key, _), entries in replay(POLICY, charges, NOW).budgets.items()}


def entry(*charges: RecordedCharge, key: str = "user:u_1:sensitive:3600") -> float | None:
    """How long ago the one person was first charged, by the budget."""
    found = {name: entries for (name, _), entries in replay(POLICY, charges, NOW).budgets.items()}
    return NOW - found[key][hash_of(1)] if key in found else None


def test_a_charge_is_counted_in_every_budget_of_its_caller_and_class() -> None:
    assert counted(charge(10, 1, 2), charge(20, 3, klass=Class.PERSONAL)) == {
        "user:u_1:sensitive:3600": 2,
        "user:u_1:internal:86400": 3,
        "partner:p:internal:86400": 3,
        "token:t_1:internal:3600": 3,
        "everyone:-:internal:86400": 3,
    }


def test_what_one_client_s_tokens_took_for_one_user_is_one_budget() -> None:
    callers = [WHO | {"credential": f"a_{number}", "lineage": "u_1.crm"} for number in (1, 2)]
    found = counted(*(charge(10, index, caller=caller) for index, caller in enumerate(callers)))
    assert found["token:u_1.crm:internal:3600"] == 2
    assert not [key for key in found if key.startswith("token:a_")]


def test_who_was_charged_twice_is_one_person_since_the_first_time() -> None:
    assert entry(charge(100, 1), charge(2000, 1), charge(50, 1)) == 2000


def test_what_lies_before_the_window_is_counted_no_more() -> None:
    assert entry(charge(HOUR, 1)) is None
    assert entry(charge(HOUR - 1, 1)) == HOUR - 1


def test_who_was_charged_again_after_the_window_counts_since_then() -> None:
    assert entry(charge(5000, 1), charge(1200, 1)) == 1200


def test_who_was_free_everywhere_is_counted_by_the_charge_before_only() -> None:
    assert entry(charge(3000, 1), charge(5, 1, new=False)) == 3000
    assert entry(charge(5, 1, new=False)) is None


def test_what_was_only_masked_or_public_is_not_counted() -> None:
    assert counted(charge(5, 1, klass=Class.PUBLIC)) == {}


def test_where_the_first_charge_is_unsure_the_later_one_is_taken() -> None:
    # Charged 5,000 s ago, perhaps counted still from before what is read: then 3,000 s ago was anew.
    assert entry(charge(5000, 1), charge(3000, 1)) == 3000


def test_unnamed_persons_are_as_many_each_at_their_class() -> None:
    found = counted(
        charge(5, unnamed=5, unnamed_classes={"sensitive": 2, "personal": 3}), charge(6, unnamed=1, charge_seq=2)
    )
    assert found["user:u_1:sensitive:3600"] == 3
    assert found["user:u_1:internal:86400"] == 6


def test_persons_under_a_proof_are_counted_under_it() -> None:
    proof = {"kind": "totp", "id": "p1", "age_s": 5, "credential": "f"}
    assert counted(charge(5, 1, proof=proof))["proof:p1:sensitive:14400"] == 1


def test_persons_under_a_partner_s_word_are_counted_under_it() -> None:
    taken = PartnerRule(POLICY.budgets, asserted=AssertedRule(("gold",), (), 900, Class.SENSITIVE))
    proof = {"kind": "partner", "id": "p1", "age_s": 5, "credential": "acr:gold"}
    found = replay(replace(POLICY, partners={"p": taken}), [charge(5, 1, proof=proof)], NOW).budgets
    assert [len(entries) for (key, _), entries in found.items() if key == "proof:p1:sensitive:14400"] == [1]


def test_who_was_charged_as_outside_is_counted_there_too() -> None:
    outside = ChargedPerson(hash_of(2).hex(), "sensitive", True, True)
    found = counted(charge(5, 1), charge(6, persons=(outside,)), charge(7, unnamed=3, unnamed_outside=True))
    assert found["user:u_1:personal:out:3600"] == 4
    assert found["user:u_1:internal:86400"] == 5


def test_who_was_outside_after_having_been_inside_is_counted_there_since_then() -> None:
    outside = ChargedPerson(hash_of(1).hex(), "sensitive", True, True)
    charges = charge(3000, 1), charge(100, persons=(outside,))
    assert entry(*charges, key="user:u_1:personal:out:3600") == 100
    assert entry(*charges) == 3000


def test_under_a_mandate_the_mandate_counts_and_the_user_s_budgets_do_not() -> None:
    found = counted(charge(5, 1, mandate={"class": "sensitive", "window_s": DAY}))
    assert found["mandate:t_1:sensitive:86400"] == 1
    assert not any(key.startswith("user:") for key in found)


def test_a_miss_goes_to_the_budgets_of_misses_alone() -> None:
    assert counted(charge(5, 1, klass=Class.RESTRICTED, miss=True)) == {"user:u_1:miss:3600": 1}


def test_what_was_observed_goes_to_keys_of_its_own() -> None:
    assert set(counted(charge(5, 1, mode="observe"))) == {
        "o:user:u_1:sensitive:3600", "o:user:u_1:internal:86400", "o:partner:p:internal:86400",
        "o:token:t_1:internal:3600", "o:everyone:-:internal:86400",
    }  # fmt: skip


def test_the_ledger_is_read_twice_as_far_back_as_anything_counts() -> None:
    assert since(POLICY, NOW) == NOW - 62 * DAY


class Counter:
    """A budget as the store counts: the truth that a rebuilt one is held against."""

    def __init__(self, window_s: int) -> None:
        self.window_s = window_s
        self.first: float | None = None

    def charge(self, at: float) -> bool:
        new = self.first is None or self.first <= at - self.window_s
        if new:
            self.first = at
        return new


@given(st.lists(st.tuples(st.integers(1, 4 * HOUR), st.booleans()), max_size=12), st.integers(0, 3 * HOUR))
def test_never_less_than_the_store_counted_now_and_later(asked: list[tuple[int, bool]], read_s: int) -> None:
    """``read_s``: how far back the ledger goes; another token's budgets make charges that are new only there."""
    hour, day, tokens = Counter(HOUR), Counter(DAY), (Counter(HOUR), Counter(HOUR))
    recorded = []
    for ago, which in sorted(asked, reverse=True):
        news = [one.charge(NOW - ago) for one in (hour, day, tokens[which])]
        who = {**WHO, "credential": f"t_{which}"}
        recorded.append(charge(ago, 1, new=any(news), caller=who))
    true_left = hour.first - NOW + HOUR if hour.first is not None else 0
    rebuilt = entry(*(one for one in recorded if one.now > NOW - 2 * HOUR))
    rebuilt_left = HOUR - rebuilt if rebuilt is not None else 0
    assert rebuilt_left >= min(true_left, HOUR)


@pytest.fixture
def caller() -> Caller:
    return Caller("u_1", "p", "", "", "", "person", "token", "t_1")


async def test_usage_is_the_same_before_and_after(store: Store, clock, tmp_path: Path, caller: Caller) -> None:
    clock.at = float(int(store.clock.now()))
    budgets = Budgets(store, clock)
    proof = Proof("p1", "totp", clock.at, "u_1", "t_1")
    limits = (*limits_of(POLICY, caller, clock.at, proof=proof),)
    await store.ensure_epoch(tmp_path, 0)
    recorded = []
    for number in range(50):
        klass = Class.SENSITIVE if number % 2 else Class.PERSONAL
        outside = number % 3 == 0
        asked = PersonCharge((hash_of(number),), ("k",), klass, outside=outside)
        done = await budgets.charge(Charge(limits, ((asked,),)))
        [one] = done.persons[0]
        said = ChargedPerson(one.person.hex(), klass.word, one.new > 0, outside)
        about = {"kind": "totp", "id": "p1"}
        recorded.append(charge(0, now=clock.at, persons=(said,), proof=about, charge_seq=done.sequence))
        clock.forward(1)
    before = await budgets.usage(limits)
    await store.call("FLUSHALL")
    rebuilt = replay(POLICY, recorded, clock.at)
    await write(store, rebuilt, tmp_path, 50)
    assert await budgets.usage(limits) == before
    assert {one.used for one in before} == {17, 25, 50}
    again = replay(POLICY, recorded, clock.at)
    await write(store, again, tmp_path, 50)
    assert await budgets.usage(limits) == before


async def test_a_rebuilding_broken_off_leaves_the_store_closed(store: Store, tmp_path: Path) -> None:
    await store.ensure_epoch(tmp_path, 0)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    rebuilt = replay(POLICY, [charge(5, 1)], NOW)
    with pytest.raises(KeyboardInterrupt):
        await write(store, rebuilt, tmp_path, 1, stop)
    with pytest.raises(StoreLost):
        await store.ensure_epoch(tmp_path, 0)
    await write(store, rebuilt, tmp_path, 1)
    await store.ensure_epoch(tmp_path, 1)


async def test_what_the_store_knows_better_stays(store: Store, tmp_path: Path) -> None:
    await store.ensure_epoch(tmp_path, 0)
    key = ("user:u_1:sensitive:3600", HOUR)
    later = (NOW + 500) * 1000
    await store.call("ZADD", f"b:{key[0]}", later, hash_of(1))
    await store.call("SET", "seq", 9)
    await write(store, Rebuilt({key: {hash_of(1): NOW}}, 1, NOW), tmp_path, 1)
    assert float(await store.call("ZSCORE", f"b:{key[0]}", hash_of(1))) == later
    assert int(await store.call("GET", "seq")) == 9


async def test_a_running_worker_takes_up_again_only_once_rebuilt(
    redis_socket: Path, store: Store, tmp_path: Path
) -> None:
    worker = await Store.connect(f"unix://{redis_socket}", timeout_s=20)
    await worker.ensure_epoch(tmp_path, 0)
    charged = Charge(
        limits_of(POLICY, Caller("u", "p", "", "", "", "person", "token", "t"), NOW),
        ((PersonCharge((hash_of(1),), ("k",), Class.SENSITIVE),),),
    )
    for _ in range(3):
        await Budgets(worker).charge(charged)
    await store.call("FLUSHALL")
    with pytest.raises(StoreLost):
        await Budgets(worker).charge(charged)
    with pytest.raises(StoreLost):
        await worker.check_epoch(tmp_path)
    await write(store, Rebuilt({}, 0, NOW), tmp_path, 1)  # the ledger knows fewer than the worker has seen
    with pytest.raises(StoreLost):
        await Budgets(worker).charge(charged)
    await worker.check_epoch(tmp_path)
    assert (await Budgets(worker).charge(charged)).sequence == 2
    await store.call("SET", "seq", 1)
    with pytest.raises(StoreLost, match="rolled back"):
        await worker.check_epoch(tmp_path)
    await worker.close()


FLOORED = replace(
    POLICY,
    classes=POLICY.classes | {Class.SENSITIVE: ClassRule(Class.SENSITIVE, ("webauthn",), 4 * HOUR)},
    partners={
        "p": PartnerRule(
            (
                BudgetRule("hour", Scope.PARTNER, Class.SENSITIVE, 12, HOUR, floor=4),
                BudgetRule("day", Scope.PARTNER, Class.INTERNAL, 24, DAY, floor=8),
                BudgetRule("token", Scope.TOKEN, Class.INTERNAL, 1000, HOUR),
            ),
            seats=2,
        )
    },
)


async def test_who_stands_in_a_floor_stands_there_again(store: Store, clock, tmp_path: Path) -> None:
    clock.at = float(int(store.clock.now()))
    budgets, recorded, everything = Budgets(store, clock), [], {}
    await store.ensure_epoch(tmp_path, 0)
    for turn in range(28):
        user, token = f"u_{turn % 2}", f"t_{turn % 4}"
        proof = Proof("p1", "webauthn", clock.at, user, token)
        caller = Caller(user, "p", "", "", "", "person", "token", token, (proof,))
        limits = limits_of(FLOORED, caller, clock.at, proof=proof)
        everything |= {limit.key + str(limit.floor): limit for limit in limits}
        klass = Class.SENSITIVE if turn % 3 else Class.PERSONAL
        number = turn if turn % 5 else 10_000 + turn // 10  # some come again, at another's or by another token
        named = turn % 7 != 0
        person = PersonCharge((hash_of(number if named else 99_000 + turn),), ("k",), klass)
        done = await budgets.charge(Charge(limits, ((person,),)))
        if done.granted:
            [one] = done.persons[0]
            said = ChargedPerson(one.person.hex(), klass.word, one.new > 0, floors=one.floors)
            more = {"persons": (said,)} if named else {
                "persons": (), "unnamed": 1, "unnamed_classes": {klass.word: 1},
                "unnamed_floors": dict.fromkeys(one.floors, 1),
            }  # fmt: skip
            who = {**WHO, "user": user, "credential": token}
            about = {"kind": "webauthn", "id": "p1"}
            recorded.append(charge(0, now=clock.at, proof=about, charge_seq=done.sequence, caller=who, **more))
        clock.forward(250)  # no charge falls near the end of another's window
    limits = tuple(everything.values())
    before = await budgets.usage(limits)
    assert sum(one.floor_used for one in before) > 8 and any(one.used for one in before)
    assert max(one.floors_in_use for one in before) == 2
    await store.call("FLUSHALL")
    await write(store, replay(FLOORED, recorded, clock.at), tmp_path, 28)
    assert await budgets.usage(limits) == before


def test_of_persons_who_cannot_be_told_apart_as_many_stand_in_a_floor_as_stood_there() -> None:
    found = replay(
        FLOORED,
        [charge(5, unnamed=5, unnamed_classes={"sensitive": 3, "personal": 2},
                unnamed_floors={"sensitive:3600": 2, "internal:86400": 4})],
        NOW,
    ).budgets  # fmt: skip
    assert {key: len(entries) for (key, _), entries in found.items() if "p:" in key} == {
        "partner:p:sensitive:3600": 1, "floor:p:u_1:sensitive:3600": 2,
        "partner:p:internal:86400": 1, "floor:p:u_1:internal:86400": 4,
    }  # fmt: skip
