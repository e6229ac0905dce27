"""A bound token counts with a fresh proof of its key, once, with a nonce of ours."""

import pytest
from dpop_client import DpopClient

from gateway.core.assurance import Caller
from gateway.core.reasons import Reason, Refusal
from gateway.edge.asked import Asked
from gateway.edge.credentials import Credential
from gateway.edge.possession import NONCE_S, Possession
from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.partner_tokens import SeenProofs

HOST, TARGET = "gate.example", "/dossiers/7?full=1"
URL = f"https://{HOST}/dossiers/7"
TOKEN = "eyJ0.eyJz.c2ln"
CLIENT = DpopClient()
ASKED = Asked(False, "en", b"GET", TARGET.encode(), "R", "id", host=HOST)
BOUND = Caller("u", "p", "", "", "", "person", "token", "a_1", key=CLIENT.thumbprint)
UNBOUND = Caller("u", "p", "", "", "", "person", "token", "a_1")
BY_KEY = Credential("token", TOKEN, "dpop")
BY_BEARER = Credential("token", TOKEN)


@pytest.fixture
def possession(store: Store, keyring: KeyRing, clock) -> Possession:
    return Possession(f"https://{HOST}", keyring.nonce, SeenProofs(store, keyring), clock)


def made(possession: Possession, clock, client: DpopClient = CLIENT, **more) -> str:
    return client.proof("GET", URL, TOKEN, now=clock.now(), **{"nonce": possession.nonce, **more})


async def shown(possession: Possession, *proofs: str, credential: Credential = BY_KEY, caller: Caller = BOUND) -> str:
    headers = [(b"DPoP", proof.encode()) for proof in proofs]
    refusal = await possession.shown(credential, caller, headers, ASKED)
    if isinstance(refusal, Refusal) and refusal.reason is not Reason.INVALID_DPOP_BINDING:
        assert refusal.nonce == possession.nonce
    return "" if refusal is None else str(refusal.reason)


async def test_a_fresh_proof_of_the_key_counts_once(possession: Possession, clock) -> None:
    proof = made(possession, clock)
    assert await shown(possession, proof) == ""
    assert await shown(possession, proof) == "invalid_dpop_proof"
    assert await shown(possession, made(possession, clock)) == ""


async def test_two_keys_may_use_one_id(possession: Possession, clock) -> None:
    other = DpopClient()
    for client in (CLIENT, other):
        caller = Caller("u", "p", "", "", "", "person", "token", "a_1", key=client.thumbprint)
        proof = made(possession, clock, client, claims={"jti": "1"})
        assert await shown(possession, proof, caller=caller) == ""


async def test_a_stolen_token_without_its_key_is_nothing(possession: Possession, clock) -> None:
    assert await shown(possession) == "invalid_dpop_proof"
    assert await shown(possession, made(possession, clock, DpopClient())) == "invalid_dpop_binding"
    assert await shown(possession, made(possession, clock), credential=BY_BEARER) == "invalid_dpop_binding"
    forged = made(possession, clock, signed_by=DpopClient().key)
    assert await shown(possession, forged) == "invalid_dpop_proof"


async def test_exactly_one_proof(possession: Possession, clock) -> None:
    assert await shown(possession, made(possession, clock), made(possession, clock)) == "invalid_dpop_proof"
    both = f"{made(possession, clock)}, {made(possession, clock)}"
    assert await shown(possession, both) == "invalid_dpop_proof"


async def test_a_token_that_is_bound_to_no_key_is_no_dpop_token(possession: Possession, clock) -> None:
    assert await shown(possession, made(possession, clock), caller=UNBOUND) == "invalid_dpop_binding"
    assert await shown(possession, credential=BY_BEARER, caller=UNBOUND) == ""


async def test_a_session_is_asked_for_no_key(possession: Possession) -> None:
    assert await shown(possession, credential=Credential("session", "S"), caller=UNBOUND) == ""


async def test_the_nonce_is_ours_of_this_minute_or_the_last(possession: Possession, clock) -> None:
    first = possession.nonce
    for nonce in (None, "", "x", f"{first}="):
        assert await shown(possession, made(possession, clock, nonce=nonce)) == "use_dpop_nonce"
    clock.forward(NONCE_S)
    assert possession.nonce != first
    assert await shown(possession, made(possession, clock, nonce=first)) == ""
    assert await shown(possession, made(possession, clock)) == ""
    clock.forward(NONCE_S)
    assert await shown(possession, made(possession, clock, nonce=first)) == "use_dpop_nonce"


async def test_a_proof_without_the_right_nonce_is_not_used_up(possession: Possession, clock) -> None:
    assert await shown(possession, made(possession, clock, nonce=None, claims={"jti": "1"})) == "use_dpop_nonce"
    assert await shown(possession, made(possession, clock, claims={"jti": "1"})) == ""


@pytest.mark.parametrize(
    "claims",
    [{"htm": "POST"}, {"htu": f"https://{HOST}/dossiers/8"}, {"htu": "http://gate.example/dossiers/7"}, {"ath": "x"}],
    ids=str,
)
async def test_a_proof_for_something_else_does_not_count(possession: Possession, clock, claims) -> None:
    assert await shown(possession, made(possession, clock, claims=claims)) == "invalid_dpop_proof"


async def test_a_proof_lives_for_less_time_than_its_id_is_known(store: Store, possession: Possession, clock) -> None:
    assert await shown(possession, made(possession, clock)) == ""
    (name,) = await store.call("KEYS", "dp:*")
    assert 120 < await store.call("TTL", name) <= 180
