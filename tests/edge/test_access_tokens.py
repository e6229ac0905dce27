"""A partner's access token is believed only when everything about it is right."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from dpop_client import DpopClient, b64
from joserfc.jwk import KeySet, OctKey
from token_provider import AUDIENCE, TokenProvider, new_key

from gateway.core.reasons import Reason, Refusal
from gateway.edge.access_tokens import LONGEST_S, AccessToken, AccessTokens, Source
from gateway.edge.jwks import NotFetched, NotThere
from gateway.edge.partner import Allowed, Api, ClaimNames, Partner
from gateway.stores.keys import NOT_BEFORE_LIFETIME_S

NOW = 1_800_000_000.0
PROVIDER = TokenProvider()
API = Api(AUDIENCE)
PARTNER = Partner("agency", "Agency", PROVIDER.issuer, "gateway", "secret", api=API)
THUMBPRINT = DpopClient().thumbprint


class Published:
    """The partner's keys, and what it says of opaque tokens."""

    def __init__(self) -> None:
        self.set = KeySet([PROVIDER.key])
        self.silent = False
        self.asked: list[str] = []

    async def keys(self, kid: str | None, now: float) -> KeySet:
        if self.silent:
            raise NotFetched("silent")
        if all(key.kid != kid for key in self.set):
            raise NotThere(str(kid))
        return self.set

    async def about(self, token: str, now: float) -> Mapping[str, Any]:
        if self.silent:
            raise NotFetched("silent")
        self.asked.append(token)
        return PROVIDER.opaque.get(token, {"active": False})


@pytest.fixture
def published() -> Published:
    return Published()


def of(published: Published, *partners: Partner) -> AccessTokens:
    sources = [Source(one, one.api, published, published) for one in partners or (PARTNER,) if one.api is not None]
    return AccessTokens(sources)


async def judged(published: Published, token: str, *partners: Partner) -> AccessToken | Refusal:
    return await of(published, *partners).judged(token, NOW)


def right(**changes: Any) -> str:
    return PROVIDER.token(now=NOW, **changes)


async def test_a_right_token_is_believed(published: Published) -> None:
    access = await judged(published, right(jti="7", name="Alice", preferred_username="alice"))
    assert isinstance(access, AccessToken)
    assert (access.partner, access.person.issuer, access.person.sub) == ("agency", PROVIDER.issuer, "sub-1")
    assert (access.person.name, access.person.login) == ("Alice", "alice")
    assert (access.kind, access.client_id, access.jti, access.key) == ("person", "crm", "7", "")
    assert access.expires_at == NOW + 300


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt"])
async def test_both_names_of_its_type(published: Published, typ: str) -> None:
    assert isinstance(await judged(published, right(header={"typ": typ})), AccessToken)


async def test_several_audiences_with_ours_among_them(published: Published) -> None:
    assert isinstance(await judged(published, right(aud=["https://other.example", AUDIENCE])), AccessToken)


async def test_a_client_in_its_own_name_is_a_machine(published: Published) -> None:
    access = await judged(published, right(sub="crm"))
    assert isinstance(access, AccessToken)
    assert access.kind == "machine"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": f"{PROVIDER.issuer}/"},
        {"iss": None},
        {"iss": 7},
        {"aud": "https://other.example"},
        {"aud": [f"{AUDIENCE}/"]},
        {"aud": {AUDIENCE: 1}},
        {"aud": None},
        {"aud": "gateway"},
        {"exp": None},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"exp": NOW + LONGEST_S + 1},
        {"iat": NOW - LONGEST_S, "exp": NOW + 1},
        {"iat": NOW - 10 * LONGEST_S, "exp": NOW + 300},
        {"iat": None},
        {"iat": NOW + 61},
        {"nbf": NOW + 61},
        {"nbf": "now"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"jti": None},
        {"jti": ["x"]},
        {"client_id": None},
        {"client_id": ""},
        {"cnf": {"x5t#S256": "x"}},
        {"cnf": {"jkt": 7}},
        {"cnf": "jkt"},
        {"cnf": {"jkt": THUMBPRINT, "x5t#S256": "x"}},
    ],
)
async def test_a_wrong_or_missing_claim_is_refused(published: Published, changes: dict[str, object]) -> None:
    lax = replace(PARTNER, api=replace(API, dpop="optional"))
    answer = await judged(published, right(**changes), lax)
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.TOKEN_UNKNOWN


async def test_what_was_stopped_is_remembered_for_as_long_as_the_longest_token_of_before_is_good(
    published: Published,
) -> None:
    for issued_ago_s in (0, LONGEST_S - 1):
        access = await judged(published, right(iat=NOW - issued_ago_s, exp=NOW - issued_ago_s + LONGEST_S))
        assert isinstance(access, AccessToken)
        assert access.expires_at - access.issued_at <= LONGEST_S < NOT_BEFORE_LIFETIME_S


