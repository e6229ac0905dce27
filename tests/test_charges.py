"""From persons found to persons charged, on a real store: all or none, masked anew, never for nothing."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from small_application import CALLER, small_application, small_passage

from gateway import charges
from gateway.application import Application
from gateway.charges import Charger
from gateway.core import decide
from gateway.core.assurance import Caller, Proof
from gateway.core.charging import limits_of
from gateway.core.classify import Classified
from gateway.core.extraction import Class, Found, Identifier, PersonFound, Told
from gateway.core.policy import Route
from gateway.core.reasons import Reason, Refusal
from gateway.explaining import Explaining
from gateway.keyring import KeyRing
from gateway.outcomes import Missed, Outcome
from gateway.passage import Credential
from gateway.stores import keys
from gateway.stores.budgets import Budgets
from gateway.stores.callers import StoredCallers
from gateway.stores.challenges import Challenges
from gateway.stores.clock import StoreClock
from gateway.stores.connection import Store
from gateway.stores.factors import Factors
from gateway.stores.faults import StoreLost
from gateway.stores.outsiders import Outsiders
from gateway.stores.tokens import Tokens

NAME, EMAIL, NIR = Found("name", Class.INTERNAL), Found("email", Class.PERSONAL), Found("nir", Class.SENSITIVE)
FIXED = Found("nir", Class.SENSITIVE, maskable=False)
REPLACED = {
    "max_persons = 40\n": 'max_persons = 6\nwithout = "mask"\n',
    "persons = 60\n": "persons = 4\n",
}
MORE = """
[[budgets]]
name = "personal-hour"
scope = "user"
class = "personal"
persons = 8
per = "1h"
then = "mask"

[[budgets]]
name = "internal-hour"
scope = "user"
class = "internal"
persons = 2_000
per = "1h"

[[budgets]]
name = "misses-hour"
scope = "user"
persons = 2
per = "1h"
misses = true
"""


def person(number: int, *found: Found, floor: Class = Class.PUBLIC, also: str = "") -> PersonFound:
    identifiers = (Identifier("nir", str(number)), *((Identifier("number", also),) if also else ()))
    return PersonFound(identifiers, found or (NAME, NIR), floor)


def persons(*numbers: int) -> list[PersonFound]:
    return [person(number) for number in numbers]


@dataclass
class Desk:
    """One caller's way to the budgets."""

    app: Application
    store: Store
    keyring: KeyRing
    clock: StoreClock
    token: str
    token_id: str
    monotonic: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.store, self.keyring, self.clock)
        self.budgets = Budgets(self.store, self.clock)
        self.callers = StoredCallers(self.store, self.keyring, self.clock, monotonic=lambda: self.monotonic)

    async def charger(self, *reasons: str, target: str = "/records") -> Charger:
        fields = [(b"gateway-reason", reason.encode()) for reason in reasons]
        passage = small_passage(fields, self.app, credential=Credential("token", self.token), path=target)
        caller = await self.callers.by_token(self.token)
        assert isinstance(caller, Caller)
        passage.caller = caller
        claims = Challenges(self.store, self.keyring, self.clock)
        outsiders = Outsiders(self.store, self.keyring, self.clock)
        explaining = Explaining(passage, outsiders, self.keyring)
        hash_of = self.keyring.person_hash
        serving, factors = (self.app, self.callers), Factors(self.store, self.keyring, self.clock)
        return Charger(passage, lambda: serving, self.budgets, self.clock, claims, explaining, hash_of, factors)

    async def prove(self) -> None:
        user = self.keyring.user_id(CALLER.issuer, CALLER.sub)
        assert await self.tokens.attach_proof(
            self.token_id, Proof("p_1", "totp", self.clock.now(), user, self.token_id)
        )

    async def used(self, *, misses: bool = False) -> dict[str, int]:
        caller = (await self.charger()).caller
        proof = caller.proofs[0] if caller.proofs else None
        limits = limits_of(
            self.app.policy, caller, self.clock.now(), proof=proof, observe=self.app.observing, misses=misses
        )
        return {one.limit.name: one.used for one in await self.budgets.usage(limits)}


