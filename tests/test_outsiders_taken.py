"""A thief with one adviser's account takes forty persons of other agencies a day; a replacement is refused nothing."""

import pytest
from small_application import CALLER, small_application
from test_charges import WHY, Desk, desk_of, of, person

from gateway.core.assurance import Proof
from gateway.core.reasons import Reason
from gateway.keyring import KeyRing
from gateway.outcomes import Outcome
from gateway.stores.connection import Store

DEMO = """
[inside]
answer = "agence"
caller = "agency"

[[budgets]]
name = "outside-hour"
scope = "user"
class = "personal"
persons = 15
per = "1h"
outside = true

[[budgets]]
name = "outside-day"
scope = "user"
class = "personal"
persons = 40
per = "1d"
outside = true
"""


@pytest.fixture
async def desk(store: Store, keyring: KeyRing, clock) -> Desk:
    """An adviser of the agency 75001."""
    return await desk_of(small_application(policy=DEMO), store, keyring, clock, agency="75001", lasts_s=2 * 86_400)


async def confirm(desk: Desk, number: int) -> None:
    user = desk.keyring.user_id(CALLER.issuer, CALLER.sub)
    proof = Proof(f"p_{number}", "totp", desk.clock.now(), user, desk.token_id)
    assert await desk.tokens.attach_proof(desk.token_id, proof)
    desk.callers.forget(desk.token)


async def test_a_thief_takes_forty_of_other_agencies_a_day(desk: Desk, clock) -> None:
    taken, persons = 0, iter(range(100_000))
    for hour in range(24):
        await confirm(desk, hour)
        refused = 0
        while refused < 3:
            found = await (await desk.charger(WHY)).document([of("69001", person(next(persons)))], masks=False)
            taken += isinstance(found, Outcome)
            refused += not isinstance(found, Outcome)
        clock.forward(3_599)
    assert taken == 40


async def test_a_replacement_with_a_quarter_of_other_agencies_is_not_refused(desk: Desk, clock) -> None:
    reasons = 0
    for number in range(60):
        if number % 8 == 0:
            clock.forward(3_600)
            await confirm(desk, number)
        agency = "69001" if number % 4 == 0 else "75001"
        one = of(agency, person(number, also=f"A{number}"))
        for told in (one, one, person(number)):  # the file, again, and a document that does not say
            charger = await desk.charger()
            found = await charger.document([told], masks=False)
            if not isinstance(found, Outcome):
                assert found.reason is Reason.REASON_REQUIRED
                reasons += 1
                charger = await desk.charger(WHY)
                found = await charger.document([told], masks=False)
            assert isinstance(found, Outcome), (number, found)
            await charger.remember(found)
    assert reasons == 15
    assert (await desk.used())["outside-day"] == 15
