"""A provider that lies signs nobody in: every lie is refused before any session exists, and told to the operator."""

import base64
import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.core.assurance import Caller
from gateway.edge import partner_http
from gateway.edge.client_auth import UnusableKey, public_key, signing_key
from gateway.edge.jwks import SPACING_S, TTL_S
from gateway.edge.partner import Allowed, ClaimNames, Endpoints, Partner

from .conftest import ORIGIN, House
from .lying_provider import LIES

NAVIGATE = {"sec-fetch-mode": "navigate"}
FAILED, UNREACHABLE = "sign_in_failed", "partner_unreachable"

REFUSED: dict[str, tuple[str, str]] = {
    "named-by-nobody": (FAILED, "the answer is another issuer's"),
    "named-by-another": (FAILED, "the answer is another issuer's"),
    "refusing": (FAILED, "the partner did not sign the person in"),
    "iss-of-another": (FAILED, "the issuer is not the partner"),
    "iss-missing": (FAILED, "the issuer is not the partner"),
    "aud-of-another": (FAILED, "the audience is not us"),
    "aud-missing": (FAILED, "the audience is not us"),
    "aud-many-no-azp": (FAILED, "several audiences and no authorised party"),
    "azp-of-another": (FAILED, "the authorised party is not us"),
    "nonce-of-another": (FAILED, "the nonce is not ours"),
    "nonce-missing": (FAILED, "the nonce is not ours"),
    "expired": (FAILED, "it has expired"),
    "exp-missing": (FAILED, "it has expired"),
    "exp-as-text": (FAILED, "it has expired"),
    "iat-long-ago": (FAILED, "it was not issued now"),
    "iat-to-come": (FAILED, "it was not issued now"),
    "iat-missing": (FAILED, "it was not issued now"),
    "sub-missing": (FAILED, "the subject is missing"),
    "sub-a-number": (FAILED, "the subject is missing"),
    "acr-too-low": (FAILED, "the level (acr) is none of those asked for"),
    "acr-missing": (FAILED, "the level (acr) is none of those asked for"),
    "alg-none": (FAILED, "the algorithm is not the partner's"),
    "alg-hs256-public-key": (FAILED, "the algorithm is not the partner's"),
    "alg-hs256-our-secret": (FAILED, "the algorithm is not the partner's"),
    "signed-by-another": (FAILED, "the signature or content is not right: BadSignatureError"),
    "kid-unknown": (FAILED, "no key of the partner verifies the token"),
    "kid-a-number": (FAILED, "the key id is no string"),
    "brings-its-key": (FAILED, "the header brings keys, compression or extensions"),
    "points-to-its-keys": (FAILED, "the header brings keys, compression or extensions"),
    "critical-extension": (FAILED, "the header brings keys, compression or extensions"),
    "a-logout-token": (FAILED, "the type is not JWT"),
    "an-access-token": (FAILED, "the type is not JWT"),
    "content-changed": (FAILED, "the signature or content is not right: BadSignatureError"),
    "signature-missing": (FAILED, "the signature or content is not right: BadSignatureError"),
    "padded-base64": (FAILED, "not strict base64url"),
    "no-id-token": (FAILED, "the partner gave no token for the code"),
    "id-token-no-text": (FAILED, "the partner gave no token for the code"),
    "token-huge": (UNREACHABLE, "the token endpoint did not answer: ReadError"),
    "token-no-json": (UNREACHABLE, "the token endpoint did not answer: ValueError"),
    "userinfo-of-another": (FAILED, "userinfo: it is another person's"),
    "userinfo-of-nobody": (FAILED, "userinfo: it is another person's"),
    "userinfo-not-signed": (FAILED, "userinfo: the answer is no application/jwt"),
    "userinfo-not-signed-but-said-to-be": (FAILED, "userinfo: not a compact token"),
    "userinfo-alg-none": (FAILED, "userinfo: the algorithm is not the partner's"),
    "userinfo-signed-by-another": (FAILED, "userinfo: the signature or content is not right: BadSignatureError"),
    "userinfo-iss-of-another": (FAILED, "userinfo: the issuer is not the partner"),
    "userinfo-aud-of-another": (FAILED, "userinfo: the audience is not us"),
    "userinfo-expired": (FAILED, "userinfo: it has expired"),
    "userinfo-huge": (UNREACHABLE, "the userinfo endpoint did not answer: ReadError"),
    "keys-huge": (UNREACHABLE, "{issuer}/jwks: ReadError"),
    "keys-slow": (UNREACHABLE, "{issuer}/jwks: TimeoutError"),
    "keys-no-json": (UNREACHABLE, "the key set cannot be read: JSONDecodeError"),
    "keys-none": (UNREACHABLE, "the key set holds no public key"),
    "keys-symmetric": (UNREACHABLE, "the key set holds no public key"),
    "keys-elsewhere": (UNREACHABLE, "{issuer}/jwks: status 302"),
    "metadata-of-another": (UNREACHABLE, "the metadata are another issuer's"),
    "metadata-in-the-clear": (UNREACHABLE, "the metadata name no usable token_endpoint"),
}
"""Every lie with the reason that the person is told, and what the operator is told."""