async def desk_of(
    app: Application, store: Store, keyring: KeyRing, clock, agency: str = "", lasts_s: float = 3600
) -> Desk:
    token, token_id = await Tokens(store, keyring, clock).issue(
        issuer=CALLER.issuer,
        sub=CALLER.sub,
        partner="north",
        name="n",
        login="l",
        expires_at=clock.now() + lasts_s,
        agency=agency,
    )
    return Desk(app, store, keyring, clock, token, token_id)


@pytest.fixture
async def desk(store: Store, keyring: KeyRing, clock) -> Desk:
    """Somebody without a proof."""
    return await desk_of(small_application(policy=MORE, replaced=REPLACED), store, keyring, clock)


@pytest.fixture
async def proven(desk: Desk) -> Desk:
    await desk.prove()
    return desk


def refusal(found: object) -> Refusal:
    assert isinstance(found, Refusal)
    return found


def outcome(found: object) -> Outcome:
    assert isinstance(found, Outcome)
    return found


async def test_a_document_is_charged_in_every_budget_of_its_class(proven: Desk) -> None:
    done = outcome(await (await proven.charger()).document([*persons(1, 2), person(3, NAME)], masks=True))
    assert [(one.klass, one.new) for one in done.taken] == [(Class.SENSITIVE, True)] * 2 + [(Class.INTERNAL, True)]
    assert done.plan.hide == frozenset()
    assert await proven.used() == {
        "hour": 2, "day": 2, "personal-hour": 2, "internal-hour": 3, "proof-sensitive": 2,
    }  # fmt: skip


async def test_all_of_a_document_or_none(proven: Desk) -> None:
    assert outcome(await (await proven.charger()).document(persons(1, 2, 3), masks=False))
    before = await proven.used()
    found = refusal(await (await proven.charger()).document(persons(4, 5), masks=False))
    assert (found.reason, found.budget, found.asked, found.retry_s) == (Reason.BUDGET_EXHAUSTED, "hour", 2, 3600)
    assert await proven.used() == before


async def test_what_no_waiting_would_open_says_so(proven: Desk) -> None:
    found = refusal(await (await proven.charger()).document(persons(1, 2, 3, 4, 5), masks=False))
    assert (found.reason, found.asked, found.limit, found.retry_s) == (Reason.TOO_MANY_PERSONS, 5, 4, None)
    assert set((await proven.used()).values()) == {0}


async def test_who_was_counted_is_free(proven: Desk) -> None:
    charger = await proven.charger()
    await charger.document(persons(1), masks=True)
    again = outcome(await charger.document(persons(1), masks=True))
    assert [one.new for one in again.taken] == [False]
    assert (await proven.used())["hour"] == 1


async def test_an_exhausted_budget_that_masks_is_planned_again_with_a_mask(proven: Desk) -> None:
    charger = await proven.charger()
    assert outcome(await charger.document([person(number, NAME, EMAIL) for number in range(8)], masks=True))
    done = outcome(await charger.document([person(8, NAME, EMAIL), person(9, NAME, EMAIL)], masks=True))
    assert done.plan.hide == {"email"}
    assert [(one.clear, one.masked) for one in done.taken] == [(("name",), ("email",))] * 2
    used = await proven.used()
    assert (used["personal-hour"], used["internal-hour"]) == (8, 10)


async def test_an_exhausted_budget_that_masks_refuses_what_cannot_be_masked(proven: Desk) -> None:
    charger = await proven.charger()
    await charger.document([person(number, NAME, EMAIL) for number in range(8)], masks=True)
    assert refusal(await charger.document([person(8, NAME, EMAIL)], masks=False)).budget == "personal-hour"
    assert (await proven.used())["internal-hour"] == 8


async def test_without_a_proof_what_it_would_show_is_masked_and_costs_nothing(desk: Desk) -> None:
    done = outcome(await (await desk.charger()).document(persons(1), masks=True))
    assert done.plan.hide == {"nir"}
    assert (await desk.used())["hour"] == 0
    assert (await desk.used())["internal-hour"] == 1


