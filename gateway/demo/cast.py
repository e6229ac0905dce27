"""Who plays in the demo: two partners, advisers with passwords, most with code generators, and four tokens."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.commands.ledger_access import desk
from gateway.config import Settings
from gateway.demo.ready import ReadyToken, ReadyUser
from gateway.keyring import KeyRing
from gateway.stores.factors import Factors
from gateway.stores.seats import Seats
from gateway.stores.tokens import Tokens

FIRST_TOKEN_PERSONS: Final = 60
_TOKEN_LASTS_S: Final = 30 * 86_400
_SECRET_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Adviser:
    """Somebody of a partner. ``name`` is what they are called at their partner's; ``new``: has no factor yet.

    ``acr``: at which level their partner's provider says that they signed in.
    """

    login: str
    name: str
    partner: str
    sub: str
    password: str
    new: bool = False
    acr: str = "eidas1"


@dataclass(frozen=True, slots=True)
class TokenPart:
    """A token to be issued, and the login of whose it is."""

    name: str
    login: str
    max_persons: int | None = None


ADVISERS: Final = (
    Adviser("camille", "Camille Durand", "relais-emploi", "re-4711", "lavande-bleue-42"),
    Adviser("sacha", "Sacha Moreau", "relais-emploi", "re-4712", "genet-jaune-17"),
    Adviser("noor", "Noor Lefevre", "cap-insertion", "ci-0815", "bruyere-rose-88"),
    Adviser("lucie", "Lucie Bernard", "relais-emploi", "re-4714", "mimosa-tendre-58"),
    Adviser("theo", "Théo Marchand", "relais-emploi", "re-4713", "coquelicot-vif-29", new=True),
    Adviser("ines", "Inès Petit", "cap-insertion", "ci-0816", "jonquille-verte-63", acr="eidas2"),
)
TOKENS: Final = (
    TokenPart("desk", "camille", FIRST_TOKEN_PERSONS),
    TokenPart("laptop", "camille"),
    TokenPart("script", "camille"),
    TokenPart("desk-noor", "noor"),
)


def colleagues(partner: str, number: int) -> tuple[Adviser, ...]:
    """So many more of a partner's people, for whoever wants a whole agency; each with a code generator."""
    logins = [f"{partner}-{at:03d}" for at in range(1, number + 1)]
    return tuple(Adviser(login, login, partner, login, f"{login}-passe") for login in logins)


def provider_file(
    partner: str, client_secret: str, gateway: str, signals: str | None = None, more: Sequence[Adviser] = ()
) -> str:
    """The users and the one client of a partner's provider, as `gateway.demo.sso` reads them.

    ``signals``: the gateway's address for the provider itself, where it is not what browsers call; ``more``: people
    beside the usual.
    """
    told_at = signals or gateway
    users = [
        {
            "login": one.login,
            "password": one.password,
            "sub": one.sub,
            "name": one.name,
            "email": f"{one.login}@{partner}.example",
            "agency": "75001",
            "acr": one.acr,
        }
        for one in (*ADVISERS, *more)
        if one.partner == partner
    ]
    client = {
        "client_id": "gateway",
        "client_secret": client_secret,
        "redirect_uris": [f"{gateway}/.gateway/callback/{partner}"],
        "backchannel_logout_uri": f"{told_at}/.gateway/back-channel-logout/{partner}",
        "events_uri": f"{told_at}/.gateway/events/{partner}",
        "signals": {"issuer": gateway, "jwks_uri": f"{told_at}/.gateway/jwks.json", "audience": partner},
        "post_logout_redirect_uris": [f"{gateway}/.gateway/signed-out"],
    }
    return json.dumps({"users": users, "clients": [client]})


def partner_secret(config: Path, partner: str) -> str:
    """The client secret that `gateway init` has made for a partner."""
    return (config / "keys" / f"partner-{partner}.secret").read_text("ascii").strip()


async def enter(
    settings: Settings, more: Sequence[Adviser] = ()
) -> tuple[tuple[ReadyUser, ...], tuple[ReadyToken, ...]]:
    """Enrol everybody's code generator and issue the tokens, each recorded in the ledger.

    ``more``: people beside the usual, each of whom gets a token too.
    """
    issuers = {name: partner.issuer for name, partner in settings.partners.items()}
    everybody = {one.login: one for one in (*ADVISERS, *more)}
    parts = (*TOKENS, *(TokenPart("desk", one.login) for one in more))
    users, tokens = [], []
    async with desk(settings) as at_desk:
        factors, issuing = Factors(at_desk.store, at_desk.keys), Tokens(at_desk.store, at_desk.keys)
        ids = {login: at_desk.keys.user_id(issuers[one.partner], one.sub) for login, one in everybody.items()}
        for one in everybody.values():  # they have been here for long
            await Seats(at_desk.store).take(one.partner, ids[one.login], ripe=True)
        for one in (one for one in everybody.values() if not one.new):
            secret = secrets.token_bytes(_SECRET_BYTES)
            await at_desk.record("factor", "enrolled", "demo", user=ids[one.login], factor_kind="totp")
            await factors.enrol_totp(ids[one.login], secret)
            text = base64.b32encode(secret).decode()
            users.append(ReadyUser(one.login, one.partner, one.login, one.password, text))
        for part in parts:
            one = everybody[part.login]
            token, token_id = await _issue(issuing, part, one, issuers, at_desk.now)
            user = ids[one.login]
            await at_desk.record("token", "issued", "demo", token=token_id, user=user, partner=one.partner)
            tokens.append(ReadyToken(part.name, token, one.login))
    return tuple(users), tuple(tokens)


async def _issue(
    tokens: Tokens, part: TokenPart, adviser: Adviser, issuers: Mapping[str, str], now: float
) -> tuple[str, str]:
    return await tokens.issue(
        issuer=issuers[adviser.partner],
        sub=adviser.sub,
        partner=adviser.partner,
        name=part.name,
        login=adviser.login,
        expires_at=now + _TOKEN_LASTS_S,
        max_persons=part.max_persons,
    )


def user_id(settings: Settings, keys: KeyRing, login: str) -> str:
    """The id under which store and ledger know an adviser."""
    one = _adviser(login)
    return keys.user_id(settings.partners[one.partner].issuer, one.sub)


def _adviser(login: str) -> Adviser:
    return next(one for one in ADVISERS if one.login == login)
