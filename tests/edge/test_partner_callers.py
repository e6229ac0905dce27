"""Whoever came in before is somebody only as long as the configuration in force would let them in."""

from dataclasses import replace

import pytest

from gateway.core.assurance import Caller
from gateway.edge.partner import Allowed, Partner
from gateway.edge.partner_callers import PartnerCallers, access_tokens_of
from gateway.ports import NoCaller
from gateway.stores.callers import StoredCallers
from gateway.stores.documents import Documents
from gateway.stores.partner_tokens import PartnerTokens

from .conftest import House

NORD = Partner("agency", "Agence Nord", "https://id.agency.example", "gateway")
ALICE = {"issuer": NORD.issuer, "sub": "sub-alice", "partner": NORD.id, "name": "Alice", "login": "alice"}


def callers(house: House, partner: Partner) -> PartnerCallers:
    tokens, registry = access_tokens_of([], Documents(house.store)), PartnerTokens(house.store, house.keyring)
    stored, seating = StoredCallers(house.store, house.keyring, house.clock), house.doors.seating
    partners = {partner.id: partner}
    return PartnerCallers(stored, registry, tokens, seating, house.clock, lambda: house.policy, partners)


@pytest.mark.parametrize(
    ("partner", "let_in"),
    [
        (NORD, True),
        (replace(NORD, id="another"), False),
        (replace(NORD, issuer="https://id.agency.example/"), False),
        (
            replace(NORD, allow=Allowed(frozenset({"nord"}), frozenset({"desk", "chief"}), frozenset({"sub-alice"}))),
            True,
        ),
        (replace(NORD, allow=Allowed(organisations=frozenset({"sud"}))), False),
        (replace(NORD, allow=Allowed(roles=frozenset({"chief"}))), False),
        (replace(NORD, allow=Allowed(subjects=frozenset({"sub-bob"}))), False),
        (replace(NORD, allow=Allowed(roles=frozenset())), False),
    ],
)
async def test_a_session_is_somebody_s_whom_the_house_would_let_in_now(
    house: House, partner: Partner, let_in: bool
) -> None:
    cookie = await house.sessions.open(**ALICE, organisation="nord", roles=("desk",))
    found = await callers(house, partner).by_session(cookie)
    assert isinstance(found, Caller) is let_in
    assert let_in or found == NoCaller("revoked")


@pytest.mark.parametrize(
    ("partner", "let_in"),
    [
        (NORD, True),
        (replace(NORD, id="another"), False),
        (replace(NORD, issuer="https://id.other.example"), False),
        (replace(NORD, allow=Allowed(organisations=frozenset({"nord"}))), True),
        (replace(NORD, allow=Allowed(subjects=frozenset({"sub-alice"}))), True),
        (replace(NORD, allow=Allowed(subjects=frozenset({"sub-bob"}))), False),
    ],
)
async def test_a_token_of_ours_is_its_partner_s_and_its_issuer_s(house: House, partner: Partner, let_in: bool) -> None:
    token, _ = await house.tokens.issue(**ALICE, expires_at=house.clock.now() + 60)
    assert isinstance(await callers(house, partner).by_token(token), Caller) is let_in