async def test_what_is_wholly_masked_costs_nothing_and_is_told(desk: Desk) -> None:
    done = outcome(await (await desk.charger()).document([person(1, NIR)], masks=True))
    [one] = done.taken
    assert (one.hash, one.klass, one.masked, one.new) == (
        desk.keyring.person_hash(Identifier("nir", "1")), Class.PUBLIC, ("nir",), False,
    )  # fmt: skip
    assert done.sequence == 0
    assert set((await desk.used()).values()) == {0}


async def test_wholly_masked_by_order_costs_nothing_either(proven: Desk) -> None:
    charger = await proven.charger()
    done = charger.wholly_masked(persons(1, 2), frozenset({"name", "nir"}))
    assert [one.clear for one in done.taken] == [(), ()]
    assert set((await proven.used()).values()) == {0}


async def test_what_cannot_be_masked_is_challenged_and_nothing_is_charged(desk: Desk) -> None:
    found = refusal(await (await desk.charger()).document([person(1, NAME, FIXED)], masks=True))
    assert (found.reason, found.klass, found.kinds) == (Reason.PROOF_REQUIRED, Class.SENSITIVE, ("totp",))
    assert set((await desk.used()).values()) == {0}


async def test_no_challenge_where_a_proof_would_not_open_it(desk: Desk) -> None:
    too_many = refusal(await (await desk.charger()).document([person(n, FIXED) for n in range(5)], masks=True))
    assert (too_many.reason, too_many.budget) == (Reason.TOO_MANY_PERSONS, "hour")


async def test_more_than_one_proof_is_good_for_is_said_so(store: Store, keyring: KeyRing, clock) -> None:
    replaced = {"max_persons = 40": "max_persons = 2"}
    desk = await desk_of(small_application(policy=MORE, replaced=replaced), store, keyring, clock)
    found = refusal(await (await desk.charger()).document(persons(1, 2, 3), masks=False))
    assert (found.reason, found.asked, found.limit) == (Reason.ANSWER_EXCEEDS_PROOF, 3, 2)


async def test_a_proof_made_elsewhere_meanwhile_is_seen_before_anybody_is_asked(desk: Desk) -> None:
    charger = await desk.charger()
    await desk.prove()
    done = outcome(await charger.document(persons(1), masks=True))
    assert done.plan.hide == frozenset()


async def test_whoever_was_revoked_gets_nothing_more(proven: Desk) -> None:
    charger = await proven.charger()
    before = await proven.used()
    await proven.tokens.revoke(proven.token_id)
    proven.monotonic += 1
    assert refusal(await charger.document(persons(1), masks=True)).reason is Reason.TOKEN_REVOKED
    limits = limits_of(proven.app.policy, charger.caller, proven.clock.now())
    assert not any(one.used for one in await proven.budgets.usage(limits))
    assert set(before.values()) == {0}


async def test_who_cannot_be_told_apart_is_counted_each_time(proven: Desk) -> None:
    charger = await proven.charger()
    for _ in range(2):
        done = outcome(await charger.document([PersonFound((), (NAME,), Class.INTERNAL, 3)], masks=True))
        assert done.unnamed == {Class.INTERNAL: 3}
        assert done.taken == ()
    await (await proven.charger()).document([PersonFound((), (EMAIL,), Class.PUBLIC, 1)], masks=True)
    used = await proven.used()
    assert (used["internal-hour"], used["personal-hour"]) == (7, 1)


async def test_identifiers_of_one_record_are_one_person_and_known_apart_they_are_two(proven: Desk) -> None:
    charger = await proven.charger()
    linked = outcome(await charger.document([person(1, NAME, also="A")], masks=True))
    assert len(linked.taken) == 1
    both = outcome(
        await charger.document([person(1, NAME), PersonFound((Identifier("number", "A"),), (NAME,))], masks=True)
    )
    assert [one.hash for one in both.taken] == [linked.taken[0].hash] * 2
    other = outcome(await charger.document([person(2, NAME, also="A")], masks=True))
    assert len({one.hash for one in other.taken}) == 2
    assert (await proven.used())["internal-hour"] == 2