@pytest.mark.parametrize("expires", [NOW, NOW - 1])
async def test_one_that_is_over_says_so(published: Published, expires: float) -> None:
    answer = await judged(published, right(exp=expires))
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": 7},
        {"kid": "unknown"},
        {"kid": 7},
        {"crit": ["exp"]},
        {"jwk": PROVIDER.key.as_dict(private=False)},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/x"},
        {"zip": "DEF"},
        {"b64": True},
    ],
)
async def test_a_wrong_header_is_refused(published: Published, header: dict[str, object]) -> None:
    assert isinstance(await judged(published, right(header=header)), Refusal)


async def test_another_key_s_signature_is_refused(published: Published) -> None:
    assert isinstance(await judged(published, right(key=new_key(PROVIDER.key.kid))), Refusal)


async def test_no_algorithm_but_the_partner_s(published: Published) -> None:
    secret = OctKey.generate_key(256, {"kid": PROVIDER.key.kid})
    published.set = KeySet([PROVIDER.key, secret])
    for lax in (PARTNER, replace(PARTNER, algorithms=("HS256", "none", "ES256"))):
        assert isinstance(await judged(published, right(header={"alg": "HS256"}, key=secret), lax), Refusal)
        _head, body, _ = right().split(".")
        unsigned = b64(json.dumps({"alg": "none", "typ": "at+jwt", "kid": PROVIDER.key.kid}).encode())
        assert isinstance(await judged(published, f"{unsigned}.{body}.", lax), Refusal)
    assert isinstance(await judged(published, right(), replace(PARTNER, algorithms=("PS256",))), Refusal)


async def test_an_id_token_is_no_access_token(published: Published) -> None:
    audience = replace(PARTNER, api=Api("gateway"))
    assert isinstance(await judged(published, right(header={"typ": "JWT"}, aud="gateway"), audience), Refusal)


async def test_strict_base64_also_of_what_was_verified_before(published: Published) -> None:
    tokens, token = of(published), right()
    assert isinstance(await tokens.judged(token, NOW), AccessToken)
    for other in (f"{token}=", f"{token}==", token.replace(".", "=.", 1), f" {token}", f"{token}."):
        assert isinstance(await tokens.judged(other, NOW), Refusal)


async def test_what_was_verified_is_over_in_its_time(published: Published) -> None:
    tokens, token = of(published), right()
    assert isinstance(await tokens.judged(token, NOW), AccessToken)
    over = await tokens.judged(token, NOW + 300)
    assert isinstance(over, Refusal)
    assert over.reason is Reason.TOKEN_EXPIRED


async def test_what_was_verified_by_a_key_ends_with_that_key(published: Published) -> None:
    tokens, token = of(published), right()
    assert isinstance(await tokens.judged(token, NOW), AccessToken)
    published.set = KeySet([new_key(PROVIDER.key.kid)])
    assert isinstance(await tokens.judged(token, NOW), Refusal)


async def test_a_silent_partner_is_a_fault_and_no_lie(published: Published) -> None:
    published.silent = True
    with pytest.raises(NotFetched):
        await judged(published, right())


@pytest.mark.parametrize(
    ("dpop", "bound", "reason"),
    [
        ("no", False, None),
        ("no", True, Reason.TOKEN_UNKNOWN),
        ("optional", False, None),
        ("optional", True, None),
        ("required", False, Reason.INVALID_DPOP_BINDING),
        ("required", True, None),
    ],
)
async def test_a_partner_says_whether_its_tokens_are_bound_to_a_key(
    published: Published, dpop: str, bound: bool, reason: Reason | None
) -> None:
    partner = replace(PARTNER, api=replace(API, dpop=dpop))
    answer = await judged(published, right(cnf={"jkt": THUMBPRINT} if bound else None), partner)
    assert (answer.reason if isinstance(answer, Refusal) else None) is reason
    if isinstance(answer, AccessToken):
        assert answer.key == (THUMBPRINT if bound else "")


async def test_whom_the_house_does_not_let_in_by_a_session_it_does_not_by_a_token(published: Published) -> None:
    names = ClaimNames(organisation=("siret",), user=("login",), agency=("agency",))
    partner = replace(PARTNER, claims=names, allow=Allowed(organisations=frozenset({"1"})))
    wrong = await judged(published, right(siret="2", agency="N"), partner)
    missing = await judged(published, right(siret="1"), partner)
    among = await judged(published, right(siret="1", agency="N"), partner)
    assert isinstance(wrong, Refusal)
    assert wrong.reason is Reason.NOT_ADMITTED
    assert isinstance(missing, Refusal)
    assert missing.reason is Reason.CLAIM_MISSING
    assert isinstance(among, AccessToken)
    assert (among.person.organisation, among.person.agency) == ("1", "N")


async def test_of_two_partners_of_one_issuer_the_one_that_lets_the_person_in(published: Published) -> None:
    names = ClaimNames(organisation=("siret",))
    one, two = (
        replace(PARTNER, id=name, claims=names, allow=Allowed(organisations=frozenset({name}))) for name in ("1", "2")
    )
    access = await judged(published, right(siret="2"), one, two)
    assert isinstance(access, AccessToken)
    assert access.partner == "2"


