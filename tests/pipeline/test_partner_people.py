"""The people of one partner before the real gateway of two workers: how many they are, how new, what each keeps."""

import contextlib
import itertools
import json
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pyotp
import pytest
import wire
from persons import RAW, nir, record
from scripted_application import ScriptedApplication
from stack import CODES_OPEN_ALL, Account, Stack, at_once, running_stack, until
from token_provider import AUDIENCE, SECRET, TokenProvider, running_provider
from wire import Answer

from gateway.core.assurance import Proof
from gateway.core.identity import Pair
from gateway.edge.jwks import SPACING_S
from gateway.stores import keys
from gateway.stores.factors import Factors
from gateway.stores.freezes import Freezes
from gateway.stores.identities import Identities
from gateway.stores.seats import Seats
from gateway.stores.signals import Signals
from gateway.stores.tokens import Tokens

SEATS, FLOOR, USERS_LIMIT = 24, 10, 60
WORKERS = 2
SHARED = 20 * SEATS - FLOOR * SEATS
PARTNER = """
[partners.{name}]
name = "{name}"
issuer = "{issuer}"
client_id = "gateway"
client_secret_file = "api.secret"
api = {{ audience = "{audience}" }}
"""
RULES = f"""
[partners.few]
seats = {SEATS}

[partners.lost]
seats = 1

[partners.kept]
seats = {SEATS}

[[partners.kept.budgets]]
name = "kept-hour"
scope = "partner"
class = "sensitive"
per_seat = 20
floor = {FLOOR}
per = "1h"
"""
_NUMBERS = itertools.count(50_000)


@dataclass
class Place:
    """A gateway of two workers, and the providers of its partners."""

    stack: Stack
    app: ScriptedApplication
    providers: dict[str, TokenProvider]

    def get(self, path: str, token: str) -> Answer:
        raw = wire.request(path, RAW, ("Authorization", f"Bearer {token}"))
        return wire.send(self.stack.port, raw)

    def says(self, body: object) -> str:
        path = f"/p{secrets.token_hex(6)}"
        self.app.says(path, json.dumps(body).encode(), "application/json")
        return path

    def user(self, partner: str, sub: str) -> str:
        return self.stack.keyring.user_id(self.providers[partner].issuer, sub)

    def takes(self, token: str) -> bool:
        """Whether the holder of a token is given the number of somebody whom nobody has seen."""
        number = next(_NUMBERS)
        return nir(number).encode() in self.get(self.says(record(number)), token).body

    def recorded(self, partner: str, kind: str) -> Counter[str]:
        """How many records of a kind there are of each of a partner's people."""
        callers = [one["caller"] for one in self.stack.records() if one["kind"] == kind]
        return Counter(one["user"] for one in callers if one["partner"] == partner)


@pytest.fixture(scope="module")
def place(app: ScriptedApplication) -> Iterator[Place]:
    with contextlib.ExitStack() as ending:
        providers = {name: ending.enter_context(running_provider()) for name in ("few", "kept", "new", "freed", "lost")}
        upstream = f"http://127.0.0.1:{app.port}"
        partners = "".join(
            PARTNER.format(name=name, issuer=one.issuer, audience=AUDIENCE) for name, one in providers.items()
        )
        application = f'[applications.raw]\nhosts = ["{RAW}"]\nupstream = "{upstream}"\n'
        more = {"gateway.toml": application, "partners.toml": partners, "policy.toml": RULES, "api.secret": SECRET}
        changes = {"policy.toml": CODES_OPEN_ALL | {"max_persons = 40\n": "max_persons = 400\n"}}
        stack = ending.enter_context(running_stack(upstream, workers=WORKERS, changes=changes, more=more))
        yield Place(stack, app, providers)


def test_of_fifty_whom_a_partner_s_tokens_name_as_many_come_in_as_it_has_seats(place: Place) -> None:
    few, path = place.providers["few"], place.says({"offers": 3})
    subs = [f"made-up-{number}" for number in range(50)]
    answers = at_once(lambda sub: place.get(path, few.token(sub)), subs * 2)
    said = Counter((answer.status, answer.reason) for answer in answers)
    assert said == {(200, ""): 2 * SEATS, (403, "no_seat"): 2 * 26}
    inside = [sub for sub, answer in zip(subs, answers, strict=False) if answer.status == 200]
    assert place.recorded("few", "first_sight") == Counter(place.user("few", sub) for sub in inside)
    alarms = place.recorded("few", "alarm")  # each worker raises one for each of them, and counts them from then on
    assert set(alarms) == {place.user("few", sub) for sub in subs if sub not in inside}
    assert set(alarms.values()) <= set(range(1, WORKERS + 1))
    again = at_once(lambda sub: place.get(path, few.token(sub)).status, subs)
    assert [sub for sub, status in zip(subs, again, strict=True) if status == 200] == inside


def test_who_comes_by_a_partner_s_tokens_alone_is_new_for_a_day(place: Place) -> None:
    sub, secret = "sub-new", pyotp.random_base32()
    token, store = place.providers["new"].token(sub), place.stack.thread.store
    raw = pyotp.TOTP(secret).byte_secret()
    place.stack.thread.call(Factors(store, place.stack.keyring).enrol_totp(place.user("new", sub), raw))
    body = json.dumps({"code": pyotp.TOTP(secret).now()}).encode()
    fields = ("Content-Type", "application/json"), ("Authorization", f"Bearer {token}")
    asked = wire.request("/.gateway/step-up/totp", RAW, *fields, method="POST", body=body)
    assert wire.send(place.stack.port, asked).status == 200
    assert until(lambda: place.takes(token))
    assert sum(at_once(lambda _: place.takes(token), range(30))) == 19  # twenty an hour, as if somebody had vouched