async def test_more_persons_than_one_answer_may_carry_are_refused_uncounted(proven: Desk) -> None:
    many = [person(number, NAME) for number in range(1001)]
    found = refusal(await (await proven.charger()).document(many, masks=True))
    assert (found.reason, found.asked, found.limit) == (Reason.TOO_MANY_PERSONS, 1001, 1000)
    assert (await proven.used())["internal-hour"] == 0


async def test_of_a_stream_the_longest_prefix_of_whole_records_is_charged(proven: Desk) -> None:
    charger = await proven.charger()
    records = [persons(1, 2), persons(3), persons(4, 5), persons(6)]
    plans = [decide.plan(charger.policy, charger.classified, charger.caller, one, charger.now) for one in records]
    charged = await charger.charge(charger.charge_of(plans, charger.now))
    assert charged.granted == 2
    done = charger.outcome_of(plans[:2], charged)
    assert [one.new for one in done.taken] == [True] * 3
    assert (await proven.used())["hour"] == 3


LOOKUP = Route("find", frozenset({b"POST"}), "/find", Class.INTERNAL, read=True, lookup=True)
SAVE = Route("save", frozenset({b"POST"}), "/save", Class.PERSONAL)


async def looking_up(desk: Desk, route: Route = LOOKUP) -> Charger:
    charger = await desk.charger()
    charger.classified = Classified(route, route.klass, route.read, {})
    return charger


async def test_a_lookup_is_a_miss_before_it_is_forwarded_and_refused_when_they_are_used_up(desk: Desk) -> None:
    charger = await looking_up(desk)
    for _ in range(2):
        assert isinstance(await charger.before(), Missed)
    assert refusal(await charger.before()).budget == "misses-hour"
    assert await desk.used(misses=True) == {"misses-hour": 2}
    assert set((await desk.used()).values()) == {0}


async def test_a_lookup_that_finds_somebody_is_no_miss_after_all(desk: Desk) -> None:
    charger = await looking_up(desk)
    missed = await charger.before()
    assert isinstance(missed, Missed)
    await charger.found(missed)
    assert await desk.used(misses=True) == {"misses-hour": 0}


async def test_whom_an_executed_request_names_is_charged_before_it_is_forwarded(desk: Desk) -> None:
    charger = await looking_up(desk, SAVE)
    charger._passage.persons = (Identifier("nir", "9"),)
    assert await charger.before() is None
    assert charger.executing is not None
    assert [one.new for one in charger.executing.taken] == [True]


@pytest.mark.parametrize("how", ["unclear", "writes_identifier"])
async def test_an_executed_request_about_nobody_certain_is_one_person_each_time(desk: Desk, how: str) -> None:
    charger = await looking_up(desk, SAVE)
    setattr(charger._passage, how, True)
    for _ in range(2):
        assert await charger.before() is None
        assert charger.executing is not None
        assert charger.executing.unnamed == {Class.PERSONAL: 1}


async def test_a_read_charges_nobody_before_it_is_forwarded(desk: Desk) -> None:
    charger = await desk.charger()
    charger._passage.persons = (Identifier("nir", "9"),)
    assert await charger.before() is None
    assert charger.executing is None


async def test_observing_counts_elsewhere_stops_nothing_and_says_what_it_would_have(
    store: Store, keyring: KeyRing, clock
) -> None:
    app = small_application('mode = "observe"\n', MORE, REPLACED)
    desk = await desk_of(app, store, keyring, clock)
    done = outcome(await (await desk.charger()).document([person(n, FIXED) for n in range(9)], masks=True))
    assert done.would_be is not None
    assert done.would_be.reason is Reason.ANSWER_EXCEEDS_PROOF
    assert [limit.name for limit in done.alarms] == ["hour", "personal-hour"]
    assert (await desk.used())["hour"] == 9
    enforced = limits_of(app.policy, (await desk.charger()).caller, desk.clock.now())
    assert not any(one.used for one in await desk.budgets.usage(enforced))


