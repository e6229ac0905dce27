"""Before a partner's people come: what is wrong with its sign-in is said in words, and nobody is signed in."""

from dataclasses import replace

import pytest

from gateway.core.extraction import Class
from gateway.core.policy import AssertedRule
from gateway.edge import partner_http
from gateway.edge.partner import Endpoints, Partner
from gateway.edge.partner_check import Step, walk

from .conftest import ORIGIN, House, RunningProvider

CALLBACK = f"{ORIGIN}/.gateway/callback/agency"
NOW = 1_800_000_000.0


async def wrong(partner: Partner, callback: str = CALLBACK) -> dict[str, str]:
    return {step.what: step.words for step in await walk(partner, callback, NOW) if step.verdict == "wrong"}


def at(liar: str, lie: str) -> Partner:
    return Partner("agency", "Agence Nord", f"{liar}/{lie}", "gateway", "secret", userinfo="jwt", par=True)


async def test_nothing_is_wrong_with_who_is_set_up_rightly(house: House, partner: Partner, liar: str) -> None:
    assert await wrong(replace(partner, userinfo="json")) == {}
    steps = await walk(partner, CALLBACK, NOW)
    assert [step.what for step in steps] == ["metadata", "keys", "token", "authorisation"]
    assert await house.store.call("KEYS", "f*") == []


async def test_a_partner_out_of_reach_is_the_first_thing_said() -> None:
    steps = await walk(Partner("agency", "Agence Nord", "http://127.0.0.1:1", "gateway"), CALLBACK, NOW)
    address = "http://127.0.0.1:1/.well-known/openid-configuration"
    assert steps == (Step("metadata", "wrong", f"{address}: ConnectError"),)


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"client_secret": "another"}, "token", "invalid_client: correct client_id, client_auth, or the secret or key"),
        ({"algorithms": ("RS256",)}, "keys", "none of 1 keys is for RS256: correct algorithms"),
        (
            {"algorithms": ("RS256",)},
            "id_token_signing_alg_values_supported",
            "the provider signs with none of algorithms",
        ),
        ({"acr": ("eidas3",)}, "acr_values_supported", "the provider knows none of acr"),
        ({"par": True}, "par", "the provider takes no requests beforehand: write par = false"),
        (
            {"client_auth": "private_key_jwt", "client_key": b"none"},
            "token_endpoint_auth_methods_supported",
            "the provider does not take private_key_jwt: change client_auth",
        ),
        (
            {"client_id": "another"},
            "authorisation",
            f"refused with 400: are client_id and {CALLBACK} registered there?",
        ),
    ],
    ids=str,
)
async def test_what_does_not_fit_is_named(partner: Partner, changes: dict[str, object], what: str, words: str) -> None:
    assert (await wrong(replace(partner, **changes)))[what] == words  # type: ignore[arg-type]  # a table's values


@pytest.mark.parametrize(
    ("levels", "asks", "words"),
    [
        (("eidas1",), ("acr_values", "max_age"), []),
        (("gold",), ("max_age",), ["the provider knows none of the levels that policy.toml takes for a proof"]),
        (
            (),
            ("claims",),
            [
                "the provider does not say that it minds a claims parameter: ask by acr_values",
                "max_age is not asked for: who signed in there long ago has no proof by it",
            ],
        ),
    ],
    ids=str,
)
async def test_a_word_that_the_provider_does_not_say_is_named(
    partner: Partner, levels: tuple[str, ...], asks: tuple[str, ...], words: list[str]
) -> None:
    rule = AssertedRule(levels, ("hwk",), 900, Class.PERSONAL)
    steps = await walk(replace(partner, asks=asks), CALLBACK, NOW, asserted=rule)
    assert [step.words for step in steps if step.what == "word"] == words
    assert all(step.verdict != "wrong" for step in steps)


async def test_a_callback_that_is_not_registered_is_named(partner: Partner) -> None:
    found = await wrong(partner, f"{ORIGIN}/.gateway/callback/nobody")
    assert list(found) == ["authorisation"] and "callback/nobody registered" in found["authorisation"]


@pytest.mark.parametrize(
    ("lie", "what", "words"),
    [
        ("metadata-of-another", "metadata", "another issuer's"),
        ("metadata-in-the-clear", "metadata", "no usable token_endpoint"),
        ("keys-huge", "keys", "ReadError"),
        ("keys-none", "keys", "holds no public key"),
        ("keys-symmetric", "keys", "holds no public key"),
        ("keys-slow", "keys", "TimeoutError"),
        ("refusing", "authorisation", "answers access_denied"),
    ],
)
async def test_a_provider_that_is_not_right_is_named(
    liar: str, lie: str, what: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lie == "keys-slow":
        monkeypatch.setattr(partner_http, "WHOLE_S", 1.0)
    assert words in (await wrong(at(liar, lie)))[what]


async def test_endpoints_of_our_own_are_walked_without_metadata(partner: Partner, provider: RunningProvider) -> None:
    names = {"authorization": "authorize", "token": "token", "jwks": "nothing"}
    ours = Endpoints(**{name: f"{provider.issuer}/{path}" for name, path in names.items()})
    first, *_ = steps = await walk(replace(partner, endpoints=ours), CALLBACK, NOW)
    assert (first.what, first.verdict) == ("metadata", "note")
    assert [step.words for step in steps if step.verdict == "wrong"] == [f"{provider.issuer}/nothing: status 404"]
