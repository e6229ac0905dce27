"""A partner is asked about an opaque token shortly, singly, and not more than it can bear."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from token_provider import AUDIENCE, CLIENT, SECRET, TokenProvider, running_provider

from gateway.edge.introspection import KEPT_S, MOST_CALLS, NEW_AT_ONCE, NEW_PER_S, Introspection
from gateway.edge.jwks import NotFetched
from gateway.edge.partner import Api, Endpoints, Partner
from gateway.edge.partner_check import walk

API = Api(AUDIENCE, introspects=True, client_id=CLIENT, client_secret=SECRET)


@pytest.fixture
def provider() -> Iterator[TokenProvider]:
    with running_provider() as running:
        yield running


def of(provider: TokenProvider, api: Api = API, **more: bool) -> Introspection:
    async def endpoints(now: float) -> Endpoints:
        return Endpoints("", "", "", introspection=f"{provider.issuer}/introspection")

    return Introspection(api, endpoints, **more)


async def test_a_partner_is_tried_before_its_programs_come(provider: TokenProvider) -> None:
    for secret, verdict in ((SECRET, "right"), ("wrong", "wrong")):
        api = replace(API, client_secret=secret)
        partner = Partner("agency", "Agency", provider.issuer, "gateway", "secret", api=api)
        steps = {step.what: step.verdict for step in await walk(partner, "https://gate.example/callback", 100.0)}
        assert steps["introspection"] == verdict


async def test_an_answer_is_kept_for_five_seconds(provider: TokenProvider) -> None:
    asks, token = of(provider), provider.opaque_token("sub-9")
    for now in (100.0, 100.0 + KEPT_S - 0.1):
        assert (await asks.about(token, now))["sub"] == "sub-9"
    provider.opaque[token] = {"active": False}
    assert (await asks.about(token, 100.0 + KEPT_S))["active"] is False
    assert len(provider.asked) == 2


async def test_a_no_is_kept_too(provider: TokenProvider) -> None:
    asks = of(provider)
    for _ in range(20):
        assert (await asks.about("nobody-s", 100.0))["active"] is False
    assert len(provider.asked) == 1


async def test_many_at_once_ask_once(provider: TokenProvider) -> None:
    asks, token = of(provider), provider.opaque_token()
    answers = await asyncio.gather(*(asks.about(token, 100.0) for _ in range(50)))
    assert all(answer["active"] is True for answer in answers)
    assert len(provider.asked) == 1


async def test_one_who_gives_up_does_not_end_the_question_of_others(provider: TokenProvider) -> None:
    asks, token = of(provider), provider.opaque_token()
    provider.slow = threading.Event()
    first, second = (asyncio.create_task(asks.about(token, 100.0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    provider.slow.set()
    assert (await second)["active"] is True


async def test_invented_tokens_ask_no_more_than_the_most_calls_at_once(provider: TokenProvider) -> None:
    asks = of(provider)
    provider.slow = threading.Event()
    waiting = [asyncio.create_task(asks.about(f"invented{number}", 100.0)) for number in range(MOST_CALLS)]
    await asyncio.sleep(0)
    with pytest.raises(NotFetched):
        await asks.about("one-more", 100.0)
    provider.slow.set()
    await asyncio.gather(*waiting)
    assert (await asks.about("one-more", 100.0))["active"] is False


async def test_invented_tokens_ask_so_many_a_second_and_stop_none_that_was_good(provider: TokenProvider) -> None:
    asks, token = of(provider), provider.opaque_token("sub-9")
    assert (await asks.about(token, 100.0))["active"] is True
    now, answered = 100.0 + KEPT_S, 0
    for number in range(3 * NEW_AT_ONCE):
        try:
            answered += (await asks.about(f"invented{number}", now))["active"] is False
        except NotFetched:
            assert answered == NEW_AT_ONCE
    assert answered == NEW_AT_ONCE and len(provider.asked) == NEW_AT_ONCE + 1
    assert (await asks.about(token, now))["active"] is True
    assert (await asks.about("another", now + 2 / NEW_PER_S))["active"] is False


async def test_a_silent_partner_is_asked_again_and_nothing_is_kept(provider: TokenProvider) -> None:
    asks, token = of(provider), provider.opaque_token()
    provider.silent = True
    with pytest.raises(NotFetched):
        await asks.about(token, 100.0)
    provider.silent = False
    assert (await asks.about(token, 100.0))["active"] is True


async def test_a_partner_that_does_not_know_us_says_nothing_of_a_token(provider: TokenProvider) -> None:
    with pytest.raises(NotFetched):
        await of(provider, replace(API, client_secret="wrong")).about(provider.opaque_token(), 100.0)
    with pytest.raises(NotFetched):
        await of(provider, in_form=True).about(provider.opaque_token(), 100.0)


async def test_a_partner_without_the_endpoint_cannot_be_asked() -> None:
    async def nowhere(now: float) -> Endpoints:
        return Endpoints("", "", "")

    with pytest.raises(NotFetched):
        await Introspection(API, nowhere).about("token", 100.0)


@pytest.mark.parametrize("token", ["", "a b", "é", "x" * 5000, "a\r\nb", "=a"])
async def test_what_can_be_no_token_is_not_sent(provider: TokenProvider, token: str) -> None:
    assert (await of(provider).about(token, 100.0))["active"] is False
    assert provider.asked == []