INSIDE = """
[inside]
answer = "agence"
caller = "agency"

[[budgets]]
name = "outside-hour"
scope = "user"
class = "personal"
persons = 2
per = "1h"
outside = true
"""


WHY = "replaces a colleague of Lyon"


@pytest.fixture
async def at_home(store: Store, keyring: KeyRing, clock) -> Desk:
    """Somebody of the agency 75001, with a proof."""
    desk = await desk_of(
        small_application(policy=MORE + INSIDE, replaced=REPLACED), store, keyring, clock, agency="75001"
    )
    await desk.prove()
    return desk


def of(agency: str, one: PersonFound) -> PersonFound:
    return replace(one, told=Told((agency,)))


async def test_who_is_outside_is_counted_there_too_and_who_is_inside_is_not(at_home: Desk) -> None:
    there = [of("75001", person(1)), of("69001", person(2)), of("69001", person(3, NAME))]
    done = outcome(await (await at_home.charger(WHY)).document(there, masks=False))
    assert [one.outside for one in done.taken] == [False, True, True]
    assert (await at_home.used())["outside-hour"] == 1
    assert (await at_home.used())["hour"] == 2


async def test_beyond_the_limit_of_those_outside_nobody_is_charged_and_those_inside_still_leave(at_home: Desk) -> None:
    others = [of("69001", person(number)) for number in (1, 2, 3)]
    assert outcome(await (await at_home.charger(WHY)).document([*others[:2], of("75001", person(4))], masks=False))
    found = refusal(await (await at_home.charger(WHY)).document(others, masks=False))
    assert (found.reason, found.budget) == (Reason.BUDGET_EXHAUSTED, "outside-hour")
    assert (await at_home.used())["hour"] == 3
    assert outcome(await (await at_home.charger()).document([of("75001", person(5))], masks=False))


async def test_who_was_seen_inside_and_is_outside_later_is_charged_then(at_home: Desk) -> None:
    await (await at_home.charger()).document([of("75001", person(1))], masks=False)
    done = outcome(await (await at_home.charger(WHY)).document([of("69001", person(1))], masks=False))
    assert [(one.outside, one.new) for one in done.taken] == [(True, True)]
    assert await at_home.used() | {"outside-hour": 1, "hour": 1} == await at_home.used()


async def test_whoever_cannot_be_told_apart_is_outside(at_home: Desk) -> None:
    unnamed = PersonFound((), (EMAIL,), weight=2)
    outcome(await (await at_home.charger(WHY)).document([unnamed], masks=False))
    assert (await at_home.used())["outside-hour"] == 2


async def test_a_caller_without_an_agency_has_nobody_inside(store: Store, keyring: KeyRing, clock) -> None:
    desk = await desk_of(small_application(policy=MORE + INSIDE, replaced=REPLACED), store, keyring, clock)
    await desk.prove()
    await (await desk.charger(WHY)).document([of("75001", person(1)), of("", person(2))], masks=False)
    assert (await desk.used())["outside-hour"] == 2


async def test_without_a_reason_nobody_outside_leaves_and_nobody_is_charged(at_home: Desk) -> None:
    there = [of("75001", person(1)), of("69001", person(2, NAME, EMAIL))]
    found = refusal(await (await at_home.charger()).document(there, masks=False))
    assert (found.reason, found.klass, found.asked) == (Reason.REASON_REQUIRED, Class.PERSONAL, 1)
    assert set((await at_home.used()).values()) == {0}


@pytest.mark.parametrize("said", [("too short",), ("x" * 501,), ("a bell\x07 rings here",), (WHY, WHY)])
async def test_what_is_no_reason_is_none(at_home: Desk, said: tuple[str, ...]) -> None:
    found = refusal(await (await at_home.charger(*said)).document([of("69001", person(1))], masks=False))
    assert found.reason is Reason.REASON_REQUIRED
    assert "10 to 500" in found.detail


