"""Why the gateway says no: one table of reasons, the same words in answers, ledger and metrics.

The HTTP status of each stands in ``edge/answers.py``, the only file that knows status codes.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.extraction import Class


class Reason(StrEnum):
    """Each member's value is the last part of ``urn:gateway:problem:REASON``."""

    MALFORMED_REQUEST = "malformed_request"
    AMBIGUOUS_TARGET = "ambiguous_target"
    UNKNOWN_HOST = "unknown_host"
    AMBIGUOUS_CREDENTIALS = "ambiguous_credentials"
    NO_CALLER = "no_caller"
    TOKEN_UNKNOWN = "token_unknown"  # noqa: S105  (a reason's name)
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    INVALID_DPOP_PROOF = "invalid_dpop_proof"
    USE_DPOP_NONCE = "use_dpop_nonce"
    INVALID_DPOP_BINDING = "invalid_dpop_binding"
    FROZEN = "frozen"
    CLOSED_BY_PERSON = "closed_by_person"
    PARTNER_NOT_TRUSTED = "partner_not_trusted"
    METHOD_NOT_LISTED = "method_not_listed"
    DENIED_BY_RULE = "denied_by_rule"
    PROOF_REQUIRED = "proof_required"
    MACHINE_TOKEN = "machine_token"  # noqa: S105
    MANDATE_REQUIRED = "mandate_required"
    ANSWER_EXCEEDS_PROOF = "answer_exceeds_proof"
    TOO_MANY_PERSONS = "too_many_persons"
    BUDGET_EXHAUSTED = "budget_exhausted"
    TOO_LARGE_TO_READ = "too_large_to_read"
    MASKED_VALUE_RETURNED = "masked_value_returned"
    CODE_REJECTED = "code_rejected"
    CODE_USED = "code_used"
    CODE_NEXT_NEEDED = "code_next_needed"
    TOO_MANY_TRIES = "too_many_tries"
    FACTOR_STOPPED = "factor_stopped"
    NO_FACTOR = "no_factor"
    NO_PASSKEY = "no_passkey"
    PASSKEY_REJECTED = "passkey_rejected"
    CEREMONY_OVER = "ceremony_over"
    LAST_FACTOR = "last_factor"
    ROLE_REQUIRED = "role_required"
    INVITATION_REQUIRED = "invitation_required"
    INVITATION_REFUSED = "invitation_refused"
    FACTOR_COOLING = "factor_cooling"
    BODY_TOO_LARGE = "body_too_large"
    BODY_STALLED = "body_stalled"
    BAD_ORIGIN = "bad_origin"
    TOO_MANY_SIGN_INS = "too_many_sign_ins"
    SIGN_IN_FAILED = "sign_in_failed"
    CLAIM_MISSING = "claim_missing"
    NOT_ADMITTED = "not_admitted"
    PARTNER_UNREACHABLE = "partner_unreachable"
    NO_SEAT = "no_seat"
    IDENTITY_GONE = "identity_gone"
    IDENTITY_UNCONFIRMED = "identity_unconfirmed"
    STEP_UP_CODE_UNKNOWN = "step_up_code_unknown"
    KEPT_GONE = "kept_gone"
    ANSWER_GONE = "answer_gone"
    NOT_FOUND = "not_found"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_MALFORMED = "upstream_malformed"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    STORE_UNAVAILABLE = "store_unavailable"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    BUSY = "busy"
    INTERNAL_FAULT = "internal_fault"
    HTTP_VERSION_TOO_OLD = "http_version_too_old"
    CONTENT_WITHHELD = "content_withheld"
    REASON_REQUIRED = "reason_required"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A "no" as a value. Which fields are set depends on the reason.

    ``kinds`` and ``max_age_s``: the proof that would open it; ``asked`` and ``limit``: persons; ``retry_s``: only
    where waiting would open it; ``methods``: what the route lists; ``detail``: for the operator, in English;
    ``bound``: the proof would be for this answer alone, of at most ``limit`` persons; ``challenge``: the name under
    which it is asked for; ``pick_up``: where what is withheld waits; ``elsewhere``: the session is used from a network
    or browser that is new to it; ``unconfirmed``: it is of an identity that nobody has confirmed yet; ``nonce``: what
    the next proof of possession must name;
    ``by_partner``: signing in anew at their partner would open it too; ``levels``: the values of ``acr`` with which a
    token of their partner's would.
    """

    reason: Reason
    klass: Class | None = None
    kinds: tuple[str, ...] = ()
    max_age_s: int | None = None
    retry_s: int | None = None
    asked: int | None = None
    limit: int | None = None
    window_s: int | None = None
    budget: str | None = None
    methods: tuple[str, ...] = ()
    rule: str | None = None
    detail: str = ""
    bound: bool = False
    elsewhere: bool = False
    unconfirmed: bool = False
    challenge: str | None = None
    pick_up: str | None = None
    nonce: str | None = None
    by_partner: bool = False
    levels: tuple[str, ...] = ()