def test_who_is_stopped_or_whose_token_was_ended_takes_no_seat(place: Place) -> None:
    freed, path, store = place.providers["freed"], place.says({"offers": 3}), place.stack.thread.store
    token, other, user = freed.token("sub-freed"), freed.token("sub-freed"), place.user("freed", "sub-freed")
    assert place.get(path, token).status == 200
    seats = Seats(store)
    assert [one.user for one in place.stack.thread.call(seats.rows("freed"))] == [user]
    assert place.stack.thread.call(seats.leave("freed", user))
    place.stack.thread.call(Signals(store, place.stack.keyring).end(user, None))
    assert until(lambda: place.get(path, token).reason == "token_revoked")
    assert place.get(path, other).reason == "token_revoked"  # which was not shown before
    stopped = place.user("freed", "sub-stopped")
    place.stack.thread.call(
        Freezes(store, place.stack.keyring).freeze("user", stopped, by="t", reason="t", now=time.time())
    )
    assert place.get(path, freed.token("sub-stopped")).reason == "frozen"
    assert place.stack.thread.call(seats.rows("freed")) == []


def test_a_thousand_tokens_of_invented_keys_make_us_ask_once_in_half_a_minute(place: Place) -> None:
    provider, path, began = place.providers["new"], place.says({"offers": 3}), time.monotonic()
    assert place.get(path, provider.token("sub-known")).status == 200
    before = provider.asked.count("/jwks")
    tokens = [provider.token(header={"kid": f"invented-{number}"}) for number in range(1_000)]
    assert set(at_once(lambda token: place.get(path, token).reason, tokens)) == {"token_unknown"}
    half_minutes = int((time.monotonic() - began) // SPACING_S)
    assert provider.asked.count("/jwks") - before <= 1 + half_minutes


def with_passkey(place: Place) -> Account:
    """Somebody of the partner ``kept`` who has just confirmed with a passkey."""
    account = place.stack.account(partner="kept", max_persons=1_000)
    store, keyring = place.stack.thread.store, place.stack.keyring
    proof = Proof(secrets.token_hex(8), "webauthn", time.time(), account.user, account.token_id)
    assert place.stack.thread.call(Tokens(store, keyring).attach_proof(account.token_id, proof))
    return account


def test_thieves_who_empty_what_a_partner_shares_leave_nineteen_colleagues_ten_an_hour_each(place: Place) -> None:
    thieves, colleagues = ([with_passkey(place) for _ in range(count)] for count in (5, 19))
    taken = at_once(place.takes, [one.token for one in thieves for _ in range(USERS_LIMIT + 5)])
    assert SHARED <= sum(taken) <= SHARED + 5 * FLOOR
    taken = at_once(place.takes, [one.token for one in colleagues for _ in range(FLOOR + 3)])
    assert [sum(taken[start : start + FLOOR + 3]) for start in range(0, len(taken), FLOOR + 3)] == [FLOOR] * 19


def test_a_program_s_token_names_nobody_by_a_new_identity_before_it_is_confirmed_and_by_the_old_one_after(
    place: Place,
) -> None:
    before, after, path = place.providers["freed"], place.providers["new"], place.says({"offers": 3})
    old, new = place.user("freed", "sub-before"), place.user("new", "sub-after")
    identities = Identities(place.stack.thread.store, place.stack.keyring)
    carried = place.stack.thread.call(identities.carry(Pair(old, new, old), partners=("freed", "new")))
    assert carried == "carried"
    assert place.get(path, before.token("sub-before")).status == 200
    refused = place.get(path, after.token("sub-after"))
    assert (refused.status, refused.reason) == (403, "identity_unconfirmed")
    place.stack.thread.call(identities.confirm(new))
    assert place.get(path, before.token("sub-before")).reason == "identity_gone"
    assert place.get(path, after.token("sub-after")).status == 200
    assert place.app.received[-1].all("x-gateway-user") == [old.encode()]


def test_a_lost_store_knows_from_the_ledger_again_who_has_a_seat_and_is_new(place: Place) -> None:
    lost, path, stack = place.providers["lost"], place.says({"offers": 3}), place.stack
    assert place.get(path, lost.token("sub-first")).status == 200
    user, store = place.user("lost", "sub-first"), stack.thread.store
    known_at = stack.thread.call(store.call("GET", keys.first_sight(user)))
    stack.thread.call(store.call("FLUSHALL"))
    command = [sys.executable, "-m", "gateway", "budget", "rebuild", "--config", str(stack.directory)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    # each worker takes up again by itself, so this test is the last one
    until(lambda: place.get(path, lost.token("sub-first")).status == 200)
    until(lambda: place.get(path, lost.token("sub-second")).reason == "no_seat")
    again_at = stack.thread.call(store.call("GET", keys.first_sight(user)))
    assert known_at and 0 <= float(again_at) - float(known_at) < 1
    assert place.recorded("lost", "first_sight") == {user: 1}