async def test_the_reason_goes_with_the_record_and_is_asked_once(at_home: Desk) -> None:
    charger = await at_home.charger(f"  {WHY} ")
    done = outcome(await charger.document([of("69001", person(1))], masks=False))
    assert done.why == WHY
    await charger.remember(done)
    again = outcome(await (await at_home.charger()).document([of("69001", person(1))], masks=False))
    assert again.why is None
    assert refusal(await (await at_home.charger()).document([of("69001", person(2))], masks=False))


async def test_a_reason_that_nobody_asked_for_is_not_kept(at_home: Desk) -> None:
    done = outcome(await (await at_home.charger(WHY)).document([of("75001", person(1))], masks=False))
    assert done.why is None


async def test_names_of_other_agencies_ask_no_reason(at_home: Desk) -> None:
    done = outcome(await (await at_home.charger()).document([of("69001", person(1, NAME))], masks=False))
    assert [(one.klass, one.outside) for one in done.taken] == [(Class.INTERNAL, True)]


async def test_a_full_limit_speaks_before_the_reason(at_home: Desk) -> None:
    outcome(await (await at_home.charger(WHY)).document([of("69001", person(n)) for n in (1, 2)], masks=False))
    found = refusal(await (await at_home.charger()).document([of("69001", person(3))], masks=False))
    assert found.reason is Reason.BUDGET_EXHAUSTED


async def test_a_missing_proof_speaks_before_the_reason(store: Store, keyring: KeyRing, clock) -> None:
    app = small_application(policy=MORE + INSIDE, replaced=REPLACED)
    desk = await desk_of(app, store, keyring, clock, agency="75001")
    found = refusal(await (await desk.charger(WHY)).document([of("69001", person(1))], masks=False))
    assert found.reason is Reason.PROOF_REQUIRED


async def test_a_reason_typed_on_our_page_serves_its_request_once(at_home: Desk) -> None:
    outsiders = Outsiders(at_home.store, at_home.keyring, at_home.clock)
    charger = await at_home.charger(target="/records/1")
    await outsiders.keep(at_home.token_id, at_home.keyring.request_hash(b"GET", "jobs.example", b"/records/1"), WHY)
    other = await (await at_home.charger(target="/records/2")).document([of("69001", person(2))], masks=False)
    assert refusal(other).reason is Reason.REASON_REQUIRED
    assert outcome(await charger.document([of("69001", person(1))], masks=False)).why == WHY
    again = await (await at_home.charger(target="/records/1")).document([of("69001", person(1))], masks=False)
    assert refusal(again).reason is Reason.REASON_REQUIRED


async def test_who_was_seen_inside_stays_so_where_an_answer_does_not_say(at_home: Desk) -> None:
    charger = await at_home.charger()
    await charger.remember(outcome(await charger.document([of("75001", person(1, also="A"))], masks=False)))
    for known in (person(1), person(1, also="A")):
        assert not outcome(await (await at_home.charger()).document([known], masks=False)).taken[0].outside
    assert refusal(await (await at_home.charger()).document([person(2)], masks=False))
    assert refusal(await (await at_home.charger()).document([person(1, also="B")], masks=False))


async def test_who_was_seen_inside_and_then_outside_is_outside(at_home: Desk) -> None:
    for agency in ("75001", "69001"):
        charger = await at_home.charger(WHY)
        await charger.remember(outcome(await charger.document([of(agency, person(1))], masks=False)))
    assert outcome(await (await at_home.charger(WHY)).document([person(1)], masks=False)).taken[0].outside


async def test_what_was_refused_makes_nobody_known(at_home: Desk) -> None:
    there = [of("75001", person(1)), of("69001", person(2))]
    assert refusal(await (await at_home.charger()).document(there, masks=False))
    assert refusal(await (await at_home.charger()).document([person(1)], masks=False))


async def test_while_observing_no_reason_is_asked(store: Store, keyring: KeyRing, clock) -> None:
    app = small_application(gateway='mode = "observe"\n', policy=MORE + INSIDE, replaced=REPLACED)
    desk = await desk_of(app, store, keyring, clock, agency="75001")
    done = outcome(await (await desk.charger()).document([of("69001", person(1))], masks=False))
    assert done.taken[0].outside


DORMANT = '\n[dormant]\nanswer = "fin"\nmonths = 24\n'