def partner_of(liar: str, lie: str, **changes: Any) -> Partner:
    plain = Partner("agency", "Agence Nord", f"{liar}/{lie}", "gateway", "the client's secret")
    return replace(plain, **{"userinfo": "jwt", "acr": ("eidas2",)} | changes)


async def signed_in(house: House, partner: Partner, client: httpx2.AsyncClient | None = None) -> httpx2.Response:
    """The answer with which a browser comes back from the partner, or is not even sent there."""
    if client is None:
        async with house.client(partner) as own:
            return await signed_in(house, partner, own)
    begun = await client.get("/.gateway/sign-in?partner=agency", headers=NAVIGATE)
    if begun.status_code != 303:
        return begun
    cookie = begun.headers["set-cookie"].split(";")[0]
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as outside:
        back = (await outside.get(begun.headers["location"])).headers["location"]
    assert back.startswith(f"{ORIGIN}/.gateway/callback/agency?")
    return await client.get(back.removeprefix(ORIGIN), headers=NAVIGATE | {"cookie": cookie})


async def caller_of(house: House, answer: httpx2.Response) -> Caller:
    assert answer.status_code == 303, house.ledger[-1]
    cookie = next(line.split(";")[0] for line in answer.headers.get_list("set-cookie") if "gateway=" in line)
    caller = await house.caller({"cookie": cookie})
    assert caller is not None
    return caller


async def seen(issuer: str) -> dict[str, Any]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as outside:
        found: dict[str, Any] = (await outside.get(f"{issuer}/seen")).json()
    return found


def test_every_lie_has_its_refusal() -> None:
    assert REFUSED.keys() == LIES.keys() - {"honest", "keys-removed"}


@pytest.mark.parametrize("lie", REFUSED)
async def test_a_lie_is_refused_before_any_session_exists(
    house: House, liar: str, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lie == "keys-slow":
        monkeypatch.setattr(partner_http, "WHOLE_S", 1.0)
    partner = partner_of(liar, lie)
    answer = await signed_in(house, partner)
    reason, detail = REFUSED[lie]
    assert answer.status_code == {FAILED: 403, UNREACHABLE: 503}[reason]
    assert "__Host-gateway=" not in str(answer.headers)
    assert await house.store.call("KEYS", "s*") == []
    record = house.ledger[-1]
    assert (record["verdict"], record["reason"]) == ("refusal", reason)
    assert record["detail"] == detail.format(issuer=partner.issuer)
    assert record["detail"] not in answer.text


async def test_who_tells_no_lie_signs_people_in(house: House, liar: str) -> None:
    names = ClaimNames(
        name=("usual_name",), organisation=("siret",), agency=("agency", "code"), roles=("agency", "roles")
    )
    partner = partner_of(liar, "honest", claims=names, allow=Allowed(frozenset({"13000548100010"})))
    caller = await caller_of(house, await signed_in(house, partner))
    assert (caller.sub, caller.name) == ("sub-alice", "Alice M.")
    assert (caller.organisation, caller.agency, caller.roles) == ("13000548100010", "75001", ("adviser",))
    assert (await seen(partner.issuer))["userinfo"] == "Bearer a-token"


async def test_the_same_subject_of_two_partners_is_two_people(house: House, liar: str) -> None:
    callers = [
        await caller_of(house, await signed_in(house, partner_of(liar, lie, userinfo="none")))
        for lie in ("honest", "userinfo-not-signed")
    ]
    assert {caller.sub for caller in callers} == {"sub-alice"}
    assert len({caller.user for caller in callers}) == len({caller.credential_id for caller in callers}) == 2


async def test_the_level_is_asked_for_as_essential(house: House, liar: str) -> None:
    await signed_in(house, partner_of(liar, "honest", acr=("eidas2", "eidas3")))
    claims = json.loads((await seen(f"{liar}/honest"))["authorize"]["claims"])
    assert claims == {"id_token": {"acr": {"essential": True, "values": ["eidas2", "eidas3"]}}}


async def test_userinfo_in_json_is_of_the_same_person(house: House, liar: str) -> None:
    for lie, good in (("honest", True), ("userinfo-of-another", False)):
        issuer = f"{liar}/{lie}"
        where = {name: f"{issuer}/{path}" for name, path in (("authorization", "authorize"), ("token", "token"))}
        explicit = Endpoints(**where, jwks=f"{issuer}/jwks", userinfo=f"{issuer}/userinfo?json")
        answer = await signed_in(house, replace(partner_of(liar, lie), endpoints=explicit, userinfo="json"))
        assert (answer.status_code == 303) is good
    assert house.ledger[-1]["detail"] == "userinfo: it is another person's"


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"claims": ClaimNames(organisation=("tid",))}, "claim_missing", "the claim tid (organisation) is missing"),
        ({"claims": ClaimNames(roles=("agency", "code", "x"))}, "claim_missing", "the claim agency.code.x (roles)"),
        ({"claims": ClaimNames(agency=("agency",))}, "claim_missing", "the claim agency (agency) is missing or not"),
        ({"allow": Allowed(subjects=frozenset({"sub-bob"}))}, "not_admitted", "not in allow.subjects"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_whom_the_partner_signs_in_is_not_yet_let_in(
    house: House, liar: str, changes: dict[str, Any], reason: str, detail: str
) -> None:
    answer = await signed_in(house, partner_of(liar, "honest", **changes))
    assert answer.status_code == 403 and await house.store.call("KEYS", "s*") == []
    assert house.ledger[-1]["reason"] == reason and house.ledger[-1]["detail"].startswith(detail)
    assert detail not in answer.text and "sub-alice" not in answer.text


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*formats)