def test_a_token_is_recognised_by_what_it_says_of_itself(published: Published) -> None:
    asks = replace(PARTNER, issuer="https://other.example", api=replace(API, introspects=True, prefix="oc_"))
    tokens = of(published, PARTNER, asks)
    foreign = right(iss="https://foreign.example")
    known = {token: tokens.recognises(token) for token in (right(), "oc_abc", "abc", foreign, "gwt_x", "")}
    assert list(known.values()) == [True, True, False, False, False, False]
    assert not of(published, replace(PARTNER, api=None)).recognises(right())


ASKS = replace(PARTNER, api=replace(API, introspects=True))


async def test_an_opaque_token_is_what_its_partner_says(published: Published) -> None:
    access = await judged(published, PROVIDER.opaque_token("sub-9", now=NOW, username="bob"), ASKS)
    assert isinstance(access, AccessToken)
    assert (access.person.sub, access.person.login, access.kind) == ("sub-9", "bob", "person")


async def test_what_a_partner_need_not_say_of_an_opaque_token(published: Published) -> None:
    token = PROVIDER.opaque_token("sub-9", now=NOW, iss=None, client_id=None, jti=None, iat=None)
    one, other = await judged(published, token, ASKS), await judged(published, token, ASKS)
    assert isinstance(one, AccessToken)
    assert isinstance(other, AccessToken)
    assert one.jti == other.jti != ""


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False},
        {"active": "true"},
        {"active": 1},
        {"iss": "https://other.example"},
        {"aud": None},
        {"aud": "https://other.example"},
        {"sub": None, "client_id": None},
        {"sub": None, "client_id": 7},
        {"sub": None, "username": "bob"},
        {"sub": None, "auth_time": NOW},
        {"sub": ""},
        {"exp": None},
        {"exp": NOW - 1},
        {"exp": NOW + LONGEST_S + 1},
        {"exp": NOW + LONGEST_S + 1, "iat": None},
        {"iat": NOW - LONGEST_S, "exp": NOW + 1},
        {"nbf": NOW + 100},
        {"cnf": {"x5t#S256": "x"}},
        {"token_type": "refresh_token"},
        {"token_type": "DPoP"},
        {"token_type": 7},
    ],
    ids=str,
)
async def test_an_opaque_token_of_which_something_else_is_said_is_refused(
    published: Published, changes: dict[str, object]
) -> None:
    assert isinstance(await judged(published, PROVIDER.opaque_token(**{"now": NOW, **changes}), ASKS), Refusal)  # type: ignore[arg-type]


async def test_an_opaque_token_of_nobody_but_its_client_is_a_machine_s(published: Published) -> None:
    for sub in (None, "crm"):
        access = await judged(published, PROVIDER.opaque_token(sub, now=NOW), ASKS)  # type: ignore[arg-type]
        assert isinstance(access, AccessToken)
        assert (access.kind, access.person.sub) == ("machine", "crm")


async def test_the_house_s_list_holds_for_a_client_that_names_no_subject(published: Published) -> None:
    for listed, believed in (("crm", True), ("sub-1", False)):
        narrow = replace(ASKS, allow=Allowed(subjects=frozenset({listed})))
        access = await judged(published, PROVIDER.opaque_token(now=NOW, sub=None), narrow)
        assert isinstance(access, AccessToken) is believed


async def test_no_jwt_of_somebody_else_is_shown_to_a_partner(published: Published) -> None:
    for token in (right(iss="https://foreign.example"), right(iss=None)):
        assert isinstance(await judged(published, token, ASKS), Refusal)
    assert published.asked == []
    await judged(published, right(), ASKS)
    assert len(published.asked) == 1


async def test_an_opaque_token_is_shown_to_the_partner_of_its_prefix(published: Published) -> None:
    other = Published()
    plain, named = (replace(ASKS, id=name, api=replace(ASKS.api, prefix=name)) for name in ("", "oc_"))  # type: ignore[type-var]
    tokens = AccessTokens([Source(plain, plain.api, published, published), Source(named, named.api, other, other)])  # type: ignore[arg-type]
    for token in ("abc", "oc_abc"):
        await tokens.judged(token, NOW)
    assert (published.asked, other.asked) == (["abc"], ["oc_abc"])


@pytest.mark.parametrize("said", ["Bearer", "bearer", "DPoP"])
async def test_an_opaque_token_of_a_type_that_is_taken(published: Published, said: str) -> None:
    asks = replace(PARTNER, api=replace(API, introspects=True, dpop="optional"))
    bound = {"cnf": {"jkt": "thumbprint"}} if said == "DPoP" else {}
    access = await judged(published, PROVIDER.opaque_token(now=NOW, token_type=said, **bound), asks)
    assert isinstance(access, AccessToken)
    assert access.key == bound.get("cnf", {}).get("jkt", "")
