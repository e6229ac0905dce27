"""A partner's documents are kept shortly, fetched singly, and never more often than every 30 s."""

import asyncio
import json

import pytest
from joserfc.jwk import ECKey, KeySet, OctKey

from gateway.edge.jwks import SPACING_S, TTL_S, Kept, NotFetched, NotThere, has_key, key_set_of


class Publisher:
    """A partner that publishes key ids, counts who asks, and can fall silent."""

    def __init__(self, *kids: str) -> None:
        self.kids = kids
        self.asked = 0
        self.silent = False

    async def fetch(self) -> tuple[str, ...]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.silent:
            raise NotFetched("silent")
        return self.kids


def knows(kid: str):  # type: ignore[no-untyped-def]  # a lambda with a name
    return lambda kids: kid in kids


async def test_kept_until_the_end_of_its_time() -> None:
    partner = Publisher("a")
    kept = Kept(partner.fetch)
    for now in (1000.0, 1000.0 + TTL_S - 1):
        assert await kept.get(now, knows("a")) == ("a",)
    assert partner.asked == 1
    await kept.get(1000.0 + TTL_S, knows("a"))
    assert partner.asked == 2


async def test_new_key_is_fetched_and_unknown_ids_do_not_hammer() -> None:
    partner = Publisher("a")
    kept = Kept(partner.fetch)
    await kept.get(1000.0, knows("a"))
    partner.kids = ("a", "b")
    for _ in range(50):
        with pytest.raises(NotFetched):
            await kept.get(1000.0 + SPACING_S - 1, knows("b"))
    assert partner.asked == 1
    assert await kept.get(1000.0 + SPACING_S, knows("b")) == ("a", "b")


async def test_who_goes_away_does_not_take_the_fetch_along() -> None:
    partner = Publisher("a")
    kept = Kept(partner.fetch)
    gone = asyncio.create_task(kept.get(1000.0))
    await asyncio.sleep(0)
    gone.cancel()
    assert await kept.get(1000.0, knows("a")) == ("a",)
    assert partner.asked == 1 and gone.cancelled()


async def test_many_at_once_cause_one_fetch() -> None:
    partner = Publisher("a")
    kept = Kept(partner.fetch)
    await asyncio.gather(*(kept.get(1000.0, knows("a")) for _ in range(20)))
    assert partner.asked == 1


async def test_removed_key_dies_at_the_end_of_its_time_also_when_the_partner_is_silent() -> None:
    partner = Publisher("a")
    kept = Kept(partner.fetch)
    await kept.get(1000.0, knows("a"))
    partner.silent = True
    assert await kept.get(1000.0 + TTL_S - 1, knows("a")) == ("a",)
    with pytest.raises(NotFetched):
        await kept.get(1000.0 + TTL_S, knows("a"))


async def test_clock_set_back_makes_nothing_live_longer() -> None:
    partner = Publisher("a")
    kept = Kept(partner.fetch)
    await kept.get(1000.0)
    await kept.get(1000.0 + TTL_S + 1)
    partner.silent = True
    with pytest.raises(NotFetched):
        await kept.get(500.0)


def test_key_set_leaves_out_secrets_other_uses_and_unknown_types() -> None:
    good = ECKey.generate_key("P-256", {"kid": "a", "use": "sig"}).as_dict(private=False)
    secret = OctKey.generate_key(256, {"kid": "b"}).as_dict()
    for_secrecy = ECKey.generate_key("P-256", {"kid": "c", "use": "enc"}).as_dict(private=False)
    document = json.dumps({"keys": [good, secret, for_secrecy, {"kty": "AKP", "kid": "d"}]}).encode()
    assert [key.kid for key in key_set_of(document)] == ["a"]


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":[]}', b'{"keys":[1]}', b'{"keys":[{"kty":"EC"}]}'])
def test_key_set_that_holds_nothing_is_refused(document: bytes) -> None:
    with pytest.raises(NotFetched):
        key_set_of(document)


UNKNOWN: list[dict[str, object]] = [
    {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "u"},
    {"kty": "EC", "crv": "brainpoolP256r1", "x": "AAAA", "y": "AAAA", "kid": "u"},
    {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "u"},
    {"kty": "RSA", "n": 7, "e": "AQAB", "kid": "u"},
    {"kty": ["EC"], "kid": "u"},
    {"kid": "u"},
]


@pytest.mark.parametrize("unknown", UNKNOWN, ids=str)
def test_a_key_that_we_do_not_understand_takes_none_of_the_others_along(unknown: dict[str, object]) -> None:
    known = ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)
    keys = key_set_of(json.dumps({"keys": [unknown, known]}).encode())
    assert has_key("a")(keys)


def test_token_without_a_key_id_needs_a_set_of_one() -> None:
    one = KeySet([ECKey.generate_key("P-256")])
    two = KeySet([ECKey.generate_key("P-256"), ECKey.generate_key("P-256")])
    assert has_key(None)(one) and not has_key(None)(two)


async def test_what_a_silent_partner_may_have_is_not_known_and_what_a_partner_has_not_is_not_there() -> None:
    partner = Publisher("a")
    kept = Kept(partner.fetch)
    await kept.get(1000.0)
    partner.silent = True
    for now in (1000.0 + SPACING_S, 1000.0 + SPACING_S + 1):
        with pytest.raises(NotFetched) as fault:
            await kept.get(now, knows("b"))
        assert not isinstance(fault.value, NotThere)
    partner.silent = False
    with pytest.raises(NotThere):
        await kept.get(1000.0 + 2 * SPACING_S, knows("b"))