async def test_our_key_stands_for_a_secret_and_the_request_goes_beforehand(house: House, liar: str) -> None:
    key = pem(ec.generate_private_key(ec.SECP256R1()))
    signing = {"client_secret": None, "client_auth": "private_key_jwt", "client_key": key}
    partner = partner_of(liar, "honest", par=True, **signing)
    await caller_of(house, await signed_in(house, partner))
    sent = await seen(partner.issuer)
    assert set(sent["authorize"]) == {"client_id", "request_uri"}
    assert sent["par"]["code_challenge_method"] == "S256" and len(sent["par"]["nonce"]) >= 32
    registered = ECKey.import_key({name: str(value) for name, value in public_key(key).items()})
    jtis = set()
    for form in (sent["par"], sent["token"]):
        assertion = jwt.decode(form["client_assertion"], registered, algorithms=["ES256"])
        claims = assertion.claims
        assert (claims["iss"], claims["sub"], claims["aud"]) == ("gateway", "gateway", partner.issuer)
        assert claims["exp"] - claims["iat"] == 60 and "client_secret" not in form
        jtis.add(claims["jti"])
    assert len(jtis) == 2 and sent["token"]["authorization"] == ""


@pytest.mark.parametrize("way", ["basic", "post"])
async def test_a_request_sent_beforehand_is_ours_by_our_secret(house: House, liar: str, way: str) -> None:
    await caller_of(house, await signed_in(house, partner_of(liar, "honest", par=True, client_auth=way)))
    sent = await seen(f"{liar}/honest")
    assert sent["par"]["client_id"] == "gateway"
    assert ("client_secret" in sent["par"]) is (way == "post")


async def test_an_assertion_names_the_token_endpoint_where_the_partner_wants_it(house: House, liar: str) -> None:
    key = pem(ec.generate_private_key(ec.SECP384R1()))
    partner = partner_of(liar, "honest", client_auth="private_key_jwt", client_key=key, assertion_audience="token")
    await caller_of(house, await signed_in(house, partner))
    _, content, _ = (await seen(partner.issuer))["token"]["client_assertion"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(content + "=="))
    assert claims["aud"] == f"{partner.issuer}/token"


@pytest.mark.parametrize("content", [b"", b"secret", pem(ec.generate_private_key(ec.SECP521R1()))])
def test_a_key_that_cannot_sign_is_named_so(content: bytes) -> None:
    with pytest.raises(UnusableKey):
        signing_key(content)


async def rotate(issuer: str) -> None:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as outside:
        await outside.post(f"{issuer}/rotate")


async def test_a_new_key_is_believed_after_half_a_minute_at_most(house: House, liar: str) -> None:
    partner = partner_of(liar, "honest")
    async with house.client(partner) as client:
        assert (await signed_in(house, partner, client)).status_code == 303
        await rotate(partner.issuer)
        assert (await signed_in(house, partner, client)).status_code == 403
        house.clock.forward(SPACING_S)
        assert (await signed_in(house, partner, client)).status_code == 303


async def test_a_removed_key_dies_with_what_is_kept(house: House, liar: str) -> None:
    partner = partner_of(liar, "keys-removed")
    async with house.client(partner) as client:
        assert (await signed_in(house, partner, client)).status_code == 303
        await rotate(partner.issuer)
        house.clock.forward(SPACING_S)
        assert (await signed_in(house, partner, client)).status_code == 303
        house.clock.forward(TTL_S - SPACING_S)
        answer = await signed_in(house, partner, client)
    assert answer.status_code == 403
    assert house.ledger[-1]["detail"] == "no key of the partner verifies the token"
