"""Every key name and every lifetime in the store, in one place.

Rules of this file:

1. No limit and no secret stands in a key's name: a budget survives a policy reload, a credential is known by its hash.
2. What is counted lives at least as long as its window; what links two identifiers lives as long as the longest one.
3. On a cluster a name has the tag of its place before it: ``places``.
"""

from typing import Final

MINUTE_S: Final = 60
DAY_S: Final = 86_400

EPOCH: Final = "epoch"
"""A random id: this store and no other (see ``connection.Store.ensure_epoch``). Every place has it."""

CLOCK: Final = "clock"
"""The latest time, in ms, at which any worker charged in this place."""

SEQUENCE: Final = "seq"
"""The number of committed charges in this place."""

LINKED: Final = "linked"
"""The number of charges that made a link: as long as it stands, everybody is who they were."""

PROBE: Final = "probe"
"""Written for its acknowledgement alone."""

LONE: Final = "lone"
"""How often a place's primary was written to with fewer replicas than it should have (see ``lone``)."""

LONE_ELSEWHERE: Final = "lone:elsewhere"
"""A sorted set: place of another shard to how often its primary was, as far as it was believed."""

LEDGERS: Final = "ledgers"
"""A hash: name of a gateway to the id of its ledger."""

LEDGERS_COUNTED: Final = "ledgers:counted"
"""A hash: id of a ledger to the time of its last charge, when the budgets were last counted anew."""

FINGERPRINTS: Final = "keys"
"""A hash: purpose of a key to the fingerprint of the oldest one, which all nodes share."""

TOKENS: Final = "tokens"
"""A set of the ids of all tokens."""

FROM_PARTNER: Final = "a_"
"""How the ids of partners' access tokens begin."""

NOTIFY: Final = "notify"
"""The receiver of messages that is the operator's own address."""

TOKENS_INDEXED: Final = "tokens:indexed"
"""A string: every token stands in its user's set too."""

PARTNERSHIPS: Final = "partnerships"
"""A set: every partner that was ever trusted (see ``partnership``)."""

FROZEN: Final = "frozen"
"""A set of what is frozen: ``kind:name``."""

STOCK: Final = "oath:stock"
"""A hash: serial number to sealed hardware token that is nobody's yet."""

MIGRATIONS: Final = "migrations"
"""A hash: a migration that waits for a signature to what it is."""

MIGRATION_LIFETIME_S: Final = 7 * DAY_S
"""How long a migration that an officer started waits for another's signature."""

ASSIGNED: Final = "oath:assigned"
"""A hash: serial number of a hardware token to whose it became."""

LINK_LIFETIME_S: Final = 31 * DAY_S
"""Longer than the longest window of a budget."""

BUDGET_SLACK_S: Final = MINUTE_S
"""A budget's key outlives its window by this."""

PROOF_LIFETIME_S: Final = 30 * DAY_S
"""No proof is of use for longer, whatever the policy says."""

TRY_WINDOW_S: Final = 15 * MINUTE_S
"""Failed tries of a code are counted in this window."""

DOCUMENT_SPACING_S: Final = 30
"""A document that a partner publishes is fetched no oftener, by all workers together."""

STALE_COOKIE_S: Final = 10
"""How long an old session id keeps what it had before a step-up."""

ENDED_SESSION_S: Final = 10 * MINUTE_S
"""For so long it is known whose session has ended by time, so that their form is kept for them."""

SEEN_EVERY_S: Final = MINUTE_S
"""A session's last use is written no oftener."""

REQUEST_LIFETIME_S: Final = 60 * MINUTE_S
"""How long a code to ask for an invitation is known."""

INVITATION_LIFETIME_S: Final = DAY_S
"""How long an invitation waits for its person."""

INVITED_BY_LIFETIME_S: Final = 400 * DAY_S
"""How long it is known who invited whom: longer than a year, so that no circle closes over a holiday."""

LETTER_LIFETIME_S: Final = 30 * DAY_S
"""How long the code in a letter holds."""

LOGIN_LIFETIME_S: Final = 400 * DAY_S
"""How long it is known whose login one was."""

STARTED_LIFETIME_S: Final = DAY_S
"""How long an invitation that the help desk started waits for its signature."""

ACTIVITY_LIFETIME_S: Final = 2 * DAY_S
"""How long it is known in figures what a person opened; the ledger knows for longer."""

NOTICE_LIFETIME_S: Final = 90 * DAY_S
"""How long a person is told of a change that they have not seen."""

KEPT_LIFETIME_S: Final = 10 * MINUTE_S
"""An interrupted request, or an answer that waits for a confirmation, is kept for this long."""

PICK_UP_CLAIM_S: Final = 30
"""How long others wait for a pick-up that has begun; longer than any decision takes."""

CHALLENGE_LIFETIME_S: Final = 10 * MINUTE_S
"""How long somebody has to confirm what was asked under a name."""

CHANGED_LIFETIME_S: Final = 2 * DAY_S
"""How long it is known that a partner said that a credential was changed: as long as any cooling lasts."""

