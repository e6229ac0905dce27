"""``partners.toml``: its tables, what each kind of provider has in common, and what can be wrong with them."""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gateway.config.addresses import DOMAIN, is_callable
from gateway.config.tables import Problem, Table

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A partner's id also stands in addresses and in the ledger."""

_PATH = re.compile(r'(?:[^."]+|"[^"]+")(?:\.(?:[^."]+|"[^"]+"))*')
_PART = re.compile(r'[^."]+|"[^"]+"')

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "generic": {},
    "keycloak": {
        "algorithms": ["RS256"],
        "par": True,
        "claims": {"user": "preferred_username", "name": "name"},
    },
    "entra": {
        "algorithms": ["RS256"],
        "assertion_audience": "token",
        "asks": ["max_age"],
        "claims": {"user": "preferred_username", "name": "name", "organisation": "tid"},
    },
    # It takes max_age without minding it, calls every sign-in one of now, and lets in whoever has an account anywhere.
    "proconnect": {
        "algorithms": ["RS256"],
        "client_auth": "post",
        "userinfo": "jwt",
        "scope": "openid given_name usual_name email siret uid",
        "acr": ["eidas1", "eidas1-mfa", "eidas2", "eidas3"],
        "asks": [],
        "claims": {"user": "email", "name": "usual_name", "organisation": "siret"},
    },
}
"""What is the same for every provider of a kind; a partner's table says otherwise where it wants."""


def _path(value: object) -> object:
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise ValueError("""write the names of claims with dots between them, those with dots in quotes: 'a."b.c"'""")
    return tuple(part.strip('"') for part in _PART.findall(value))


ClaimPath = Annotated[tuple[str, ...], BeforeValidator(_path)]


class EndpointsTable(Table):
    """Where a provider is called, instead of its metadata."""

    authorization: str
    token: str
    jwks: str
    userinfo: str | None = None
    par: str | None = None
    end_session: str | None = None
    introspection: str | None = None


class ClaimsTable(Table):
    """Which claim says what; one that is named must be there. ``user``: by what the partner knows the person."""

    user: ClaimPath | None = None
    name: ClaimPath | None = None
    organisation: ClaimPath | None = None
    agency: ClaimPath | None = None
    roles: ClaimPath | None = None


class AllowTable(Table):
    """Who may come in: a person must be in every list that is there, with one of their roles."""

    organisations: list[str] | None = Field(None, min_length=1)
    roles: list[str] | None = Field(None, min_length=1)
    subjects: list[str] | None = Field(None, min_length=1)


class ApiTable(Table):
    """That programs may come with access tokens of this partner.

    ``audience``: what a token must be for (``aud``); ``dpop``: whether it may or must be bound to a key (RFC 9449);
    ``prefix``: how the partner's opaque tokens begin; ``client_id``: as whom we ask about them (RFC 7662).
    """

    audience: str = Field(min_length=1)
    tokens: Literal["jwt", "introspect"] = "jwt"
    dpop: Literal["no", "optional", "required"] = "no"
    prefix: str = ""
    client_id: str | None = None
    client_secret_file: Path | None = None


class EventsTable(Table):
    """Where the partner wants to be told of its people: pushed security event tokens (RFC 8935).

    ``audience``: for whom they are; ``token_file``: a bearer token that the endpoint asks for (RFC 6750), where our
    signature is not enough for it.
    """

    endpoint: str
    audience: str = Field(min_length=1)
    token_file: Path | None = None


class PartnerTable(Table):
    """One partner organisation and its OpenID provider.

    ``acr``: the levels of which the sign-in must be one. ``asks``: how the provider is asked for what the policy takes
    for a proof. ``names_itself``: each answer must carry ``iss`` (RFC 9207), also where no metadata say so.
    ``assertion_audience``: whom a signed client authentication is addressed to.
    """

    name: str
    issuer: str
    client_id: str
    preset: Literal["generic", "keycloak", "entra", "proconnect"] = "generic"
    client_auth: Literal["basic", "post", "private_key_jwt"] | None = None
    client_secret: str | None = None
    client_secret_file: Path | None = None
    client_key_file: Path | None = None
    assertion_audience: Literal["issuer", "token"] = "issuer"
    algorithms: list[Literal["ES256", "ES384", "RS256", "PS256", "EdDSA"]] = Field(["ES256"], min_length=1)
    scope: str = "openid profile"
    endpoints: EndpointsTable | None = None
    names_itself: bool = False
    par: bool = False
    userinfo: Literal["none", "json", "jwt"] = "none"
    acr: list[str] = []
    asks: list[Literal["acr_values", "claims", "max_age"]] = ["acr_values", "max_age"]
    claims: ClaimsTable = ClaimsTable()
    allow: AllowTable | None = None
    domains: list[str] = []
    api: ApiTable | None = None
    events: EventsTable | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_its_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("preset"), str):
            return given
        usual = PRESETS.get(given["preset"], {})
        whole = {**usual, **given}
        if isinstance(given.get("claims"), dict):
            whole["claims"] = {**usual.get("claims", {}), **given["claims"]}
        return whole


class PartnersFile(Table):
    """``partners.toml``."""

    partners: dict[str, PartnerTable] = {}


def partner_problems(file: PartnersFile) -> Iterable[Problem]:
    """What is wrong with partners beyond the shape of their tables."""
    for name, partner in file.partners.items():
        told = (_own(name, partner), *(check(partner) for check in (_client, _provider, _admission, _api, _events)))
        for setting, words in chain.from_iterable(told):
            path = ("partners", name, *setting)
            yield path, ".".join(path), words
    yield from _claimed_twice(file)
    yield from _opaque_twice(file)


