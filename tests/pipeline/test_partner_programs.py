"""Programs of partners on the whole path: with a token, with a key, and without what they need."""

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pyotp
import pytest
import wire
from dpop_client import DpopClient
from scripted_application import Received, ScriptedApplication
from stack import CODES_OPEN_ALL, Stack, running_stack, until
from token_provider import AUDIENCE, CLIENT, SECRET, TokenProvider, new_key, running_provider
from wire import Answer

from gateway.keyring import KeyRing
from gateway.stores.factors import Factors
from gateway.stores.freezes import Freezes
from gateway.stores.seats import Seats

HOST = "raw.test"
GATEWAY = """
[applications.raw]
hosts = ["raw.test"]
upstream = "{upstream}"

[applications.watched]
hosts = ["watched.test"]
upstream = "{upstream}"
mode = "observe"
"""
PARTNER = """
[partners.{name}]
name = "{name}"
issuer = "{issuer}"
client_id = "gateway"
client_secret_file = "api.secret"
{more}
"""
API = {
    "plain": f'api = {{ audience = "{AUDIENCE}", dpop = "optional" }}',
    "strict": f'api = {{ audience = "{AUDIENCE}", dpop = "required" }}',
    "opaque": f'api = {{ audience = "{AUDIENCE}", tokens = "introspect", dpop = "optional", client_id = "{CLIENT}",'
    ' client_secret_file = "api.secret" }',
    "listed": f'api = {{ audience = "{AUDIENCE}" }}\nallow = {{ subjects = ["sub-known"] }}',
    "worded": f'api = {{ audience = "{AUDIENCE}" }}',
    "asked": f'api = {{ audience = "{AUDIENCE}", tokens = "introspect", prefix = "w_", client_id = "{CLIENT}",'
    ' client_secret_file = "api.secret" }',
    "down": f'api = {{ audience = "{AUDIENCE}" }}',
    "closed": "",
}
ROUTES = """
[partners.worded]
acr = { values = ["gold"], max_age = "15m", serves = "sensitive", i_accept = 3000 }

[partners.asked]
acr = { values = ["gold"], max_age = "15m", serves = "sensitive", i_accept = 3000 }

[[routes]]
name = "restricted"
application = "raw"
path = "/restricted/{rest:*}"
class = "restricted"

[[routes]]
name = "sensitive"
application = "raw"
path = "/sensitive/{rest:*}"
methods = ["GET", "POST"]
class = "sensitive"
"""


@dataclass
class Place:
    """A gateway that takes tokens of several partners."""

    stack: Stack
    app: ScriptedApplication
    providers: dict[str, TokenProvider]

    def ask(
        self, target: str, *fields: tuple[str, str], method: str = "GET", body: bytes | None = None, host: str = HOST
    ) -> Answer:
        raw = wire.request(target, host, *fields, method=method, body=body)
        return wire.send(self.stack.port, raw)

    def get(self, target: str, token: str, *fields: tuple[str, str], host: str = HOST) -> Answer:
        return self.ask(target, ("Authorization", f"Bearer {token}"), *fields, host=host)

    def says(self, body: object = None) -> str:
        """A path of the test's own at which the application says something of nobody, or ``body``."""
        path = f"/p{secrets.token_hex(6)}"
        self.app.says(path, json.dumps({"offers": 3} if body is None else body).encode(), "application/json")
        return path

    def received(self, path: str) -> Received:
        (one,) = self.app.asked(path)
        return one

    def person(self, partner: str = "plain") -> tuple[str, str]:
        """Somebody of a partner with a code generator: their subject and its secret."""
        sub, secret = f"sub-{secrets.token_hex(4)}", pyotp.random_base32()
        user = self.user(sub, partner)
        factors = Factors(self.stack.thread.store, self.stack.keyring)
        self.stack.thread.call(factors.enrol_totp(user, pyotp.TOTP(secret).byte_secret()))
        return sub, secret

    def seated(self, partner: str) -> str:
        """Somebody who has been at a partner's for long; their subject."""
        sub = f"sub-{secrets.token_hex(4)}"
        taken = Seats(self.stack.thread.store).take(partner, self.user(sub, partner), ripe=True)
        assert self.stack.thread.call(taken) == "first"
        return sub

    def user(self, sub: str, partner: str = "plain") -> str:
        keyring: KeyRing = self.stack.keyring
        return keyring.user_id(self.providers[partner].issuer, sub)

    def step_up(self, secret: str, *fields: tuple[str, str]) -> Answer:
        body = json.dumps({"code": pyotp.TOTP(secret).now()}).encode()
        kind = ("Content-Type", "application/json")
        return self.ask("/.gateway/step-up/totp", kind, *fields, method="POST", body=body)


