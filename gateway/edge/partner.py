"""A partner organisation, as its contract says: frozen values that pages and tokens are judged by."""

from dataclasses import dataclass, field

ClaimPath = tuple[str, ...]
"""Names of claims from the outside in: ``("realm_access", "roles")``."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider is called, and what it can do.

    ``names_itself``: its answers carry ``iss`` (RFC 9207); ``wants_secret_in_form``: its token endpoint takes the
    client's secret in the form alone.
    """

    authorization: str
    token: str
    jwks: str
    userinfo: str | None = None
    par: str | None = None
    end_session: str | None = None
    introspection: str | None = None
    names_itself: bool = False
    wants_secret_in_form: bool = False


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Which claim says what; one that is named here must be there."""

    user: ClaimPath | None = None
    name: ClaimPath | None = None
    organisation: ClaimPath | None = None
    agency: ClaimPath | None = None
    roles: ClaimPath | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whom the house lets in; ``None``: whoever the partner does."""

    organisations: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    subjects: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """How programs come with access tokens of a partner.

    ``audience``: what a token must be for; ``introspects``: the partner is asked about each (RFC 7662), as
    ``client_id``; ``dpop``: ``no``, ``optional`` or ``required``; ``prefix``: how its opaque tokens begin.
    """

    audience: str
    introspects: bool = False
    dpop: str = "no"
    prefix: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Events:
    """Where a partner wants to be told of its people. ``token``: what its endpoint asks of us beside our signature."""

    endpoint: str
    audience: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner organisation's OpenID provider, and what is believed of it.

    ``algorithms``: those its tokens may be signed with, no others. ``client_auth``: ``basic``, ``post`` or
    ``private_key_jwt``; ``None``: as its metadata say. ``client_key``: our private key in PEM. ``endpoints``: instead
    of its metadata. ``names_itself``: its answers carry ``iss`` (RFC 9207), whatever these say. ``userinfo``: ``none``,
    ``json`` or ``jwt``. ``acr``: the levels of which a sign-in must be one. ``asks``: how it is asked for a word that
    is a proof: ``acr_values``, ``claims``, ``max_age``.
    """

    id: str
    name: str
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    algorithms: tuple[str, ...] = ("ES256",)
    scope: str = "openid profile"
    client_auth: str | None = None
    client_key: bytes | None = field(default=None, repr=False)
    assertion_audience: str = "issuer"
    endpoints: Endpoints | None = None
    names_itself: bool = False
    par: bool = False
    userinfo: str = "none"
    acr: tuple[str, ...] = ()
    asks: tuple[str, ...] = ("acr_values", "max_age")
    claims: ClaimNames = ClaimNames()
    allow: Allowed = Allowed()
    domains: tuple[str, ...] = ()
    api: Api | None = None
    events: Events | None = None
