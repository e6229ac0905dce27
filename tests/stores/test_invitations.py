"""Invitations: one person, one factor, by somebody else, a few a day, in no circle."""

import asyncio

import pytest

from gateway.core.assurance import Caller
from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.invitations import MOST_A_DAY, Invitations, Request

LEA = Caller("u_lea", "agency", "iss", "sub", "Léa Roy", "person", "session", "s_1")


@pytest.fixture
def invitations(store: Store, keyring: KeyRing, clock) -> Invitations:
    return Invitations(store, keyring, clock)


async def invite(invitations: Invitations, user: str, by: str, role: str = "referent", here: bool = False) -> str:
    return await invitations.invite(user, by=by, role=role, in_person=here)


async def test_a_told_code_says_who_asks_however_it_is_typed(invitations: Invitations) -> None:
    code = await invitations.ask(LEA)
    for typed in (code, code.lower(), code.replace("-", " "), f" {code} "):
        assert await invitations.asked(typed) == Request("u_lea", "agency", "Léa Roy")


@pytest.mark.parametrize("typed", ["", "BBBB-BBBB", "AAAA-AAAA", "B" * 1000, "💥" * 8])
async def test_another_code_is_nobodys(invitations: Invitations, typed: str) -> None:
    await invitations.ask(LEA)
    assert await invitations.asked(typed) is None


async def test_an_invitation_is_taken_by_one_of_a_hundred(four_stores: list[Store], keyring: KeyRing, clock) -> None:
    several = [Invitations(store, keyring, clock) for store in four_stores]
    assert await invite(several[0], "u_lea", "u_ref") == "remote"
    taken = await asyncio.gather(*(several[index % 4].take("u_lea") for index in range(100)))
    assert sorted(taken, key=str) == [None] * 99 + ["remote"]


async def test_an_invitation_is_its_persons_alone(invitations: Invitations) -> None:
    await invite(invitations, "u_lea", "u_ref")
    assert await invitations.take("u_max") is None
    assert await invitations.waiting("u_lea") == "remote"


async def test_nobody_invites_themselves(invitations: Invitations) -> None:
    assert await invite(invitations, "u_ref", "u_ref") == "self"
    assert await invitations.waiting("u_ref") is None


async def test_nobody_invites_who_invited_them_even_over_others(invitations: Invitations) -> None:
    assert await invite(invitations, "u_2", "u_1") == "remote"
    assert await invite(invitations, "u_3", "u_2") == "remote"
    assert await invite(invitations, "u_1", "u_2") == "circle" == await invite(invitations, "u_1", "u_3")
    assert await invitations.waiting("u_1") is None


async def test_five_a_day_and_no_more(invitations: Invitations, clock) -> None:
    for number in range(MOST_A_DAY):
        assert await invite(invitations, f"u_{number}", "u_ref") == "remote"
    assert await invite(invitations, "u_more", "u_ref") == "full"
    assert await invite(invitations, "u_0", "u_ref") == "remote"
    clock.forward(86_401)
    assert await invite(invitations, "u_more", "u_ref") == "remote"


@pytest.mark.parametrize(
    ("first", "second", "bound"),
    [
        (("u_ref", "referent", True), ("u_off", "officer", True), "vouched"),
        (("u_off", "officer", True), ("u_ref", "referent", True), "vouched"),
        (("u_ref", "referent", True), ("u_off", "officer", False), "remote"),
        (("u_ref", "referent", False), ("u_off", "officer", True), "remote"),
        (("u_ref", "referent", True), ("u_ref2", "referent", True), "remote"),
        (("u_ref", "referent", True), ("u_ref", "officer", True), "remote"),
    ],
)
async def test_two_people_of_two_roles_vouch_with_the_person_before_them(
    invitations: Invitations, first: tuple[str, str, bool], second: tuple[str, str, bool], bound: str
) -> None:
    assert await invite(invitations, "u_lea", *first) == "remote"
    assert await invite(invitations, "u_lea", *second) == bound
    assert await invitations.take("u_lea") == bound


async def test_nobody_is_vouched_for_by_whom_they_vouched_for_second(store: Store, keyring: KeyRing, clock) -> None:
    invitations = Invitations(store, keyring, clock)
    for by, role in (("u_r", "referent"), ("u_o", "officer")):
        await invitations.invite("u_a", by=by, role=role, in_person=True)
    assert await invitations.invite("u_o", by="u_a", role="referent", in_person=True) == "circle"
    assert await invitations.invite("u_r", by="u_a", role="referent", in_person=True) == "circle"