KNOWN_OUTSIDER_S: Final = DAY_S
"""How long it is known who is inside for a user, and of whom outside they have said why."""

WHY_LIFETIME_S: Final = 10 * MINUTE_S
"""How long a reason waits for the request that it was given for."""

NOT_BEFORE_LIFETIME_S: Final = DAY_S + MINUTE_S
"""How long it is known that a user's tokens ended: no token of a partner's is good a day after it was issued."""

SIGN_IN_LIFETIME_S: Final = 15 * MINUTE_S
"""How long it is known that something ended on which a sign-in may rest that was begun before; none takes longer."""

POSSESSION_LIFETIME_S: Final = 3 * MINUTE_S
"""How long a proof of possession is known: longer than its time, give or take, makes it good."""

SEAT_IDLE_S: Final = 45 * DAY_S
"""Somebody who has not signed in for so long leaves their seat at their partner."""

GRANT_DAY_S: Final = DAY_S
"""Grants made within this time are added up."""


def sending(receiver: str) -> str:
    """A sorted set: a message that waits to be sent to a receiver to when its next try is due (ms)."""
    return receiver


def tries_of(receiver: str) -> str:
    """A hash: a message that waits to how often it was tried."""
    return f"{receiver}:tries"


def refusals_of(receiver: str) -> str:
    """A hash: a message that waits to how often its receiver refused it."""
    return f"{receiver}:refusals"


def signals_to(partner: str) -> str:
    """The receiver that a partner is, of signals about its people."""
    return f"sx:{partner}"


def subject(user: str) -> str:
    """A string: as whom their partner knows a user, sealed."""
    return f"ka:{user}"


def budget(limit_key: str) -> str:
    """A sorted set: person (16 bytes) to the time, in ms, of the first charge.

    Of the floors in use: the name of a floor's key to the time, in ms, of the latest person in it.
    """
    return f"b:{limit_key}"


def token(token_id: str) -> str:
    """A hash: what a token stands for."""
    return f"t:{token_id}"


def tokens_of(user: str) -> str:
    """A set: the ids of one user's tokens; those that are over may still be in it."""
    return f"ut:{user}"


def not_before(user: str) -> str:
    """A string: a user's tokens from partners that were issued until then (Unix seconds) are not good."""
    return f"nb:{user}"


def token_by_hash(token_hash: bytes) -> bytes:
    """A string: the id of the token with this hash."""
    return b"th:" + token_hash


def session(cookie_hash: bytes) -> bytes:
    """A hash: the session family of one cookie."""
    return b"ss:" + cookie_hash


def family(family_id: str) -> str:
    """A hash: the caller behind all cookies of one sign-in."""
    return f"sf:{family_id}"


def families(user: str) -> str:
    """A set: the session families of one user; those that are over may still be in it."""
    return f"us:{user}"


def signed_in_until(user: str) -> str:
    """A string: a user's sign-ins that were begun until then (Unix seconds) open nothing."""
    return f"su:{user}"


def places(family: str) -> str:
    """A sorted set: the networks and browsers that a session family is known to be used from, and since when (ms)."""
    return f"kn:{family}"


def sign_out_by(family: str) -> str:
    """A string: what a session family's partner needs to end its own session, sealed."""
    return f"so:{family}"


def signal(signal_hash: bytes) -> bytes:
    """A string: how far a partner's signal of this hash is, or that a session of the partner's has ended."""
    return b"sg:" + signal_hash


def partner_session(sid_hash: bytes) -> bytes:
    """A string: the user who came by a session at their partner's."""
    return b"ps:" + sid_hash


def changed(user: str) -> str:
    """A string: when (Unix seconds) a partner said that a credential of this user was changed."""
    return f"cc:{user}"


def closed(user: str) -> str:
    """A string: the class from which all is closed to a user, at their own word."""
    return f"cl:{user}"


def kept(kept_hash: bytes) -> bytes:
    """A string: a request kept for one sending, or an answer for one pick-up, encrypted."""
    return b"kp:" + kept_hash


def kept_of(kind: str, lineage: str) -> str:
    """A sorted set: what of a kind is kept for one session family, token or user, and since when (ms)."""
    return f"kf:{kind}:{lineage}"


def pick_up(sealed_hash: bytes) -> bytes:
    """A string: a sealed answer is being decided at this moment."""
    return b"pu:" + sealed_hash


def challenge(name_hash: str) -> str:
    """A string: what is asked to be confirmed under the name of this hash."""
    return f"dh:{name_hash}"


def challenge_same(credential_id: str, klass: str, request: str) -> str:
    """A hash: the name under which this is open for a credential, a class and perhaps one answer."""
    return f"dc:{credential_id}:{klass}:{request}"


def challenges_of(credential_id: str) -> str:
    """A sorted set: hashes of the names that are open for a credential, and when each was opened (ms)."""
    return f"do:{credential_id}"


def claimed(proof_id: str) -> str:
    """A string: a proof that serves one answer has had it."""
    return f"pu:{proof_id}"


def proofs(credential_id: str) -> str:
    """A hash: proof id to proof, of one token or session family."""
    return f"p:{credential_id}"