async def test_a_dormant_record_is_counted_as_restricted(store: Store, keyring: KeyRing, clock) -> None:
    desk = await desk_of(small_application(policy=MORE + DORMANT, replaced=REPLACED), store, keyring, clock)
    asleep = replace(person(1, NAME), told=Told(dormant=("1990-01-01",)))
    done = outcome(await (await desk.charger()).document([asleep, person(2, NAME)], masks=False))
    assert [(one.klass, one.clear) for one in done.taken] == [
        (Class.RESTRICTED, ("dormant", "name")), (Class.INTERNAL, ("name",)),
    ]  # fmt: skip
    assert (await desk.used())["hour"] == 1


async def test_nothing_of_a_dormant_record_leaves_where_all_is_masked(store: Store, keyring: KeyRing, clock) -> None:
    desk = await desk_of(small_application(policy=MORE + DORMANT, replaced=REPLACED), store, keyring, clock)
    asleep = replace(person(1, NAME, EMAIL), told=Told(dormant=("1990-01-01",)))
    done = (await desk.charger()).wholly_masked([asleep], frozenset({"name", "email"}))
    assert [(one.klass, one.clear) for one in done.taken] == [(Class.PUBLIC, ())]


KEPT = """
[partners.north]
seats = 2

[[partners.north.budgets]]
name = "partner-hour"
scope = "partner"
class = "sensitive"
per_seat = 4
floor = 2
per = "1h"
"""


async def test_where_a_passkey_opens_the_floor_it_is_asked_for_and_elsewhere_it_is_not(
    store: Store, keyring: KeyRing, clock
) -> None:
    codes = {'["totp"]': '["totp", "webauthn"]', "persons = 60\n": "persons = 7\n"}
    desk = await desk_of(small_application(policy=KEPT, replaced=codes), store, keyring, clock)
    await desk.prove()
    assert isinstance(await (await desk.charger()).document(persons(1, 2, 3, 4), masks=False), Outcome)
    none = refusal(await (await desk.charger()).document(persons(5, 6), masks=False))
    assert none.reason is Reason.BUDGET_EXHAUSTED and none.retry_s  # who has no passkey can only wait
    await store.call("HSET", keys.factors(keyring.user_id(CALLER.issuer, CALLER.sub)), "webauthn:f_1", b"")
    asked = refusal(await (await desk.charger()).document(persons(5, 6), masks=False))
    assert (asked.reason, asked.kinds, asked.retry_s) == (Reason.PROOF_REQUIRED, ("webauthn",), None)
    over = refusal(await (await desk.charger()).document(persons(5, 6, 7), masks=False))
    assert over.reason is Reason.BUDGET_EXHAUSTED  # more than the floor keeps
    charger = await desk.charger()
    user = charger.caller.user
    passkey = Proof("p_2", "webauthn", clock.now(), user, desk.token_id)
    assert await desk.tokens.attach_proof(desk.token_id, passkey)
    outcome = await charger.document(persons(5, 6), masks=False)  # which is seen at once, at whatever worker
    assert isinstance(outcome, Outcome)
    assert [one.floors for one in outcome.taken] == [("sensitive:3600",)] * 2
    assert refusal(await charger.document(persons(7), masks=False)).reason is Reason.BUDGET_EXHAUSTED


async def test_who_was_charged_before_the_budgets_were_counted_anew_does_not_leave_after_it(
    proven: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await proven.store.ensure_epoch(tmp_path)
    charger = await proven.charger()
    assert isinstance(await charger.document(persons(1), masks=False), Outcome)
    monkeypatch.setattr(charges, "RECORDED_WITHIN_S", 0.0)
    await charger.still_counted()
    await proven.store.forget_epoch()
    with pytest.raises(StoreLost):
        await charger.still_counted()
    await proven.store.renew_epoch(tmp_path, 1)
    with pytest.raises(StoreLost):
        await charger.still_counted()
    monkeypatch.setattr(charges, "RECORDED_WITHIN_S", 60.0)
    await charger.still_counted()  # whoever counts anew waits for records that are as late as that