Complaints = Iterable[tuple[tuple[str, ...], str]]


def _own(name: str, partner: PartnerTable) -> Complaints:
    if not ID.fullmatch(name):
        yield (), f"{name!r} is no id: at most 64 letters, digits, dots, hyphens and underscores"
    if not is_callable(partner.issuer):
        yield ("issuer",), "write https://HOST as the provider's metadata say it; http: is only for this machine"
    if "openid" not in partner.scope.split():
        yield ("scope",), "openid is missing: without it there is no ID token"
    for domain in partner.domains:
        if not DOMAIN.fullmatch(domain):
            yield (
                ("domains",),
                f"{domain!r}: write the domain of e-mail addresses, in lower case: agency.example",
            )


def _client(partner: PartnerTable) -> Complaints:
    signed = partner.client_auth == "private_key_jwt"
    secrets = [one for one in (partner.client_secret, partner.client_secret_file) if one is not None]
    if len(secrets) > 1:
        yield ("client_secret",), "there is a client_secret_file too: keep one"
    if signed and partner.client_key_file is None:
        yield ("client_auth",), "private_key_jwt needs a client_key_file"
    if signed and secrets:
        yield ("client_auth",), "private_key_jwt needs no secret: remove it"
    if not signed and partner.client_key_file is not None:
        yield ("client_key_file",), 'is used with client_auth = "private_key_jwt" alone'
    if partner.client_auth in ("basic", "post") and not secrets:
        yield ("client_auth",), f"{partner.client_auth} needs a client_secret_file"


def _provider(partner: PartnerTable) -> Complaints:
    endpoints = partner.endpoints
    if endpoints is None:
        return
    for name, address in endpoints.model_dump().items():
        if address is not None and not is_callable(address):
            yield ("endpoints", name), "write https://HOST/PATH; http: is only for this machine"
    if partner.userinfo != "none" and endpoints.userinfo is None:
        yield ("endpoints",), f'userinfo = "{partner.userinfo}" needs its address here'
    if partner.par and endpoints.par is None:
        yield ("endpoints",), "par = true needs its address here"


def _admission(partner: PartnerTable) -> Complaints:
    allow = partner.allow
    if allow is None or allow == AllowTable():
        if partner.preset == "proconnect":
            yield ("allow",), "is missing: ProConnect signs in people of every organisation; say which may come in"
        elif allow is not None:
            yield ("allow",), "is empty: write organisations, roles or subjects, or remove it"
        return
    if allow.organisations is not None and partner.claims.organisation is None:
        yield ("allow", "organisations"), "which claim names the organisation? write claims.organisation"
    if allow.roles is not None and partner.claims.roles is None:
        yield ("allow", "roles"), "which claim names the roles? write claims.roles"


def _api(partner: PartnerTable) -> Complaints:
    api = partner.api
    if api is None:
        return
    asks = api.tokens == "introspect"
    if not asks and (api.prefix or api.client_id or api.client_secret_file):
        yield ("api",), 'prefix, client_id and client_secret_file are used with tokens = "introspect" alone'
    if (api.client_id is None) != (api.client_secret_file is None):
        yield ("api",), "client_id and client_secret_file belong together"
    if asks and api.client_id is None and partner.client_secret is None and partner.client_secret_file is None:
        yield ("api",), 'tokens = "introspect" needs client_id and client_secret_file: as whom we ask'
    if asks and partner.endpoints is not None and partner.endpoints.introspection is None:
        yield ("endpoints",), 'tokens = "introspect" needs the address of introspection here'


def _events(partner: PartnerTable) -> Complaints:
    if partner.events is not None and not is_callable(partner.events.endpoint):
        yield ("events", "endpoint"), "write https://HOST/PATH; http: is only for this machine"


def _opaque_twice(file: PartnersFile) -> Iterable[Problem]:
    """An opaque token is asked about at one partner: the one of its prefix, else the only one without."""
    of_prefix: dict[str, str] = {}
    for name, partner in file.partners.items():
        api = partner.api
        if api is None or api.tokens != "introspect":
            continue
        path = ("partners", name, "api")
        if (other := of_prefix.setdefault(api.prefix, name)) != name:
            told = f"the prefix {api.prefix!r} leads" if api.prefix else "without a prefix, opaque tokens lead"
            yield path, ".".join(path), f"{told} to {other!r} already"
        if api.prefix.startswith("gwt_"):
            yield path, ".".join(path), "gwt_ begins the gateway's own tokens"


def _claimed_twice(file: PartnersFile) -> Iterable[Problem]:
    """A domain leads to one partner; an issuer's people are one partner's, or told apart by their organisation."""
    by_domain: dict[str, str] = {}
    by_issuer: dict[tuple[str, str | None], str] = {}
    for name, partner in file.partners.items():
        for domain in partner.domains:
            if (other := by_domain.setdefault(domain, name)) != name:
                path = ("partners", name, "domains")
                yield path, ".".join(path), f"{domain!r} already leads to {other!r}"
        named = partner.allow.organisations if partner.allow else None
        organisations: list[str | None] = [*named] if named else [None]
        shared = [
            other
            for (issuer, organisation), other in by_issuer.items()
            if issuer == partner.issuer and (None in organisations or organisation in (None, *organisations))
        ]
        if shared:
            path = ("partners", name, "issuer")
            words = f"is that of {shared[0]!r} too: tell their people apart by allow.organisations"
            yield path, ".".join(path), words
        by_issuer |= {(partner.issuer, organisation): name for organisation in organisations}