def possession(proof_hash: bytes) -> bytes:
    """A string: a proof of possession of this hash has come."""
    return b"dp:" + proof_hash


def grants(user: str) -> str:
    """A hash: grant id to grant, of one user."""
    return f"gr:{user}"


def seen_inside(user: str, agency: str) -> str:
    """A sorted set: persons whose record named a user's agency when they last saw it, and when that was (ms)."""
    return f"in:{user}:{agency}"


def explained(user: str) -> str:
    """A sorted set: persons outside of whom a user has said why they need them, and when (ms)."""
    return f"ex:{user}"


def why(credential_id: str, request: str) -> str:
    """A string: the reason given for one request (its keyed hash), sealed."""
    return f"wy:{credential_id}:{request}"


def frozen(kind: str, name: str) -> str:
    """A hash: who froze this token, user or partner, when and why."""
    return f"fz:{kind}:{name}"


def flow(kind: str, key_hash: bytes) -> bytes:
    """A string: what was kept for one later step of one flow."""
    return b"fl:" + kind.encode() + b":" + key_hash


def document(address_hash: str) -> str:
    """A hash: what a partner published at an address, and when it was fetched."""
    return f"do:{address_hash}"


def document_claim(address_hash: str) -> str:
    """A string: when a worker last set about fetching it."""
    return f"dc:{address_hash}"


def factors(user: str) -> str:
    """A hash: factor id to factor, of one user."""
    return f"f:{user}"


def removed_factor(factor_id: str) -> str:
    """A string: this factor was taken away, and what it confirmed opens nothing more."""
    return f"fx:{factor_id}"


def tries(user: str) -> str:
    """A sorted set: keyed hash of a tried code to the time, in ms, of its first try."""
    return f"ft:{user}"


def factor(factor_id: str) -> str:
    """A hash: what is said of one factor: its name, how and when it was bound, its counter."""
    return f"fi:{factor_id}"


def credential(credential_hash: bytes) -> bytes:
    """A string: the user whose this WebAuthn credential is."""
    return b"wc:" + credential_hash


def invitation_request(code_hash: bytes) -> bytes:
    """A string: who asked to be invited with the code of this hash."""
    return b"ir:" + code_hash


def invitation(user: str) -> str:
    """A hash: the invitation that waits for a user."""
    return f"iv:{user}"


def invites(user: str) -> str:
    """A sorted set: whom a user has invited, and when (ms)."""
    return f"ib:{user}"


def started(partner: str) -> str:
    """A hash: user of this partner to the invitation that the help desk started for them."""
    return f"is:{partner}"


def partnership(partner: str, issuer: str) -> str:
    """A partner's name among all that were ever trusted: by another issuer it is another."""
    return f"{partner} {issuer}"


def sessions_until(partnership: str) -> str:
    """A string: sessions of a partner's people that were opened until then (Unix seconds) are over."""
    return f"pe:{partnership}"


def seats(partner: str) -> str:
    """A sorted set: user of this partner to when they last came (ms)."""
    return f"st:{partner}"


def first_sight(user: str) -> str:
    """A string: when (Unix seconds) a user was seen for the first time, as long as that makes them new."""
    return f"fv:{user}"


def identity(identity_id: str) -> str:
    """A hash: whose identity this is, where it took another's place or another takes its own (``core.identity``)."""
    return f"id:{identity_id}"


def migration(migration_id: str) -> str:
    """A string: the people of a migration that waits for signatures."""
    return f"mg:{migration_id}"


def agency(user: str) -> str:
    """A string: of which agency a user is today."""
    return f"ag:{user}"


def signatures(migration_id: str) -> str:
    """A set: the users who have signed a migration."""
    return f"ms:{migration_id}"


def shared_by(partner: str) -> str:
    """A string: the partner with whose limits this one's are counted."""
    return f"sp:{partner}"


def login_last(login_hash: bytes) -> bytes:
    """A sorted set: user to when they last signed in with the login of this hash (Unix seconds)."""
    return b"ll:" + login_hash


def login_said(login_hash: bytes) -> bytes:
    """A hash: since when these users sign in so (``since:user``), and as whom, sealed (``who:user``)."""
    return b"ls:" + login_hash


def activity(user: str, day: int) -> str:
    """A hash: start, class and credential to the number of persons that a user was shown on a day since 1970."""
    return f"ac:{user}:{day}"


def notices(user: str) -> str:
    """A hash: kind and causing credential to what changed and its user has not seen."""
    return f"no:{user}"


def recovery(user: str) -> str:
    """A set: keyed hashes of a user's unused recovery codes."""
    return f"rc:{user}"


def letter(user: str) -> str:
    """A set of one: the keyed hash of the code in a user's letter."""
    return f"lt:{user}"


def clocks(user: str) -> str:
    """A hash: factor id to its clock's drift, its last accepted step, and the code that awaits its successor."""
    return f"fc:{user}"


def failures(user: str) -> str:
    """A hash: factor id to failures in a row."""
    return f"ff:{user}"
