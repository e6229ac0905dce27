"""What a partner says of how its person signed in, as a proof of the session: signed, fresh, named by the policy."""

from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest

from gateway.core.extraction import Class
from gateway.core.policy import BY_PARTNER, AssertedRule, PartnerRule
from gateway.edge.id_token import word_of
from gateway.edge.partner import Endpoints, Partner
from gateway.edge.sso import request_of

from .conftest import House
from .lying_provider import WORDS
from .test_lies import caller_of, partner_of, seen, signed_in

RULE = AssertedRule(("eidas2",), ("hwk",), 900, Class.PERSONAL)
UNNAMED = "no proof: it has neither an acr nor an amr that the policy names"
WORTH = {
    "word": "acr:eidas2",
    "word-by-amr": "amr:hwk",
    "word-in-userinfo": "acr:eidas2",
    "word-in-both": UNNAMED,  # the ID token goes before
    "word-of-old": "no proof: its auth_time is too long ago",
    "word-to-come": "no proof: its auth_time is to come",
    "word-untimed": "no proof: it has no auth_time",
    "word-timed-in-text": "no proof: it has no auth_time",
    "word-too-low": UNNAMED,
    "word-not-said": UNNAMED,
    "word-amr-in-text": UNNAMED,
    "word-acr-listed": UNNAMED,
}
"""Every word, with what it is worth: the proof's name, or what the operator reads."""


@pytest.fixture
def taking(house: House) -> House:
    """A house whose policy takes the word of its partner."""
    house.policy = replace(house.policy, partners={"agency": PartnerRule(asserted=RULE)})
    return house


def of(liar: str, word: str, **changes: object) -> Partner:
    return partner_of(liar, word, acr=(), **changes)


async def names(house: House, partner: Partner) -> list[tuple[str, str]]:
    """Kind and name of the proofs that a session begins with."""
    caller = await caller_of(house, await signed_in(house, partner))
    return [(proof.kind, proof.factor_id) for proof in caller.proofs]


def test_every_word_has_its_worth() -> None:
    assert WORTH.keys() == WORDS.keys()


@pytest.mark.parametrize("word", WORTH)
async def test_what_a_word_is_worth(taking: House, liar: str, word: str) -> None:
    caller = await caller_of(taking, await signed_in(taking, of(liar, word)))
    (record,) = [one for one in taking.ledger if one["kind"] == "sign_in"]
    if WORTH[word].startswith("no proof"):
        assert caller.proofs == () and record["detail"] == WORTH[word] and "proof" not in record
        return
    (proof,) = caller.proofs
    assert (proof.kind, proof.factor_id, proof.credential_id) == (BY_PARTNER, WORTH[word], caller.credential_id)
    said = {"kind": BY_PARTNER, "id": proof.id, "credential": WORTH[word], "verified_at": int(proof.verified_at)}
    assert record["proof"] == said and "detail" not in record


@pytest.mark.parametrize("partners", [{}, {"other": PartnerRule(asserted=RULE)}], ids=["nobody's", "another's"])
async def test_without_a_rule_for_this_partner_its_word_is_nothing(
    house: House, liar: str, partners: dict[str, PartnerRule]
) -> None:
    house.policy = replace(house.policy, partners=partners)
    assert await names(house, of(liar, "word")) == []
    assert not {"proof", "detail"} & house.ledger[-1].keys()


async def test_plain_userinfo_is_no_word(taking: House, liar: str) -> None:
    issuer = f"{liar}/word-in-userinfo"
    where = {name: f"{issuer}/{at}" for name, at in (("authorization", "authorize"), ("token", "token"))}
    explicit = Endpoints(**where, jwks=f"{issuer}/jwks", userinfo=f"{issuer}/userinfo?json")
    assert await names(taking, of(liar, "word-in-userinfo", endpoints=explicit, userinfo="json")) == []


async def test_who_is_new_has_no_ripe_proof(taking: House, liar: str) -> None:
    (proof,) = (await caller_of(taking, await signed_in(taking, of(liar, "word")))).proofs
    assert proof.bound == "vouched"


async def test_after_everything_was_ended_an_old_sign_in_at_the_partner_is_no_proof(taking: House, liar: str) -> None:
    first = await caller_of(taking, await signed_in(taking, of(liar, "word")))
    taking.clock.forward(120)
    await taking.closures.not_me(first.user, but="")
    again = await caller_of(taking, await signed_in(taking, of(liar, "word")))
    assert first.proofs and again.proofs == ()
    assert taking.ledger[-1]["detail"] == "no proof: its auth_time is before everything of this person was ended"


async def test_what_is_taken_for_a_proof_is_asked_for(taking: House, liar: str) -> None:
    await signed_in(taking, of(liar, "word"))
    asked = (await seen(f"{liar}/word"))["authorize"]
    assert (asked["max_age"], asked["acr_values"]) == ("900", "eidas2")


def asked(asks: Sequence[str], acr: tuple[str, ...] = (), rule: AssertedRule | None = RULE) -> dict[str, object]:
    """What a request says of levels and times."""
    partner = Partner("agency", "A", "https://a.example", "gateway", acr=acr, asks=tuple(asks))
    query = request_of(partner, "https://g.example", state="s", nonce="n", verifier="v" * 43, asserted=rule)
    said: dict[str, object] = {name: query[name] for name in ("max_age", "acr_values") if name in query}
    return said | ({"claims": orjson.loads(query["claims"])["id_token"]} if "claims" in query else {})


@pytest.mark.parametrize(
    ("asks", "acr", "said"),
    [
        ((), (), {}),
        (("max_age",), (), {"max_age": "900"}),
        (("acr_values",), (), {"acr_values": "eidas2"}),
        (("acr_values",), ("low", "eidas2"), {"claims": {"acr": {"essential": True, "values": ["eidas2", "low"]}}}),
        (("claims",), (), {"claims": {"acr": {"values": ["eidas2"]}, "amr": None, "auth_time": None}}),
    ],
    ids=str,
)
def test_it_is_asked_for_as_the_partner_s_table_says(
    asks: tuple[str, ...], acr: tuple[str, ...], said: dict[str, object]
) -> None:
    assert asked(asks, acr) == said


def test_nothing_is_asked_for_that_is_no_proof() -> None:
    assert asked(("acr_values", "claims", "max_age"), rule=None) == {}


@pytest.mark.parametrize(("acr", "amr"), [(7, None), (None, {"hwk": 1}), ({}, [7, None, ["hwk"]])], ids=str)
def test_what_is_no_text_is_nothing(acr: object, amr: object) -> None:
    word = word_of({"acr": acr, "amr": amr, "auth_time": True})
    assert (word.acr, word.amr, word.auth_time) == ("", (), None)