@pytest.fixture(scope="module")
def place(app: ScriptedApplication) -> Iterator[Place]:
    with contextlib.ExitStack() as ending:
        providers = {name: ending.enter_context(running_provider()) for name in API}
        upstream = f"http://127.0.0.1:{app.port}"
        partners = "".join(
            PARTNER.format(name=name, issuer=provider.issuer, more=API[name]) for name, provider in providers.items()
        )
        more = {
            "gateway.toml": GATEWAY.format(upstream=upstream),
            "partners.toml": partners,
            "policy.toml": ROUTES,
            "api.secret": SECRET,
        }
        stack = ending.enter_context(running_stack(upstream, changes={"policy.toml": CODES_OPEN_ALL}, more=more))
        yield Place(stack, app, providers)


@pytest.fixture
def plain(place: Place) -> TokenProvider:
    return place.providers["plain"]


def bearer(token: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {token}"


def challenge(answer: Answer) -> str:
    return answer.one("www-authenticate") or ""


def test_a_partner_s_program_is_let_in_and_named_to_the_application(place: Place, plain: TokenProvider) -> None:
    path, token = place.says(), plain.token("sub-named")
    assert place.get(path, token).status == 200
    received = place.received(path)
    assert received.all("x-gateway-user") == [place.user("sub-named").encode()]
    assert received.all("x-gateway-partner") == [b"plain"]
    assert not received.all("authorization")
    assert token.encode() not in received.raw


def test_whose_token_nobody_here_takes_is_not_let_in(place: Place, plain: TokenProvider) -> None:
    other = TokenProvider("https://foreign.example")
    closed = place.providers["closed"]
    for token in (other.token(), closed.token(), plain.token(aud="other"), plain.token(key=new_key()), "x.y.z", "x"):
        answer = place.get(place.says(), token)
        assert (answer.status, answer.reason) == (401, "token_unknown")
        assert challenge(answer).startswith('Bearer error="invalid_token"')


def test_invented_keys_do_not_make_us_ask_for_more(place: Place, plain: TokenProvider) -> None:
    assert place.get(place.says(), plain.token()).status == 200
    before = plain.asked.count("/jwks")
    for number in range(50):
        assert place.get("/", plain.token(header={"kid": f"invented{number}"})).reason == "token_unknown"
    assert plain.asked.count("/jwks") - before <= 1


def test_one_that_is_over_is_told_so(place: Place, plain: TokenProvider) -> None:
    answer = place.get("/", plain.token(exp=int(time.time()) - 5))
    assert (answer.status, answer.reason) == (401, "token_expired")


def test_whom_the_partner_s_table_does_not_list_is_not_let_in(place: Place) -> None:
    listed = place.providers["listed"]
    assert place.get(place.says(), listed.token("sub-known")).status == 200
    answer = place.get(place.says(), listed.token("sub-other"))
    assert (answer.status, answer.reason) == (403, "not_admitted")


@pytest.mark.parametrize("other", [("Cookie", "__Host-gateway=S"), ("Gateway-Authorization", "Bearer gwt_x")])
def test_two_credentials_are_one_too_many(place: Place, plain: TokenProvider, other: tuple[str, str]) -> None:
    answer = place.get("/", plain.token(), other)
    assert (answer.status, answer.reason) == (400, "ambiguous_credentials")
    answer = place.ask("/.gateway/budget", bearer(plain.token()), other)
    assert (answer.status, answer.reason) == (400, "ambiguous_credentials")


def test_in_a_field_of_its_own_it_leaves_authorization_to_the_application(place: Place, plain: TokenProvider) -> None:
    path, token = place.says(), plain.token()
    answer = place.ask(path, ("Gateway-Authorization", f"Bearer {token}"), ("Authorization", "Basic eDp5"))
    assert answer.status == 200
    assert place.received(path).all("authorization") == [b"Basic eDp5"]
    assert token.encode() not in place.received(path).raw


def test_what_a_token_says_of_a_sign_in_is_no_proof(place: Place, plain: TokenProvider) -> None:
    token = plain.token(acr="eidas3", amr=["hwk", "mfa"], auth_time=int(time.time()))
    answer = place.get("/sensitive/x", token)
    assert (answer.status, answer.reason) == (401, "proof_required")
    assert challenge(answer).startswith('Bearer error="insufficient_user_authentication"')


def gold(at: float = 0.0) -> dict[str, object]:
    """What a token says of a sign-in that the policy takes for a proof; ``at``: seconds from now."""
    return {"acr": "gold", "auth_time": int(time.time() + at)}


def test_what_a_token_says_of_a_sign_in_is_a_proof_of_what_the_policy_lets_it_serve(place: Place) -> None:
    provider, sub = place.providers["worded"], place.seated("worded")
    place.app.says("/sensitive/word", b'{"email": "zoe@example.org", "id": 7}', "application/json")
    answer = place.get("/sensitive/word", provider.token(sub, **gold()))
    assert (answer.status, b"zoe@example.org" in answer.body) == (200, True)
    proof = place.stack.record_of(answer, "answer")["proof"]
    assert (proof["kind"], proof["credential"]) == ("partner", "acr:gold") and proof["age_s"] <= 60
    assert place.get("/restricted/x", provider.token(sub, **gold())).reason == "proof_required"


@pytest.mark.parametrize(
    "said",
    [{}, {"acr": "gold"}, {"acr": "silver", "auth_time": 0}, gold(-901), gold(300)],
    ids=["nothing", "no time", "another level", "long ago", "to come"],
)
def test_what_a_token_does_not_say_rightly_is_no_proof(place: Place, said: dict[str, object]) -> None:
    said = said | ({"auth_time": int(time.time())} if said.get("auth_time") == 0 else {})
    token = place.providers["worded"].token(place.seated("worded"), **said)
    answer = place.get("/sensitive/x", token)
    assert answer.reason == "proof_required"
    assert 'acr_values="webauthn totp gold", max_age="900"' in challenge(answer)


def test_what_is_introspected_is_not_signed_and_no_proof(place: Place) -> None:
    token = place.providers["asked"].opaque_token(place.seated("asked"), prefix="w_", **gold())
    answer = place.get("/sensitive/x", token)
    assert answer.reason == "proof_required" and 'acr_values="webauthn totp", ' in challenge(answer)


def test_by_a_word_somebody_new_opens_what_somebody_vouched_for_does(place: Place) -> None:
    token = place.providers["worded"].token("sub-never-seen", **gold())
    place.app.says("/sensitive/new", b'{"email": "zoe@example.org", "id": 8}', "application/json")
    assert place.get("/sensitive/new", token).status == 200
    budgets = json.loads(place.ask("/.gateway/budget", bearer(token)).body)["budgets"]
    assert [(one["limit"], one["used"]) for one in budgets if one["name"] == "cooling-vouched"] == [(20, 1), (80, 1)]


def test_a_code_confirms_for_the_token_that_showed_it_and_no_other(place: Place, plain: TokenProvider) -> None:
    sub, secret = place.person()
    one, other = plain.token(sub), plain.token(sub)
    assert place.step_up(secret, bearer(one)).status == 200
    place.app.says("/sensitive/code", b"{}", "application/json")
    assert until(lambda: place.get("/sensitive/code", one).status == 200)
    assert place.get("/sensitive/code", other).reason == "proof_required"


def test_whichever_token_it_is_its_user_s_limits_are_the_same(place: Place, plain: TokenProvider) -> None:
    sub, secret = place.person()
    one, other = plain.token(sub), plain.token(sub, client_id="other")
    assert place.step_up(secret, bearer(one)).status == 200
    path = place.says({"nir": "185057800608436", "nom": "Tést"})
    assert until(lambda: place.get(path, one).status == 200)
    for token in (one, other):
        said = json.loads(place.ask("/.gateway/budget", bearer(token)).body)
        assert max(limit["used"] for limit in said["budgets"] if limit["scope"] == "user") == 1


def test_a_client_in_its_own_name_is_a_machine_that_confirms_nothing(place: Place, plain: TokenProvider) -> None:
    token = plain.token("crm")
    assert place.get(place.says(), token).status == 200
    assert place.get("/sensitive/x", token).reason in ("machine_token", "mandate_required")
    assert place.step_up(pyotp.random_base32(), bearer(token)).reason == "machine_token"


@pytest.mark.parametrize("kind", ["token", "user"])
def test_a_freeze_stops_it_within_a_second(place: Place, plain: TokenProvider, kind: str) -> None:
    sub, path = f"sub-frozen-{kind}", place.says({"nom": "Tést"})
    token = plain.token(sub)
    answer = place.get(path, token)
    assert answer.status == 200
    caller = place.stack.record_of(answer, "answer")["caller"]
    assert caller["credential"].startswith("a_")
    assert caller["user"] == place.user(sub)
    name = caller["credential"] if kind == "token" else caller["user"]
    freezes = Freezes(place.stack.thread.store, place.stack.keyring)
    place.stack.thread.call(freezes.freeze(kind, name, by="t", reason="t", now=time.time()))
    assert until(lambda: place.get(path, token).reason == "frozen")
    assert (place.get(path, plain.token(sub)).status == 403) is (kind == "user")


def test_what_observes_only_takes_it_too(place: Place, plain: TokenProvider) -> None:
    path = place.says()
    assert place.get(path, plain.token("sub-watched"), host="watched.test").status == 200
    assert place.received(path).all("x-gateway-user") == [place.user("sub-watched").encode()]
    path = place.says()
    assert place.get(path, plain.token(aud="other"), host="watched.test").status == 200
    assert not place.received(path).all("authorization")


def test_an_opaque_token_is_good_for_as_long_as_its_partner_says(place: Place) -> None:
    opaque = place.providers["opaque"]
    token = opaque.opaque_token("sub-opaque")
    path = place.says()
    assert place.get(path, token).status == 200
    assert place.received(path).all("x-gateway-user") == [place.user("sub-opaque", "opaque").encode()]
    opaque.opaque[token] = {"active": False}
    assert until(lambda: place.get(path, token).reason == "token_unknown")


def test_a_partner_that_is_silent_is_a_fault_in_words(place: Place) -> None:
    opaque = place.providers["opaque"]
    opaque.silent = True
    try:
        answer = place.get("/", opaque.opaque_token())
    finally:
        opaque.silent = False
    assert (answer.status, answer.reason) == (503, "partner_unreachable")


def test_keys_that_are_known_stay_good_while_their_partner_is_silent(place: Place) -> None:
    listed, path = place.providers["listed"], place.says()
    assert place.get(path, listed.token("sub-known")).status == 200
    listed.silent = True
    try:
        assert place.get(path, listed.token("sub-known")).status == 200
    finally:
        listed.silent = False


def test_where_no_keys_can_be_had_nobody_is_let_in(place: Place) -> None:
    down = place.providers["down"]
    down.silent = True
    for _ in range(2):
        answer = place.get("/", down.token())
        assert (answer.status, answer.reason) == (503, "partner_unreachable")


@dataclass
class Program:
    """A program with a key and a token that is bound to it."""

    place: Place
    token: str
    client: DpopClient
    nonce: str = ""

    def fields(self, method: str, target: str, *, name: str = "Authorization", **more: object) -> list[tuple[str, str]]:
        url = f"http://{HOST}{target.partition('?')[0]}"
        proof = self.client.proof(method, url, self.token, **{"nonce": self.nonce, **more})  # type: ignore[arg-type]
        return [(name, f"DPoP {self.token}"), ("DPoP", proof)]

    def get(self, target: str, **more: object) -> Answer:
        return self.place.ask(target, *self.fields("GET", target, **more))  # type: ignore[arg-type]


@pytest.fixture
def program(place: Place) -> Program:
    """A program of the partner that wants keys, which knows the nonce of now."""
    client = DpopClient()
    made = Program(place, place.providers["strict"].token("sub-key", cnf={"jkt": client.thumbprint}), client)
    made.nonce = made.get("/").one("dpop-nonce") or ""
    assert made.nonce
    return made


def test_who_knows_no_nonce_is_given_one(place: Place, program: Program) -> None:
    program.nonce = ""
    answer = program.get(place.says())
    assert (answer.status, answer.reason) == (401, "use_dpop_nonce")
    assert challenge(answer).startswith("DPoP ")
    assert 'error="use_dpop_nonce"' in challenge(answer)
    assert "ES256" in challenge(answer)
    assert answer.one("dpop-nonce")


def test_a_token_with_its_key_is_let_in_and_neither_reaches_the_application(place: Place, program: Program) -> None:
    path = place.says()
    answer = program.get(f"{path}?x=1")
    assert answer.status == 200
    assert answer.one("dpop-nonce")
    received = place.received(path)
    assert not received.all("authorization") + received.all("dpop")
    assert program.token.encode() not in received.raw


def test_in_a_field_of_its_own_it_works_too(place: Place, program: Program) -> None:
    path = place.says()
    fields = program.fields("GET", path, name="Gateway-Authorization")
    assert place.ask(path, *fields, ("Authorization", "Basic eDp5")).status == 200
    received = place.received(path)
    assert received.all("authorization") == [b"Basic eDp5"]
    assert not received.all("dpop")


def test_what_was_seen_on_the_way_cannot_be_sent_again(place: Place, program: Program) -> None:
    path = place.says()
    fields = program.fields("GET", path)
    assert place.ask(path, *fields).status == 200
    again = place.ask(path, *fields)
    assert (again.status, again.reason) == (401, "invalid_dpop_proof")
    assert 'error="invalid_dpop_proof"' in challenge(again)
    assert place.ask(place.says(), *fields).reason == "invalid_dpop_proof"


def test_a_stolen_token_is_nothing_without_its_key(place: Place, program: Program) -> None:
    path = place.says()
    answer = place.get(path, program.token)
    assert (answer.status, answer.reason) == (401, "invalid_dpop_binding")
    assert challenge(answer).startswith("DPoP ")
    assert 'error="invalid_token"' in challenge(answer)
    thief = Program(place, program.token, DpopClient(), program.nonce)
    assert thief.get(path).reason == "invalid_dpop_binding"
    assert place.ask(path, ("Authorization", f"DPoP {program.token}")).reason == "invalid_dpop_proof"
    assert place.ask("/.gateway/budget", bearer(program.token)).reason == "invalid_dpop_binding"


def test_a_partner_that_wants_keys_refuses_tokens_without(place: Place) -> None:
    answer = place.get("/", place.providers["strict"].token())
    assert (answer.status, answer.reason) == (401, "invalid_dpop_binding")


def test_two_proofs_are_one_too_many(place: Place, program: Program) -> None:
    path = place.says()
    fields = [*program.fields("GET", path), program.fields("GET", path)[1]]
    assert place.ask(path, *fields).reason == "invalid_dpop_proof"


def test_a_token_of_ours_is_bound_to_no_key(place: Place, program: Program) -> None:
    ours = Program(place, place.stack.account().token, program.client, program.nonce)
    assert ours.get(place.says()).reason == "invalid_dpop_binding"


def test_a_code_confirms_for_a_token_with_its_key(place: Place) -> None:
    sub, secret = place.person("strict")
    client = DpopClient()
    program = Program(place, place.providers["strict"].token(sub, cnf={"jkt": client.thumbprint}), client)
    refused = place.step_up(secret, *program.fields("POST", "/.gateway/step-up/totp"))
    assert refused.reason == "use_dpop_nonce"
    program.nonce = refused.one("dpop-nonce") or ""
    assert program.get("/sensitive/key").reason == "proof_required"
    assert challenge(program.get("/sensitive/key")).startswith("DPoP ")
    confirmed = place.step_up(secret, *program.fields("POST", "/.gateway/step-up/totp"))
    assert confirmed.status == 200
    assert confirmed.one("dpop-nonce")
    place.app.says("/sensitive/key", b"{}", "application/json")
    assert until(lambda: program.get("/sensitive/key").status == 200)


def test_what_carries_a_foreign_key_to_the_application_reaches_it_beside_a_token_of_ours(place: Place) -> None:
    path, ours = place.says(), place.stack.account().token
    fields = [("Gateway-Authorization", f"Bearer {ours}"), ("Authorization", "DPoP foreign"), ("DPoP", "its.own.proof")]
    assert place.ask(path, *fields).status == 200
    received = place.received(path)
    assert (received.all("authorization"), received.all("dpop")) == ([b"DPoP foreign"], [b"its.own.proof"])
