"""Whoever finds no seat is told so each time and recorded once a minute; and is of one agency a day."""

from dataclasses import replace

from gateway.core.policy import PartnerRule
from gateway.core.reasons import Reason

from .conftest import POLICY, House

RECORD = {"kind": "sign_in", "caller": {"partner": "agency"}}


async def test_a_hundred_comings_without_a_seat_are_one_record_and_one_alarm_a_minute(house: House) -> None:
    house.policy = replace(POLICY, partners={"agency": PartnerRule(seats=1)})
    seating = house.doors.seating
    assert await seating.seated("agency", "u_lea", RECORD) is None
    before = len(house.ledger)
    for _ in range(50):
        for user in ("u_max", "u_zoe"):
            refusal = await seating.seated("agency", user, RECORD)
            assert refusal is not None and refusal.reason is Reason.NO_SEAT
    assert [one["kind"] for one in house.ledger[before:]] == ["sign_in", "alarm"] * 2
    await house.records.flush_counts(now=house.clock.now())
    assert house.ledger[-1]["counts"] == [{"key": ["refusal", "agency", "no_seat"], "count": 98}]
    house.clock.forward(60)
    await seating.seated("agency", "u_max", RECORD)
    assert house.ledger[-1]["kind"] == "alarm"


async def test_of_another_agency_on_the_same_day_is_of_none_and_an_alarm(house: House) -> None:
    seating = house.doors.seating
    before = len(house.ledger)
    said = [await seating.agency("u_lea", agency, RECORD) for agency in ("nord", "nord", "sud", "ouest", "", "nord")]
    assert said == ["nord", "nord", "", "", "", "nord"]
    assert [(one["kind"], one["reason"]) for one in house.ledger[before:]] == [("alarm", "another_agency")]
